import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import { decode } from './decode.ts';
import { type Envelope, encodeEnvelope } from './envelope.ts';
import type { SensorsRig } from './fixtures/rig.ts';
import { startSite } from './fixtures/rig.ts';
import { maskCards } from './push.ts';
import { SensorsSettings } from './settings.ts';

let rig: SensorsRig;
beforeAll(async () => {
  rig = await startSite();
});
afterAll(async () => {
  await rig.stop();
});

const RECEIVED_AT = new Date('2026-02-04T14:32:00Z');

const device = { nativeId: 'broker/0x01', siteId: 'site-1', name: 'Leak 7', kind: 'water' } as const;

function envelope(over: Partial<Envelope>): Envelope {
  return {
    sensors: 1,
    at: RECEIVED_AT.toISOString(),
    dialect: 'zigbee2mqtt',
    source: 'broker',
    address: 'zigbee2mqtt-1/basement/leak-07',
    device,
    isInitial: false,
    news: ['broker/0x01|water_leak|alarm'],
    children: [],
    aliases: {},
    encoding: 'utf8',
    payload: '{"water_leak":true,"battery_low":false,"battery":91,"linkquality":84,"tamper":false}',
    ...over,
  };
}

function streamed(over: Partial<Envelope>, settings: unknown = rig.settings) {
  const message = {
    body: encodeEnvelope(envelope(over)),
    headers: {},
    source: 'STREAM' as const,
    receivedAt: RECEIVED_AT,
  };
  return decode(message, { settings, onlySite: null, profile: null });
}

describe('decoding what a listener heard', () => {
  it('tells only what was news', () => {
    const drafts = streamed({});
    expect(drafts).toHaveLength(1);
    expect(drafts[0]).toMatchObject({
      family: 'ALARM',
      type: 'alarm.water_leak',
      summary: 'Leak 7 detected a water leak (water_leak)',
      telemetry: { batteryPercent: 91, signal: 84 },
    });
  });

  it('is a sign of life when nothing was', () => {
    expect(streamed({ news: [] })).toMatchObject([
      { family: 'SUPERVISION', type: 'supervision.report', isLifeSign: true, claim: null },
    ]);
  });

  it('takes a battery that is text for its number', () => {
    const payload = '{"water_leak":true,"battery":"100.00"}';
    expect(streamed({ payload })[0]?.telemetry).toMatchObject({ batteryPercent: 100 });
  });

  it.each([
    ['offline', 'OFFLINE'],
    ['{"state":"offline"}', 'OFFLINE'],
    ['Online', 'ONLINE'],
    ['{"state":"asleep"}', 'UNKNOWN'],
  ])('takes %s for %s', (payload, state) => {
    const address = 'zigbee2mqtt-1/basement/leak-07/availability';
    expect(streamed({ address, payload, news: ['broker/0x01|device|presence'] })[0]?.claim?.state).toBe(state);
  });

  it('says that a low battery degrades, and that presence does not mend it', () => {
    const low = streamed({ payload: '{"battery_low":true}', news: ['broker/0x01|battery_low|battery'] })[0];
    expect(low?.claim).toMatchObject({ state: 'DEGRADED', reason: 'POWER' });
    const on = streamed({ address: 'x/availability', payload: 'online', news: ['broker/0x01|device|presence'] })[0];
    expect(on?.claim?.keepsDegraded).toEqual(['POWER']);
  });

  it.each([
    [false, 'access.opened'],
    [true, 'access.closed'],
  ])('takes a contact that is %s for %s: the contact is made when the door is shut', (contact, type) => {
    const over = { device: { ...device, kind: 'access' }, payload: JSON.stringify({ contact }) } as const;
    expect(streamed({ ...over, news: ['broker/0x01|contact|alarm'] })[0]?.type).toBe(type);
  });

  it('never takes a test for an alarm', () => {
    const test = streamed({ payload: '{"test":true}', news: ['broker/0x01|test|test'] })[0];
    expect(test).toMatchObject({ type: 'alarm.test', severity: 'INFO' });
  });

  it('reads ONVIF events from a broker by the table of pull-points', () => {
    const drafts = streamed({
      dialect: 'onvif-json',
      address: 'Dock3/onvif-ej/Device/Trigger/DigitalInput/&DI_2',
      payload: '{"UtcTime":"2026-11-18T06:12:41","Source":{"InputToken":"DI_2"},"Data":{"LogicalState":true}}',
      device: { ...device, kind: 'motion' },
      news: ['broker/0x01|DI_2|alarm'],
    });
    expect(drafts[0]).toMatchObject({ type: 'sensor.motion', details: { zone: 'DI_2' } });
    expect(drafts[0]?.occurredAt.toISOString()).toBe('2026-11-18T06:12:41.000Z');
  });

  it('turns an input around where its wiring is', () => {
    const sources = rig.settings.sources.map((source) =>
      source.protocol === 'onvif' ? { ...source, inputActiveWhen: false } : source,
    );
    const settings = SensorsSettings.parse({ ...rig.settings, sources });
    const payload = `<e xmlns:n="n" xmlns:tt="t"><n:NotificationMessage><n:Topic>tns1:Device/Trigger/DigitalInput</n:Topic><n:Message>
      <tt:Message UtcTime="2026-02-04T14:31:00Z" PropertyOperation="Changed"><tt:Source><tt:SimpleItem Name="InputToken" Value="DI_1"/></tt:Source>
      <tt:Data><tt:SimpleItem Name="LogicalState" Value="false"/></tt:Data></tt:Message></n:Message></n:NotificationMessage></e>`;
    const over = {
      dialect: 'onvif',
      source: 'controller',
      payload,
      device: { ...device, nativeId: 'controller', kind: 'motion' },
      news: ['controller|DI_1|alarm'],
    } as const;
    expect(streamed({ ...over, news: [...over.news] }, settings)[0]?.type).toBe('sensor.motion');
    expect(streamed({ ...over, news: [...over.news] })[0]?.type).toBe('sensor.motion_stopped');
  });
});

