import { describe, expect, it } from 'vitest';
import { readTime } from './local-time.ts';

const RECEIVED_AT = new Date('2026-11-18T06:12:45Z');
const read = (value: unknown, zone: string | null = null, receivedAt = RECEIVED_AT) => {
  const time = readTime(value, zone, receivedAt);
  return time === null ? null : [time.at.toISOString(), time.doubt];
};

describe('a time', () => {
  it.each([
    ['2026-11-18T06:12:41Z', '2026-11-18T06:12:41.000Z'],
    ['2026-11-18 06:12:41 UTC', '2026-11-18T06:12:41.000Z'],
    ['2026-11-18T08:12:41.5+02:00', '2026-11-18T06:12:41.500Z'],
    ['2026-11-18T01:42-0430', '2026-11-18T06:12:00.000Z'],
    ['2026-11-18T06:12:41.123456789Z', '2026-11-18T06:12:41.123Z'],
    [1_795_000_000, new Date(1_795_000_000_000).toISOString()],
    [1_795_000_000_123, new Date(1_795_000_000_123).toISOString()],
    ['1795000000', new Date(1_795_000_000_000).toISOString()],
  ])('%s is read', (value, expected) => {
    expect(read(value)).toEqual([expected, null]);
  });

  it.each([
    ['yesterday'],
    [''],
    ['2026-02-31T06:12:41Z'],
    ['2026-11-18T25:00:00Z'],
    // A clock that was never set.
    ['1970-01-01T00:00:07Z'],
    [7],
    [null],
    [{}],
  ])('%j is none', (value) => {
    expect(read(value)).toBeNull();
  });

  it('without an offset is worth nothing where the zone is not known', () => {
    expect(read('2026-11-18T08:12:41')).toBeNull();
    expect(read('2026-11-18T08:12:41', 'Europe/Tallinn')).toEqual(['2026-11-18T06:12:41.000Z', null]);
    expect(read('2026-07-18T08:12:41', 'Europe/Tallinn')).toEqual(['2026-07-18T05:12:41.000Z', null]);
  });

  it('in the hour that comes twice is the one that can have been sent, and is flagged', () => {
    const wall = '2026-10-25T01:30:00';
    const first = ['2026-10-25T00:30:00.000Z', 'TWICE'];
    const second = ['2026-10-25T01:30:00.000Z', 'TWICE'];
    expect(read(wall, 'Europe/London', new Date('2026-10-25T00:30:02Z'))).toEqual(first);
    expect(read(wall, 'Europe/London', new Date('2026-10-25T01:30:02Z'))).toEqual(second);
  });

  it('in the hour that is left out is flagged', () => {
    expect(read('2026-03-29T01:30:00', 'Europe/London')).toEqual(['2026-03-29T01:30:00.000Z', 'NEVER']);
  });
});
