import type { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { IngestTraits } from '../../adapter-kit/define-vendor.ts';
import type { IngestMode, SyncTrigger } from '../../schema/words.ts';

// When an integration is asked, and when it counts as silent: values in, values out.

/** What a decision follows from. Instants are milliseconds since the epoch. */
export interface ScheduleFacts {
  readonly now: number;
  readonly createdAt: number;
  /** Since when this process listens: silence before that may be our own. */
  readonly watchedSince: number;
  readonly lastSyncAt: number | null;
  /** When the platform was last heard by itself. */
  readonly lastHeardAt: number | null;
  readonly ingestMode: string;
  /** It counts as silent already. */
  readonly isSilent: boolean;
  readonly ingest: Pick<IngestTraits, 'syncIntervalMs' | 'pollIntervalMs' | 'expectedSilenceMs'>;
  /** Earliest next try after a failed one; null when the last one went well. */
  readonly retry: Retry | null;
  /** 0 to 1, of this integration: spreads integrations that were created together. */
  readonly spread: number;
}

/** When to try again after a failure. */
export interface Retry {
  readonly at: number;
  /** The platform named the time: not earlier, whatever the interval says. */
  readonly isAsked: boolean;
}

export interface Decision {
  /** The ingest mode that the facts call for. */
  readonly mode: string;
  readonly syncAt: number;
  readonly trigger: SyncTrigger;
  /** A platform that only pushes has been silent for too long: nobody can be asked instead. */
  readonly isSilent: boolean;
  /** When the platform will count as silent if nothing is heard; null when nobody waits for it. */
  readonly silentAt: number | null;
}

/** Intervals are varied by this share either way, so that integrations drift apart. */
const JITTER = 0.1;

const FALLBACK: IngestMode = 'POLLING_FALLBACK_ACTIVE';
const PUSH: IngestMode = 'PUSH_WITH_POLL_FALLBACK';
const PUSH_ALONE: IngestMode = 'PUSH';

function spreadInterval(ms: number, spread: number): number {
  return Math.round(ms * (1 - JITTER + 2 * JITTER * spread));
}

function silentAt({
  ingestMode,
  isSilent,
  lastHeardAt,
  createdAt,
  watchedSince,
  ingest,
}: ScheduleFacts): number | null {
  if (ingestMode !== PUSH && ingestMode !== FALLBACK && ingestMode !== PUSH_ALONE) return null;
  // Only being heard ends a silence; a restart of ours does not.
  if (ingestMode === FALLBACK || isSilent) return lastHeardAt === null ? 0 : lastHeardAt + ingest.expectedSilenceMs;
  return Math.max(lastHeardAt ?? 0, createdAt, watchedSince) + ingest.expectedSilenceMs;
}

/** What to do about an integration, and when. Pure. */
export function decide(facts: ScheduleFacts): Decision {
  const { now, lastSyncAt, ingest, spread, retry } = facts;
  const silent = silentAt(facts);
  const isSilent = silent !== null && silent <= now;
  const canPoll = facts.ingestMode === PUSH || facts.ingestMode === FALLBACK;
  const mode = canPoll ? (isSilent ? FALLBACK : PUSH) : facts.ingestMode;
  const isPolling = mode === FALLBACK || mode === 'POLL_ONLY';
  const interval = spreadInterval(isPolling ? ingest.pollIntervalMs : ingest.syncIntervalMs, spread);
  // A sync of the future was by a clock that has been set back: nobody knows how long ago that is.
  const isOfFuture = lastSyncAt !== null && lastSyncAt > now && retry === null;
  const due = lastSyncAt === null || isOfFuture ? now : lastSyncAt + interval;
  const syncAt = retry === null ? due : retry.isAsked ? retry.at : Math.min(due, retry.at);
  return {
    mode,
    syncAt: lastSyncAt === null && retry !== null ? retry.at : syncAt,
    trigger: lastSyncAt === null ? 'FIRST' : mode === FALLBACK ? 'FALLBACK' : 'SCHEDULE',
    isSilent: isSilent && !canPoll,
    silentAt: silent,
  };
}

/** First wait after a failure, doubled with each further one. */
const FIRST_RETRY_MS = 10_000;
/** Longest wait: a platform that is back is noticed within minutes. */
const MAX_RETRY_MS = 10 * 60_000;

/**
 * When to try again after a sync.
 *
 * @param failures in a row, this one included
 * @param random 0 to 1
 * @returns null when the usual interval decides: after success, and when waiting will not help
 */
export function retryAfter(failure: AdapterError | null, failures: number, now: number, random: number): Retry | null {
  if (failure === null || !failure.retryable) return null;
  const wait = Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), MAX_RETRY_MS);
  const jittered = wait * (0.5 + random / 2);
  const { retryAfterMs } = failure;
  return { at: now + Math.max(jittered, retryAfterMs ?? 0), isAsked: retryAfterMs !== null };
}
