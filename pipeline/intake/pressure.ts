import type { Database } from '../../storage/database.ts';
import { hasPending } from '../../storage/inbox.ts';

/** Deliveries that may wait to be processed: some minutes of work, and a disk that we can still account for. */
const MAX_BACKLOG = 500_000;
/** Counting half a million rows takes some 20 ms; it is done only when there may be so many. */
const MEASURE_EVERY_MS = 2_000;
/** Far above what one integration sends, far below what would take the machine from the others for long. */
const MAX_PER_SECOND = 20_000;
const SECOND_MS = 1_000;

/** How much of our keeping up is left. */
export interface Pressure {
  /** More waits to be processed than may. Measured every two seconds while deliveries come. */
  isBacklogged(): boolean;
  /** Takes one of the integration's deliveries of this second. @returns false when there is none left */
  take(integrationId: string): boolean;
}

export interface PressureDeps {
  readonly db: Pick<Database, 'read'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Default 500,000. */
  readonly maxBacklog?: number | undefined;
  /** Per integration, default 20,000. */
  readonly maxPerSecond?: number | undefined;
}

export function createPressure({
  db,
  now,
  maxBacklog = MAX_BACKLOG,
  maxPerSecond = MAX_PER_SECOND,
}: PressureDeps): Pressure {
  let measuredAt = Number.NEGATIVE_INFINITY;
  let isMeasuring = false;
  let isOver = false;
  let second = 0;
  const taken = new Map<string, number>();

  async function measure(): Promise<void> {
    isMeasuring = true;
    measuredAt = now();
    try {
      isOver = await hasPending(db, maxBacklog);
    } catch {
      // A store that cannot be read will refuse the write as well, and say so.
    } finally {
      isMeasuring = false;
    }
  }

  return {
    isBacklogged() {
      if (!isMeasuring && Math.abs(now() - measuredAt) >= MEASURE_EVERY_MS) void measure();
      return isOver;
    },
    take(integrationId) {
      const current = Math.floor(now() / SECOND_MS);
      if (current !== second) {
        second = current;
        taken.clear();
      }
      const count = taken.get(integrationId) ?? 0;
      if (count >= maxPerSecond) return false;
      taken.set(integrationId, count + 1);
      return true;
    },
  };
}
