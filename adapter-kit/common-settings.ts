import { z } from 'zod';

/** A live read holds up a page: three seconds is what a person waits. */
export const LIVE_DEADLINE_MS = 3_000;
const DAY_MS = 86_400_000;

/**
 * Settings that mean the same for every vendor. A vendor that offers them spreads them into its own schema; what a vendor
 * does not offer cannot be set for its integrations.
 *
 * ```ts
 * export const AcmeSettings = z.strictObject({ ...commonSettings, building: z.string().optional() });
 * ```
 */
export const commonSettings = {
  /** Deadline of live reads, in milliseconds; may lower the default of 3,000, not raise it. */
  liveDeadlineMs: z.int().min(100).max(LIVE_DEADLINE_MS).optional(),
  /** How long the platform may be silent before it is polled, in milliseconds. */
  expectedSilenceMs: z
    .int()
    .min(1_000)
    .max(7 * DAY_MS)
    .optional(),
  /** How often the whole inventory is read, in milliseconds. */
  syncIntervalMs: z
    .int()
    .min(10_000)
    .max(7 * DAY_MS)
    .optional(),
  /** How often it is read while polling stands in for push, or is all there is, in milliseconds. */
  pollIntervalMs: z.int().min(1_000).max(DAY_MS).optional(),
  /** How far a webhook's timestamp may be from our clock, in seconds; default 300. */
  webhookToleranceSeconds: z.int().min(1).max(3_600).optional(),
};

/** How the platform's certificate is judged; for vendors that hand them to their HTTP client as `tls`. */
export const tlsSettings = {
  /** PEM of an authority to trust beside the public ones. */
  tlsCa: z.string().max(100_000).optional(),
  /** Accept exactly the certificate with this SHA-256 fingerprint, whatever its chain and name. */
  tlsPinnedFingerprint: z
    .string()
    .regex(/^[0-9a-fA-F:]{64,95}$/)
    .optional(),
};
