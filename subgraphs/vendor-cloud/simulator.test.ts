import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { EventDraft } from '../../adapter-kit/model.ts';
import { createVerifier, signingKey } from '../../pipeline/signatures/verifier.ts';
import { decode } from './decode.ts';
import { connect, control, type Inbox, jwtOf, listAll, openInbox, type Received, simulate } from './fixtures/rig.ts';
import type { VendorCloudSimulator } from './simulator.ts';

const SECRET = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function started(...options: Parameters<typeof simulate>): Promise<VendorCloudSimulator> {
  const simulator = await simulate(...options);
  cleanups.push(() => simulator.close());
  return simulator;
}

async function listening(simulator: VendorCloudSimulator, profile = 'CONTRACT_V1'): Promise<Inbox> {
  const inbox = await openInbox();
  cleanups.push(() => inbox.close());
  simulator.connectWebhook({ url: inbox.url, profile, secret: SECRET });
  return inbox;
}

function stateFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'vendor-cloud-'));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  return join(folder, 'state', 'simulator.json');
}

function decoded({ body }: Received): EventDraft {
  const message = { body, headers: {}, source: 'WEBHOOK', receivedAt: new Date() } as const;
  const [draft] = decode(message, { settings: {}, onlySite: null, profile: null });
  if (draft === undefined) throw new Error('a delivery has an event');
  return draft;
}

function firstOf(simulator: VendorCloudSimulator, count = 1): string[] {
  return simulator
    .devices()
    .slice(0, count)
    .map(({ nativeId }) => nativeId);
}

