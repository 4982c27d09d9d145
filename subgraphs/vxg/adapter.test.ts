import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Adapter, ProbeReport } from '../../adapter-kit/adapter.ts';
import { subgraphSdls, vendors } from '../index.ts';
import { connect, control, listAll, never, refsOf, simulate } from './fixtures/rig.ts';
import { vxg } from './index.ts';
import type { VxgSimulator } from './simulator.ts';

const SECRETS = /secret-word|eyJ|share\.|v3\.[0-9a-f]{15}/;

let simulator: VxgSimulator;
let adapter: Adapter;
beforeAll(async () => {
  simulator = await simulate({ devices: 240 });
});
afterAll(() => simulator.close());
beforeEach(() => {
  adapter = connect(simulator, { settings: { pageSize: 100 } });
});
afterEach(async () => {
  await control(simulator, 'faults', {});
  await adapter.close();
});

const statesOf = ({ checks }: ProbeReport) => Object.fromEntries(checks.map(({ id, state }) => [id, state]));
const cameras = () => simulator.devices().filter(({ type }) => type === 'camera');

function firstCamera() {
  const [camera] = cameras();
  if (camera === undefined) throw new Error('the simulator has cameras');
  return camera;
}

describe('listDevices', () => {
  it('lists cameras page by page, then servers with the total of both', async () => {
    const { pages, devices } = await listAll(adapter);
    expect(pages.map((page) => page.devices.length)).toEqual([100, 100, 39, 1]);
    expect(pages.map(({ totalCount }) => totalCount ?? null)).toEqual([null, null, null, 240]);
    expect(new Set(devices.map(({ type }) => type))).toEqual(new Set(['CAMERA', 'BRIDGE', 'RECORDER']));
    expect(devices.some(({ name }) => name === 'storage')).toBe(false);
  });

  it('costs one call per page, and one each for gateways, groups and servers', async () => {
    const before = simulator.calls();
    await listAll(adapter);
    expect(simulator.calls() - before).toBe(6);
  });

  it('tells whatever the service knows of a camera and of its gateway', async () => {
    const { devices } = await listAll(adapter);
    const gateway = devices.find(({ type }) => type === 'BRIDGE');
    const child = devices.find(({ parentNativeId }) => parentNativeId === gateway?.nativeId);
    expect(gateway).toMatchObject({
      macAddresses: [expect.stringMatching(/^02:/)],
      ip: expect.stringMatching(/^10\./),
    });
    expect(child).toMatchObject({
      zone: { name: expect.stringMatching(/^North \/ /), kind: 'AREA' },
      telemetry: { recording: expect.any(Boolean) },
      externalIds: [{ namespace: 'vxg:camera-manager-id', value: '50731' }],
      capabilities: expect.arrayContaining(['CUSTOM_EVENT', 'EMITS_VIDEO']),
      tags: ['Night watch'],
    });
  });

  it('keeps a state that nobody knows, in the listing and live', async () => {
    const { nativeId } = firstCamera();
    simulator.setWords(nativeId, { state: 'zz-unheard-of' });
    const { devices } = await listAll(adapter);
    const draft = devices.find((device) => device.nativeId === nativeId);
    const live = await adapter.readDevices(refsOf(draft === undefined ? [] : [draft]), never());
    simulator.setWords(nativeId, {});
    expect(draft?.status).toEqual({ state: 'UNKNOWN', reason: null, vendorState: 'zz-unheard-of', observedAt: null });
    expect(live.get(nativeId)).toMatchObject({ state: 'UNKNOWN', vendorState: 'zz-unheard-of' });
  });

  it('calls a camera degraded that does not record at two readings in a row', async () => {
    const { devices } = await listAll(adapter);
    const recording = devices.find(({ telemetry }) => telemetry?.recording === true);
    const stateOf = async () =>
      (await listAll(adapter)).devices.find(({ nativeId }) => nativeId === recording?.nativeId)?.status?.state;
    await control(simulator, `devices/${recording?.nativeId}/recording`, { recording: false });
    expect([await stateOf(), await stateOf()]).toEqual(['ONLINE', 'DEGRADED']);
    await control(simulator, `devices/${recording?.nativeId}/recording`, { recording: true });
    expect(await stateOf()).toBe('ONLINE');
  });

  it.each(['foreign', 'circle'])('ends at a next page that is %s, after what could be read', async (next) => {
    await control(simulator, 'faults', { next });
    const { devices, failure } = await listAll(adapter);
    expect(failure).toMatchObject({ code: 'BAD_PAYLOAD', retryable: false });
    expect(devices.length).toBe(next === 'foreign' ? 0 : 100);
  });

  it('rejects a record without an id and lists the others', async () => {
    await control(simulator, 'faults', { broken: 1, path: null });
    const { pages, devices } = await listAll(adapter);
    const rejected = pages.flatMap((page) => page.rejected ?? []);
    expect(rejected).toHaveLength(3);
    expect(rejected[0]?.reason).toContain('id');
    // A server without an id is no server; cameras are what the sync counts.
    expect(devices).toHaveLength(236);
  });

  it('hands on a total that is wrong, for the sync to judge', async () => {
    await control(simulator, 'faults', { totalOff: 3 });
    expect((await listAll(adapter)).pages.at(-1)?.totalCount).toBe(243);
  });

  it('goes on without servers where the installation has none for this key', async () => {
    await control(simulator, 'faults', { status: 403, path: 'v6/servers' });
    const { devices, failure } = await listAll(adapter);
    expect([devices.length, failure]).toEqual([239, null]);
  });

  it.each([
    [401, 'UNAUTHENTICATED', false],
    [403, 'FORBIDDEN', false],
    [429, 'RATE_LIMITED', true],
    [500, 'UNREACHABLE', true],
  ])('throws at %i', async (status, code, retryable) => {
    await control(simulator, 'faults', { status, path: 'v2/cameras', retryAfterSeconds: 7 });
    const { failure } = await listAll(adapter);
    expect(failure).toMatchObject({ code, retryable, retryAfterMs: 7_000 });
  });

  it('gets over a call that fails once', async () => {
    await control(simulator, 'faults', { status: 502, path: 'v2/cameras', times: 1 });
    expect((await listAll(adapter)).devices).toHaveLength(240);
  });

  it('gives up a service that is slower than its deadline', async () => {
    await control(simulator, 'faults', { delayMs: 5_000, path: 'v2/cameras', times: 1 });
    const impatient = connect(simulator, { settings: { timeoutMs: 200 } });
    expect((await listAll(impatient)).failure).toMatchObject({ code: 'TIMEOUT' });
    await impatient.close();
  });
});

