import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import type { EventDraft } from '../../adapter-kit/model.ts';
import { EVENT_NAMES, EVENT_TABLE, type EventName } from './event-table.ts';
import { decodeAll, decodeOne, delivery, GUID, RECEIVED_AT } from './fixtures/rig.ts';

const OCCURRED_AT = new Date('2026-11-18T06:12:41Z');
const info = { guid: GUID, name: 'Detector: A7C4', area: 'North depot' };
const plain = (over: Readonly<Record<string, unknown>>): Record<string, unknown> => ({
  event_guid: 'e-1',
  timestamp: '2026-11-18T06:12:41Z',
  device_info: info,
  ...over,
});

function claimOf({ claim }: EventDraft) {
  return claim === null ? null : [claim.state, claim.reason, claim.vendorState];
}

function failureOf(body: unknown, over: Parameters<typeof decodeAll>[1] = {}): string {
  try {
    decodeAll(body, over);
  } catch (error) {
    if (error instanceof DecodeError) return error.stage;
    throw error;
  }
  return 'decoded';
}

describe('a delivery', () => {
  it('is an event of its device with all that it says', () => {
    const draft = decodeOne(delivery());
    expect(draft).toMatchObject({
      vendorEventId: '6f0b2c9e-7d41-4a53-9a77-0d5e3f1b8c20',
      family: 'ALARM',
      type: 'alarm.intrusion',
      vendorCode: 'BA/PersonDetected',
      severity: 'CRITICAL',
      occurredAt: OCCURRED_AT,
      nativeOrgId: null,
      // The inventory knows where the device is, also when its area was renamed a minute ago.
      nativeSiteId: null,
      nativeDeviceId: GUID,
      claim: { state: 'ONLINE', vendorState: 'PersonDetected', observedAt: OCCURRED_AT },
      isLifeSign: true,
      telemetry: { batteryPercent: 74, signal: -87, signalUnit: 'dBm' },
      summary: 'Detector: A7C4 in North depot detected a person',
      details: {
        actors: [{ kind: 'person', confidence: null }],
        siaCode: 'BA',
        deepLink: 'https://eu.reconeyez.com/securl/QW5vdGhlckV4YW1wbGVUb2tlbg==',
        zone: '12',
        restoral: false,
        detail: { account: '4711' },
      },
    });
  });

  // The vendor's own table, all fourteen rows of it.
  it.each([
    ['SystemStarted', null, 'SYSTEM', 'system.started', null, null, false],
    ['SystemStopped', null, 'SYSTEM', 'system.stopped', null, null, false],
    ['PersonDetected', 'BA', 'ALARM', 'alarm.intrusion', 'ONLINE', 'REPORTED', true],
    ['VehicleDetected', 'BA', 'ALARM', 'alarm.intrusion', 'ONLINE', 'REPORTED', true],
    ['MovementDetected', 'BA', 'ALARM', 'alarm.intrusion', 'ONLINE', 'REPORTED', true],
    ['RoutineCheck', 'RP', 'SUPERVISION', 'supervision.last_seen', 'ONLINE', 'REPORTED', true],
    ['Tamper', 'TA', 'ALARM', 'alarm.tamper', 'DEGRADED', 'TAMPER', true],
    ['Armed', 'CL', 'ALARM', 'alarm.armed', null, null, false],
    ['Disarmed', 'OP', 'ALARM', 'alarm.disarmed', null, null, false],
    ['ConnectionLost', 'YC', 'HEALTH', 'health.offline', 'OFFLINE', 'NETWORK', false],
    ['DeviceConnected', 'YK', 'HEALTH', 'health.online', 'ONLINE', 'REPORTED', true],
    ['BatteryLow', 'XT', 'HEALTH', 'health.battery_low', 'DEGRADED', 'POWER', true],
    ['BatteryRestored', 'XR', 'HEALTH', 'health.battery_restored', 'ONLINE', 'REPORTED', true],
    ['CriticalBatteryShutdown', 'YT', 'HEALTH', 'health.battery_shutdown', 'OFFLINE', 'POWER', false],
  ])('of %s (%s) is told by name and by code alike', (name, code, family, type, state, reason, isLifeSign) => {
    const expected = { family, type, isLifeSign };
    const claims = state === null ? null : [state, reason, name];
    const words = [name, name.replaceAll(/(?<=.)[A-Z]/g, ' $&'), name.toUpperCase()];
    for (const word of words) {
      const draft = decodeOne(plain({ event_name: word }));
      expect(draft).toMatchObject(expected);
      expect(claimOf(draft)).toEqual(claims);
    }
    if (code === null || code === 'BA') return;
    for (const word of [code, code.toLowerCase()]) {
      const draft = decodeOne(plain({ event_type: word }));
      expect(draft).toMatchObject({ ...expected, details: { siaCode: code } });
      expect(claimOf(draft)).toEqual(claims);
    }
  });

  it.each([
    [['person', 'car'], 'detected a person', 'CRITICAL'],
    [['boat'], 'detected a vehicle', 'WARNING'],
    [['bike'], 'detected a vehicle', 'WARNING'],
    [['cat'], 'detected movement', 'WARNING'],
    [[], 'detected movement', 'WARNING'],
  ])('of a detection that shows %j and has no name %s', (kinds, phrase, severity) => {
    const draft = decodeOne(plain({ event_type: 'BA', detections: kinds.map((type) => ({ type })) }));
    expect(draft).toMatchObject({ severity, vendorCode: 'BA' });
    expect(draft.summary).toContain(phrase);
  });

  it('names actors in our words, with their confidence as a share', () => {
    const detections = [{ type: 'Bike', confidence: 80 }, { class: 'boat', score: 0.5 }, 'truck', { type: 7 }, null];
    expect(decodeOne(plain({ event_type: 'BA', detections })).details.actors).toEqual([
      { kind: 'bicycle', confidence: 0.8 },
      { kind: 'boat', confidence: 0.5 },
      { kind: 'truck', confidence: null },
      { kind: '7', confidence: null },
    ]);
  });

  // The vendor's own list of what its detections can be.
  it.each(['person', 'vehicle', 'car', 'truck', 'bus', 'motorcycle', 'bicycle', 'boat'])(
    'keeps the actor %s, and tells people from vehicles by it',
    (kind) => {
      const draft = decodeOne(plain({ event_type: 'BA', detections: [{ type: kind.toUpperCase() }] }));
      expect(draft.details.actors).toEqual([{ kind, confidence: null }]);
      expect(draft.summary).toContain(kind === 'person' ? 'detected a person' : 'detected a vehicle');
    },
  );

  it.each([
    ['Lid opened', 'alarm.lid_opened', undefined],
    ['auxiliary_power_lost', 'alarm.power_lost', { auxPower: false }],
    ['AuxPowerFound', 'alarm.power_restored', { auxPower: true }],
    ['Internal battery charging fault', 'alarm.charging_fault', undefined],
    ['internal_battery_charging_normal', 'alarm.charging_restored', undefined],
    ['BatteryRemoved', 'alarm.battery_removed', undefined],
    ['snapshot', 'video.snapshot', undefined],
  ])('of a bridge’s %s is known without a code', (word, type, telemetry) => {
    const draft = decodeOne(plain({ event_type: word }));
    expect(draft).toMatchObject({ type, claim: null, isLifeSign: true });
    expect(draft.telemetry).toEqual(telemetry ?? null);
  });

  it.each([
    ['CL', true],
    ['OP', false],
  ])('of arming (%s) is telemetry and no life sign', (code, armed) => {
    expect(decodeOne(plain({ event_type: code }))).toMatchObject({
      telemetry: { armed },
      isLifeSign: false,
      claim: null,
    });
  });

  it('keeps what no table knows, and claims nothing by it', () => {
    const draft = decodeOne(plain({ event_type: 'constructor' }));
    expect(draft).toMatchObject({ type: 'alarm.other', vendorCode: 'constructor', claim: null, isLifeSign: false });
  });

  it('is read in this tenant’s words when an operator has said them', () => {
    const settings = {
      eventNames: { YP: 'AuxiliaryPowerLost' },
      aliases: { code: ['meta.kind'], occurredAt: ['meta.when'] },
    };
    const draft = decodeOne(
      { meta: { kind: 'yp', when: 1_795_000_000 }, device_info: info },
      { settings, receivedAt: new Date(1_795_000_001_000) },
    );
    expect(draft).toMatchObject({ type: 'alarm.power_lost', occurredAt: new Date(1_795_000_000_000) });
  });

  it('is found in camel case, in an envelope, and as one of a list', () => {
    const camel = {
      eventType: 'ConnectionLost',
      eventId: 'c-1',
      dateTime: '2026-11-18 06:12:41Z',
      deviceGuid: GUID.toLowerCase(),
    };
    const expected = { vendorEventId: 'c-1', nativeDeviceId: GUID, type: 'health.offline', occurredAt: OCCURRED_AT };
    expect(decodeOne(camel)).toMatchObject(expected);
    expect(decodeOne({ event: camel })).toMatchObject(expected);
    expect(decodeAll([camel, { data: camel }])).toEqual([
      expect.objectContaining(expected),
      expect.objectContaining(expected),
    ]);
  });

  it('understands the least that can be said', () => {
    const draft = decodeOne({ event_type: 'RP', device_info: { guid: GUID } });
    expect(draft).toMatchObject({
      nativeDeviceId: GUID,
      occurredAt: RECEIVED_AT,
      vendorEventId: null,
      telemetry: null,
    });
    expect(draft.details.detail).toEqual({ time: 'ARRIVAL' });
  });

  it('leaves out what is no measurement', () => {
    const readings = { battery_percentage: 140, signal_strength_asu: 99 };
    expect(decodeOne(plain({ event_type: 'RP', device_info: { ...info, ...readings } })).telemetry).toBeNull();
    const asu = decodeOne(plain({ event_type: 'RP', device_info: { ...info, signal_strength_asu: 17 } }));
    expect(asu.telemetry).toEqual({ signal: 17, signalUnit: 'ASU' });
  });

  it('keeps a position and passes over one that is nowhere', () => {
    const at = (latitude: number) => decodeOne(plain({ event_type: 'RP', location: { latitude, longitude: 24.75 } }));
    expect(at(59.43).details.detail).toEqual({ latitude: 59.43, longitude: 24.75 });
    expect(at(59.43).position).toEqual({ latitude: 59.43, longitude: 24.75 });
    expect(at(159).details.detail).toBeUndefined();
    expect(at(159).position).toBeNull();
  });
});