describe('the simulated platform', () => {
  it('is the same for the same seed, and another for another', async () => {
    const [first, second, other] = await Promise.all([started(), started(), started({ seed: 8 })]);
    expect(second.devices()).toEqual(first.devices());
    expect(second.sites()).toEqual(first.sites());
    const ids = new Set(first.devices().map(({ nativeId }) => nativeId));
    const shared = other.devices().filter(({ nativeId }) => ids.has(nativeId));
    // Local ids of old systems are the same everywhere; that is what makes them local.
    expect(shared.every(({ nativeId }) => nativeId.startsWith('sys-'))).toBe(true);
  });

  it.each([0, 1, 4, 5, 500])('has %i devices when told to', async (devices) => {
    const simulator = await started({ devices, sites: 3 });
    expect(simulator.devices()).toHaveLength(devices);
    expect(new Set(simulator.devices().map(({ nativeId }) => nativeId)).size).toBe(devices);
  });

  it('has two systems with the same local ids, told apart in the inventory and in events', async () => {
    const simulator = await started();
    const inbox = await listening(simulator);
    const adapter = connect(simulator, jwtOf(simulator));
    cleanups.push(() => adapter.close());
    const local = (await listAll(adapter)).devices.filter(({ system }) => system !== null);
    expect(local.map(({ nativeId }) => nativeId)).toEqual(
      ['north', 'south'].flatMap((name) => [1, 2, 3].map((number) => `sys-${name}/cam-00${number}`)),
    );
    const path = `devices/${encodeURIComponent('sys-south/cam-002')}`;
    expect(await control(simulator, path, { state: 'offline' })).toMatchObject({ body: { changed: true } });
    const [delivery] = await inbox.until(1);
    expect(delivery && decoded(delivery)).toMatchObject({
      nativeDeviceId: 'sys-south/cam-002',
      type: 'health.offline',
    });
    const offline = () => simulator.devices().filter(({ state }) => state === 'offline');
    expect(offline().map(({ nativeId }) => nativeId)).toEqual(['sys-south/cam-002']);
    await control(simulator, 'devices/sys-south/cam-002', { state: 'online' });
    expect(offline()).toEqual([]);
    await control(simulator, `${path}/words`, { state: 'napping' });
    const [, , napping] = await inbox.until(3);
    expect(napping && decoded(napping).claim).toMatchObject({ state: 'UNKNOWN', vendorState: 'napping' });
  });

  it('goes on from its state file: port, key, switched devices, registrations, what nobody took', async () => {
    const file = stateFile();
    const first = await simulate({ stateFile: file });
    const inbox = await openInbox();
    cleanups.push(() => inbox.close());
    first.connectWebhook({ url: inbox.url, profile: 'CONTRACT_V1', secret: SECRET });
    inbox.answers.push(503);
    const [nativeId = ''] = firstOf(first);
    first.setState(nativeId, 'offline');
    await inbox.until(1);
    await first.close();

    const second = await started({ stateFile: file });
    expect(second.url).toBe(first.url);
    expect(second.integration).toEqual(first.integration);
    expect(second.devices()).toEqual(first.devices());
    expect(second.devices().find((device) => device.nativeId === nativeId)?.state).toBe('offline');
    const [refused, taken] = await inbox.until(2);
    expect(taken?.body).toEqual(refused?.body);
    second.setState(nativeId, 'online');
    const [, , third] = await inbox.until(3);
    expect(third && decoded(third)).toMatchObject({ type: 'health.online' });
    expect(third && decoded(third).vendorEventId).not.toBe(taken && decoded(taken).vendorEventId);
  });

  it('tells of a change once and of no change not at all', async () => {
    const simulator = await started();
    const inbox = await listening(simulator);
    const [nativeId = ''] = firstOf(simulator);
    expect(await control(simulator, `devices/${nativeId}`, { state: 'online' })).toMatchObject({
      status: 200,
      body: { changed: false },
    });
    await control(simulator, `devices/${nativeId}`, { state: 'offline' });
    await control(simulator, `devices/${nativeId}`, { state: 'offline' });
    await control(simulator, `devices/${nativeId}`, { state: 'online' });
    const received = await inbox.until(2);
    expect(received.map((delivery) => decoded(delivery).type)).toEqual(['health.offline', 'health.online']);
  });

  it.each([
    ['devices/no-such-device', { state: 'offline' }, 404],
    ['devices/x', 'text', 404],
    ['outage', { seconds: -1 }, 400],
    ['faults', { status: 500, unheardOf: true }, 400],
    ['events', { nativeId: 'no-such-device', event_type: 'alarm' }, 404],
    ['nothing', {}, 404],
  ])('refuses %s %j with %i', async (path, body, status) => {
    expect((await control(await started({ devices: 3 }), path, body)).status).toBe(status);
  });

  it('makes a gentle stream of real changes when told to', async () => {
    const simulator = await started();
    const inbox = await listening(simulator);
    simulator.startTraffic({ everyMs: 1 });
    const received = await inbox.until(60);
    simulator.startTraffic({ everyMs: 0 });
    const types = new Set(received.map((delivery) => decoded(delivery).family));
    expect([...types]).toEqual(expect.arrayContaining(['HEALTH', 'ACCESS']));
    const offline = simulator.devices().filter(({ state }) => state === 'offline');
    expect(offline.length).toBeLessThanOrEqual(2);
  });
});

