import { describe, expect, it } from 'vitest';
import type { InboundMessage } from '../../adapter-kit/model.ts';
import { decode } from './decode.ts';
import { context } from './fixtures/rig.ts';
import { HEADERS } from './inbound.ts';

const CAMERA = 'c0ffee00-0001-4000-8000-000000000001';
const ERROR = 'a334af1c-4b4b-4957-9e5f-ab8ca07feab6';
const GROUP = '53b40c77-cf48-42a2-a432-db65ae3afc7a';
const NIL = '00000000-0000-0000-0000-000000000000';
const EVENT = {
  specversion: '1.0',
  id: '9e1b7f30-4c2d-4b8a-8f60-2d1c5a7e9001',
  source: `cameras/${CAMERA}`,
  time: '2026-11-20T09:41:12.1043219Z',
  type: ERROR,
  stategroupid: GROUP,
};

function message(body: unknown, headers: Record<string, string> = {}): InboundMessage {
  const bytes = Buffer.from(JSON.stringify(body));
  return { body: bytes, headers, source: 'STREAM', receivedAt: new Date('2026-11-20T09:41:13Z') };
}

function only(body: unknown, headers: Record<string, string> = {}, over = context) {
  const [draft, ...rest] = decode(message(body, headers), over);
  if (draft === undefined || rest.length > 0) throw new Error('expected one event');
  return draft;
}

const webhook = (over: Record<string, unknown> = {}, fqid: Record<string, unknown> = {}) => ({
  Event: {
    EventHeader: {
      ID: '7F1C2B3A-9d4e-4f50-8a6b-0c1d2e3f4a5b',
      Timestamp: EVENT.time,
      Type: 'System Event',
      Version: '1.0',
      Priority: 1,
      Name: 'Communication Error',
      Message: 'Communication Error',
      Source: {
        Name: 'Lobby Dome - Camera 1',
        FQID: { ObjectId: CAMERA.toUpperCase(), Kind: '5135ba21-f1dc-4321-806a-6ce2017343c0', ...fqid },
      },
      MessageId: ERROR,
      ...over,
    },
  },
  Site: { ServerHostname: 'vms01', AbsoluteUri: 'http://vms01.example.test/' },
});

