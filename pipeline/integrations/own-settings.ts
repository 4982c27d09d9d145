import { z } from 'zod';
import type { IngestTraits } from '../../adapter-kit/define-vendor.ts';

// Settings that mean the same for every vendor. A vendor that wants its operators to have them declares them in its own
// schema, under these names; what it does not declare cannot be set.

/** A live read holds up a page: three seconds is what a person waits. */
export const LIVE_DEADLINE_MS = 3_000;
const DAY_MS = 86_400_000;

const OwnSettings = z.object({
  /** Deadline of live reads; may lower the default, not raise it. */
  liveDeadlineMs: z.number().min(100).max(LIVE_DEADLINE_MS).catch(LIVE_DEADLINE_MS).default(LIVE_DEADLINE_MS),
  /** How long the platform may be silent before we poll. */
  expectedSilenceMs: z
    .number()
    .min(1_000)
    .max(7 * DAY_MS)
    .optional()
    .catch(undefined),
  syncIntervalMs: z
    .number()
    .min(10_000)
    .max(7 * DAY_MS)
    .optional()
    .catch(undefined),
  pollIntervalMs: z.number().min(1_000).max(DAY_MS).optional().catch(undefined),
  /** How far a webhook's timestamp may be from our clock. */
  webhookToleranceSeconds: z.number().int().min(1).max(3_600).optional().catch(undefined),
});

export interface OwnSettings {
  readonly liveDeadlineMs: number;
  readonly expectedSilenceMs: number | null;
  readonly syncIntervalMs: number | null;
  readonly pollIntervalMs: number | null;
  readonly webhookToleranceSeconds: number | null;
}

/** Reads what a vendor's parsed settings say for all vendors; what is absent or out of range counts as not set. */
export function readOwnSettings(settings: unknown): OwnSettings {
  const parsed = OwnSettings.safeParse(settings);
  const own: Partial<z.infer<typeof OwnSettings>> = parsed.success ? parsed.data : {};
  return {
    liveDeadlineMs: own.liveDeadlineMs ?? LIVE_DEADLINE_MS,
    expectedSilenceMs: own.expectedSilenceMs ?? null,
    syncIntervalMs: own.syncIntervalMs ?? null,
    pollIntervalMs: own.pollIntervalMs ?? null,
    webhookToleranceSeconds: own.webhookToleranceSeconds ?? null,
  };
}

/** A vendor's traits with what one integration's settings say instead. */
export function ingestOf(traits: IngestTraits, settings: unknown): IngestTraits {
  const own = readOwnSettings(settings);
  return {
    ...traits,
    expectedSilenceMs: own.expectedSilenceMs ?? traits.expectedSilenceMs,
    syncIntervalMs: own.syncIntervalMs ?? traits.syncIntervalMs,
    pollIntervalMs: own.pollIntervalMs ?? traits.pollIntervalMs,
  };
}
