import { describe, expect, it } from 'vitest';
import { median, percentile, slopeOf } from './measure.ts';

describe('measuring', () => {
  it('takes the middle one, or the mean of two', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });

  it('finds what so many of a hundred values do not exceed', () => {
    const values = Array.from({ length: 200 }, (_, at) => 200 - at);
    expect(percentile(values, 0.99)).toBe(198);
    expect(percentile(values, 1)).toBe(200);
    expect(percentile([7], 0.5)).toBe(7);
    expect(percentile([], 0.99)).toBeNaN();
  });

  it('finds the growth that fits best, whatever the noise and the beginning', () => {
    const points = Array.from({ length: 101 }, (_, at) => ({ x: at, y: 300 + at * 2 + (at % 2 === 0 ? 5 : -5) }));
    expect(slopeOf(points)).toBeCloseTo(2, 2);
    expect(slopeOf(points.map(({ x }) => ({ x: x + 1_000, y: 8 })))).toBe(0);
  });
});
