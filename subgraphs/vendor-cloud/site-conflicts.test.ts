import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialectOf } from './dialect.ts';
import { connect, control, http, jwtOf, never, simulate } from './fixtures/rig.ts';
import { vendorCloud } from './index.ts';
import { VendorCloudSettings } from './settings.ts';
import type { VendorCloudSimulator } from './simulator.ts';
import { describeConflicts, siteConflicts } from './site-conflicts.ts';
import { inventoryPageSchema, sitesPageSchema } from './wire.ts';

const dialect = dialectOf(VendorCloudSettings.parse({}));
const SITE = {
  site_id: 'hq',
  name: 'Head Office',
  address: '12 Main St., Springfield',
  coordinates: { lat: 39.8, lng: -89.6 },
  timezone: 'Asia/Kolkata',
};

function conflicts(...records: readonly Readonly<Record<string, unknown>>[]) {
  const [site] = sitesPageSchema(dialect).parse({ sites: [SITE] }).items;
  if (site === undefined) throw new Error('the site was rejected');
  const devices = records.map((record, index) => ({ device_id: `d${index}`, name: 'Lobby', ...record }));
  return Object.fromEntries(siteConflicts(site.value, inventoryPageSchema(dialect).parse({ devices }).items));
}

describe('what a device says of its site', () => {
  it.each<[string, Record<string, unknown>]>([
    ['nothing', {}],
    ['the same', { site_name: SITE.name, site_address: SITE.address, timezone: SITE.timezone }],
    ['the same in another spelling', { location_name: 'HEAD-OFFICE', location_address: '12 main st springfield' }],
    ['another name of the same zone', { time_zone: 'Asia/Calcutta' }],
    ['a zone that does not exist', { time_zone: 'Springfield' }],
    ['a place at the other end of the campus', { site_coordinates: { latitude: 39.82, longitude: -89.59 } }],
    ['that it is at another site', { site_id: 'depot', site_name: 'Depot' }],
  ])('is no contradiction when it is %s', (_, record) => {
    expect(conflicts(record)).toEqual({});
  });

  it.each<[string, Record<string, unknown>]>([
    ['name', { site_name: 'Depot' }],
    ['address', { site_address: '13 Main St., Springfield' }],
    ['position', { site_coordinates: { latitude: 59.9, longitude: 10.7 } }],
    ['position', { coordinates: { lat: 39.8, lng: 89.6 } }],
    ['time zone', { timezone: 'Europe/Oslo' }],
  ])('is a contradiction when it is another %s', (member, record) => {
    expect(conflicts(record, {}, record)).toEqual({ [member]: 2 });
  });

  it('is told in numbers, and not in what was said', () => {
    const told = new Map([
      ['name', 3],
      ['time zone', 1],
    ] as const);
    expect(describeConflicts(told)).toBe('name (3 devices), time zone (1 device)');
  });
});

describe('a platform whose devices contradict their sites', () => {
  let simulator: VendorCloudSimulator;
  beforeEach(async () => {
    simulator = await simulate({ devices: 40 });
  });
  afterEach(() => simulator.close());

  it.each([
    ['none', 'PASS', null],
    ['same', 'PASS', null],
    ['other', 'WARN', expect.stringMatching(/name \(\d+ devices\), address \(\d+ devices\), time zone/)],
  ])('is warned of by the credential test (%s)', async (siteDetails, state, detail) => {
    await control(simulator, 'faults', { siteDetails });
    const adapter = connect(simulator, jwtOf(simulator));
    const { checks } = await adapter.probe(never());
    await adapter.close();
    expect(checks.find(({ id }) => id === 'site-records')).toMatchObject({ state, detail });
  });

  it('is logged once for each site, and the record of the site counts', async () => {
    const lines: unknown[] = [];
    const adapter = vendorCloud.createAdapter({
      integrationId: 'int_1',
      baseUrl: new URL(simulator.url),
      credentials: jwtOf(simulator),
      settings: vendorCloud.settings.parse({ perPage: 5 }),
      http,
      logger: pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
      now: () => new Date(),
    });
    const sites = await adapter.listSites(never());
    await control(simulator, 'faults', { siteDetails: 'other' });
    for (let listing = 0; listing < 2; listing += 1)
      for await (const { devices } of adapter.listDevices(never())) expect(devices).not.toEqual([]);
    expect(await adapter.listSites(never())).toEqual(sites);
    await adapter.close();
    expect(lines).toMatchObject(sites.map(({ nativeId }) => ({ nativeSiteId: nativeId })));
    expect(JSON.stringify(lines)).not.toContain('Elsewhere');
  });
});
