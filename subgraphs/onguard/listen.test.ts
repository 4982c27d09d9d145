import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { decode } from './decode.ts';
import { contextOf, type Ear, listAll, listenTo, type Rig, startRig, textOf } from './testing.ts';

let rig: Rig;
const ears: Ear[] = [];
beforeEach(async () => {
  rig = await startRig();
});
afterEach(async () => {
  await Promise.all(ears.splice(0).map((ear) => ear.stop()));
  await rig.stop();
});

/** Fast where the platform's own rhythm is slow. */
const FAST = { heartbeatMs: 20, establishMs: 2_000, brokerPatienceMs: 5_000 };

function hear(settings: object = {}, token: string | null = null, timing: object = FAST): Ear {
  const ear = listenTo(rig.open(settings, { timing }), token);
  ears.push(ear);
  return ear;
}

const PATIENCE = { interval: 10, timeout: 10_000 };
const bridge = () => rig.get('/_sim/bridge');
const attached = (count = 1) => vi.waitUntil(async () => (await bridge())['attached'] === count, PATIENCE);
const says = (text: string) => (item: Parameters<typeof textOf>[0]) => textOf(item).includes(text);
const emit = (description: string, over: object = {}) =>
  rig.post('/_sim/events', { nativeId: '1-3', description, ...over });

describe.each(['webSockets', 'longPolling'])('event channel over %s', (transport) => {
  const settings = { events: { transport } };

  it('hands on events as they came, with what is known of them', async () => {
    const ear = hear(settings);
    await attached();
    await emit('Door Forced Open');
    const { message, resumeToken } = await ear.until(says('Door Forced Open'));
    expect(message.source).toBe('STREAM');
    expect(message.headers).toEqual({
      'x-onguard-device': '1-3',
      'x-onguard-event-type': 'System',
      'x-onguard-event-text': 'Door Forced Open',
    });
    expect(Date.parse(resumeToken ?? '')).not.toBeNaN();
    expect(decode(message, contextOf(rig.settings()))).toMatchObject([
      { type: 'access.forced_open', nativeDeviceId: '1-3' },
    ]);
  });

  it('says every now and then that it is there', async () => {
    hear(settings);
    await expect.poll(async () => (await bridge())['heartbeats'], PATIENCE).toBeGreaterThan(3);
  });

  it('goes on with a new token when the old one ends', async () => {
    const ear = hear(settings);
    await attached();
    await rig.post('/_sim/tokens', {});
    await expect.poll(async () => (await rig.get('/_sim/calls'))['logins'], PATIENCE).toBe(2);
    await emit('Door Held Open');
    expect((await ear.until(says('Door Held Open'))).message.source).toBe('STREAM');
  });

  it('makes a new subscription when ours was deleted, and fetches what was missed', async () => {
    const ear = hear({ events: { transport, durable: false } });
    await attached();
    await rig.post('/_sim/bridge', { action: 'delete-subscriptions' });
    await emit('Cabinet Tamper');
    expect((await ear.until(says('Cabinet Tamper'))).message.source).toBe('POLL');
    await vi.waitUntil(async () => Object((await bridge())['subscriptions']).length === 1, { interval: 10 });
    await emit('Cabinet Tamper Restored');
    await ear.until((item) => item.message.source === 'STREAM' && says('Tamper Restored')(item));
  });

  it('fetches what happened while the bridge had no broker', async () => {
    const ear = hear({ events: { transport, durable: false } });
    await attached();
    await rig.post('/_sim/bridge', { action: 'broker-lost' });
    await emit('Power Failure');
    await rig.post('/_sim/bridge', { action: 'broker-restored' });
    expect((await ear.until(says('Power Failure'))).message.source).toBe('POLL');
  });

  it('ends with an error that can be retried when it is cut, and resumes without a gap', async () => {
    const ear = hear({ events: { transport, durable: false } });
    await attached();
    await emit('Door Held Open');
    const { resumeToken } = await ear.until(says('Door Held Open'));
    await rig.post('/_sim/bridge', { action: 'drop' });
    expect(await ear.ended).toMatchObject({ retryable: true });
    await emit('Door Held Open Restored');
    const again = hear({ events: { transport, durable: false } }, resumeToken);
    const { message } = await again.until(says('Door Held Open Restored'));
    expect(message.source).toBe('POLL');
    const ids = [...ear.items, ...again.items]
      .filter(says('Door Held Open'))
      .flatMap((item) => decode(item.message, contextOf(rig.settings())).map(({ vendorEventId }) => vendorEventId));
    // One came live and again from the log: it is the same event.
    expect([ids.length, new Set(ids).size]).toEqual([3, 2]);
  });
});

