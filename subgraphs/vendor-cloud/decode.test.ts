import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import type { DecodeContext, EventDraft } from '../../adapter-kit/model.ts';
import { decode } from './decode.ts';
import { VendorCloudSettings } from './settings.ts';

const CONTEXT: DecodeContext = { settings: VendorCloudSettings.parse({}), onlySite: null, profile: 'CONTRACT_V1' };
const ONLY_SITE = { nativeOrgId: 'acme', nativeSiteId: 'hq' };
const BASE = { device_id: 'd1', timestamp: '2026-02-04T14:32:00Z', account_id: 'acme', site_id: 'hq' };

function decodeAll(body: unknown, context: Partial<DecodeContext> = {}): readonly EventDraft[] {
  const bytes = typeof body === 'string' ? body : JSON.stringify(body);
  const message = { body: Buffer.from(bytes), headers: {}, source: 'WEBHOOK', receivedAt: new Date(0) } as const;
  return decode(message, { ...CONTEXT, ...context });
}

function decodeOne(event: Readonly<Record<string, unknown>>, context: Partial<DecodeContext> = {}): EventDraft {
  const [draft, ...others] = decodeAll({ ...BASE, ...event }, context);
  if (draft === undefined || others.length > 0) throw new Error('one event was expected');
  return draft;
}

function stageOf(body: unknown, context: Partial<DecodeContext> = {}): string | null {
  try {
    decodeAll(body, context);
    return null;
  } catch (error) {
    if (error instanceof DecodeError) return error.stage;
    throw error;
  }
}

