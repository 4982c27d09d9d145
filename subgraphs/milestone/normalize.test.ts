import { describe, expect, it } from 'vitest';
import { addressOf, hostOf, positionOf } from './normalize.ts';
import { createStateTable } from './state-table.ts';
import { deriveStatus } from './status.ts';
import { parseDriverSettings, parseTime, timeKey, WireRecord } from './wire.ts';
import { ianaZoneOf, WINDOWS_ZONES } from './windows-zones.ts';

const at = (text: string) => new Date(text);
const held = (word: string, time = '2026-11-18T14:43:37Z') => ({ word, at: at(time) });
const nothing = { isEnabled: true, configuredAt: null, own: null, hardware: null, recordingServer: null };

describe('deriveStatus', () => {
  it.each([
    ['nothing is known', {}, null, null],
    ['it is disabled, whatever else', { isEnabled: false, own: held('Started') }, 'UNKNOWN', 'Disabled'],
    ['its recording server is gone', { own: held('Started'), recordingServer: held('Error') }, 'UNKNOWN', 'Started'],
    ['its recording server stopped', { own: held('Error'), recordingServer: held('Stopped') }, 'UNKNOWN', 'Error'],
    ['it is connected', { own: held('Started'), recordingServer: held('Started') }, 'ONLINE', 'Started'],
    ['it was lost', { own: held('Error') }, 'OFFLINE', 'Error'],
    ['it was stopped', { own: held('stopped') }, 'OFFLINE', 'stopped'],
    ['only its hardware is known', { hardware: held('Error') }, 'OFFLINE', 'Error'],
    [
      'its own state says other than its hardware',
      { own: held('Started'), hardware: held('Error') },
      'ONLINE',
      'Started',
    ],
    ['the word is new', { own: held('hasOwnProperty') }, 'UNKNOWN', 'hasOwnProperty'],
  ])('when %s', (_, over, state, vendorState) => {
    const status = deriveStatus({ ...nothing, ...over });
    expect([status?.state ?? null, status?.vendorState ?? null]).toEqual([state, vendorState]);
  });

  it('counts from the return of the recording server, not from what was true before it fell', () => {
    const own = held('Started', '2026-01-01T00:00:00Z');
    const recordingServer = held('Started', '2026-11-18T00:00:00Z');
    expect(deriveStatus({ ...nothing, own, recordingServer })?.observedAt).toEqual(recordingServer.at);
  });
});

describe('state table', () => {
  const event = (type: string, time: string) => ({
    type,
    time,
    source: 'Cameras/C0FFEE00-0001-4000-8000-000000000001',
    stategroupid: '53b40c77-cf48-42a2-a432-db65ae3afc7a',
    id: undefined,
    data: undefined,
  });

  it('keeps the newest, also within a millisecond and in any order', () => {
    const table = createStateTable();
    expect(table.apply(event('b', '2026-11-20T09:41:12.1043219Z'), 'Error')).toBe('first');
    expect(table.apply(event('a', '2026-11-20T09:41:12.1043218Z'), 'Started')).toBe('known');
    expect(table.apply(event('b', '2026-11-20T09:41:12.1043219Z'), 'Error')).toBe('known');
    expect(table.apply(event('c', '2026-11-20T09:41:12.104322Z'), 'Started')).toBe('changed');
    expect(table.communicationOf('cameras/c0ffee00-0001-4000-8000-000000000001')?.word).toBe('Started');
    expect(table.size()).toBe(1);
  });
});

describe('what the wire says', () => {
  it.each([
    ['http://10.20.0.31/', '10.20.0.31', null],
    ['http://svc@10.20.0.31:8080/path', '10.20.0.31', null],
    ['http://[fe80::1]:443/', 'fe80::1', null],
    ['http://cam-12.corp.example.test:8080/', null, 'cam-12.corp.example.test'],
    ['10.20.0.31', '10.20.0.31', null],
    ['', null, null],
    ['http://', null, null],
  ])('address %j', (address, ip, hostname) => {
    expect(hostOf(address)).toEqual({ ip, hostname });
  });

  it.each([
    ['2026-03-02T08:15:27.3270000Z', '2026-03-02T08:15:27.327Z'],
    ['2026-03-02T08:15:27Z', '2026-03-02T08:15:27.000Z'],
    ['2026-03-02T08:15:27.5+01:00', '2026-03-02T07:15:27.500Z'],
    ['0001-01-01T00:00:00.0000000', undefined],
    ['2026-13-02T08:15:27Z', undefined],
    ['', undefined],
  ])('time %j', (text, iso) => {
    expect(parseTime(text)?.toISOString()).toBe(iso);
  });

  it.each([
    ['2026-03-02T08:15:27.3690000Z', '2026-03-02T08:15:27.369Z'],
    ['2026-03-02T08:15:27.0000000Z', '2026-03-02T08:15:27Z'],
    ['2026-03-02T08:15:20Z', '2026-03-02T08:15:20Z'],
  ])('%s is the instant %s', (text, key) => {
    expect(timeKey(text)).toBe(key);
  });

  it('finds driver settings in every nesting, and none in none', () => {
    const leaf = { macAddress: 'B8A44F000031', firmwareVersion: '11.11.73' };
    for (const body of [
      { data: { hardwareDriverSettings: leaf } },
      { data: { HardwareDriverSettings: leaf } },
      { array: [{ hardwareDriverSettings: leaf }] },
    ])
      expect(parseDriverSettings(body)).toMatchObject(leaf);
    expect(parseDriverSettings({ array: [] })).toBeNull();
    expect(parseDriverSettings('nothing')).toBeNull();
  });

  it('takes records without an id by their reference to themselves, and refuses those without either', () => {
    const self = { type: 'stateGroups', id: '8C958201-AA02-40CF-A643-FA7F91D0BED2' };
    expect(WireRecord.parse({ relations: { self } }).id).toBe('8c958201-aa02-40cf-a643-fa7f91d0bed2');
    expect(WireRecord.safeParse({ name: 'x' }).success).toBe(false);
  });

  it('reads the address of the owner by the ends of its keys', () => {
    const owner = {
      '[43e3]/address.Address': ' 1 Main Street ',
      '[43e4]/address.Country': 'DK',
      '[43e5]/address.ZipCode': '',
    };
    expect(addressOf(owner)).toBe('1 Main Street, DK');
    expect(addressOf({ displayName: 'Owner' })).toBeNull();
  });
});

describe('Windows time zones', () => {
  it.each([...WINDOWS_ZONES])('%s is %s, which exists', (windows, iana) => {
    expect(() => new Intl.DateTimeFormat('en', { timeZone: iana })).not.toThrow();
    expect(ianaZoneOf(windows)).toBe(iana);
  });

  it.each([
    ['Romance Standard Time', 'Europe/Paris'],
    ['Europe/Oslo', 'Europe/Oslo'],
    ['Middle-earth Standard Time', null],
    ['Not/AZone', null],
    ['', null],
  ])('%j is %s', (name, iana) => {
    expect(ianaZoneOf(name)).toBe(iana);
  });
});

describe('positionOf', () => {
  it.each([
    ['POINT (12.568337 55.676098)', { latitude: 55.676098, longitude: 12.568337 }],
    ['POINT (-122.51608 47.25726)', { latitude: 47.25726, longitude: -122.51608 }],
    ['POINT Z (12.5 55.6 17.25)', { latitude: 55.6, longitude: 12.5 }],
    ['POINT EMPTY', null],
    ['', null],
    ['POLYGON ((0 0))', null],
  ])('reads %j as %j', (text, position) => {
    expect(positionOf(text)).toEqual(position);
  });
});