describe('decode', () => {
  it('takes an event by its built-in id where nobody named it', () => {
    expect(only({ events: [EVENT] })).toMatchObject({
      family: 'HEALTH',
      type: 'health.offline',
      severity: 'WARNING',
      vendorCode: 'CommunicationError',
      nativeDeviceId: CAMERA,
      occurredAt: new Date('2026-11-20T09:41:12.104Z'),
      claim: { state: 'OFFLINE', reason: 'NETWORK', vendorState: 'Error' },
    });
  });

  it('gives one identity to one change: live, as a state with the nil id and a trimmed time, and as a webhook', () => {
    const live = only({ events: [{ ...EVENT, time: '2026-11-20T09:41:12.1040000Z' }] });
    const state = only({ states: [{ ...EVENT, id: NIL, time: '2026-11-20T09:41:12.104Z' }] });
    const pushed = only(webhook({ Timestamp: '2026-11-20T09:41:12.1040000Z' }));
    expect(new Set([live, state, pushed].map(({ vendorEventId }) => vendorEventId)).size).toBe(1);
    const later = only({ events: [{ ...EVENT, time: '2026-11-20T09:41:12.1040001Z' }] });
    expect(later.vendorEventId).not.toBe(live.vendorEventId);
  });

  it.each([
    ['Communication Started', 'ONLINE'],
    ['CommunicationStopped', 'OFFLINE'],
    ['Communication Error (Hardware)', 'OFFLINE'],
    ['Communication Interrupted', 'UNKNOWN'],
    ['Communication constructor', 'UNKNOWN'],
  ])('goes by the name that the platform gives to a type: %s is %s', (name, state) => {
    const type = 'aaaaaaaa-1111-4222-8333-000000000001';
    expect(only({ events: [{ ...EVENT, type }] }, { [HEADERS.name]: name }).claim?.state).toBe(state);
  });

  it('goes by the state group where the name says nothing', () => {
    const headers = {
      [HEADERS.name]: 'Zorg',
      [HEADERS.group]: 'Communication',
      [HEADERS.state]: 'Communication Error',
    };
    expect(only({ events: [{ ...EVENT, type: NIL }] }, headers).claim).toMatchObject({
      state: 'OFFLINE',
      vendorState: 'Error',
    });
  });

  it('believes no state of a device whose recording server is down', () => {
    expect(only({ events: [EVENT] }, { [HEADERS.parent]: 'down' }).claim).toMatchObject({
      state: 'UNKNOWN',
      reason: 'PARENT_DOWN',
      vendorState: 'Error',
    });
  });

  it.each([
    ['RecordingStopped', 'video.recording_stopped', 'INFO'],
    ['FeedOverflowStarted', 'video.stream_loss', 'WARNING'],
    ['DatabaseDiskFull', 'video.storage_low', 'CRITICAL'],
    ['Retention time Normal', 'video.restored', 'NOTICE'],
    ['Retention time Critical', 'video.retention_short', 'CRITICAL'],
    ['CPU Usage Warning', 'system.trouble', 'WARNING'],
    ['InputActivated', 'sensor.input_activated', 'INFO'],
    ['Line crossed', 'vendor.linecrossed', 'INFO'],
    ['__proto__', 'vendor.proto', 'INFO'],
    ['火災', 'vendor.unknown', 'INFO'],
  ])('makes %s %s, without a claim about the device', (name, type, severity) => {
    const draft = only({ events: [{ ...EVENT, type: NIL }] }, { [HEADERS.name]: name });
    expect(draft).toMatchObject({ type, severity, claim: null, vendorCode: name });
  });

  it('names what was changed, however it is spelled', () => {
    const changed = { ...EVENT, type: '06c5010d-11f2-4d70-bd79-4cec3a20d589', stategroupid: undefined };
    const data = { Action: 'Added', RelatedItem: { relatedItemRestResource: `cameras/${CAMERA}` } };
    expect(only({ events: [{ ...changed, data }] })).toMatchObject({
      family: 'INVENTORY',
      nativeDeviceId: null,
      vendorEventId: EVENT.id,
      details: { change: `cameras/${CAMERA}` },
    });
  });

  it('ties events of no device to the only site', () => {
    const onlySite = { nativeOrgId: '', nativeSiteId: 'site-1' };
    const source = 'services/8d0c1f00-0000-4000-8000-000000000001';
    expect(only({ events: [{ ...EVENT, source }] }, {}, { ...context, onlySite })).toMatchObject({
      nativeSiteId: 'site-1',
      nativeDeviceId: null,
      claim: null,
    });
  });

  it('says nothing of a management server that is no device', () => {
    const settings = { siteLevel: 'recording-server' };
    expect(
      only({ events: [{ ...EVENT, source: `sites/${CAMERA}` }] }, {}, { ...context, settings }).nativeDeviceId,
    ).toBe(null);
  });
});

describe('decode of webhooks', () => {
  it.each([
    ['a kind that we do not know', { Kind: 'aaaaaaaa-0000-4000-8000-000000000001' }, {}, CAMERA],
    ['no kind', { Kind: undefined }, {}, CAMERA],
    ['a user-defined event', { Kind: 'c9bdac3f-41dc-4afa-b057-61767a3914b7' }, {}, null],
    ['a name that no table has', {}, { Name: 'Guard called', MessageId: CAMERA }, null],
  ])('finds the device of %s', (_, fqid, over, device) => {
    expect(only(webhook(over, fqid)).nativeDeviceId).toBe(device);
  });

  it('goes by the built-in id, because administrators rename', () => {
    expect(only(webhook({ Name: 'Kamera weg' }))).toMatchObject({ type: 'health.offline' });
  });

  it.each([
    ['no header', { Event: {} }],
    ['an event without a source', { events: [{ ...EVENT, source: '' }] }],
    ['an event without a time', { events: [{ ...EVENT, time: 'yesterday' }] }],
    ['the time that means "not set"', { events: [{ ...EVENT, time: '0001-01-01T00:00:00.0000000' }] }],
    ['no events', { events: [] }],
    ['more events than a delivery has', { events: Array.from({ length: 1_001 }, () => EVENT) }],
  ])('refuses %s in stage SCHEMA', (_, body) => {
    expect(() => decode(message(body), context)).toThrow(expect.objectContaining({ stage: 'SCHEMA' }));
  });
});