describe('decode', () => {
  it('understands the newer envelope', () => {
    const event = { ...BASE, event_id: 'e1', event_type: 'health', data: { status: 'offline', reason: 'power' } };
    expect(decodeAll(event)).toEqual([
      {
        vendorEventId: 'e1',
        family: 'HEALTH',
        type: 'health.offline',
        vendorCode: 'health/offline',
        severity: 'WARNING',
        occurredAt: new Date('2026-02-04T14:32:00Z'),
        nativeOrgId: 'acme',
        nativeSiteId: 'hq',
        nativeDeviceId: 'd1',
        claim: {
          state: 'OFFLINE',
          reason: 'POWER',
          vendorState: 'offline',
          observedAt: new Date('2026-02-04T14:32:00Z'),
        },
        isLifeSign: false,
        summary: 'Device went offline',
        details: {},
        media: [],
        raw: event,
      },
    ]);
  });

  it('understands the older names', () => {
    const event = { id: 'd1', org_id: 'acme', location_id: 'hq', status: 'Online', timestamp: 1_770_215_520 };
    expect(decodeAll(event)).toMatchObject([
      { type: 'health.online', nativeOrgId: 'acme', nativeSiteId: 'hq', nativeDeviceId: 'd1', vendorEventId: null },
    ]);
  });

  const minimal = { device_id: 'abc-123', status: 'offline', timestamp: '2024-05-19T14:35:22Z' };

  it('understands the minimal shape on an integration with one site', () => {
    expect(decodeAll(minimal, { onlySite: ONLY_SITE })).toMatchObject([
      { type: 'health.offline', ...ONLY_SITE, nativeDeviceId: 'abc-123', vendorEventId: null },
    ]);
  });

  it('lets the minimal shape wait for a binding on any other', () => {
    expect(stageOf(minimal)).toBe('BINDING');
    expect(stageOf({ ...minimal, account_id: 'other' }, { onlySite: ONLY_SITE })).toBe('BINDING');
  });

  it('never moves an event to the only site that names another', () => {
    expect(
      decodeOne({ event_type: 'health', site_id: 'depot', data: { status: 'offline' } }, { onlySite: ONLY_SITE }),
    ).toMatchObject({ nativeOrgId: 'acme', nativeSiteId: 'depot' });
  });

  it.each([
    ['health', { status: 'online' }, 'HEALTH', 'health.online', 'NOTICE'],
    ['health', { status: 'degraded' }, 'HEALTH', 'health.degraded', 'WARNING'],
    ['health', { status: 'zz-new' }, 'HEALTH', 'health.unknown', 'NOTICE'],
    ['device.offline', {}, 'HEALTH', 'health.offline', 'WARNING'],
    ['DeviceOnline', {}, 'HEALTH', 'health.online', 'NOTICE'],
    ['device.status_changed', { status: 'offline' }, 'HEALTH', 'health.offline', 'WARNING'],
    ['camera_offline', {}, 'HEALTH', 'health.offline', 'WARNING'],
    ['health', { status: 'last_seen' }, 'SUPERVISION', 'supervision.last_seen', 'INFO'],
    ['health', { last_seen: '2026-02-04T14:31:00Z' }, 'SUPERVISION', 'supervision.last_seen', 'INFO'],
    ['last_seen', {}, 'SUPERVISION', 'supervision.last_seen', 'INFO'],
    ['alarm', {}, 'ALARM', 'alarm.triggered', 'CRITICAL'],
    ['alarm', { type: 'intrusion' }, 'ALARM', 'alarm.intrusion', 'CRITICAL'],
    ['alarm', { type: 'fire', restoral: true }, 'ALARM', 'alarm.restored', 'NOTICE'],
    ['alarm', { event: 'something new' }, 'ALARM', 'alarm.other', 'WARNING'],
    ['trouble', {}, 'ALARM', 'alarm.trouble', 'WARNING'],
    ['trouble', { status: 'restored' }, 'ALARM', 'alarm.trouble_restored', 'NOTICE'],
    ['tamper', { status: 'active' }, 'ALARM', 'alarm.tamper', 'CRITICAL'],
    ['alarm', { type: 'tamper', cleared: true }, 'ALARM', 'alarm.tamper_restored', 'NOTICE'],
    ['access', { event: 'granted' }, 'ACCESS', 'access.granted', 'INFO'],
    ['access', { outcome: 'denied' }, 'ACCESS', 'access.denied', 'NOTICE'],
    ['access.denied', {}, 'ACCESS', 'access.denied', 'NOTICE'],
    ['access', { event: 'door_forced' }, 'ACCESS', 'access.forced_open', 'CRITICAL'],
    ['door_forced_open', {}, 'ACCESS', 'access.forced_open', 'CRITICAL'],
    ['door', { event: 'held' }, 'ACCESS', 'access.held_open', 'WARNING'],
    ['access', { event: 'closed' }, 'ACCESS', 'access.closed', 'INFO'],
    ['access', { event: 'teleported' }, 'ACCESS', 'access.other', 'INFO'],
    ['video', { fault: 'recording_failure' }, 'VIDEO', 'video.recording_failure', 'WARNING'],
    ['video', { fault: 'stream loss' }, 'VIDEO', 'video.stream_loss', 'WARNING'],
    ['storage', { fault: 'disk_failure' }, 'VIDEO', 'video.storage_failure', 'WARNING'],
    ['video', { event: 'recording_restored' }, 'VIDEO', 'video.restored', 'NOTICE'],
    ['sensor', { event: 'reading' }, 'SENSOR', 'sensor.reading', 'INFO'],
    ['firmware.updated', {}, 'SYSTEM', 'vendor.firmware_updated', 'INFO'],
    ['Überlast!', { severity: 'critical' }, 'SYSTEM', 'vendor.berlast', 'CRITICAL'],
    ['constructor', {}, 'SYSTEM', 'vendor.constructor', 'INFO'],
  ])('takes %s %j for %s %s', (event_type, data, family, type, severity) => {
    const draft = decodeOne({ event_type, data });
    expect(draft).toMatchObject({ family, type, severity });
    expect(draft.vendorCode?.startsWith(event_type)).toBe(true);
  });

  it('claims a state in health events only', () => {
    expect(decodeOne({ event_type: 'video', data: { fault: 'stream_loss' } }).claim).toBeNull();
    expect(decodeOne({ event_type: 'alarm', data: { type: 'tamper' } }).claim).toBeNull();
    const unknown = decodeOne({ event_type: 'health', data: { status: 'zz-new' } });
    expect(unknown.claim).toMatchObject({ state: 'UNKNOWN', vendorState: 'zz-new', reason: null });
  });

  it('takes a life sign without a state from last_seen', () => {
    const draft = decodeOne({ event_type: 'health', data: { last_seen: '2026-02-04T16:31:00+02:00' } });
    expect(draft).toMatchObject({ claim: null, isLifeSign: true, occurredAt: new Date('2026-02-04T14:31:00Z') });
  });

  it('keeps an unknown type with what came with it', () => {
    const draft = decodeOne({ event_type: 'coffee.empty', data: { level: 0 } });
    expect(draft).toMatchObject({ vendorCode: 'coffee.empty', details: { detail: { level: 0 } } });
  });

  it('asks the settings before the tables', () => {
    const settings = VendorCloudSettings.parse({
      eventTypes: { DOOR_AJAR: 'access.held_open', 'alarm/B1': 'alarm.fire' },
    });
    expect(decodeOne({ event_type: 'door-ajar' }, { settings }).type).toBe('access.held_open');
    expect(decodeOne({ event_type: 'alarm', data: { event: 'B1' } }, { settings }).type).toBe('alarm.fire');
    expect(decodeOne({ event_type: 'alarm', data: { event: 'B2' } }, { settings }).type).toBe('alarm.other');
  });

  it('finds account and site by configured paths', () => {
    const settings = VendorCloudSettings.parse({
      aliases: { event: { siteId: ['where.building'], accountId: ['owner'] } },
    });
    const event = { device_id: 'd1', status: 'offline', timestamp: BASE.timestamp, owner: 'x', where: { building: 7 } };
    expect(decodeAll(event, { settings })).toMatchObject([{ nativeOrgId: 'x', nativeSiteId: '7' }]);
  });

  it('names the device by its system where ids are local', () => {
    expect(decodeOne({ device_id: 'cam-1', system_id: 'north', status: 'offline' }).nativeDeviceId).toBe('north/cam-1');
  });

  it('fills in the attributes of an access event and hides most of the credential', () => {
    const data = { event: 'granted', person_name: 'A. Berg', card_number: '0004711238' };
    expect(decodeOne({ event_type: 'access', data }).details).toEqual({
      outcome: 'GRANTED',
      personName: 'A. Berg',
      credentialHint: '…1238',
    });
    const short = decodeOne({ event_type: 'access', data: { event: 'granted', card_number: 1234 } });
    expect(JSON.stringify(short.details)).not.toContain('1234');
  });

  it('fills in the attributes of an alarm, and links of the web only', () => {
    const data = { type: 'intrusion', zone: 'Dock', sia_code: 'BA', cid: '1130', url: 'javascript:alert(1)' };
    const { details } = decodeOne({ event_type: 'alarm', data: { ...data } });
    expect(details).toEqual({ restoral: false, zone: 'Dock', siaCode: 'BA', contactIdCode: '1130' });
    const linked = decodeOne({
      event_type: 'alarm',
      data: { link: 'https://vms.example/e/1', image_url: 'file:///etc' },
    });
    expect(linked.details.deepLink).toBe('https://vms.example/e/1');
    expect(linked.media).toEqual([]);
  });

  it.each([
    ['a list', (events: unknown[]) => events],
    ['an object with the list', (events: unknown[]) => ({ events })],
  ])('takes %s of events in order', (_, wrap) => {
    const events = [1, 2, 3].map((number) => ({ ...BASE, event_id: `e${number}`, status: 'offline' }));
    expect(decodeAll(wrap(events)).map(({ vendorEventId }) => vendorEventId)).toEqual(['e1', 'e2', 'e3']);
  });

  it('takes a thousand events and not one more', () => {
    const events = Array.from({ length: 1_000 }, (_, index) => ({ ...BASE, event_id: `e${index}`, status: 'online' }));
    expect(decodeAll(events)).toHaveLength(1_000);
    expect(stageOf([...events, BASE])).toBe('SCHEMA');
  });

  it('refuses a list as a whole for one bad event, and says which', () => {
    const events = [
      { ...BASE, status: 'online' },
      { ...BASE, status: 'online', timestamp: 'noon' },
    ];
    expect(() => decodeAll(events)).toThrow(/event 2 of 2: timestamp: is not an instant/);
  });

  it.each([
    ['no JSON', 'offline', 'PARSE'],
    ['a prototype', '{"__proto__":{},"device_id":"d1"}', 'PARSE'],
    ['a bomb', `${'{"a":'.repeat(100)}1${'}'.repeat(100)}`, 'PARSE'],
    ['an empty list', '[]', 'SCHEMA'],
    ['a list of lists', '[[]]', 'SCHEMA'],
    ['no time', { ...BASE, timestamp: undefined, status: 'online' }, 'SCHEMA'],
    ['a time without a zone', { ...BASE, timestamp: '2026-02-04T14:32:00', status: 'online' }, 'SCHEMA'],
    ['neither type nor status', BASE, 'SCHEMA'],
    ['a health event without a status', { ...BASE, event_type: 'health', data: {} }, 'SCHEMA'],
    ['a health event without a device', { ...BASE, device_id: undefined, status: 'online' }, 'SCHEMA'],
    ['an id that is no id', { ...BASE, device_id: {}, status: 'online' }, 'SCHEMA'],
  ])('refuses %s', (_, body, stage) => {
    expect(stageOf(body)).toBe(stage);
  });

  it('names no content in its refusals', () => {
    const event = { ...BASE, status: 'online', timestamp: 'secret-1', device_id: 'secret-2 ' };
    expect(() => decodeAll(event)).toThrow(/^(?!.*secret)/);
  });

  it('takes an event of the account itself without a device', () => {
    const event = { event_type: 'license.expiring', timestamp: BASE.timestamp, account_id: 'acme' };
    expect(decodeAll(event)).toMatchObject([
      { nativeOrgId: 'acme', nativeSiteId: null, nativeDeviceId: null, isLifeSign: false, claim: null },
    ]);
  });
});
