import { describe, expect, it } from 'vitest';
import { dialectOf } from './dialect.ts';
import { normalizeDevice, normalizeLive, normalizeSite, type Place } from './normalize.ts';
import { VendorCloudSettings } from './settings.ts';
import { inventoryPageSchema, sitesPageSchema } from './wire.ts';

const PLACE: Place = { accountId: 'acme', siteId: 'hq' };

function normalized(record: Readonly<Record<string, unknown>>, settings: unknown = {}) {
  const dialect = dialectOf(VendorCloudSettings.parse(settings));
  const page = inventoryPageSchema(dialect).parse({ devices: [{ device_id: 'd1', name: 'Lobby', ...record }] });
  const [item] = page.items;
  if (item === undefined) throw new Error('the record was rejected');
  return normalizeDevice(item, PLACE, dialect);
}

describe('normalizeDevice', () => {
  it.each([
    ['camera', 'CAMERA'],
    ['Access Control', 'CONTROLLER'],
    ['access_control', 'CONTROLLER'],
    ['accessPoint', 'DOOR'],
    ['DOOR', 'DOOR'],
    ['fire-panel', 'PANEL'],
    ['NVR', 'RECORDER'],
    ['constructor', 'OTHER'],
    ['__proto__', 'OTHER'],
    ['flux capacitor', 'OTHER'],
  ])('takes the type word %s for %s and keeps the word', (word, type) => {
    expect(normalized({ type: word })).toMatchObject({ type, vendorType: word });
  });

  it.each([
    ['online', 'ONLINE'],
    ['Connected', 'ONLINE'],
    ['OFFLINE', 'OFFLINE'],
    ['not responding', 'OFFLINE'],
    ['degraded', 'DEGRADED'],
    ['Disabled', 'UNKNOWN'],
    ['toString', 'UNKNOWN'],
    ['entangled', 'UNKNOWN'],
  ])('takes the status word %s for %s and keeps the word', (word, state) => {
    expect(normalized({ status: word }).status).toMatchObject({ state, vendorState: word, observedAt: null });
  });

  it('makes no claim where the vendor tells no status', () => {
    expect(normalized({}).status).toBeNull();
  });

  it('asks the settings before the tables', () => {
    const settings = { typeWords: { camera: 'SENSOR', Turret: 'CAMERA' }, statusWords: { 'Gone Fishing': 'OFFLINE' } };
    expect(normalized({ type: 'camera' }, settings).type).toBe('SENSOR');
    expect(normalized({ type: 'turret', status: 'gone_fishing' }, settings)).toMatchObject({
      type: 'CAMERA',
      status: { state: 'OFFLINE' },
    });
  });

  it('keeps devices of two systems with the same local id apart', () => {
    const north = normalized({ device_id: 'cam-1', system_id: 'north', parent_id: 'nvr-1' });
    const south = normalized({ device_id: 'cam-1', system_id: 'south' });
    expect([north.nativeId, south.nativeId]).toEqual(['north/cam-1', 'south/cam-1']);
    expect(north).toMatchObject({ system: 'north', parentNativeId: 'north/nvr-1' });
  });

  const UUID = '9b1d7a54-0c57-4b0e-8b5f-0a6f6f1f7a10';
  it.each([
    ['auto', UUID],
    ['always', `north/${UUID}`],
    ['never', UUID],
  ])('names a device with a UUID in a system by the rule "%s"', (systemIds, nativeId) => {
    const draft = normalized({ device_id: UUID, system_id: 'north' }, { systemIds });
    expect(draft).toMatchObject({ nativeId, system: 'north' });
  });

  it('reads MAC addresses in any notation, once each', () => {
    const record = { mac_addresses: ['00-1B-44-11-3A-B7', '001b.4411.3ab7', 'none'] };
    expect(normalized(record).macAddresses).toEqual(['00:1b:44:11:3a:b7']);
  });

  it('takes from the place what the record does not say, and from the record what it does', () => {
    expect(normalized({})).toMatchObject({ nativeOrgId: 'acme', nativeSiteId: 'hq' });
    expect(normalized({ org_id: 'b', location_id: 'depot' })).toMatchObject({
      nativeOrgId: 'b',
      nativeSiteId: 'depot',
    });
  });

  it('names a device without a name by what is left', () => {
    expect(normalized({ name: null, hostname: 'cam-7' }).name).toBe('cam-7');
    expect(normalized({ name: ' ' }).name).toBe('d1');
  });

  it('reads both names of the newer dates', () => {
    const draft = normalized({ warranty_expiry_date: '2027-03-31', end_of_support_at: '2030-01-01T00:00:00+02:00' });
    expect(draft.warrantyExpiresAt?.toISOString()).toBe('2027-03-31T00:00:00.000Z');
    expect(draft.endOfSupportAt?.toISOString()).toBe('2029-12-31T22:00:00.000Z');
  });
});

describe('normalizeLive', () => {
  it('carries the record as the vendor sent it, unknown members included', () => {
    const dialect = dialectOf({});
    const record = { device_id: 'd1', status: 'online', colour: 'red' };
    const [item] = inventoryPageSchema(dialect).parse([record]).items;
    if (item === undefined) throw new Error('the record was rejected');
    const checkedAt = new Date('2026-02-04T14:32:00Z');
    expect(normalizeLive(item, PLACE, dialect, checkedAt)).toMatchObject({
      state: 'ONLINE',
      checkedAt,
      extras: { raw: record, systemId: null },
    });
  });
});

describe('a page', () => {
  const dialect = dialectOf({});

  it('gives back the entries that cannot be read with the reason', () => {
    const page = inventoryPageSchema(dialect).parse({
      devices: [{ device_id: 'd1' }, { name: 'no id' }, 'text', { device_id: ' x' }],
      pagination: { page: 1, per_page: 100, total_pages: 1, total_count: 4 },
    });
    expect(page.items).toHaveLength(1);
    expect(page.rejected).toEqual([
      { nativeId: null, reason: expect.stringMatching(/^deviceId: /) },
      { nativeId: null, reason: 'the entry is not an object' },
      { nativeId: null, reason: expect.stringMatching(/^deviceId: /) },
    ]);
    expect(page).toMatchObject({ totalPages: 1, totalCount: 4 });
  });

  it.each([[{}], [{ devices: 'none' }], ['text'], [null], [7]])('is not %j', (body) => {
    expect(inventoryPageSchema(dialect).safeParse(body).success).toBe(false);
  });
});

describe('normalizeSite', () => {
  it('drops a time zone that is not an IANA name', () => {
    const dialect = dialectOf({});
    const page = sitesPageSchema(dialect).parse({
      sites: [
        { site_id: 's1', name: 'HQ', address: '1 Main Street', timezone: 'Oslo time' },
        { location_id: 's2', location_name: 'Depot', tz: 'America/Chicago', org_id: 'b' },
      ],
    });
    expect(page.items.map(({ value }) => normalizeSite(value, 'acme'))).toMatchObject([
      { nativeOrgId: 'acme', nativeId: 's1', name: 'HQ', timezone: null, address: '1 Main Street' },
      { nativeOrgId: 'b', nativeId: 's2', name: 'Depot', timezone: 'America/Chicago', address: null },
    ]);
  });
});
