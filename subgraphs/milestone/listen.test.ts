import { afterEach, describe, expect, it } from 'vitest';
import type { Adapter } from '../../adapter-kit/adapter.ts';
import type { EventDraft } from '../../adapter-kit/model.ts';
import { connect, control, type Listening, settled, simulate, startListening } from './fixtures/rig.ts';
import type { MilestoneSimulator } from './simulator.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function world(over: Parameters<typeof simulate>[0] = {}): Promise<MilestoneSimulator> {
  const simulator = await simulate(over);
  closers.push(() => simulator.close());
  return simulator;
}

function adapterOf(simulator: MilestoneSimulator, settings = {}): Adapter {
  const adapter = connect(simulator, settings);
  closers.push(() => adapter.close());
  return adapter;
}

function hear(adapter: Adapter, token: string | null = null): Listening {
  const listening = startListening(adapter, token);
  closers.push(() => listening.stop());
  return listening;
}

const tokenOf = (listening: Listening): string | null => listening.items.at(-1)?.resumeToken ?? null;
const about = (id: string, state?: string) => (draft: EventDraft) =>
  draft.nativeDeviceId === id && (state === undefined || draft.claim?.state === state);
const cameras = (simulator: MilestoneSimulator): string[] =>
  simulator.devices().flatMap(({ type, nativeId }) => (type === 'cameras' ? [nativeId] : []));
const distinct = (drafts: readonly EventDraft[]) => new Set(drafts.map(({ vendorEventId }) => vendorEventId)).size;

