import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import type { EventDraft, InboundMessage } from '../../adapter-kit/model.ts';
import { decode } from './decode.ts';
import { RULE_BY_NAME } from './event-rules.ts';

function message(event: unknown, camera?: unknown): InboundMessage {
  const body = JSON.stringify({
    event,
    origin: 'https://web.demo.example',
    ...(camera === undefined ? {} : { camera }),
  });
  return { body: new TextEncoder().encode(body), headers: {}, source: 'POLL', receivedAt: new Date() };
}

const event = (over: Readonly<Record<string, unknown>> = {}) => ({
  id: 7_712_043,
  camid: 50_217,
  name: 'motion',
  time: '2026-11-18T06:12:41',
  meta: {},
  ...over,
});

const context = (settings: unknown = {}) => ({ settings, onlySite: null, profile: null });

function one(over: Readonly<Record<string, unknown>>, camera?: unknown, settings?: unknown): EventDraft | undefined {
  return decode(message(event(over), camera), context(settings))[0];
}

describe('decode', () => {
  it('takes an event’s own instant as UTC and its camera as the device', () => {
    expect(one({})).toMatchObject({
      vendorEventId: '7712043',
      vendorCode: 'motion',
      family: 'SENSOR',
      type: 'sensor.motion',
      occurredAt: new Date('2026-11-18T06:12:41Z'),
      nativeDeviceId: '50217',
      nativeSiteId: null,
      isLifeSign: true,
      claim: null,
    });
  });

  it.each([...RULE_BY_NAME].filter(([, { family }]) => family !== 'HEALTH'))('knows %s', (name, { type, family }) => {
    expect(one({ name })).toMatchObject({ type, family, vendorCode: name });
  });

  it.each(['constructor', 'gate_forced', 'Vapeur détectée'])('keeps %s, which no table has', (name) => {
    const draft = one({ name, meta: { severity: 'high' } });
    expect(draft).toMatchObject({ family: 'SENSOR', type: 'sensor.other', vendorCode: name, severity: 'WARNING' });
  });

  it('takes an installation’s own names first', () => {
    const settings = { eventTypes: { gate_forced: 'access.forced_open' } };
    expect(one({ name: 'gate_forced' }, undefined, settings)).toMatchObject({
      type: 'access.forced_open',
      details: { outcome: 'FORCED_OPEN' },
    });
  });

  it('keeps the tags that say something, without what people did with the event', () => {
    const meta = {
      sensor_id: 'wl-07',
      severity: 'critical',
      state: 'alarm',
      process: 'in_progress',
      status_in_progress: '',
      'user_a@b.example': '',
    };
    expect(one({ name: 'water_leak', meta })).toMatchObject({
      severity: 'CRITICAL',
      details: { restoral: false, metadata: { sensor_id: 'wl-07', severity: 'critical', state: 'alarm' } },
    });
    expect(one({ name: 'water_leak', meta: { ...meta, state: 'restore' } })).toMatchObject({
      severity: 'NOTICE',
      details: { restoral: true },
    });
  });

  it('reads what analytics counted', () => {
    expect(
      one({ name: 'post_object_and_scene_detection', meta: { Person: '2', model: 'v4' } })?.details.actors,
    ).toEqual([{ kind: 'Person', confidence: null }]);
  });

  it.each([
    ['active', 'ONLINE', 'health.online'],
    ['offline', 'OFFLINE', 'health.offline'],
    ['unauthorized', 'DEGRADED', 'health.degraded'],
    ['zz-unheard-of', 'UNKNOWN', 'health.unknown'],
  ])('claims of a connection event what its camera was found to be: %s', (status, state, type) => {
    const camera = { status, name: 'Lobby', checkedAt: '2026-11-18T06:12:50.000Z' };
    expect(one({ name: 'net', meta: { value: 'off' } }, camera)).toMatchObject({
      family: 'HEALTH',
      type,
      occurredAt: new Date('2026-11-18T06:12:41Z'),
      claim: { state, vendorState: status, observedAt: new Date('2026-11-18T06:12:50Z') },
      isLifeSign: state === 'ONLINE',
    });
  });

  it('claims nothing of a connection event that a newer one followed', () => {
    expect(one({ name: 'net' })).toMatchObject({ type: 'health.connection_changed', claim: null, isLifeSign: false });
  });

  it('leaves out scheduled pictures and our own events', () => {
    expect(decode(message(event({ name: 'snapshot' })), context())).toEqual([]);
    expect(decode(message(event({ meta: { evt_01JCZ5: '' } })), context())).toEqual([]);
  });

  it('says where the recording is, by an address that holds no secret', () => {
    const [media] = one({})?.media ?? [];
    expect(media?.url).toBe(
      'https://web.demo.example/api/v2/storage/data/?camid=50217&start=2026-11-18T06%3A12%3A36.000&end=2026-11-18T06%3A12%3A56.000&order_by=time',
    );
  });

  it('keeps no passwords that a tag may hold', () => {
    expect(JSON.stringify(one({ meta: { door_password: 'secret-word' } }))).not.toContain('secret-word');
  });

  it.each([
    ['no id', { id: null }],
    ['no camera', { camid: undefined }],
    ['no name', { name: '' }],
    ['no instant', { time: 'yesterday' }],
    ['a day that is none', { time: '2026-02-30T00:00:00' }],
  ])('refuses an event with %s', (_, over) => {
    const decoding = (): unknown => decode(message(event(over)), context());
    expect(decoding).toThrow(DecodeError);
    expect(decoding).toThrow(expect.objectContaining({ stage: 'SCHEMA' }));
  });
});