describe('where it was', () => {
  it('is the area when no device is named, by the name under which it is bound', () => {
    const body = { event_type: 'CL', device_info: { area: 'Depot N' } };
    const settings = { areaAliases: { 'Depot N': 'North depot' } };
    expect(decodeOne(body)).toMatchObject({ nativeSiteId: 'Depot N', nativeDeviceId: null, claim: null });
    expect(decodeOne(body, { settings })).toMatchObject({ nativeSiteId: 'North depot' });
  });

  it('is the only site when neither is named, and nowhere when there are several', () => {
    const onlySite = { nativeOrgId: '', nativeSiteId: 'North depot' };
    expect(decodeOne({ event_type: 'YC' }, { onlySite })).toMatchObject({ nativeSiteId: 'North depot', claim: null });
    expect(failureOf({ event_type: 'YC' })).toBe('MAPPING');
  });

  it('is the platform itself for its own events, whatever else they name', () => {
    expect(decodeOne(plain({ event_name: 'SystemStopped' }))).toMatchObject({
      nativeSiteId: null,
      nativeDeviceId: null,
    });
  });
});

describe('what makes two deliveries one event', () => {
  const withoutId = (over: Readonly<Record<string, unknown>> = {}) => {
    const { event_guid: _, ...rest } = delivery(over);
    return decodeOne(rest).vendorEventId;
  };

  it('is its content when it has no id', () => {
    expect(withoutId()).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(withoutId()).toBe(withoutId());
    // A measurement that comes with a retry does not make it another event.
    expect(withoutId({ device_info: { ...info, battery_percentage: 12 } })).toBe(withoutId());
  });

  it.each([
    ['another time', { timestamp: '2026-11-18T08:12:42+02:00' }],
    ['another kind', { event_name: 'VehicleDetected' }],
    ['another link', { url: 'https://eu.reconeyez.com/securl/other' }],
    ['another device', { device_info: { ...info, guid: '01AAAAAAAAAAAAAA' } }],
  ])('differs with %s', (_, over) => {
    expect(withoutId(over)).not.toBe(withoutId());
  });
});