describe('readDevices', () => {
  const callsOf = async (read: () => Promise<unknown>): Promise<number> => {
    const before = simulator.calls();
    await read();
    return simulator.calls() - before;
  };

  it('asks for one camera by its id', async () => {
    const refs = refsOf((await listAll(adapter)).devices.slice(0, 1));
    expect(await callsOf(() => adapter.readDevices(refs, never()))).toBe(1);
  });

  it('reads those that stand together in one call, and others in one per page', async () => {
    const { devices } = await listAll(adapter);
    const near = refsOf(devices.slice(80, 160));
    const far = refsOf([...devices.slice(0, 20), ...devices.slice(210, 220)]);
    expect(await callsOf(() => adapter.readDevices(near, never()))).toBe(1);
    expect(await callsOf(() => adapter.readDevices(far, never()))).toBe(2);
  });

  it('asks for groups beside, when nobody did within the last minute', async () => {
    const refs = refsOf((await listAll(adapter)).devices.slice(0, 1));
    const fresh = connect(simulator);
    expect(await callsOf(() => fresh.readDevices(refs, never()))).toBe(2);
    expect(await callsOf(() => fresh.readDevices(refs, never()))).toBe(1);
    await fresh.close();
  });

  it('finds a camera that is not where it was', async () => {
    const { devices } = await listAll(adapter);
    const shifted = connect(simulator, { settings: { pageSize: 3 } });
    await listAll(shifted);
    await control(simulator, 'faults', { shift: 50 });
    const found = await shifted.readDevices(refsOf(devices.slice(100, 103)), never());
    expect([...found.keys()].toSorted()).toEqual(
      devices
        .slice(100, 103)
        .map(({ nativeId }) => nativeId)
        .toSorted(),
    );
    await shifted.close();
  });

  it('finds cameras of which it does not know where they are', async () => {
    const { devices } = await listAll(adapter);
    const fresh = connect(simulator, { settings: { pageSize: 100 } });
    const found = await fresh.readDevices(refsOf(devices.slice(150, 239)), never());
    expect(found.size).toBe(89);
    await fresh.close();
  });

  it('reads servers beside cameras', async () => {
    const { devices } = await listAll(adapter);
    const found = await adapter.readDevices(refsOf(devices.slice(-2)), never());
    expect([...found.values()].map(({ type }) => type).toSorted()).toEqual(['CAMERA', 'RECORDER']);
  });

  it('carries channel, group and recording mode', async () => {
    const [draft] = (await listAll(adapter)).devices;
    const live = draft && (await adapter.readDevices(refsOf([draft]), never())).get(draft.nativeId);
    expect(live?.extras).toEqual({
      channelId: draft?.nativeId,
      group: { id: '900', name: 'Night watch' },
      recordingMode: 'on',
    });
  });
});

