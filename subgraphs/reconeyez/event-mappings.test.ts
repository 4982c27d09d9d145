import { describe, expect, it } from 'vitest';
import { decode } from './decode.ts';
import { eventTable, vendorEventsOf } from './event-mappings.ts';
import { EVENT_NAMES, EVENT_TABLE } from './event-table.ts';

function decoded(code: string) {
  const body = {
    event_type: code,
    observed_at: '2026-02-04T14:32:00Z',
    device_info: { guid: '7d9f6c1e-4b0a-4f7e-9c55-2f1f0a3f7b11', area: 'Yard' },
  };
  const message = {
    body: Buffer.from(JSON.stringify(body)),
    headers: {},
    source: 'WEBHOOK',
    receivedAt: new Date('2026-02-04T14:32:01Z'),
  } as const;
  return decode(message, { settings: {}, onlySite: null, profile: null })[0];
}

describe('the table of events', () => {
  it.each(eventTable.rows.map((row) => [row.code, row] as const))('%s is what its deliveries become', (code, row) => {
    const { type, family, severity } = row;
    const draft = decoded(code);
    expect(draft).toMatchObject({ type, family, severity, vendorCode: code });
    expect(draft).not.toHaveProperty('unknownCode');
  });

  it.each(EVENT_NAMES)('leads from %s to our type and back, by name and code', (name) => {
    const { code, type } = EVENT_TABLE[name];
    expect(eventTable.typeOf(name)).toBe(type);
    expect(vendorEventsOf(type)).toContainEqual({ name, code });
    expect(eventTable.codesOf(type)).toContain(name);
    if (code === null) return;
    expect(eventTable.typeOf(code)).toBe(type);
    expect(eventTable.codesOf(type)).toContain(code);
  });

  it('has no row for what is new: its word is kept and told', () => {
    expect(decoded('CatOnRoof')).toMatchObject({ type: 'alarm.other', unknownCode: 'CatOnRoof' });
  });

  it('leads back to every event of a type, and to none of another', () => {
    expect(vendorEventsOf('alarm.intrusion')).toEqual([
      { name: 'PersonDetected', code: 'BA' },
      { name: 'VehicleDetected', code: 'BA' },
      { name: 'MovementDetected', code: 'BA' },
    ]);
    expect(vendorEventsOf('access.granted')).toEqual([]);
  });
});

describe('what a receiver of the vendor may choose by itself', () => {
  const kinds = [
    ['routine check', ['RoutineCheck']],
    ['tamper alarm', ['Tamper']],
    ['motion alarm', ['PersonDetected', 'VehicleDetected', 'MovementDetected']],
    ['critical battery shutdown', ['CriticalBatteryShutdown']],
    ['auxiliary power lost', ['AuxiliaryPowerLost']],
    ['auxiliary power found', ['AuxiliaryPowerFound']],
    ['battery removed', ['BatteryRemoved']],
    ['battery charging fault', ['BatteryChargingFault']],
    ['battery charging normal', ['BatteryChargingNormal']],
    ['lid opened', ['LidOpened']],
    ['snapshot', ['Snapshot']],
    ['battery low', ['BatteryLow']],
    ['battery restored', ['BatteryRestored']],
    ['armed', ['Armed']],
    ['disarmed', ['Disarmed']],
    ['connection lost', ['ConnectionLost']],
    ['connection found', ['DeviceConnected']],
  ] as const;

  it.each(kinds)('is told apart by our types, too: %s', (_, names) => {
    const types = new Set(names.map((name) => EVENT_TABLE[name].type));
    expect(types.size).toBe(1);
    const [type = ''] = types;
    // Nothing else has the type, so that a filter by it is one by this kind.
    expect(vendorEventsOf(type).map(({ name }) => name)).toEqual(names);
  });
});
