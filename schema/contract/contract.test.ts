import { describe, expect, it } from 'vitest';
import { ContractAliasSettings, createAliasReader } from './aliases.ts';
import { isUuid, readDay, readInstant, readTimezone } from './fields.ts';
import { contractJsonSchemas } from './json-schema.ts';
import { ContractDevice, ContractEvent, ContractSite } from './records.ts';
import { Device, Event, MinimalEvent, OlderDevice, OlderEvent, WebhookBody } from './revisions.ts';

describe('an instant of the contract', () => {
  it.each([
    ['2026-02-04T14:32:00Z', '2026-02-04T14:32:00.000Z'],
    ['2026-02-04t14:32:00.123456789z', '2026-02-04T14:32:00.123Z'],
    ['2026-02-04T14:32:00+02:00', '2026-02-04T12:32:00.000Z'],
    ['2026-02-04T14:32:00-0530', '2026-02-04T20:02:00.000Z'],
    ['2026-02-04 14:32+01', '2026-02-04T13:32:00.000Z'],
    ['2026-12-31T23:59:60Z', '2026-12-31T23:59:59.000Z'],
    [1_770_215_520, '2026-02-04T14:32:00.000Z'],
    [1_770_215_520_000, '2026-02-04T14:32:00.000Z'],
    ['1770215520', '2026-02-04T14:32:00.000Z'],
  ])('is read from %s', (text, instant) => {
    expect(readInstant(text)?.toISOString()).toBe(instant);
  });

  it.each([
    ['2026-02-04T14:32:00'],
    ['2026-02-30T14:32:00Z'],
    ['2026-13-01T00:00:00Z'],
    ['2026-02-04T24:00:00Z'],
    ['2026-02-04'],
    ['yesterday'],
    [''],
    [-1],
    [Number.NaN],
    [null],
    [true],
    [{}],
  ])('is refused as %s', (value) => {
    expect(readInstant(value)).toBeNull();
  });

  it('may be a day where a day is meant', () => {
    expect(readDay('2027-03-31')?.toISOString()).toBe('2027-03-31T00:00:00.000Z');
    expect(readDay('2027-02-29')).toBeNull();
  });
});

describe('a time zone of the contract', () => {
  it.each(['Europe/Oslo', 'America/Argentina/Buenos_Aires', 'UTC'])('is %s', (name) => {
    expect(readTimezone(name)).toBe(name);
  });

  it.each(['Oslo', '+02:00', 'Europe/', '', 7, null])('is not %s', (name) => {
    expect(readTimezone(name)).toBeNull();
  });
});

describe('a UUID', () => {
  it('is one in any version and case', () => {
    expect(isUuid('0F0C5A64-3a7a-4c0e-9a53-6c5f1b0a7d21')).toBe(true);
    expect(isUuid('0f0c5a643a7a4c0e9a536c5f1b0a7d21')).toBe(false);
  });
});

const newer = {
  device_id: 'd1',
  name: 'Lobby',
  type: 'camera',
  status: 'online',
  mac_address: '00:1B:44:11:3A:B7',
  account_id: 'a1',
  site_id: 's1',
};
const { device_id, account_id, ...others } = newer;
const older = { ...others, id: device_id, org_id: account_id };

const readDevice = (record: Readonly<Record<string, unknown>>, extra?: ContractAliasSettings) =>
  ContractDevice.parse(createAliasReader('device', extra)(record));

