import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { afterEach, describe, expect, it } from 'vitest';
import type { EventDraft } from '../../adapter-kit/model.ts';
import { DEFAULT_POLICY } from '../../pipeline/status/policies.ts';
import { comparePlaces, type DeviceStatus, fold, unclaimed } from '../../pipeline/status/machine.ts';
import { createVerifier, signingKey } from '../../pipeline/signatures/verifier.ts';
import { subgraphSdls, vendors } from '../index.ts';
import {
  control,
  decodeOne,
  type Inbox,
  openInbox,
  type Received,
  simulate,
  type SimulatorOverrides,
} from './fixtures/rig.ts';
import type { ReconeyezSimulator } from './simulator.ts';

const SECRET = 'c2VjcmV0LW9mLTMyLWJ5dGVzLWZvci10aGUtcGF0aA';
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function started(over: SimulatorOverrides = {}): Promise<ReconeyezSimulator> {
  const simulator = await simulate(over);
  cleanups.push(() => simulator.close());
  return simulator;
}

/** A simulator that delivers to an inbox. */
async function delivering(over: SimulatorOverrides = {}): Promise<{ simulator: ReconeyezSimulator; inbox: Inbox }> {
  const simulator = await started(over);
  const inbox = await openInbox();
  cleanups.push(() => inbox.close());
  simulator.connectWebhook({ url: inbox.url, profile: 'PATH_SECRET', secret: SECRET });
  return { simulator, inbox };
}

function idOf(simulator: ReconeyezSimulator, type: string): string {
  const device = simulator.devices().find((each) => each.type.startsWith(type));
  if (device === undefined) throw new Error(`the fleet has a ${type}`);
  return device.nativeId;
}

const decoded = ({ body }: Received, settings = {}): EventDraft =>
  decodeOne(body, { settings, receivedAt: new Date() });
/** Of one device, and no routine check, which every device makes by itself. */
const about = (nativeId: string) => (received: Received) => {
  const draft = decoded(received);
  return draft.nativeDeviceId === nativeId && draft.vendorCode !== 'RP/RoutineCheck';
};

function statusAfter(drafts: readonly EventDraft[]): DeviceStatus {
  const claims = drafts.flatMap(({ claim, occurredAt }, inboxId) =>
    claim === null ? [] : [{ ...claim, at: (claim.observedAt ?? occurredAt).getTime(), receivedAt: 0, inboxId }],
  );
  return fold(unclaimed(0), claims.toSorted(comparePlaces), DEFAULT_POLICY).status;
}

describe('the simulated tenant', () => {
  it('is the same for the same seed, and another for another', async () => {
    const [first, second, other] = await Promise.all([started(), started(), started({ seed: 8 })]);
    expect(second.devices()).toEqual(first.devices());
    const ids = new Set(first.devices().map(({ nativeId }) => nativeId));
    expect(ids.size).toBe(60);
    expect(other.devices().filter(({ nativeId }) => ids.has(nativeId))).toEqual([]);
    for (const { nativeId, name } of first.devices()) {
      expect(nativeId).toMatch(/^01[0-9A-F]{14}$/);
      // The short id is the first word of the GUID with its bytes swapped.
      expect(name.slice(-4)).toBe(nativeId.slice(4, 6) + nativeId.slice(2, 4));
    }
  });

  it('remembers addresses, certificate, states, areas and what nobody took', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reconeyez-'));
    cleanups.push(() => rmSync(folder, { recursive: true }));
    const stateFile = join(folder, 'state', 'simulator.json');
    const { simulator, inbox } = await delivering({ stateFile });
    const nativeId = idOf(simulator, 'detector');
    inbox.answer(503);
    simulator.setState(nativeId, 'offline');
    await inbox.until(1, about(nativeId));
    await control(simulator, 'areas', { area: 'North depot', name: 'Depot N' });
    await simulator.close();
    inbox.answer(202);
    const before = inbox.received.length;
    const again = await started({ stateFile });
    expect([again.url, again.integration]).toEqual([simulator.url, simulator.integration]);
    expect(again.devices().find((each) => each.nativeId === nativeId)?.state).toBe('offline');
    expect(again.sites().map(({ name }) => name)).toEqual(['Depot N', 'South depot']);
    const [, ...later] = await inbox.until(2, about(nativeId));
    expect(inbox.received.length).toBeGreaterThan(before);
    expect(later.map((received) => decoded(received).type)).toContain('health.offline');
  });

  it.each([
    ['devices/nobody', { state: 'online' }, 404],
    ['devices/nobody/words', {}, 404],
    ['events', { nativeId: 'nobody', event: 'Tamper' }, 404],
    ['areas', { area: 'nowhere', name: 'x' }, 404],
    ['scenarios', { name: 'battery-death' }, 400],
    ['faults', { unknown: 1 }, 400],
    ['outage', {}, 400],
    ['nothing', {}, 404],
  ])('answers a wrong control call: %s', async (path, body, status) => {
    expect((await control(await started(), path, body)).status).toBe(status);
  });

  it('shows its truth, its faults and its counts', async () => {
    const simulator = await started();
    for (const path of ['devices', 'areas', 'faults', 'webhooks', 'calls'])
      expect((await control(simulator, path)).status).toBe(200);
    expect((await control(simulator, 'devices')).body).toEqual(simulator.devices());
  });
});

