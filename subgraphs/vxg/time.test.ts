import { afterEach, describe, expect, it } from 'vitest';
import { formatTime, parseTime } from './time.ts';

const zone = process.env['TZ'];
afterEach(() => {
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
});

describe('an instant of the service', () => {
  it.each(['America/Toronto', 'Asia/Kolkata', 'UTC'])('is UTC on a machine in %s', (name) => {
    process.env['TZ'] = name;
    expect(parseTime('2026-11-18T06:12:41')?.toISOString()).toBe('2026-11-18T06:12:41.000Z');
    expect(formatTime(new Date('2026-11-18T06:12:41.250Z'))).toBe('2026-11-18T06:12:41.250');
  });

  it.each([
    ['2026-11-18T06:12:41.123456', '2026-11-18T06:12:41.123Z'],
    ['2026-11-18T06:12:41.5', '2026-11-18T06:12:41.500Z'],
    ['2026-11-18 06:12:41', '2026-11-18T06:12:41.000Z'],
    ['2026-11-18T06:12:41Z', '2026-11-18T06:12:41.000Z'],
    ['2026-11-18T06:12:41+02:00', '2026-11-18T04:12:41.000Z'],
  ])('%s is %s', (text, expected) => {
    expect(parseTime(text)?.toISOString()).toBe(expected);
  });

  it.each(['', 'now', '2026-11-18', '2026-02-30T00:00:00', '2026-13-01T00:00:00', '2026-11-18T25:00:00', '1763446361'])(
    '%o is none',
    (text) => {
      expect(parseTime(text)).toBeNull();
    },
  );
});
