import { z } from 'zod';

/** What an operator types besides address and credentials. Unknown members are refused: a slip must not pass. */
export const AcmeVmsSettings = z.strictObject({
  /** Deadline of one call, in milliseconds. */
  timeoutMs: z.int().min(500).max(30_000).default(3_000),
  /** PEM of an authority of the customer's own. */
  tlsCa: z.string().max(50_000).optional(),
  /** SHA-256 of the one certificate to accept, whatever its chain. */
  tlsPinnedFingerprint: z.string().max(100).optional(),
});
export type AcmeVmsSettings = z.infer<typeof AcmeVmsSettings>;
