// How often devices of one kind are heard, as a histogram of the intervals between their signs of life. Pure.

/** Classes per doubling: an interval is known to within a factor of 1.42. */
const CLASSES_PER_OCTAVE = 2;
/** 2^20.5 s are 17 days: longer than any limit. */
const CLASSES = 42;
const UNIT_MS = 1_000;
/** Fewer intervals than this say nothing about what is usual. */
export const MIN_SAMPLES = 50;
/** From here on old intervals count half, so that a rhythm that changes is learned within some days. */
const MAX_SAMPLES = 10_000;
/** At a random moment all but one of a hundred devices are within an interval that is no longer than this. */
const QUANTILE = 0.99;
/** Two signs of life may go missing. */
const MISSED_FACTOR = 3;
/** A line that is down for a moment is no silence. */
export const MIN_LIMIT_MS = 5 * 60_000;
/** What reports once a week is heard of within it. */
export const MAX_LIMIT_MS = 8 * 86_400_000;

/** Counts by class of interval, as many as there are classes. */
export type Histogram = readonly number[];

export const EMPTY_HISTOGRAM: Histogram = Array.from({ length: CLASSES }, () => 0);

/** The class of an interval. @param intervalMs more than 0 */
export function classOf(intervalMs: number): number {
  const octaves = Math.log2(Math.max(intervalMs, UNIT_MS) / UNIT_MS);
  return Math.min(Math.floor(octaves * CLASSES_PER_OCTAVE), CLASSES - 1);
}

/** The longest interval of a class, in milliseconds. */
function upperEdge(index: number): number {
  return UNIT_MS * 2 ** ((index + 1) / CLASSES_PER_OCTAVE);
}

/** Both together; the older half fades when there are many. */
export function mergeHistograms(known: Histogram, fresh: Histogram): Histogram {
  const sums = EMPTY_HISTOGRAM.map((_, index) => (known[index] ?? 0) + (fresh[index] ?? 0));
  return samplesOf(sums) <= MAX_SAMPLES ? sums : sums.map((count) => Math.floor(count / 2));
}

export function samplesOf(histogram: Histogram): number {
  return histogram.reduce((sum, count) => sum + count, 0);
}

/**
 * How long silence is normal: three times the interval within which 99 % of the time passes, from 5 minutes to 8 days.
 *
 * Intervals are weighed by their length. Counted by number, one detector that reports daily would drown among ten that
 * report hourly, and count as silent every day.
 *
 * @returns milliseconds, or null while too little was heard
 */
export function silenceLimit(histogram: Histogram): number | null {
  if (samplesOf(histogram) < MIN_SAMPLES) return null;
  const weights = histogram.map((count, index) => count * upperEdge(index));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let passed = 0;
  const at = weights.findIndex((weight) => {
    passed += weight;
    return passed >= total * QUANTILE;
  });
  return Math.round(Math.min(Math.max(upperEdge(at) * MISSED_FACTOR, MIN_LIMIT_MS), MAX_LIMIT_MS));
}