describe('decoding what was pushed', () => {
  const receipt = (text: string) =>
    JSON.stringify({
      type: 'receipt',
      device: 'till-1',
      eventId: 'r1',
      time: '2026-02-04T14:31:00Z',
      kind: 'void',
      text,
    });

  it('cannot be given what only a listener says', () => {
    const body = Buffer.from(encodeEnvelope(envelope({}))).toString();
    expect(() => rig.decodePushed(body)).toThrow(DecodeError);
  });

  it('reads JSON by the template whose conditions hold, with the sender’s id and time', () => {
    const [draft] = rig.decodePushed(receipt('VOID'));
    expect(draft).toMatchObject({
      type: 'sensor.pos_void',
      nativeDeviceId: 'push/till-1',
      nativeSiteId: 'site-1',
      vendorEventId: 'push/till-1|r1',
    });
    expect(draft?.occurredAt.toISOString()).toBe('2026-02-04T14:31:00.000Z');
  });

  it('shows no card number', () => {
    const [draft] = rig.decodePushed(receipt('CARD 4111 1111 1111 1111'));
    expect(JSON.stringify(draft)).not.toMatch(/4111 1111 1111 1111|4111111111111111/);
    expect(JSON.stringify(draft)).toContain('1111');
    const number = JSON.stringify({ type: 'receipt', device: 'till-1', kind: 'void', pan: 4111111111111111 });
    expect(JSON.stringify(rig.decodePushed(number))).not.toContain('4111111111111111');
  });

  it('reads a receipt as text by its words', () => {
    const [draft] = rig.decodePushed('TILL 1\n** NO SALE **\n', { 'content-type': 'text/plain', 'x-sensor': 'till-1' });
    expect(draft).toMatchObject({
      type: 'sensor.pos_no_sale',
      details: { metadata: { source: { lines: ['TILL 1', '** NO SALE **'] } } },
    });
  });

  it('keeps label, score and box of a detection', () => {
    const object = { label: 'person', score: 0.87, box: [0.1, 0.2, 0.4, 0.9] };
    const [draft] = rig.decodePushed(JSON.stringify({ type: 'detection', device: 'vision-1', camera: 'yard', object }));
    expect(draft?.details.actors).toEqual([{ kind: 'person', confidence: 0.87 }]);
    expect(draft?.details.metadata).toMatchObject({ point: 'yard', source: object });
  });

  it.each([
    ['a sensor that is in no list', '{"type":"presence","device":"nobody","state":"online"}', 'MAPPING'],
    ['what no template takes', '{"type":"weather","device":"till-1"}', 'SCHEMA'],
    ['what is no JSON', '{"type":', 'PARSE'],
  ])('refuses %s', (_, body, stage) => {
    expect(() => rig.decodePushed(body)).toThrow(expect.objectContaining({ stage }));
  });
});

describe('masking cards', () => {
  it.each([
    ['4111 1111 1111 1111', '************1111'],
    ['order 1234567890123', 'order 1234567890123'],
    ['5500-0000-0000-0004 ok', '************0004 ok'],
  ])('makes %s of %s', (text, masked) => {
    expect(maskCards(text)).toBe(masked);
  });
});

describe('settings', () => {
  const minimal = { sites: [{ id: 's', name: 'S' }], sources: [{ id: 'm', protocol: 'modbus', host: 'gw' }] };

  it.each([
    ['a sensor of no source', { sensors: [{ source: 'x', address: '1' }] }],
    ['a site that does not exist', { sources: [{ id: 'm', protocol: 'modbus', host: 'gw', site: 'x' }] }],
    [
      'two sensors at one address',
      {
        sensors: [
          { source: 'm', address: '1' },
          { source: 'm', address: '1' },
        ],
      },
    ],
    ['a wildcard for a topic', { sources: [{ id: 'b', protocol: 'mqtt', zigbee2mqtt: [{ base: '#' }] }] }],
  ])('refuse %s', (_, over) => {
    expect(SensorsSettings.safeParse(minimal).success).toBe(true);
    expect(SensorsSettings.safeParse({ ...minimal, ...over }).success).toBe(false);
  });
});
