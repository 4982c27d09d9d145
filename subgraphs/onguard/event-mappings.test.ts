import { describe, expect, it } from 'vitest';
import { decode, HEADERS } from './decode.ts';
import { DESCRIPTIONS, eventTable, TYPE_NAMES } from './event-mappings.ts';
import { RULE_TYPES, ruleOfDescription } from './event-rules.ts';
import { OnGuardSettings } from './settings.ts';

const settings = OnGuardSettings.parse({ applicationId: 'app' });
const EVENT = { serial_number: 7, controller_id: 3, device_id: 4, timestamp: '2026-02-04T14:32:00Z' };

function decoded(event: Readonly<Record<string, unknown>>, headers: Readonly<Record<string, string>> = {}) {
  const body = Buffer.from(JSON.stringify({ ...EVENT, ...event }));
  const message = { body, headers, source: 'STREAM', receivedAt: new Date(0) } as const;
  return decode(message, { settings, onlySite: null, profile: null })[0];
}

describe('the table of events', () => {
  it.each(DESCRIPTIONS)('%s is what its events become', (description) => {
    const row = eventTable.rows.find(({ code }) => code === description);
    const draft = decoded({ description });
    expect(draft).toMatchObject({ type: row?.type, family: row?.family, severity: row?.severity });
    expect(eventTable.codesOf(row?.type ?? '')).toContain(description);
    // Another word than lost and restored: understood as far as that nobody knows how it is.
    expect(draft?.unknownCode !== undefined).toBe(row?.type === 'health.unknown');
  });

  it.each(TYPE_NAMES)('the type %s is what its events become when no description fits', (name) => {
    const headers = { [HEADERS.typeName]: name };
    expect(decoded({ description: 'Quux' }, headers)?.type).toBe(eventTable.typeOf(`type: ${name}`));
    const over = eventTable.typeOf(`type: ${name}, restored`);
    const restored = decoded({ description: 'Quux restored' }, headers)?.type;
    // Whoever was let in or not has nothing to restore.
    expect(restored).toBe(over ?? eventTable.typeOf(`type: ${name}`));
  });

  it('has no row for what is new: its words and numbers are kept and told', () => {
    const draft = decoded({ description: 'Coffee ready', event_type: 99, event_subtype: 7 });
    expect(draft).toMatchObject({ type: 'vendor.coffee_ready', unknownCode: '99/7 Coffee ready' });
  });

  it('reads what the panel says of a badge', () => {
    for (const result of [2, 3])
      expect(decoded({ access_result: result })?.type).toBe(eventTable.typeOf(`access_result ${result}`));
  });

  it('has a description for every type that a pattern can make', () => {
    const made = new Set([...eventTable.rows.map(({ type }) => type)]);
    // Only operators give this one, to codes of their own.
    const byOperators = ['alarm.triggered'];
    expect(RULE_TYPES.filter((type) => !made.has(type))).toEqual(byOperators);
    expect(DESCRIPTIONS.filter((words) => ruleOfDescription(words) === null)).toEqual([]);
  });
});
