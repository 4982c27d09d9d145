import type { Principal } from '../../schema/principal.ts';
import type { CostBudget } from '../../schema/subgraph.ts';
import { Refusal } from '../refusal.ts';

/** Points come back evenly: the whole limit in this time. */
export const REFILL_MS = 60_000;
/** Principals that are remembered, some 100 bytes each. Who has not asked for a minute has all points anyway. */
const MAX_PRINCIPALS = 10_000;

/** What each principal may still ask for. Of this process: behind a balancer each process has its own. */
export interface CostBudgets {
  /**
   * Takes the points of an operation, at least one. One that costs more than the limit runs when all points are there.
   *
   * @returns what is left after it @throws Refusal 429 `RATE_LIMITED` with when it is worth trying again
   */
  charge(principal: Pick<Principal, 'kind' | 'id'>, cost: number): CostBudget;
}

interface Bucket {
  points: number;
  /** Milliseconds since the epoch, when `points` was right. */
  at: number;
}

/**
 * @param limit points that a principal has at most, and gets back in a minute
 * @param now milliseconds since the epoch
 */
export function createCostBudgets(limit: number, now: () => number): CostBudgets {
  const perMs = limit / REFILL_MS;
  const buckets = new Map<string, Bucket>();

  function bucketOf({ kind, id }: Pick<Principal, 'kind' | 'id'>, at: number): Bucket {
    const key = `${kind} ${id}`;
    const known = buckets.get(key);
    if (known !== undefined) {
      // A clock that was set back takes nothing away.
      known.points = Math.min(limit, known.points + Math.max(0, at - known.at) * perMs);
      known.at = at;
      return known;
    }
    if (buckets.size >= MAX_PRINCIPALS) forgetFull(at);
    const bucket = { points: limit, at };
    buckets.set(key, bucket);
    return bucket;
  }

  /** A full bucket says what none says. When all are in use, the one that was made first goes. */
  function forgetFull(at: number): void {
    for (const [key, { points, at: then }] of buckets) {
      if (points + (at - then) * perMs >= limit) buckets.delete(key);
    }
    const first = buckets.size < MAX_PRINCIPALS ? undefined : buckets.keys().next().value;
    if (first !== undefined) buckets.delete(first);
  }

  return {
    charge(principal, cost) {
      const at = now();
      const bucket = bucketOf(principal, at);
      // Nothing is free: an operation without objects takes a point too.
      const needed = Math.min(Math.max(1, cost), limit);
      if (bucket.points < needed) throw refusal(cost, bucket, (needed - bucket.points) / perMs);
      bucket.points -= needed;
      return budgetOf(cost, bucket);
    },
  };

  function budgetOf(cost: number, { points, at }: Bucket): CostBudget {
    return { cost, limit, remaining: Math.floor(points), resetAt: at + Math.ceil((limit - points) / perMs) };
  }

  function refusal(cost: number, bucket: Bucket, waitMs: number): Refusal {
    const { remaining, resetAt } = budgetOf(cost, bucket);
    const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
    return new Refusal(429, 'RATE_LIMITED', `The operation costs ${cost} points, and ${remaining} are left.`, {
      details: { cost, limit, remaining, resetAt: new Date(resetAt).toISOString(), retryAfterSeconds: seconds },
      headers: { 'retry-after': String(seconds) },
    });
  }
}
