import { describe, expect, it } from 'vitest';
import { createBatchSize } from './batch-size.ts';

describe('the size of a batch', () => {
  it('is large while nothing comes in, whatever a batch costs', () => {
    const size = createBatchSize({ max: 200, holdMs: 8 });
    for (let batch = 0; batch < 50; batch++) size.took(10, 1_000);
    expect(size.next(0)).toBe(200);
    size.arrived(1_000);
    expect(size.next(1_099)).toBe(10);
    expect(size.next(1_100)).toBe(200);
  });

  it.each([
    [0.2, 40],
    [0.01, 200],
    [5, 10],
  ])('holds the writer for some 8 ms while deliveries come in, at %d ms for each', (ms, count) => {
    const size = createBatchSize({ max: 200, holdMs: 8 });
    for (let batch = 0; batch < 100; batch++) size.took(100, 100 * ms);
    size.arrived(0);
    expect(size.next(50)).toBe(count);
  });

  it('holds the writer for longer while it is behind, as far as it may, and for less when it is not', () => {
    const size = createBatchSize({ max: 1_000, holdMs: 8, maxHoldMs: 30 });
    const next = (isBehind: boolean): number => {
      for (let batch = 0; batch < 100; batch++) size.took(100, 100, isBehind);
      size.arrived(0);
      return size.next(0);
    };
    expect(next(true)).toBe(30);
    expect(next(false)).toBe(10);
    const strict = createBatchSize({ max: 1_000, holdMs: 20 });
    for (let batch = 0; batch < 100; batch++) strict.took(100, 100, true);
    strict.arrived(0);
    expect(strict.next(0)).toBe(20);
  });

  it('learns nothing from a batch without deliveries', () => {
    const size = createBatchSize({ max: 200, holdMs: 8 });
    size.took(0, 5);
    size.arrived(0);
    expect(size.next(0)).toBe(10);
  });
});