describe('pictures', () => {
  const jpeg = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.alloc(20_000, 7)]);
  const sha256 = createHash('sha256').update(jpeg).digest('hex');

  it('are told by kind, size and hash, at the event’s link, and are not in the record', () => {
    const binary = [{ type: 'image', data: jpeg.toString('base64') }];
    const draft = decodeOne(delivery({ binary, note: 'x'.repeat(5_000) }));
    expect(draft.media).toEqual([
      {
        contentType: 'image/jpeg',
        url: 'https://eu.reconeyez.com/securl/QW5vdGhlckV4YW1wbGVUb2tlbg==',
        sizeBytes: 20_004,
        sha256,
        capturedAt: OCCURRED_AT,
      },
    ]);
    expect(JSON.stringify(draft.raw)).not.toContain(jpeg.toString('base64').slice(0, 40));
    expect(JSON.stringify(draft.raw).length).toBeLessThan(2_000);
    // Whoever may read the record must not get the secure link twice over.
    expect(JSON.stringify(draft.raw)).not.toContain('QW5vdGhlckV4YW1wbGVUb2tlbg');
  });

  it('may be texts, data addresses, or addresses; what is none of these is passed over', () => {
    const images = [
      jpeg.toString('base64'),
      `data:image/jpeg;base64,${jpeg.toString('base64')}`,
      { url: 'https://eu.reconeyez.com/p/1.jpg' },
      'no picture at all',
      7,
    ];
    const media = decodeOne(plain({ event_type: 'BA', images })).media ?? [];
    expect(media.map(({ url }) => url)).toEqual([
      `urn:sha256:${sha256}`,
      `urn:sha256:${sha256}`,
      'https://eu.reconeyez.com/p/1.jpg',
    ]);
  });

  it('of 3 MB are taken, and none of it stays', () => {
    const binary = Array.from({ length: 10 }, () => ({
      type: 'image',
      data: Buffer.alloc(225_000, 1).toString('base64'),
    }));
    const draft = decodeOne(delivery({ binary }));
    expect(draft.media).toHaveLength(10);
    expect(JSON.stringify([draft.raw, draft.media]).length).toBeLessThan(10_000);
  });
});

