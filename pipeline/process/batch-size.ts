/** Fewer would cost more for the transaction than for what is in it. */
const MIN_BATCH = 10;
/** For this long after an arrival the next one is expected. */
const ARRIVING_MS = 100;
/** Weight of the newest batch in what a batch is thought to cost. */
const NEWEST = 0.2;

/** How many deliveries the next batch takes. Instants are milliseconds of a monotonic clock. */
export interface BatchSize {
  /** Something came into the inbox. */
  arrived(at: number): void;
  /** What a batch of so many took, in milliseconds, and whether it left some for the next one. */
  took(count: number, ms: number, isBehind?: boolean): void;
  next(at: number): number;
}

export interface BatchSizeOptions {
  /** Deliveries in one transaction while nobody waits for its end: long enough to share its cost. */
  readonly max: number;
  /**
   * How long a batch may keep the one writer, and with it everybody who waits for it, while deliveries come in. Half of it
   * is what a delivery then waits on average.
   */
  readonly holdMs: number;
  /** The same while the batches are behind: longer ones do more in the same time. Default: as long as `holdMs`. */
  readonly maxHoldMs?: number | undefined;
}

export function createBatchSize({ max, holdMs, maxHoldMs = holdMs }: BatchSizeOptions): BatchSize {
  let hold = holdMs;
  let arrivedAt = Number.NEGATIVE_INFINITY;
  /** Per delivery, its share of the transaction included: in small batches it is larger, and they must not grow for that. */
  let costMs = holdMs / MIN_BATCH;

  return {
    arrived(at) {
      arrivedAt = at;
    },
    took(count, ms, isBehind = false) {
      hold = Math.min(Math.max(isBehind ? hold * 2 : hold / 2, holdMs), maxHoldMs);
      if (count > 0) costMs += NEWEST * (ms / count - costMs);
    },
    next(at) {
      if (at - arrivedAt >= ARRIVING_MS) return max;
      return Math.max(MIN_BATCH, Math.min(max, Math.round(hold / costMs)));
    },
  };
}
