import { describe, expect, it } from 'vitest';
import { isTimeZone, parseLocalTime } from './local-time.ts';

describe('parseLocalTime', () => {
  it.each([
    ['2026-07-01T12:00:00', 'Europe/Berlin', '2026-07-01T10:00:00.000Z'],
    ['2026-01-01 12:00:00.5', 'Europe/Berlin', '2026-01-01T11:00:00.500Z'],
    ['2026-07-01T12:00', 'America/Chicago', '2026-07-01T17:00:00.000Z'],
    ['2026-07-01T12:00:00', 'Asia/Kathmandu', '2026-07-01T06:15:00.000Z'],
    ['2026-12-31T23:30:00', 'Pacific/Kiritimati', '2026-12-31T09:30:00.000Z'],
    ['2026-07-01T12:00:00Z', 'Europe/Berlin', '2026-07-01T12:00:00.000Z'],
    ['2026-07-01T12:00:00-05:30', 'Europe/Berlin', '2026-07-01T17:30:00.000Z'],
    ['2026-07-01', 'Europe/Berlin', '2026-06-30T22:00:00.000Z'],
    ['2026-07-01T12:00:00', null, '2026-07-01T12:00:00.000Z'],
  ])('reads %s in %s', (text, zone, at) => {
    expect(parseLocalTime(text, zone)).toEqual({ at: new Date(at), doubt: null });
  });

  it.each([
    ['2026-10-25T02:30:00', 'Europe/Berlin', '2026-10-25T00:30:00.000Z'],
    ['2026-10-25T02:00:00', 'Europe/Berlin', '2026-10-25T00:00:00.000Z'],
    ['2026-11-01T01:59:59', 'America/New_York', '2026-11-01T05:59:59.000Z'],
    ['2026-04-05T01:45:00', 'Australia/Lord_Howe', '2026-04-04T14:45:00.000Z'],
  ])('flags %s in %s, which came twice, and gives the first one', (text, zone, at) => {
    expect(parseLocalTime(text, zone)).toEqual({ at: new Date(at), doubt: 'AMBIGUOUS' });
  });

  it.each([
    ['2026-10-25T01:59:59', 'Europe/Berlin', '2026-10-24T23:59:59.000Z'],
    ['2026-10-25T03:00:00', 'Europe/Berlin', '2026-10-25T02:00:00.000Z'],
  ])('is sure of %s in %s, beside the double hour', (text, zone, at) => {
    expect(parseLocalTime(text, zone)).toEqual({ at: new Date(at), doubt: null });
  });

  it('flags a time that no clock showed and reads it as if clocks had not been set forward', () => {
    expect(parseLocalTime('2026-03-29T02:30:00', 'Europe/Berlin')).toEqual({
      at: new Date('2026-03-29T01:30:00Z'),
      doubt: 'SKIPPED',
    });
  });

  it.each(['', 'yesterday', '2026-02-30T10:00:00', '2026-01-01T25:00:00', '01.02.2026 10:00'])(
    'makes nothing of %j',
    (text) => {
      expect(parseLocalTime(text, 'Europe/Berlin')).toBeNull();
    },
  );

  it('refuses a zone that does not exist', () => {
    expect(() => parseLocalTime('2026-01-01T00:00:00', 'Mars/Olympus')).toThrow(RangeError);
    expect(isTimeZone('Mars/Olympus')).toBe(false);
    expect(isTimeZone('Europe/Tallinn')).toBe(true);
  });
});
