import { describe, expect, it } from 'vitest';
import {
  classOf,
  EMPTY_HISTOGRAM,
  type Histogram,
  MAX_LIMIT_MS,
  mergeHistograms,
  MIN_LIMIT_MS,
  MIN_SAMPLES,
  samplesOf,
  silenceLimit,
} from './rhythm.ts';

const HOUR = 3_600_000;

function heard(...intervals: readonly (readonly [ms: number, times: number])[]): Histogram {
  const counts = [...EMPTY_HISTOGRAM];
  for (const [ms, times] of intervals) counts[classOf(ms)] = (counts[classOf(ms)] ?? 0) + times;
  return counts;
}

describe('the limit of silence', () => {
  it('is unknown until enough was heard', () => {
    expect(silenceLimit(heard([HOUR, MIN_SAMPLES - 1]))).toBeNull();
    expect(silenceLimit(heard([HOUR, MIN_SAMPLES]))).not.toBeNull();
  });

  it('is about three times the usual interval', () => {
    const limit = silenceLimit(heard([HOUR, 1_000])) ?? 0;
    expect(limit).toBeGreaterThanOrEqual(3 * HOUR);
    expect(limit).toBeLessThanOrEqual(3 * 1.42 * HOUR);
  });

  it('leaves the one that reports daily alone among ten that report hourly', () => {
    const days = 30;
    const limit = silenceLimit(heard([HOUR, 10 * 24 * days], [24 * HOUR, days])) ?? 0;
    expect(limit).toBeGreaterThan(3 * 24 * HOUR);
  });

  it('does not take bursts for the rhythm', () => {
    // A device that chatters for a minute a day and is quiet for the rest of it.
    expect(silenceLimit(heard([1_000, 60 * 30], [24 * HOUR, 30])) ?? 0).toBeGreaterThan(3 * 24 * HOUR);
  });

  it('stays within its bounds', () => {
    expect(silenceLimit(heard([1_000, 500]))).toBe(MIN_LIMIT_MS);
    expect(silenceLimit(heard([30 * 24 * HOUR, 500]))).toBe(MAX_LIMIT_MS);
  });
});

describe('a histogram', () => {
  it('puts intervals of any length into one of its classes', () => {
    for (const ms of [1, 999, 1_000, HOUR, 1e15])
      expect(classOf(ms)).toSatisfy((at: number) => at >= 0 && at < EMPTY_HISTOGRAM.length);
    expect(classOf(HOUR)).toBeLessThan(classOf(2 * HOUR));
  });

  it('forgets slowly, so that a rhythm that changed is learned', () => {
    let known = heard([60_000, 9_999]);
    for (let day = 0; day < 30; day += 1) known = mergeHistograms(known, heard([HOUR, 1_000]));
    expect(samplesOf(known)).toBeLessThanOrEqual(10_000);
    expect(silenceLimit(known) ?? 0).toBeGreaterThanOrEqual(3 * HOUR);
  });
});
