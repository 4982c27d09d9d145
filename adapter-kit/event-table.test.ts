import { describe, expect, it } from 'vitest';
import { defineEventTable, type EventMapping } from './event-table.ts';

const row = (code: string, over: Partial<EventMapping> = {}): EventMapping => ({
  code,
  type: 'health.offline',
  family: 'HEALTH',
  severity: 'WARNING',
  notes: null,
  ...over,
});

describe("a vendor's table of events", () => {
  it('leads both ways', () => {
    const table = defineEventTable(3, [
      row('YC'),
      row('ConnectionLost'),
      row('YK', { type: 'health.unknown', severity: 'NOTICE' }),
    ]);
    expect(table.version).toBe(3);
    expect(table.typeOf('yc')).toBe('health.offline');
    expect(table.typeOf('constructor')).toBeNull();
    expect(table.codesOf('health.offline')).toEqual(['YC', 'ConnectionLost']);
    expect(table.codesOf('health.online')).toEqual([]);
  });

  it.each([
    ['a type that the catalogue does not have', [row('X', { type: 'health.sleepy' })], /no event type "health.sleepy"/],
    [
      'another family than the catalogue',
      [row('X', { family: 'ALARM' })],
      /of ALARM, and the catalogue has it in HEALTH/,
    ],
    ['a severity that the catalogue does not know', [row('X', { severity: 'CRITICAL' })], /does not know CRITICAL/],
    ['a code twice', [row('X'), row('x')], /"x" stands in the table twice/],
  ])('is refused with %s', (_, rows, message) => {
    expect(() => defineEventTable(1, rows)).toThrow(message);
  });
});