describe('the alias table', () => {
  it('reads both revisions of a device as the same record', () => {
    expect(Device.parse(newer)).toBeDefined();
    expect(OlderDevice.parse(older)).toBeDefined();
    expect(readDevice(older)).toEqual(readDevice(newer));
    expect(readDevice(newer)).toMatchObject({ deviceId: 'd1', accountId: 'a1', siteId: 's1', status: 'online' });
  });

  it('reads both revisions and the minimal shape of an event', () => {
    const read = createAliasReader('event');
    const base = { device_id: 'd1', timestamp: '2026-02-04T14:32:00Z', site_id: 's1' };
    const event = { ...base, event_type: 'health', account_id: 'a1', data: { status: 'offline' } };
    const olderEvent = { ...base, org_id: 'a1', status: 'offline' };
    const minimal = { device_id: 'd1', status: 'offline', timestamp: '2024-05-19T14:35:22Z' };
    expect(Event.safeParse(event).success && OlderEvent.safeParse(olderEvent).success).toBe(true);
    expect(MinimalEvent.safeParse(minimal).success).toBe(true);
    for (const body of [event, olderEvent, minimal]) expect(WebhookBody.safeParse(body).success).toBe(true);
    expect(ContractEvent.parse(read(event))).toMatchObject({ status: 'offline', accountId: 'a1', siteId: 's1' });
    expect(ContractEvent.parse(read(olderEvent))).toMatchObject({ status: 'offline', accountId: 'a1', siteId: 's1' });
    expect(ContractEvent.parse(read(minimal))).toMatchObject({ status: 'offline', deviceId: 'd1' });
  });

  it('tries configured names first, dotted ones inside', () => {
    const extra = ContractAliasSettings.parse({ device: { siteId: ['place.ref'], name: ['title'] } });
    const device = readDevice({ ...newer, place: { ref: 's9' }, title: 'Porch' }, extra);
    expect(device).toMatchObject({ siteId: 's9', name: 'Porch' });
  });

  it('takes a configured name with a dot as one name too', () => {
    const extra = ContractAliasSettings.parse({ device: { siteId: ['place.ref'] } });
    expect(readDevice({ ...newer, 'place.ref': 's8' }, extra).siteId).toBe('s8');
  });

  it('refuses extra names for members that the contract does not have', () => {
    expect(ContractAliasSettings.safeParse({ device: { colour: ['color'] } }).success).toBe(false);
    expect(ContractAliasSettings.safeParse({ door: {} }).success).toBe(false);
  });

  it('sees own members only, and passes over what is empty', () => {
    const extra = ContractAliasSettings.parse({ device: { name: ['constructor', 'toString'] } });
    expect(readDevice({ device_id: 'd1', label: '', display_name: 'Porch' }, extra).name).toBe('Porch');
  });
});

describe('a record of the contract', () => {
  it('keeps a device whose nice-to-have members are nonsense', () => {
    const device = readDevice({
      ...newer,
      last_seen: 'never',
      mac_address: 42,
      warranty_expires_at: {},
      battery_percent: 900,
      site_id: { a: 1 },
    });
    expect(device).toMatchObject({ deviceId: 'd1', lastSeen: null, warrantyExpiresAt: null, batteryPercent: null });
    expect(device.siteId).toBeUndefined();
  });

  it.each([[''], [' d1'], ['d1\n'], ['x'.repeat(201)], [1.5], [null], [{}]])('has no device of the id %j', (id) => {
    expect(ContractDevice.safeParse(createAliasReader('device')({ device_id: id })).success).toBe(false);
  });

  it('takes a whole number for an id and keeps it as text', () => {
    expect(readDevice({ id: 4711 }).deviceId).toBe('4711');
  });

  it('reads a flag as a status', () => {
    expect(readDevice({ id: '1', online: false }).status).toBe('offline');
  });

  it.each([
    [{ coordinates: { latitude: 59.9, longitude: 10.7 } }, { latitude: 59.9, longitude: 10.7 }],
    [{ coordinates: { lat: 59.9, lng: 10.7 } }, { latitude: 59.9, longitude: 10.7 }],
    [
      { lat: '59.9', lon: 10.7 },
      { latitude: 59.9, longitude: 10.7 },
    ],
    [{ lat: 95, lon: 10.7 }, null],
    // Nobody says which comes first.
    [{ coordinates: [10.7, 59.9] }, null],
  ])('reads the position %j', (members, position) => {
    const site = ContractSite.parse(createAliasReader('site')({ site_id: 's1', ...members }));
    expect(site.coordinates).toEqual(position);
  });
});

describe('the published JSON Schema', () => {
  const schemas = contractJsonSchemas();

  it('covers what a vendor sends', () => {
    expect(Object.keys(schemas)).toEqual([
      'account',
      'sites-page',
      'inventory-page',
      'device-older',
      'inventory-on-site',
      'webhook',
    ]);
  });

  it('describes every member', () => {
    const nameless: string[] = [];
    const visit = (value: unknown, path: string): void => {
      if (typeof value !== 'object' || value === null) return;
      for (const [name, member] of Object.entries(Reflect.get(value, 'properties') ?? {})) {
        if (!JSON.stringify(member).includes('"description"')) nameless.push(`${path}.${name}`);
        visit(member, `${path}.${name}`);
      }
      for (const key of ['items', 'anyOf']) visit(Reflect.get(value, key), `${path}.${key}`);
      if (Array.isArray(value)) value.forEach((member, index) => visit(member, `${path}[${index}]`));
    };
    for (const [name, schema] of Object.entries(schemas)) visit(schema, name);
    expect(nameless).toEqual([]);
  });
});
