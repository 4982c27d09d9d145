import { describe, expect, it } from 'vitest';
import { bucketBounds } from './buckets.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const at = (text: string) => Date.parse(text) / 1_000;
const bounds = (from: string, to: string, sizeMs: number, zone: string) =>
  bucketBounds({ from: at(from), to: at(to) }, sizeMs, zone).map((second) => new Date(second * 1_000).toISOString());
const hours = (list: readonly string[]) =>
  list.slice(1).map((end, index) => (Date.parse(end) - Date.parse(list[index] ?? '')) / HOUR);

describe('buckets', () => {
  it('are local days, of 25 hours when clocks go back and of 23 when they go forward', () => {
    const autumn = bounds('2026-10-23T22:00:00Z', '2026-10-26T23:00:00Z', DAY, 'Europe/Berlin');
    expect(autumn).toEqual([
      '2026-10-23T22:00:00.000Z',
      '2026-10-24T22:00:00.000Z',
      '2026-10-25T23:00:00.000Z',
      '2026-10-26T23:00:00.000Z',
    ]);
    expect(hours(autumn)).toEqual([24, 25, 24]);
    const spring = bounds('2026-03-27T23:00:00Z', '2026-03-30T22:00:00Z', DAY, 'Europe/Berlin');
    expect(hours(spring)).toEqual([24, 23, 24]);
  });

  it('are cut to the window at both ends', () => {
    const list = bounds('2026-06-01T10:00:00Z', '2026-06-03T01:00:00Z', DAY, 'America/New_York');
    expect(list).toEqual(['2026-06-01T10:00:00.000Z', '2026-06-02T04:00:00.000Z', '2026-06-03T01:00:00.000Z']);
  });

  it('of several hours begin where the clock on the wall says so, also on a day with a change', () => {
    const list = bounds('2026-10-24T22:00:00Z', '2026-10-26T23:00:00Z', 6 * HOUR, 'Europe/Berlin');
    expect(hours(list)).toEqual([7, 6, 6, 6, 6, 6, 6, 6]);
    expect(list[1]).toBe('2026-10-25T05:00:00.000Z');
  });

  it('of an hour and less count from local midnight, through an hour that comes twice', () => {
    const list = bounds('2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z', HOUR, 'Europe/Berlin');
    expect(hours(list)).toEqual(Array.from({ length: 25 }, () => 1));
    const india = bounds('2026-06-01T00:00:00Z', '2026-06-01T02:00:00Z', HOUR, 'Asia/Kolkata');
    expect(india[1]).toBe('2026-06-01T00:30:00.000Z');
    const quarters = bounds('2026-06-01T00:00:00Z', '2026-06-01T01:00:00Z', HOUR / 4, 'UTC');
    expect(quarters).toHaveLength(5);
  });

  it('begin where the day begins in a zone whose clocks jump at midnight', () => {
    // 2026-04-24 began at 01:00 in Egypt.
    const list = bounds('2026-04-22T22:00:00Z', '2026-04-25T21:00:00Z', DAY, 'Africa/Cairo');
    expect(hours(list)).toEqual([24, 23, 24]);
    const late = bounds('2026-06-01T09:59:00Z', '2026-06-01T10:01:00Z', DAY, 'Pacific/Kiritimati');
    expect(late[1]).toBe('2026-06-01T10:00:00.000Z');
  });

  it('of several days begin with the first local day of the window', () => {
    expect(hours(bounds('2026-06-01T00:00:00Z', '2026-06-16T00:00:00Z', 7 * DAY, 'UTC'))).toEqual([168, 168, 24]);
  });

  it.each([
    ['nothing', 0],
    ['half a minute', 30_000],
    ['a part that does not divide a day', 5 * HOUR],
    ['a day and a half', 1.5 * DAY],
    ['a part of a second', 1_500],
  ])('refuses a size of %s', (_, size) => {
    expect(() => bounds('2026-06-01T00:00:00Z', '2026-06-02T00:00:00Z', size, 'UTC')).toThrow('size must be');
  });

  it('are at most a thousand', () => {
    const from = '2026-06-01T00:00:00Z';
    const end = new Date(Date.parse(from) + 1_000 * HOUR).toISOString();
    expect(bounds(from, end, HOUR, 'UTC')).toHaveLength(1_001);
    expect(() => bounds('2026-05-31T23:59:00Z', end, HOUR, 'UTC')).toThrow('1000 buckets');
  });
});
