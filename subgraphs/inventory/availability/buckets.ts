import { instantOf, type WallTime } from '../../../adapter-kit/local-time.ts';
import { fault } from '../../../schema/errors.ts';
import type { Span } from '../../../storage/status-segments.ts';

/** A year of days and then some; more pieces than pixels help nobody. */
export const MAX_BUCKETS = 1_000;
const DAY = 86_400;
const HOUR = 3_600;
const MIN_SIZE = 60;

/** The date that a clock in the zone shows, as a number of days since the epoch. */
function dayOf(second: number, zone: string): number {
  // From 14 hours ahead of UTC to 12 behind: the local day is that of UTC or a neighbour.
  const utcDay = Math.floor(second / DAY);
  for (const day of [utcDay + 1, utcDay]) if (startOf(day, 0, zone) <= second) return day;
  return utcDay - 1;
}

/** When a clock in the zone shows this many seconds after midnight of a day, in seconds since the epoch. */
function startOf(day: number, seconds: number, zone: string): number {
  const date = new Date(day * DAY * 1_000);
  const wall: WallTime = {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: Math.floor(seconds / HOUR),
    minute: Math.floor((seconds % HOUR) / 60),
    second: seconds % 60,
    millisecond: 0,
  };
  return instantOf(wall, zone).at.getTime() / 1_000;
}

/**
 * Cuts a window into pieces of a size. Days, and sizes of more than an hour, follow the clock on the site's wall: a
 * piece with a clock change in it is an hour shorter or longer. Smaller sizes count from local midnight. The first and
 * the last piece are cut to the window.
 *
 * @param window whole seconds, not empty
 * @param sizeMs whole days, or at least a minute and a part that divides a day
 * @param zone IANA
 * @returns the bounds in whole seconds, both ends of the window included
 * @throws GraphQLError BAD_USER_INPUT for another size, or for more than MAX_BUCKETS
 */
export function bucketBounds(window: Span, sizeMs: number, zone: string): readonly number[] {
  const size = sizeMs / 1_000;
  const isDays = size >= DAY && size % DAY === 0;
  if (!Number.isInteger(size) || size < MIN_SIZE || (!isDays && DAY % size !== 0)) {
    throw fault('BAD_USER_INPUT', 'size must be whole days, or at least a minute and a part that divides a day.');
  }
  // A day with a clock change has up to an hour more, and both ends of the window can cut a piece.
  if ((window.to - window.from) / size > MAX_BUCKETS) {
    throw fault('BAD_USER_INPUT', `The window has more than ${MAX_BUCKETS} buckets of this size.`);
  }
  const bounds = new Set<number>([window.from]);
  const days = isDays ? size / DAY : 1;
  for (let day = dayOf(window.from, zone); ; day += days) {
    const start = startOf(day, 0, zone);
    if (start >= window.to) break;
    for (const bound of isDays ? [start] : boundsOfDay(day, start, size, zone)) {
      if (bound > window.from && bound < window.to) bounds.add(bound);
    }
  }
  const sorted = [...bounds].toSorted((a, b) => a - b);
  if (sorted.length > MAX_BUCKETS) {
    throw fault('BAD_USER_INPUT', `The window has more than ${MAX_BUCKETS} buckets of this size.`);
  }
  return [...sorted, window.to];
}

export type BoundsOf = typeof bucketBounds;

/** The same, made once for all who ask for the same: zones cost a look at the calendar for each bound. */
export function createBucketBounds(): BoundsOf {
  const known = new Map<string, readonly number[]>();
  return (window, sizeMs, zone) => {
    const key = JSON.stringify([window.from, window.to, sizeMs, zone]);
    const bounds = known.get(key) ?? bucketBounds(window, sizeMs, zone);
    known.set(key, bounds);
    return bounds;
  };
}

function boundsOfDay(day: number, start: number, size: number, zone: string): readonly number[] {
  if (size > HOUR) return Array.from({ length: DAY / size }, (_, index) => startOf(day, index * size, zone));
  const end = startOf(day + 1, 0, zone);
  return Array.from({ length: Math.ceil((end - start) / size) }, (_, index) => start + index * size);
}
