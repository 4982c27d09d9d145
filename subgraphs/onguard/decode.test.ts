import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import type { InboundMessage } from '../../adapter-kit/model.ts';
import { decode, HEADERS } from './decode.ts';
import { OVERRIDE_TYPES, ruleOfDescription, ruleOfType } from './event-rules.ts';
import { OnGuardSettings } from './settings.ts';
import { contextOf } from './testing.ts';

const event = {
  serial_number: 1_795_300_213,
  timestamp: '2026-11-20T09:14:02-05:00',
  description: 'Communications Lost',
  controller_id: 1,
  controller_name: 'HQ-ISC-01',
  device_id: 3,
  device_name: 'Lobby East',
  subdevice_id: 0,
  segment_id: 1,
  event_type: 4,
  event_subtype: 9_001,
  event_text: '',
  access_result: 4,
  alarm_priority: 180,
  duress: false,
};

function message(body: unknown, headers: Readonly<Record<string, string>> = {}): InboundMessage {
  return {
    body: Buffer.from(JSON.stringify(body)),
    headers,
    source: 'STREAM',
    receivedAt: new Date('2026-11-20T14:14:03Z'),
  };
}

function decodeOne(over: object, headers: Readonly<Record<string, string>> = {}, settings: object = {}) {
  const parsed = OnGuardSettings.parse({ applicationId: 'A', ...settings });
  const [draft] = decode(message({ ...event, ...over }, headers), contextOf(parsed));
  if (draft === undefined) throw new Error('no event');
  return draft;
}