describe('a delivery', () => {
  it('proves itself by the secret in its path and by nothing else', async () => {
    const { simulator, inbox } = await delivering();
    simulator.setState(idOf(simulator, 'detector'), 'offline');
    const [received] = await inbox.until(1);
    const verifier = createVerifier(
      'PATH_SECRET',
      [{ id: 's', key: signingKey('PATH_SECRET', SECRET), expiresAt: null }],
      300,
    );
    const rest = received?.path.split('/').at(-1) ?? '';
    const check = (secret: string) =>
      verifier.check({}, received?.body ?? Buffer.alloc(0), Date.now(), secret).isAuthentic;
    expect([check(rest), check(`${rest.slice(0, -1)}x`), check('')]).toEqual([true, false, false]);
  });

  it.each([
    ['strict', 'health.offline', 'YC/ConnectionLost'],
    ['camel', 'health.offline', 'ConnectionLost'],
    ['minimal', 'health.offline', 'YC'],
  ])('in the %s dialect is understood', async (dialect, type, vendorCode) => {
    const { simulator, inbox } = await delivering();
    await control(simulator, 'faults', { dialect });
    const nativeId = idOf(simulator, 'detector');
    simulator.setState(nativeId, 'offline');
    const [received] = await inbox.until(1, about(nativeId));
    expect(received && decoded(received)).toMatchObject({ type, vendorCode, nativeDeviceId: nativeId });
  });

  it('in local time is read in the zone of its area', async () => {
    const { simulator, inbox } = await delivering();
    await control(simulator, 'faults', { time: 'local' });
    const nativeId = simulator.devices().find(({ siteId }) => siteId === 'North depot')?.nativeId ?? '';
    await control(simulator, 'events', { nativeId, event: 'Tamper', at: '2026-07-01T10:00:00Z' });
    const [received] = await inbox.until(1, about(nativeId));
    const settings = { areaTimezones: { 'North depot': 'Europe/Tallinn' } };
    expect(received && decoded(received, settings).occurredAt).toEqual(new Date('2026-07-01T10:00:00Z'));
  });

  it('of ten pictures has them all, as anything but JSON by its header', async () => {
    const { simulator, inbox } = await delivering();
    await control(simulator, 'faults', { pictures: 10, pictureBytes: 20_000, contentType: 'text/plain' });
    const nativeId = idOf(simulator, 'detector');
    await control(simulator, 'events', { nativeId, event: 'PersonDetected', detections: ['person'] });
    const [received] = await inbox.until(1, about(nativeId));
    expect(received?.contentType).toBe('text/plain');
    expect(received?.body.length).toBeGreaterThan(262_144);
    const media = (received && decoded(received).media) ?? [];
    expect(media.map(({ contentType, sizeBytes }) => [contentType, sizeBytes])).toEqual(
      Array.from({ length: 10 }, () => ['image/jpeg', 20_000]),
    );
    expect(new Set(media.map(({ sha256 }) => sha256)).size).toBe(10);
  });

  it('that comes twice is one event, also without an id', async () => {
    const { simulator, inbox } = await delivering();
    await control(simulator, 'faults', { duplicateRate: 1, withoutIds: true });
    const nativeId = idOf(simulator, 'detector');
    simulator.setState(nativeId, 'offline');
    const received = await inbox.until(2, about(nativeId));
    const ids = received.map((each) => decoded(each).vendorEventId);
    expect(ids[0]).toMatch(/^sha256:/);
    expect(new Set(ids).size).toBe(1);
  });

  it('overtaken by a newer one undoes nothing', async () => {
    // A second passes whenever somebody looks at the clock, so that each change has a time of its own.
    let at = Date.now() - 86_400_000;
    const { simulator, inbox } = await delivering({ now: () => new Date((at += 1_000)) });
    await control(simulator, 'faults', { disorder: true });
    const nativeId = idOf(simulator, 'detector');
    for (let round = 0; round < 10; round += 1) simulator.setState(nativeId, round % 2 === 0 ? 'offline' : 'online');
    const arrived = (await inbox.until(10, about(nativeId))).map((each) => decoded(each));
    const types = arrived.map(({ type }) => type);
    expect(types).not.toEqual(types.map((_, index) => (index % 2 === 0 ? 'health.offline' : 'health.online')));
    const inOrder = arrived.toSorted((left, right) => left.occurredAt.getTime() - right.occurredAt.getTime());
    expect(statusAfter(arrived).state).toBe(statusAfter(inOrder).state);
  });

  it('is repeated until it is taken, and given up after as many attempts as there are', async () => {
    const { simulator, inbox } = await delivering();
    inbox.answer(500);
    await control(simulator, 'faults', { attempts: 2 });
    const nativeId = idOf(simulator, 'detector');
    simulator.setState(nativeId, 'offline');
    await inbox.until(2, about(nativeId));
    inbox.answer(200);
    simulator.setState(nativeId, 'online');
    const received = await inbox.until(3, about(nativeId));
    expect(received.map((each) => decoded(each).type)).toEqual(['health.offline', 'health.offline', 'health.online']);
  });

  it('is not made while the cloud drops them, and the next one is', async () => {
    const { simulator, inbox } = await delivering();
    const nativeId = idOf(simulator, 'detector');
    await control(simulator, 'faults', { dropWebhooks: true });
    simulator.setState(nativeId, 'offline');
    await control(simulator, 'faults', {});
    simulator.setState(nativeId, 'online');
    const [received] = await inbox.until(1, about(nativeId));
    expect(received && decoded(received).type).toBe('health.online');
  });

  it('waits for the end of an outage, which the platform tells first', async () => {
    const { simulator, inbox } = await delivering();
    const nativeId = idOf(simulator, 'detector');
    await control(simulator, 'outage', { seconds: 3_600 });
    simulator.setState(nativeId, 'offline');
    expect(inbox.received).toEqual([]);
    await control(simulator, 'outage', { seconds: 0 });
    await inbox.until(1, about(nativeId));
    const [started_] = await inbox.until(1, (received) => decoded(received).type === 'system.started');
    expect(started_ && decoded(started_)).toMatchObject({ nativeDeviceId: null, nativeSiteId: null });
  });
});