describe('event channel', () => {
  it('gets from a durable subscription what a panel handed in late', async () => {
    const first = hear();
    await attached();
    await emit('Door Held Open');
    const { resumeToken } = await first.until(says('Door Held Open'));
    await first.stop();
    await attached(0);
    // Hours before the resume token: no catch-up by time would find it.
    await emit('Ground Loop Fault', { lateSeconds: 7_200 });
    const again = hear({}, resumeToken);
    await again.until(says('Ground Loop Fault'));
    expect(Object((await bridge())['subscriptions'])).toHaveLength(1);
  });

  it('repeats from its first attachment when it never heard anything', async () => {
    const adapter = rig.open({ events: { durable: false } }, { timing: FAST });
    const first = listenTo(adapter);
    ears.push(first);
    await attached();
    await rig.post('/_sim/bridge', { action: 'drop' });
    await first.ended;
    await emit('Door Forced Open');
    const again = listenTo(adapter);
    ears.push(again);
    expect((await again.until(says('Door Forced Open'))).message.source).toBe('POLL');
  });

  it('fetches more than a page of missed events, flat or wrapped, each once', async () => {
    const since = new Date().toISOString();
    for (let number = 0; number < 250; number += 1)
      await emit('Granted Access', { isLive: false, properties: { access_result: 2 } });
    for (const wrappedLog of [false, true]) {
      await rig.post('/_sim/faults', { wrappedLog });
      const ear = hear({ events: { durable: false, subscription: `test ${wrappedLog}` } }, since);
      await ear.until(() => ear.items.length === 250);
      const ids = ear.items.flatMap(({ message }) =>
        decode(message, contextOf(rig.settings())).map(({ vendorEventId }) => vendorEventId),
      );
      expect(new Set(ids).size).toBe(250);
    }
  });

  it('reads two minutes twice, for what came to the log late, and no more', async () => {
    await emit('Granted Access', { isLive: false, lateSeconds: 600 });
    await emit('Door Forced Open', { isLive: false, lateSeconds: 100 });
    const ear = hear({}, new Date().toISOString());
    await ear.until(says('Door Forced Open'));
    await attached();
    await emit('Door Held Open');
    await ear.until(says('Door Held Open'));
    expect(ear.items.some(says('Granted Access'))).toBe(false);
  });

  it('polls where a proxy lets no WebSocket through', async () => {
    await rig.post('/_sim/faults', { webSockets: 'refused' });
    const ear = hear();
    await attached();
    await emit('Door Forced Open');
    await ear.until(says('Door Forced Open'));
    expect(rig.logged().some(({ transport }) => transport === 'longPolling')).toBe(true);
  });

  it('polls where the platform offers no WebSocket, and does not try one', async () => {
    await rig.post('/_sim/faults', { webSockets: 'off' });
    hear();
    await attached();
    expect(Object((await rig.get('/_sim/calls'))['byCall'])['GET eventbridge/signalr/poll']).toBeGreaterThan(0);
  });

  it('gives up a bridge that stays without its broker', async () => {
    const ear = hear({}, null, { ...FAST, brokerPatienceMs: 10 });
    await attached();
    await rig.post('/_sim/bridge', { action: 'broker-lost' });
    expect(await ear.ended).toMatchObject({ code: 'UNREACHABLE', message: expect.stringContaining('broker') });
  });

  it('gives up a bridge that says nothing more', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldAdvanceTime: true });
    try {
      const ear = hear({ events: { transport: 'webSockets' } }, null, { ...FAST, heartbeatMs: 3_600_000 });
      await attached();
      await rig.post('/_sim/faults', { mute: true });
      await vi.advanceTimersByTimeAsync(20_001);
      expect(await ear.ended).toMatchObject({ code: 'TIMEOUT' });
    } finally {
      vi.useRealTimers();
    }
  });

  it('keeps the session awake', async () => {
    hear({}, null, { ...FAST, keepAliveMs: 0 });
    const calls = async () => Object((await rig.get('/_sim/calls'))['byCall'])['GET keepalive'];
    await expect.poll(calls, PATIENCE).toBeGreaterThan(0);
  });

  it('goes by the events’ own words where the codes cannot be read', async () => {
    await rig.post('/_sim/faults', { missingTypes: ['Lnl_EventType', 'Lnl_EventSubtypeDefinition'] });
    const ear = hear();
    await attached();
    await emit('Communications Lost');
    const { message } = await ear.until(says('Communications Lost'));
    expect(Object.keys(message.headers)).toEqual(['x-onguard-device']);
    expect(decode(message, contextOf(rig.settings()))).toMatchObject([{ type: 'health.offline' }]);
  });

  it('understands a system in another language by its operator’s words', async () => {
    await rig.post('/_sim/faults', { german: true });
    const ear = hear();
    await attached();
    await emit('Communications Lost');
    const { message } = await ear.until(says('Verbindung verloren'));
    expect(decode(message, contextOf(rig.settings()))).toMatchObject([{ family: 'SYSTEM', claim: null }]);
    const { event_type: typeId, event_subtype: subTypeId } = Object(JSON.parse(textOf(ear.items.at(-1)!)).M[0].A[0]);
    const settings = rig.settings({ eventOverrides: [{ typeId, subTypeId, type: 'health.offline' }] });
    expect(decode(message, contextOf(settings))).toMatchObject([{ type: 'health.offline', nativeDeviceId: '1-3' }]);
  });

  it('leads an event of a part that is not listed to what it reports through', async () => {
    const ear = hear();
    await attached();
    await emit('Door Forced Open', { properties: { subdevice_id: 9 } });
    expect((await ear.until(says('Door Forced Open'))).message.headers['x-onguard-device']).toBe('1-3');
  });

  it('takes a burst without losing, doubling or reordering', async () => {
    const ear = hear();
    await attached();
    const count = 600;
    for (let number = 0; number < count; number += 1)
      rig.simulator.setState('1-2', number % 2 === 0 ? 'offline' : 'online');
    await ear.until(() => ear.items.length === count);
    const serials = ear.items.flatMap(({ message }) =>
      decode(message, contextOf(rig.settings())).map(({ vendorEventId }) => Number(vendorEventId?.split(':')[1])),
    );
    expect(serials).toEqual(Array.from({ length: count }, (_, index) => (serials[0] ?? 0) + index));
  });

  it('writes no secret to the log', async () => {
    const ear = hear();
    await attached();
    await emit('Granted Access', { properties: { cardholder_first_name: 'Ada', access_result: 2 } });
    await ear.until(says('Granted Access'));
    await rig.post('/_sim/bridge', { action: 'call', method: 'OnExceptionRaised', args: ['token 123'] });
    await rig.post('/_sim/bridge', { action: 'drop' });
    await ear.ended;
    const log = JSON.stringify(rig.logged());
    const { password } = Object(rig.simulator.integration.credentials['basic']);
    expect(log).toContain('Attached to the event bridge');
    for (const secret of [String(password), 'Ada', 'token 123', 'SessionToken']) expect(log).not.toContain(secret);
  });

  it('tells equal numbers of different panels apart', async () => {
    const ear = hear();
    await attached();
    const at = new Date().toISOString();
    for (const nativeId of ['1', '2'])
      await emit('Cabinet Tamper', { nativeId, properties: { serial_number: 7, timestamp: at } });
    await ear.until(() => ear.items.length === 2);
    const ids = ear.items.map(({ message }) => decode(message, contextOf(rig.settings()))[0]?.vendorEventId);
    expect(new Set(ids).size).toBe(2);
  });

  it('ends with UNAUTHENTICATED when the account is refused', async () => {
    const ear = listenTo(rig.open({}, { password: 'wrong' }));
    expect(await ear.ended).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
  });

  it('survives an outage of the platform with everything that it still has', async () => {
    const ear = hear({ events: { durable: false } });
    await attached();
    await emit('Door Held Open');
    const { resumeToken } = await ear.until(says('Door Held Open'));
    await rig.post('/_sim/outage', { seconds: 600 });
    expect(await ear.ended).toMatchObject({ retryable: true });
    await expect(listAll(rig.open())).rejects.toMatchObject({ retryable: true });
    for (let number = 0; number < 40; number += 1)
      rig.simulator.setState('1-2', number % 2 === 0 ? 'offline' : 'online');
    await rig.post('/_sim/outage', { seconds: 0 });
    const again = hear({ events: { durable: false } }, resumeToken);
    await again.until(() => again.items.filter(says('Communications')).length === 40);
  });
});