describe('its webhooks', () => {
  it.each(['CONTRACT_V1', 'TIMESTAMPED_HMAC', 'STANDARD_WEBHOOKS'] as const)('verify as %s', async (profile) => {
    const simulator = await started();
    const inbox = await listening(simulator, profile);
    await control(simulator, 'events', {
      nativeId: firstOf(simulator)[0],
      event_type: 'alarm',
      data: { type: 'fire' },
    });
    const [delivery] = await inbox.until(1);
    if (delivery === undefined) throw new Error('nothing came');
    const secret = { id: 's', key: signingKey(profile, SECRET), expiresAt: null };
    const verifier = createVerifier(profile, [secret], 300);
    expect(verifier.check(delivery.headers, delivery.body, Date.now())).toMatchObject({ isAuthentic: true });
    const altered = Buffer.concat([delivery.body, Buffer.from(' ')]);
    expect(verifier.check(delivery.headers, altered, Date.now())).toMatchObject({ isAuthentic: false });
    expect(decoded(delivery)).toMatchObject({ family: 'ALARM', type: 'alarm.fire' });
  });

  it('are sent again until somebody takes them, in order for each device', async () => {
    const simulator = await started();
    const inbox = await listening(simulator);
    inbox.answers.push(500, 503, 302);
    const [first = '', second = ''] = firstOf(simulator, 2);
    simulator.setState(first, 'offline');
    simulator.setState(first, 'online');
    simulator.setState(second, 'offline');
    await inbox.until(6);
    const stats = await control(simulator, 'webhooks');
    expect(stats.body).toMatchObject({ refused: 3 });
    const ofFirst = inbox.received.map(decoded).filter(({ nativeDeviceId }) => nativeDeviceId === first);
    const offline = ofFirst.filter(({ type }) => type === 'health.offline');
    expect(ofFirst.slice(0, offline.length)).toEqual(offline);
  });

  it('come twice when told to, as the same event', async () => {
    const simulator = await started();
    const inbox = await listening(simulator);
    await control(simulator, 'faults', { duplicateRate: 1 });
    simulator.setState(firstOf(simulator)[0] ?? '', 'offline');
    const [one, other] = await inbox.until(2);
    expect(other?.body).toEqual(one?.body);
  });

  it('overtake each other when told to', async () => {
    const simulator = await started();
    const inbox = await listening(simulator);
    await control(simulator, 'faults', { disorder: true });
    const [nativeId = ''] = firstOf(simulator);
    for (let round = 0; round < 10; round += 1) simulator.setState(nativeId, round % 2 === 0 ? 'offline' : 'online');
    const times = (await inbox.until(10)).map((delivery) => decoded(delivery).vendorEventId);
    expect(new Set(times).size).toBe(10);
    const types = inbox.received.map((delivery) => decoded(delivery).type);
    expect(types).not.toEqual(types.map((_, index) => (index % 2 === 0 ? 'health.offline' : 'health.online')));
  });

  it('wait for the end of an outage, or are lost in it', async () => {
    const simulator = await started();
    const inbox = await listening(simulator);
    const [first = '', second = ''] = firstOf(simulator, 2);
    await control(simulator, 'outage', { seconds: 3_600, webhooks: 'lose' });
    simulator.setState(first, 'offline');
    await control(simulator, 'outage', { seconds: 3_600 });
    simulator.setState(second, 'offline');
    expect(inbox.received).toEqual([]);
    await control(simulator, 'outage', { seconds: 0 });
    const received = await inbox.until(1);
    expect(received.map((delivery) => decoded(delivery).nativeDeviceId)).toEqual([second]);
  });

  it('are in the older words when told to', async () => {
    const simulator = await started();
    const inbox = await listening(simulator);
    await control(simulator, 'faults', { olderRevision: true });
    const [nativeId = ''] = firstOf(simulator);
    simulator.setState(nativeId, 'offline');
    const [delivery] = await inbox.until(1);
    const body: unknown = JSON.parse(String(delivery?.body));
    expect(body).toMatchObject({ org_id: 'acct-1', status: 'offline' });
    expect(body).not.toHaveProperty('event_type');
    expect(delivery && decoded(delivery)).toMatchObject({ type: 'health.offline', nativeOrgId: 'acct-1' });
  });

  it('fall silent when told to', async () => {
    const simulator = await started();
    const inbox = await listening(simulator);
    await control(simulator, 'faults', { dropWebhooks: true });
    const [first = '', second = ''] = firstOf(simulator, 2);
    simulator.setState(first, 'offline');
    await control(simulator, 'faults', {});
    simulator.setState(second, 'offline');
    const received = await inbox.until(1);
    expect(received.map((delivery) => decoded(delivery).nativeDeviceId)).toEqual([second]);
  });
});

describe('its outage', () => {
  it.each([
    ['status', 503],
    ['reset', 'cut off'],
  ])('is seen as %s by every caller but the test', async (mode, seen) => {
    const simulator = await started({ devices: 3 });
    const call = (): Promise<number | string> =>
      fetch(`${simulator.url}/api/v1/account`).then(
        ({ status }) => status,
        () => 'cut off',
      );
    await control(simulator, 'outage', { seconds: 3_600, mode });
    expect(await call()).toBe(seen);
    expect((await control(simulator, 'devices')).status).toBe(200);
    await control(simulator, 'outage', { seconds: 0 });
    expect(await call()).toBe(401);
  });
});