describe('what cannot be an event', () => {
  it.each([
    ['nothing that says what it is', { device_info: info }, 'SCHEMA'],
    ['a kind that is no text', { event_type: { a: 1 }, device_info: info }, 'SCHEMA'],
    ['more than a day ahead', plain({ event_type: 'RP', timestamp: '2026-11-20T06:12:41Z' }), 'SCHEMA'],
    ['a list of lists', [[]], 'SCHEMA'],
    ['too many', Array.from({ length: 201 }, () => delivery()), 'SCHEMA'],
    ['no JSON', Buffer.from('<html>'), 'PARSE'],
  ])('is refused: %s', (_, body, stage) => {
    expect(failureOf(body)).toBe(stage);
  });
});

describe('the table of events', () => {
  it('has a word of ours, of its family, for every event of the vendor', () => {
    for (const name of EVENT_NAMES) {
      expect(EVENT_TABLE[name].type).toMatch(/^(alarm|health|supervision|system|video)\.[a-z_]+$/);
      expect(EVENT_TABLE[name].phrase).not.toBe('');
    }
  });

  // The vendor's own choices for a receiver: alarm types, and status events by kind.
  const CHOICES: Readonly<Record<string, readonly EventName[]>> = {
    'routine check': ['RoutineCheck'],
    tamper: ['Tamper'],
    motion: ['PersonDetected', 'VehicleDetected', 'MovementDetected'],
    'critical battery shutdown': ['CriticalBatteryShutdown'],
    'auxiliary power': ['AuxiliaryPowerLost', 'AuxiliaryPowerFound'],
    'battery removed': ['BatteryRemoved'],
    charging: ['BatteryChargingFault', 'BatteryChargingNormal'],
    'lid opened': ['LidOpened'],
    snapshot: ['Snapshot'],
    battery: ['BatteryLow', 'BatteryRestored'],
    arming: ['Armed', 'Disarmed'],
    connection: ['ConnectionLost', 'DeviceConnected'],
  };

  it.each(Object.entries(CHOICES))('lets %s be chosen alone', (_, chosen) => {
    const types = new Set(chosen.map((name) => EVENT_TABLE[name].type));
    expect(EVENT_NAMES.filter((name) => types.has(EVENT_TABLE[name].type)).toSorted()).toEqual(chosen.toSorted());
  });

  it('has no event that proves both that a device is gone and that it lives', () => {
    const rows = Object.values(EVENT_TABLE).filter(({ claim }) => claim?.state === 'OFFLINE');
    expect(rows.map(({ isLifeSign }) => isLifeSign)).toEqual([false, false]);
  });

  it('has no event of a device that mends every fault of it', () => {
    const rows = Object.values(EVENT_TABLE).filter(({ claim }) => claim?.state === 'ONLINE');
    expect(rows.filter(({ claim }) => (claim?.keepsDegraded ?? []).length === 0)).toEqual([]);
  });
});
