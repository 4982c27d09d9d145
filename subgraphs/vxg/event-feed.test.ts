import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Adapter, ListenItem } from '../../adapter-kit/adapter.ts';
import { connect, control, draftsOf, type Ear, listen, simulate } from './fixtures/rig.ts';
import type { VxgSimulator } from './simulator.ts';

const SETTINGS = { eventIntervalMs: 50, pageSize: 5 };
const MINUTE_MS = 60_000;

let simulator: VxgSimulator;
let adapter: Adapter;
let ears: Ear[];
beforeEach(async () => {
  simulator = await simulate({ devices: 20 });
  adapter = connect(simulator, { settings: SETTINGS });
  ears = [];
});
afterEach(async () => {
  for (const ear of ears) await ear.stop();
  await adapter.close();
  await simulator.close();
});

function hear(token: string | null = null, over: Adapter = adapter): Ear {
  const ear = listen(over, token);
  ears.push(ear);
  return ear;
}

const cameraIds = (): number[] => simulator.installation.world.devices.map(({ id }) => id);

/** An event of the n-th camera, so long ago; told at once. @returns its id */
function happen(name: string, agoMs = 0, camera = 0, meta: Record<string, string> = {}): string {
  const camid = cameraIds()[camera] ?? 0;
  return String(simulator.installation.emit({ camid, name, meta, at: new Date(Date.now() - agoMs) }).id);
}

const idsOf = (items: readonly ListenItem[]) => draftsOf(items).map(({ vendorEventId }) => vendorEventId);

/** Waits until a round that began after now has come through: its last event is this one. */
async function round(ear: Ear): Promise<void> {
  const count = ear.items.length;
  happen('motion', 0, 5);
  await ear.until(count + 1);
}

describe('listen', () => {
  it('tells of events in their order, over several pages, each once', async () => {
    const ids = Array.from({ length: 12 }, (_, index) => happen('motion', (20 - index) * 1_000, index));
    const ear = hear();
    await ear.until(12);
    await round(ear);
    await round(ear);
    expect(idsOf(ear.items).slice(0, 12)).toEqual(ids);
    expect(new Set(idsOf(ear.items)).size).toBe(14);
  });

  it('finds an event that is created late, behind those that were told', async () => {
    const ear = hear();
    happen('motion');
    await ear.until(1);
    const late = happen('line_crossing', 40_000);
    await ear.until(2);
    expect(idsOf(ear.items)[1]).toBe(late);
  });

  it('goes back for what was created later than the overlap, when it begins anew', async () => {
    const first = hear();
    happen('motion');
    const token = (await first.until(1))[0]?.resumeToken ?? null;
    await first.stop();
    const late = happen('line_crossing', 30 * MINUTE_MS);
    const tooLate = happen('motion', 120 * MINUTE_MS);
    const later = happen('motion');
    const again = hear(token);
    await again.until(2);
    await round(again);
    expect(idsOf(again.items).slice(0, 2)).toEqual([late, later]);
    expect(idsOf(again.items)).not.toContain(tooLate);
  });

  it('resumes in another process without a gap, from the newest that was told', async () => {
    const first = hear();
    happen('motion', 2_000);
    const token = (await first.until(1))[0]?.resumeToken ?? null;
    await first.stop();
    const missed = happen('motion', 1_000);
    const other = connect(simulator, { settings: SETTINGS });
    const ear = hear(token, other);
    // What is told again is told in the same bytes, by which the inbox knows it.
    const items = await ear.until(2);
    await other.close();
    expect(idsOf(items)).toContain(missed);
    expect(items.map(({ message }) => Buffer.from(message.body).toString())).toContain(
      Buffer.from(first.items[0]?.message.body ?? []).toString(),
    );
  });

  it('is not led into the future by a camera whose clock is ahead', async () => {
    const ear = hear();
    happen('motion', -60 * MINUTE_MS);
    const [item] = await ear.until(1);
    expect(Date.parse(item?.resumeToken ?? '')).toBeLessThanOrEqual(Date.now());
    const next = happen('motion');
    await ear.until(2);
    expect(idsOf(ear.items)[1]).toBe(next);
  });

  it('tells an event again that nobody took', async () => {
    const id = happen('motion');
    const controller = new AbortController();
    for await (const item of adapter.listen?.(null, controller.signal) ?? []) {
      expect(idsOf([item])).toEqual([id]);
      // Whoever takes it fails before it is durable.
      break;
    }
    expect(idsOf(await hear().until(1))).toEqual([id]);
  });

  it('asks the camera of a connection event how it is, and claims that of the newest only', async () => {
    const [camera] = simulator.devices();
    if (camera === undefined) throw new Error('no camera');
    happen('motion', 500, 3);
    for (const state of ['offline', 'online', 'offline'] as const) simulator.setState(camera.nativeId, state);
    const ear = hear(null, connect(simulator, { settings: { ...SETTINGS, pageSize: 100 } }));
    const drafts = draftsOf(await ear.until(4)).filter(({ family }) => family === 'HEALTH');
    expect(drafts.map(({ type }) => type)).toEqual([
      'health.connection_changed',
      'health.connection_changed',
      'health.offline',
    ]);
    expect(drafts.map(({ claim }) => claim?.state)).toEqual([undefined, undefined, 'OFFLINE']);
    expect(drafts.at(-1)?.summary).toBe(`${camera.name} is offline`);
  });

  it('keeps a state that nobody knows', async () => {
    const ear = hear();
    simulator.setWords(simulator.devices()[0]?.nativeId ?? '', { state: 'zz-unheard-of' });
    const [draft] = draftsOf(await ear.until(1));
    expect(draft?.claim).toMatchObject({ state: 'UNKNOWN', vendorState: 'zz-unheard-of' });
  });

  it('hands on no signed link', async () => {
    happen('motion');
    const [item] = await hear().until(1);
    expect(Buffer.from(item?.message.body ?? []).toString()).not.toContain('secret-word');
    expect(item?.message.source).toBe('POLL');
  });

  it('hands on what it cannot read, once', async () => {
    await control(simulator, 'faults', { broken: 1 });
    happen('motion');
    const ear = hear();
    await ear.until(1);
    await control(simulator, 'faults', {});
    await round(ear);
    // The same event with its id, then the one of the round.
    expect(ear.items.length).toBeLessThanOrEqual(3);
    expect(() => idsOf(ear.items.slice(0, 1))).toThrow(expect.objectContaining({ stage: 'SCHEMA' }));
  });

  it.each([
    [401, 'UNAUTHENTICATED'],
    [503, 'UNREACHABLE'],
  ])('ends at %i with %s, and has lost nothing when it begins anew', async (status, code) => {
    await control(simulator, 'faults', { status, path: 'storage/events' });
    const id = happen('motion');
    expect(await hear().failure).toMatchObject({ code });
    await control(simulator, 'faults', {});
    expect(idsOf(await hear().until(1))).toEqual([id]);
  });

  it('costs one call per round, and ends at once when told to', async () => {
    const ear = hear();
    await round(ear);
    const before = simulator.calls();
    await round(ear);
    expect(simulator.calls() - before).toBeLessThanOrEqual(3);
    await ear.stop();
    expect(await ear.failure).toBeNull();
    const after = simulator.calls();
    await adapter.readPlatform(new AbortController().signal);
    expect(simulator.calls() - after).toBe(1);
  });
});
