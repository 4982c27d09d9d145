import { setTimeout as wait } from 'node:timers/promises';
import { AdapterError } from './adapter-error.ts';

/** Share of the interval by which polls are spread, so that integrations made together do not poll together. */
const DEFAULT_JITTER = 0.1;
/** A platform that is away for long is asked this often at least. */
const DEFAULT_MAX_BACKOFF_MS = 300_000;

export interface PollOptions {
  /** From the end of one poll to the start of the next. */
  readonly intervalMs: number;
  /** Share of the interval that is added at random; default 0.1. */
  readonly jitter?: number;
  /** Longest wait after failures, unless the platform asks for more; default five minutes. */
  readonly maxBackoffMs?: number;
  /** Ends the loop, and the poll under way through the signal it gets. */
  readonly signal: AbortSignal;
  poll(signal: AbortSignal): Promise<void>;
  /**
   * Decides after a failed poll. Default: go on when waiting can help (see AdapterError.retryable), stop when a person
   * must act. An error that is no AdapterError is a fault of ours: it ends the loop by being thrown.
   *
   * @param failures polls failed in a row, this one included
   */
  readonly onFailure?: (error: AdapterError, failures: number) => 'retry' | 'stop';
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Waits, or rejects when the signal fires first; a timer of the process when absent. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** How a loop ended: its signal fired, or a failure was one that waiting cannot help. */
export type PollEnd = 'aborted' | 'stopped';

async function defaultSleep(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal });
}

/**
 * Polls until told to stop: at once, then after every interval; after failures in a row ever more rarely, and never before
 * the platform's own `retryAfterMs`. One poll at a time.
 *
 * @throws what `poll` throws when that is not an AdapterError
 */
export async function runPolling(options: PollOptions): Promise<PollEnd> {
  const { signal, intervalMs, random } = options;
  const sleep = options.sleep ?? defaultSleep;
  const decide = options.onFailure ?? ((error: AdapterError) => (error.retryable ? 'retry' : 'stop'));
  for (let failures = 0; !signal.aborted; ) {
    let waitMs = intervalMs * (1 + (options.jitter ?? DEFAULT_JITTER) * random());
    try {
      await options.poll(signal);
      failures = 0;
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof AdapterError)) throw error;
      failures += 1;
      if (decide(error, failures) === 'stop') return 'stopped';
      const bound = Math.max(
        intervalMs,
        Math.min(options.maxBackoffMs ?? DEFAULT_MAX_BACKOFF_MS, intervalMs * 2 ** failures),
      );
      // Spread over the whole bound beyond the interval: a platform that comes back is not greeted by everybody at once.
      waitMs = Math.max(error.retryAfterMs ?? 0, intervalMs + random() * (bound - intervalMs));
    }
    try {
      await sleep(waitMs, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
  return 'aborted';
}
