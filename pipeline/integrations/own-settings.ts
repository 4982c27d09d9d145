import { z } from 'zod';
import { commonSettings, LIVE_DEADLINE_MS } from '../../adapter-kit/common-settings.ts';
import type { IngestTraits } from '../../adapter-kit/define-vendor.ts';

const OwnSettings = z.object(commonSettings);

/** What an integration's settings say that means the same for all vendors; null where nothing is set. */
export interface OwnSettings {
  readonly liveDeadlineMs: number;
  readonly expectedSilenceMs: number | null;
  readonly syncIntervalMs: number | null;
  readonly pollIntervalMs: number | null;
  readonly webhookToleranceSeconds: number | null;
}

/**
 * Reads them from settings that the vendor's schema has parsed. A vendor that uses one of the names for something else
 * has not set any of them.
 */
export function readOwnSettings(settings: unknown): OwnSettings {
  const parsed = OwnSettings.safeParse(settings);
  const own: z.infer<typeof OwnSettings> = parsed.success ? parsed.data : {};
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
