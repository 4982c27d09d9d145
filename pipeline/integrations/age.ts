import type { Clock } from './clock.ts';

/** Clocks of two machines may differ by this much: an instant a little ahead of ours is of now. */
const CLOCKS_DIFFER_MS = 60_000;

/**
 * Says how long ago something was of which the store keeps the instant alone, by time that really passed: our clock may
 * be set while we wait, and the instant is of before or after that. To be asked whenever somebody looks: what changed
 * since the last look happened since then.
 *
 * @param stamp by our clock as it was then, in milliseconds since the epoch; null: never
 * @returns milliseconds; null: never, or at an instant that has yet to come by a clock that was set before we looked
 */
export type AgeOf = (stamp: number | null) => number | null;

export function createAge(clock: Pick<Clock, 'now' | 'elapsedMs'>): AgeOf {
  let known: { readonly stamp: number; readonly at: number | null } | null = null;
  let lookedAt: number | null = null;

  return (stamp) => {
    const elapsed = clock.elapsedMs();
    if (stamp === null) known = null;
    else if (stamp !== known?.stamp) {
      const byClock = clock.now() - stamp;
      const isUnknown = lookedAt === null && byClock < -CLOCKS_DIFFER_MS;
      const sinceLook = lookedAt === null ? Number.POSITIVE_INFINITY : elapsed - lookedAt;
      known = { stamp, at: isUnknown ? null : elapsed - Math.min(Math.max(byClock, 0), sinceLook) };
    }
    lookedAt = elapsed;
    return known === null || known.at === null ? null : elapsed - known.at;
  };
}