describe('listen', () => {
  it('tells every event by itself, as the platform sent it', async () => {
    const simulator = await world();
    const listening = hear(adapterOf(simulator));
    await settled(simulator, listening);
    await control(simulator, 'faults', { batchMs: 50 });
    const [, second = '', third = ''] = cameras(simulator);
    simulator.setState(second, 'offline');
    simulator.setState(third, 'offline');
    await listening.until(about(third, 'OFFLINE'));
    const bodies = listening.items.map(({ message }) => JSON.parse(Buffer.from(message.body).toString('utf8')));
    expect(bodies.every(({ events }) => events.length === 1)).toBe(true);
    expect(listening.drafts().find(about(second, 'OFFLINE'))?.claim).toMatchObject({
      vendorState: 'Error',
      reason: 'NETWORK',
    });
  });

  it('loses and doubles nothing over a cut of the connection that is shorter than the window', async () => {
    const simulator = await world();
    const adapter = adapterOf(simulator);
    const first = hear(adapter);
    await settled(simulator, first);
    await control(simulator, 'faults', { replayTwice: true });
    await control(simulator, 'drop');
    expect(await first.ended).toMatchObject({ code: 'UNREACHABLE', retryable: true });
    const [, second = '', third = ''] = cameras(simulator);
    simulator.setState(second, 'offline');
    simulator.setState(second, 'online');
    simulator.setState(third, 'offline');
    const again = hear(adapter, tokenOf(first));
    await again.until(about(third, 'OFFLINE'));
    const told = again.drafts().filter(about(second));
    expect(distinct(told)).toBe(2);
    expect(told.at(-1)?.claim?.state).toBe('ONLINE');
  });

  it('finds exactly one transition per changed device when the session is gone', async () => {
    const simulator = await world();
    const adapter = adapterOf(simulator);
    const first = hear(adapter);
    await settled(simulator, first);
    await control(simulator, 'faults', { resumeSeconds: 0 });
    await control(simulator, 'recycle', { seconds: 0 });
    await first.ended;
    const changed = cameras(simulator).slice(1, 6);
    for (const id of changed) {
      simulator.setState(id, 'offline');
      simulator.setState(id, 'online');
      simulator.setState(id, 'offline');
    }
    const again = hear(adapter, tokenOf(first));
    await again.until(about(changed.at(-1) ?? '', 'OFFLINE'));
    const told = again.drafts().map(({ nativeDeviceId, claim }) => `${nativeDeviceId} ${claim?.state}`);
    expect(told.toSorted()).toEqual(changed.map((id) => `${id} OFFLINE`).toSorted());
  });

  it('finds in a new process what happened while nobody listened, by the time in its token', async () => {
    const simulator = await world();
    const first = hear(adapterOf(simulator));
    const camera = await settled(simulator, first);
    await first.stop();
    const token = tokenOf(first);
    await control(simulator, 'recycle', { seconds: 0 });
    const [, , other = ''] = cameras(simulator);
    simulator.setState(other, 'offline');
    const again = hear(adapterOf(simulator), token);
    const draft = await again.until(about(other, 'OFFLINE'));
    // Devices that changed long before are not told again.
    const devices = new Set(again.drafts().map(({ nativeDeviceId }) => nativeDeviceId));
    expect(devices).toEqual(new Set([camera, other]));
    // What was told before has the identity it had.
    const known = new Set(first.drafts().map(({ vendorEventId }) => vendorEventId));
    const repeated = again.drafts().filter(about(camera));
    expect(repeated.every(({ vendorEventId }) => known.has(vendorEventId))).toBe(true);
    expect(draft.vendorEventId).toContain(other);
  });

  it('tells again what was told to somebody who did not keep it', async () => {
    const simulator = await world();
    const adapter = adapterOf(simulator);
    const first = hear(adapter);
    await settled(simulator, first);
    const token = tokenOf(first);
    const [, , lost = ''] = cameras(simulator);
    simulator.setState(lost, 'offline');
    await first.until(about(lost, 'OFFLINE'));
    await control(simulator, 'recycle', { seconds: 0 });
    await first.ended;
    const again = await hear(adapter, token).until(about(lost, 'OFFLINE'));
    expect(again.vendorEventId).toBe(first.drafts().findLast(about(lost, 'OFFLINE'))?.vendorEventId);
  });

  it('takes the devices behind a recording server out of sight with it, and back', async () => {
    const simulator = await world({ sites: 3, devices: 90 });
    const listening = hear(adapterOf(simulator));
    await settled(simulator, listening);
    const server = simulator.devices().find(({ type }) => type === 'recordingServers');
    const behind = simulator.devices().filter(({ siteId, type }) => siteId === server?.siteId && type === 'cameras');
    const [broken, fine] = behind.slice(3).map(({ nativeId }) => nativeId);
    simulator.setState(broken ?? '', 'offline');
    simulator.setState(server?.nativeId ?? '', 'offline');
    const lost = await listening.until((draft) => about(fine ?? '', 'UNKNOWN')(draft));
    expect(lost.claim).toMatchObject({ reason: 'PARENT_DOWN', vendorState: 'Started' });
    const out = listening.drafts().filter(({ claim }) => claim?.reason === 'PARENT_DOWN');
    const channels = simulator
      .devices()
      .filter(({ siteId, nativeId }) => siteId === server?.siteId && nativeId !== siteId);
    expect(new Set(out.map(({ nativeDeviceId }) => nativeDeviceId))).toEqual(
      new Set(channels.map(({ nativeId }) => nativeId)),
    );
    simulator.setState(server?.nativeId ?? '', 'online');
    const back = await listening.until(
      (draft) => about(fine ?? '', 'ONLINE')(draft) && draft.occurredAt >= lost.occurredAt,
    );
    expect(back.claim?.vendorState).toBe('Started');
    const last = listening
      .drafts()
      .filter(about(broken ?? ''))
      .at(-1);
    expect(last?.claim).toMatchObject({ state: 'OFFLINE', vendorState: 'Error' });
  });

  it('asks for motion and recording only when told to', async () => {
    const simulator = await world();
    const quiet = hear(adapterOf(simulator));
    const chatty = hear(adapterOf(simulator, { activities: ['recording', 'motion'] }));
    await settled(simulator, quiet);
    const camera = await settled(simulator, chatty);
    const source = `cameras/${camera}`;
    await control(simulator, 'events', { type: '79a94f89-92de-4fca-8a43-5561d407423d', source });
    const draft = await chatty.until(({ type }) => type === 'video.recording_stopped');
    expect(draft).toMatchObject({ severity: 'INFO', claim: null });
    simulator.setState(camera, 'offline');
    await quiet.until(about(camera, 'OFFLINE'));
    expect(quiet.drafts().filter(({ family }) => family === 'VIDEO')).toEqual([]);
  });

  it('keeps events of sources that are no devices, of unknown types and of devices that nobody has listed', async () => {
    const simulator = await world();
    const listening = hear(adapterOf(simulator));
    await settled(simulator, listening);
    await control(simulator, 'faults', { chatter: true });
    const own = '0d0d0d0d-1111-4222-8333-000000000001';
    await control(simulator, 'events', { type: own, source: `userDefinedEvents/${own}` });
    const draft = await listening.until(({ vendorCode }) => vendorCode === own);
    expect(draft).toMatchObject({ family: 'SYSTEM', nativeDeviceId: null, claim: null });
    const stranger = 'c0ffee00-9999-4000-8000-000000000001';
    await control(simulator, 'events', { type: 'a334af1c-4b4b-4957-9e5f-ab8ca07feab6', source: `cameras/${stranger}` });
    await listening.until(about(stranger, 'OFFLINE'));
  });

  it('waits for a slow snapshot and tells what happens meanwhile', async () => {
    const simulator = await world();
    await control(simulator, 'faults', { snapshotDelayMs: 300, chatter: true });
    const listening = hear(adapterOf(simulator));
    const camera = await settled(simulator, listening);
    expect(listening.drafts().some(about(camera, 'OFFLINE'))).toBe(true);
  });

  it.each([
    ['startSession', 'NOT_SUPPORTED'],
    ['addSubscription', 'NOT_SUPPORTED'],
    ['getState', 'NOT_SUPPORTED'],
  ])('ends with an AdapterError when %s is refused', async (refuse, code) => {
    const simulator = await world();
    await control(simulator, 'faults', { refuse });
    expect(await hear(adapterOf(simulator)).ended).toMatchObject({ name: 'AdapterError', code });
  });

  it('says that a release before 2023 R3 has no events', async () => {
    const simulator = await world();
    await control(simulator, 'faults', { upgradeStatus: 404 });
    expect(await hear(adapterOf(simulator)).ended).toMatchObject({ code: 'NOT_FOUND' });
  });
});