describe('decode', () => {
  it('reads a communications event as a claim on its reader', () => {
    expect(decodeOne({})).toMatchObject({
      vendorEventId: `1:1795300213:${Date.parse('2026-11-20T14:14:02Z')}`,
      family: 'HEALTH',
      type: 'health.offline',
      vendorCode: '4/9001 Communications Lost',
      severity: 'WARNING',
      occurredAt: new Date('2026-11-20T14:14:02Z'),
      nativeDeviceId: '1-3',
      nativeSiteId: null,
      claim: { state: 'OFFLINE', reason: 'NETWORK', vendorState: 'Lost' },
      isLifeSign: false,
      summary: 'Lobby East went offline',
    });
  });

  it.each([
    ['a frame of the bridge', { C: 'd-1', M: [{ H: 'Outbound', M: 'OnBusinessEventReceived', A: [event] }] }],
    ['a wrapped record', { property_value_map: event }],
    [
      'other letter case',
      Object.fromEntries(Object.entries(event).map(([name, value]) => [name.toUpperCase(), value])),
    ],
  ])('takes %s for the same event', (_, body) => {
    const context = contextOf(OnGuardSettings.parse({ applicationId: 'A' }));
    expect(decode(message(body), context).map(({ vendorEventId }) => vendorEventId)).toEqual([
      decodeOne({}).vendorEventId,
    ]);
  });

  it('takes every event of a frame, and no other call', () => {
    const call = (M: string, serial: number) => ({ H: 'Outbound', M, A: [{ ...event, serial_number: serial }] });
    const frame = {
      M: [call('OnBusinessEventReceived', 1), call('OnManagementEvent', 2), call('onBusinessEventReceived', 3)],
    };
    const context = contextOf(OnGuardSettings.parse({ applicationId: 'A' }));
    expect(decode(message(frame), context)).toHaveLength(2);
  });

  it.each([
    ['Communications Restored', 'health.online'],
    ['Communication Failure', 'health.offline'],
    ['Reader Offline', 'health.offline'],
    ['Door Forced Open', 'access.forced_open'],
    ['Door Forced Open Restored', 'access.closed'],
    ['Door Held Open', 'access.held_open'],
    ['Door Held Open Cancelled', 'access.closed'],
    ['Cabinet Tamper', 'alarm.tamper'],
    ['Reader Tamper Restored', 'alarm.tamper_restored'],
    ['Power Failure', 'health.degraded'],
    ['Power Restored', 'health.online'],
    ['Low Battery', 'health.degraded'],
    ['Ground Loop Fault', 'alarm.trouble'],
    ['Ground Loop Fault Restored', 'alarm.trouble_restored'],
    ['Granted Access', 'access.granted'],
    ['Access Denied: Invalid Access Level', 'access.denied'],
    ['Access Granted Under Duress', 'alarm.panic'],
    ['Video Source Signal Lost', 'video.stream_loss'],
    ['Elevator Moved', null],
  ])('understands "%s" as %s', (description, type) => {
    expect(ruleOfDescription(description)?.type ?? null).toBe(type);
  });

  it('has a rule for every type that an operator may give', () => {
    expect(OVERRIDE_TYPES.map((type) => ruleOfType(type)?.type)).toEqual([...OVERRIDE_TYPES]);
  });

  it('lets the words of the catalogue come before those of the event', () => {
    const draft = decodeOne({ description: 'Verbindung verloren' }, { [HEADERS.words]: 'Communications Lost' });
    expect(draft.type).toBe('health.offline');
  });

  it('lets an operator say what a code means, the subtype before its type', () => {
    const eventOverrides = [
      { typeId: 4, type: 'alarm.technical' },
      { typeId: 4, subTypeId: 9_001, type: 'health.offline' },
    ];
    const german = { description: 'Verbindung verloren' };
    expect(decodeOne(german, {}, { eventOverrides })).toMatchObject({
      type: 'health.offline',
      claim: { state: 'OFFLINE', vendorState: 'Verbindung verloren' },
    });
    expect(decodeOne({ ...german, event_subtype: 7 }, {}, { eventOverrides }).type).toBe('alarm.technical');
  });

  it('goes by the name of the type when no word is known, and by the access result at last', () => {
    const unknown = { description: 'Zone 4' };
    expect(decodeOne(unknown, { [HEADERS.typeName]: 'Burglary' }).type).toBe('alarm.intrusion');
    expect(decodeOne({ ...unknown, access_result: 2 })).toMatchObject({
      type: 'access.granted',
      details: { outcome: 'GRANTED' },
    });
  });

  it('keeps what nobody knows, without a claim', () => {
    expect(decodeOne({ description: 'Elevator: moved!', alarm_priority: 0 })).toMatchObject({
      type: 'vendor.elevator_moved',
      family: 'SYSTEM',
      severity: 'INFO',
      claim: null,
      isLifeSign: false,
    });
  });

  it('lets what is over end its own fault only', () => {
    expect(decodeOne({ description: 'Power Restored' }).claim).toMatchObject({
      state: 'ONLINE',
      keepsDegraded: expect.not.arrayContaining(['POWER']),
    });
    expect(decodeOne({ description: 'Cabinet Tamper' }).claim).toMatchObject({ state: 'DEGRADED', reason: 'TAMPER' });
    // The wires of an input say nothing on whether it is online.
    expect(decodeOne({ description: 'Tamper', device_id: 66, subdevice_id: 2 }).claim).toBeNull();
  });

  it('takes a communications word that is new for a state that it does not know', () => {
    expect(decodeOne({ description: 'Communications flaky' }).claim).toMatchObject({
      state: 'UNKNOWN',
      vendorState: 'flaky',
    });
  });

  it.each([
    [{ device_id: 0 }, {}, '1'],
    [{ device_id: 66, subdevice_id: 2 }, {}, '1-66-i2'],
    [{ device_id: 66, subdevice_id: 2, subdevice_name: 'Siren relay' }, {}, '1-66-o2'],
    [{ device_id: 66, subdevice_id: 2 }, { types: { inputs: false } }, '1-66'],
    [{ controller_id: 0, device_id: 0 }, {}, null],
  ])('finds by numbers: %j with %j is %s', (over, settings, nativeId) => {
    expect(decodeOne(over, {}, settings).nativeDeviceId).toBe(nativeId);
  });

  it('lets the device that the listener found come before the numbers', () => {
    expect(decodeOne({ subdevice_id: 9 }, { [HEADERS.device]: '1-3' }).nativeDeviceId).toBe('1-3');
  });

  it('names a segment only where there is no device', () => {
    const ofSystem = { controller_id: 0, device_id: 0, description: 'Elevator' };
    expect(decodeOne({ ...ofSystem, segment_id: 2 }).nativeSiteId).toBe('2');
    expect(decodeOne({ ...ofSystem, segment_id: -1 }).nativeSiteId).toBeNull();
    // A claim needs a device.
    expect(decodeOne({ controller_id: 0, device_id: 0 }).claim).toBeNull();
  });

  it.each([
    [0, 'WARNING'],
    [99, 'WARNING'],
    [200, 'CRITICAL'],
  ])('lets a priority of %i make it %s', (alarm_priority, severity) => {
    expect(decodeOne({ alarm_priority }).severity).toBe(severity);
  });

  const personal = {
    description: 'Granted Access',
    access_result: 2,
    badge_id: 41_877,
    badge_id_str: '41877',
    cardholder_key: 9,
    cardholder_first_name: 'Ada',
    cardholder_last_name: 'Lovelace',
  };

  it('leaves out who it was', () => {
    expect(JSON.stringify(decodeOne(personal))).not.toMatch(/Ada|Lovelace|41877/);
  });

  it('keeps who it was where the operator wants it, and never the whole badge', () => {
    expect(decodeOne(personal, {}, { keepPersonalData: true }).details).toEqual({
      outcome: 'GRANTED',
      personName: 'Ada Lovelace',
      credentialHint: '…1877',
    });
  });

  it.each([
    ['no timestamp', { timestamp: undefined }],
    ['a time without an offset', { timestamp: '2026-11-20T09:14:02' }],
    ['no serial number', { serial_number: undefined }],
    ['no controller', { controller_id: 'x' }],
  ])('refuses an event with %s', (_, over) => {
    expect(() => decodeOne(over)).toThrow(DecodeError);
  });
});
