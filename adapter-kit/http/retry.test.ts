import { describe, expect, it } from 'vitest';
import { backoffMs, parseRetryAfter } from './retry.ts';

const now = new Date('2026-02-04T14:32:00Z');

describe('parseRetryAfter', () => {
  it.each([
    ['120', 120_000],
    [' 0 ', 0],
    ['Wed, 04 Feb 2026 14:33:00 GMT', 60_000],
    ['Wednesday, 04-Feb-26 14:33:00 GMT', 60_000],
    // In the past: at once.
    ['Wed, 04 Feb 2026 14:00:00 GMT', 0],
    ['9999999999', 86_400_000],
    ['Fri, 31 Dec 9999 23:59:59 GMT', 86_400_000],
    ['-5', null],
    ['1.5', null],
    ['soon', null],
    ['Someday, whenever', null],
    ['', null],
    [undefined, null],
  ])('reads %j as %s ms', (text, expected) => {
    expect(parseRetryAfter(text, now)).toBe(expected);
  });
});

describe('backoffMs', () => {
  it('is anything up to a bound that doubles and ends at five seconds', () => {
    expect([0, 1, 2, 10, 2_000].map((attempt) => backoffMs(attempt, () => 1))).toEqual([200, 400, 800, 5_000, 5_000]);
    expect(backoffMs(3, () => 0)).toBe(0);
  });
});