describe('what happens to a tenant', () => {
  it('begins with a routine check of every device, and says of the others that they are gone', async () => {
    const simulator = await started({ devices: 20 });
    const gone = idOf(simulator, 'siren');
    simulator.setState(gone, 'offline');
    const inbox = await openInbox();
    cleanups.push(() => inbox.close());
    simulator.connectWebhook({ url: inbox.url, profile: 'PATH_SECRET', secret: SECRET });
    const drafts = (await inbox.until(20)).map((received) => decoded(received));
    const states = new Map(drafts.map(({ nativeDeviceId, claim }) => [nativeDeviceId, claim?.state]));
    expect(states).toEqual(
      new Map(simulator.devices().map(({ nativeId }) => [nativeId, nativeId === gone ? 'OFFLINE' : 'ONLINE'])),
    );
  });

  it('kills a battery by degrees: degraded through every routine check, then offline for want of power', async () => {
    const { simulator, inbox } = await delivering();
    const nativeId = idOf(simulator, 'detector');
    const tell = (event: string, minute: number) =>
      control(simulator, 'events', { nativeId, event, at: `2026-07-01T10:${String(minute).padStart(2, '0')}:00Z` });
    const events = ['DeviceConnected', 'BatteryLow', 'PersonDetected', 'RoutineCheck', 'Tamper', 'RoutineCheck'];
    for (const [minute, event] of events.entries()) await tell(event, minute);
    const old = (received: Received) => decoded(received).occurredAt < new Date('2026-07-02T00:00:00Z');
    const drafts = (await inbox.until(events.length, old)).map((received) => decoded(received));
    const states = drafts.map((_, index) => {
      const { state, reason } = statusAfter(drafts.slice(0, index + 1));
      return `${state} ${reason}`;
    });
    expect(states).toEqual([
      'ONLINE REPORTED',
      'DEGRADED POWER',
      'DEGRADED POWER',
      'DEGRADED POWER',
      'DEGRADED TAMPER',
      'ONLINE REPORTED',
    ]);
    await control(simulator, 'scenarios', { name: 'battery-death', nativeId });
    const last = (await inbox.until(2, (received) => about(nativeId)(received) && !old(received))).map((each) =>
      decoded(each),
    );
    expect(statusAfter(last)).toMatchObject({
      state: 'OFFLINE',
      reason: 'POWER',
      vendorState: 'CriticalBatteryShutdown',
    });
    expect(last.map(({ telemetry }) => telemetry?.batteryPercent)).toEqual([8, 0]);
  });

  it('is not undone by a loss that arrives after a newer routine check', () => {
    const at = (event: string, timestamp: string) =>
      decodeOne({ event_name: event, timestamp, device_info: { guid: '01' } });
    const check = at('RoutineCheck', '2026-07-01T10:05:00Z');
    const loss = at('ConnectionLost', '2026-07-01T10:01:00Z');
    expect(statusAfter([check, loss]).state).toBe('ONLINE');
    expect(statusAfter([loss, check]).state).toBe('ONLINE');
  });

  it('takes a bridge with its detectors, and brings all of them back', async () => {
    const { simulator, inbox } = await delivering();
    const nativeId = idOf(simulator, 'bridge');
    const area = simulator.devices().find((each) => each.nativeId === nativeId)?.siteId;
    await control(simulator, 'scenarios', { name: 'bridge-outage', nativeId });
    const gone = simulator.devices().filter(({ state }) => state === 'offline');
    expect(gone.length).toBeGreaterThan(20);
    expect(gone.every(({ siteId }) => siteId === area)).toBe(true);
    await inbox.until(gone.length, (received) => decoded(received).type === 'health.offline');
    await control(simulator, 'scenarios', { name: 'bridge-back', nativeId });
    expect(simulator.devices().filter(({ state }) => state === 'offline')).toEqual([]);
    await inbox.until(gone.length, (received) => decoded(received).type === 'health.online');
  });

  it('is a quiet day with a little of everything, most devices there', async () => {
    const { simulator, inbox } = await delivering();
    simulator.startTraffic({ everyMs: 1 });
    const received = await inbox.until(80);
    simulator.startTraffic({ everyMs: 0 });
    const types = new Set(received.map((each) => decoded(each).type));
    expect(types).toContain('health.offline');
    expect(types).toContain('alarm.intrusion');
    expect(simulator.devices().filter(({ state }) => state === 'offline').length).toBeLessThanOrEqual(3);
  });
});

describe('the subgraph', () => {
  it('composes with another vendor’s', () => {
    const services = subgraphSdls(vendors).map(({ name, sdl }) => ({ name, typeDefs: parse(sdl) }));
    const { supergraphSdl, errors } = composeServices(services);
    expect(errors?.map(({ message }) => message)).toBeUndefined();
    for (const field of ['sirens: [NamedRef!]!', 'areas: [String!]!', 'accounts: [ReconeyezAccount!]!'])
      expect(supergraphSdl).toContain(field);
  });
});