describe('keys', () => {
  it('of a group open its cameras only', async () => {
    const [site] = simulator.installation.world.sites;
    const ofGroup = connect(simulator, { apiKey: simulator.tokens.group(site?.groupId ?? 0) });
    const { devices } = await listAll(ofGroup);
    expect(new Set(devices.map(({ nativeSiteId }) => nativeSiteId))).toEqual(new Set([site?.id]));
    expect(devices).toHaveLength(120);
    expect(statesOf(await ofGroup.probe(never()))).toMatchObject({ credentials: 'PASS', permission: 'WARN' });
    await ofGroup.close();
  });

  it('of a camera open that camera', async () => {
    const { nativeId } = firstCamera();
    const ofCamera = connect(simulator, { apiKey: simulator.tokens.camera(Number(nativeId), 'watch') });
    expect((await listAll(ofCamera)).devices.map((device) => device.nativeId)).toEqual([nativeId]);
    await ofCamera.close();
  });

  it('for another installation are refused before anything is sent', async () => {
    const body = { camid: 1, token: 'share.x.y.z', api: 'elsewhere.invalid' };
    const foreign = connect(simulator, { apiKey: Buffer.from(JSON.stringify(body)).toString('base64') });
    const before = simulator.calls();
    await expect(foreign.listSites(never())).rejects.toMatchObject({ code: 'MISCONFIGURED' });
    expect(simulator.calls()).toBe(before);
    expect(statesOf(await foreign.probe(never()))).toMatchObject({ tls: 'WARN', credentials: 'FAIL' });
    await foreign.close();
  });
});

describe('probe', () => {
  it('names every step', async () => {
    expect(statesOf(await adapter.probe(never()))).toEqual({
      dns: 'PASS',
      tcp: 'PASS',
      tls: 'WARN',
      credentials: 'PASS',
      permission: 'PASS',
      inventory: 'PASS',
      'event-channel': 'PASS',
    });
  });

  it.each([
    ['v2/cameras', 403, 'permission'],
    ['v3/channel_groups', 403, 'permission'],
    ['v2/cameras', 401, 'credentials'],
    ['storage/events', 500, 'event-channel'],
  ])('fails where %s answers %i at %s', async (path, status, id) => {
    await control(simulator, 'faults', { path, status });
    expect(statesOf(await adapter.probe(never()))[id]).toBe('FAIL');
  });
});

describe('secrets', () => {
  it('of the service reach no device, site, platform, probe or log line', async () => {
    const lines: string[] = [];
    const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
    simulator.setWords(firstCamera().nativeId, { state: 'zz-unheard-of' });
    const logged = connect(simulator, { logger });
    const { pages, devices } = await listAll(logged);
    simulator.setWords(firstCamera().nativeId, {});
    const said = [
      pages,
      await logged.listSites(never()),
      await logged.readPlatform(never()),
      [...(await logged.readDevices(refsOf(devices), never())).values()],
      await logged.probe(never()),
      lines,
    ];
    await logged.close();
    expect(lines.join('')).toContain('zz-unheard-of');
    expect(JSON.stringify(said)).not.toMatch(SECRETS);
  });
});

describe('schema', () => {
  it('composes beside the other vendors', () => {
    const others = vendors.filter(({ slug }) => slug !== vxg.slug);
    const result = composeServices(
      subgraphSdls([...others, vxg]).map(({ name, sdl }) => ({ name, typeDefs: parse(sdl) })),
    );
    expect(result.errors ?? []).toEqual([]);
    expect(result.supergraphSdl).toContain('type VxgDevice');
  });
});
