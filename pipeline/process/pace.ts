import { setTimeout as delay } from 'node:timers/promises';
import type { Database, Tx } from '../../storage/database.ts';

/** What one portion may take: the next delivery waits for its end. An event costs some 0.1 ms to forget. */
const TARGET_MS = 8;
const MIN_ROWS = 25;
const MAX_ROWS = 1_000;
const FIRST_ROWS = 100;
/** Rests for as long as it worked, and for so many times as long while deliveries wait to be stored. */
const REST_WHEN_BUSY = 4;
/** One table does not keep the others from their turn for longer. */
const MAX_MS = 30_000;

export interface Pace {
  /**
   * Repeats a bounded deletion until there is nothing left, 30 s have passed, or it is stopped.
   *
   * @param trim deletes up to `limit` rows and says how many
   * @returns how many rows went, and whether some are left
   */
  repeat(
    trim: (tx: Tx, limit: number) => Promise<number>,
  ): Promise<{ readonly rows: number; readonly isDone: boolean }>;
  stop(): void;
}

export interface PaceDeps {
  readonly db: Pick<Database, 'write'>;
  /** Deliveries wait to be stored. Default: never. */
  readonly isBusy?: () => boolean;
  /** Default: real time. */
  readonly rest?: (ms: number) => Promise<unknown>;
}

/**
 * Long work in portions that nobody feels. On SQLite there is one writer at a time, and a portion of fixed size takes
 * 50 ms on one machine and 5 on another: the size follows what the last one took.
 */
export function createPace({ db, isBusy = () => false, rest = (ms) => delay(ms) }: PaceDeps): Pace {
  let rows = FIRST_ROWS;
  let isStopped = false;

  return {
    async repeat(trim) {
      const deadline = performance.now() + MAX_MS;
      let total = 0;
      while (!isStopped && performance.now() < deadline) {
        const limit = rows;
        let startedAt = 0;
        const count = await db.write((tx) => {
          // Not before: it may have waited for its turn.
          startedAt = performance.now();
          return trim(tx, limit);
        });
        const tookMs = performance.now() - startedAt;
        total += count;
        if (count < limit) return { rows: total, isDone: true };
        rows = Math.round(Math.min(Math.max((limit * TARGET_MS) / tookMs, limit / 2, MIN_ROWS), limit * 2, MAX_ROWS));
        await rest(tookMs * (isBusy() ? REST_WHEN_BUSY : 1));
      }
      return { rows: total, isDone: false };
    },
    stop() {
      isStopped = true;
    },
  };
}
