import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Adapter } from '../../adapter-kit/adapter.ts';
import { subgraphSdls, vendors } from '../index.ts';
import { connect, control, listAll, never, simulate } from './fixtures/rig.ts';
import type { MilestoneSimulator } from './simulator.ts';

let simulator: MilestoneSimulator;
let adapter: Adapter;
beforeAll(async () => {
  simulator = await simulate({ devices: 120 });
});
afterAll(() => simulator.close());
beforeEach(() => {
  adapter = connect(simulator);
});
afterEach(async () => {
  await control(simulator, 'faults');
  await adapter.close();
});

const ofType = (type: string) => simulator.devices().filter((device) => device.type === type);
const refOf = ({ nativeId, siteId }: { nativeId: string; siteId: string }) => ({
  nativeId,
  nativeOrgId: '',
  nativeSiteId: siteId,
});

describe('inventory', () => {
  it('joins camera, hardware, recording server and site, with what the driver knows', async () => {
    const devices = await listAll(adapter);
    const camera = devices.find(({ type }) => type === 'CAMERA');
    const hardware = devices.find(({ nativeId }) => nativeId === camera?.parentNativeId);
    const server = devices.find(({ nativeId }) => nativeId === hardware?.parentNativeId);
    expect(hardware).toMatchObject({ type: 'BRIDGE', ip: '10.20.0.1', model: 'AXIS P3265-LVE Dome Camera' });
    expect(hardware?.macAddresses?.[0]).toMatch(/^02(:[0-9a-f]{2}){5}$/);
    expect(camera).toMatchObject({
      ip: hardware?.ip,
      macAddresses: hardware?.macAddresses,
      serialNumber: hardware?.serialNumber,
      firmware: hardware?.firmware,
      zone: { name: 'Lobby', kind: 'AREA' },
      system: server?.name,
      externalIds: [{ namespace: 'milestone:source', value: `cameras/${camera?.nativeId}` }],
    });
    expect(server).toMatchObject({ type: 'RECORDER', hostname: 'rec01' });
    const [site] = await adapter.listSites(never());
    expect(site).toMatchObject({ name: 'Site 1', timezone: 'Europe/Paris', address: '1 Main Street' });
    expect(camera?.nativeSiteId).toBe(site?.nativeId);
  });

  it('says that cameras tell of motion only where motion is subscribed to', async () => {
    const tells = async (from: Adapter) =>
      (await listAll(from)).filter(
        ({ type, capabilities }) => type === 'CAMERA' && capabilities?.includes('EMITS_SENSOR'),
      );
    const cameras = (await listAll(adapter)).filter(({ type }) => type === 'CAMERA');
    expect(cameras.length).toBeGreaterThan(0);
    expect(await tells(adapter)).toEqual([]);
    const watching = connect(simulator, { activities: ['motion'] });
    expect(await tells(watching)).toHaveLength(cameras.length);
    await watching.close();
  });

  it.each(['data', 'capital', 'array'])('reads driver settings as %s', async (driverShape) => {
    await control(simulator, 'faults', { driverShape });
    const devices = await listAll(adapter);
    expect(devices.some(({ serialNumber }) => typeof serialNumber === 'string')).toBe(true);
  });

  it('asks a driver once, not at every listing', async () => {
    await listAll(adapter);
    const before = simulator.calls();
    await listAll(adapter);
    // Nine lists, groups and their members; none per hardware.
    expect(simulator.calls() - before).toBeLessThan(20);
  });

  it('does not ask a release that ignores paging for ever', async () => {
    await control(simulator, 'faults', { ignorePaging: true });
    const small = connect(simulator, { pageSize: 7 });
    expect(await listAll(small)).toHaveLength(simulator.devices().length);
    await small.close();
  });

  it('is listed without states where there is no event socket', async () => {
    await control(simulator, 'faults', { upgradeStatus: 404 });
    const devices = await listAll(adapter);
    expect(devices).toHaveLength(simulator.devices().length);
    expect(devices.filter(({ type, status }) => type === 'CAMERA' && status !== null)).toEqual([]);
    const [camera] = ofType('cameras');
    if (camera === undefined) throw new Error('no camera');
    const live = await adapter.readDevices([refOf(camera)], never());
    expect(live.get(camera.nativeId)?.state).toBe('UNKNOWN');
  });

  it('throws for a list that fails, instead of a shorter inventory', async () => {
    await control(simulator, 'faults', { status: 500, path: '/rest/v1/microphones' });
    await expect(listAll(adapter)).rejects.toMatchObject({ code: 'UNREACHABLE', status: 500 });
  });

  it('gets over a list that fails once', async () => {
    await control(simulator, 'faults', { status: 503, path: '/rest/v1/cameras', times: 1 });
    expect(await listAll(adapter)).toHaveLength(simulator.devices().length);
  });
});

describe('status', () => {
  it('of what is disabled, of what has no state, and behind a dead recording server is UNKNOWN', async () => {
    const own = await simulate({ devices: 60, seed: 8 });
    const mine = connect(own);
    const [disabled, stateless, boxed] = own.devices().filter(({ type }) => type === 'cameras');
    if (disabled === undefined || stateless === undefined || boxed === undefined) throw new Error('no cameras');
    const parentOf = (await listAll(mine)).find(({ nativeId }) => nativeId === boxed.nativeId)?.parentNativeId ?? '';
    await control(own, `devices/${disabled.nativeId}/config`, { enabled: false });
    await control(own, `devices/${stateless.nativeId}/config`, { hasState: false });
    await control(own, `devices/${parentOf}/config`, { enabled: false });
    const refs = [disabled, stateless, boxed].map(refOf);
    const live = await mine.readDevices(refs, never());
    expect(live.get(disabled.nativeId)).toMatchObject({ state: 'UNKNOWN', vendorState: 'Disabled' });
    expect(live.get(disabled.nativeId)?.extras['enabled']).toBe(false);
    // A disabled hardware leaves the flags of its channels as they were.
    expect(live.get(boxed.nativeId)).toMatchObject({ state: 'UNKNOWN', vendorState: 'Disabled' });
    const listed = new Map((await listAll(mine)).map((device) => [device.nativeId, device]));
    // Its hardware is connected, and that is all there is to know.
    expect(listed.get(stateless.nativeId)?.status).toMatchObject({ state: 'ONLINE', vendorState: 'Started' });
    expect(listed.get(disabled.nativeId)?.status).toMatchObject({ state: 'UNKNOWN', reason: 'OTHER' });
    for (const server of own.devices().filter(({ type }) => type === 'recordingServers'))
      own.setState(server.nativeId, 'offline');
    const after = await listAll(mine);
    const claims = after.filter(
      ({ type, nativeId }) => type === 'CAMERA' && ![disabled, boxed].some((each) => each.nativeId === nativeId),
    );
    expect(claims.every(({ status }) => status?.state === 'UNKNOWN' && status.reason === 'PARENT_DOWN')).toBe(true);
    await mine.close();
    await own.close();
  });
});

describe('live reads', () => {
  it('cost nothing while nothing was configured, and then a call for each of a few', async () => {
    let at = Date.now();
    const clocked = connect(simulator, {}, { now: () => new Date(at) });
    await listAll(clocked);
    const cameras = ofType('cameras').slice(0, 3);
    const before = simulator.calls();
    const live = await clocked.readDevices(cameras.map(refOf), never());
    expect(live.size).toBe(3);
    expect(simulator.calls() - before).toBe(0);
    at += 61_000;
    await clocked.readDevices(cameras.map(refOf), never());
    // The cameras, their hardware, and their recording servers.
    expect(simulator.calls() - before).toBe(8);
    await clocked.close();
    const [first] = cameras;
    expect(live.get(first?.nativeId ?? '')?.extras).toMatchObject({
      recordingServer: { name: 'REC-01' },
      hardware: { name: expect.stringContaining('Dome 1') },
      driver: 'AXIS',
      channel: 0,
      enabled: true,
    });
  });

  it('leave out what was removed, and find what is new', async () => {
    const own = await simulate({ devices: 40, seed: 9 });
    const mine = connect(own);
    await listAll(mine);
    const [camera] = own.devices();
    if (camera === undefined) throw new Error('no camera');
    await control(own, `devices/${camera.nativeId}/config`, { name: 'Renamed' });
    const renamed = await mine.readDevices([refOf(camera)], never());
    expect(renamed.get(camera.nativeId)?.name).toBe('Renamed');
    await control(own, `devices/${camera.nativeId}/config`, { removed: true });
    expect((await mine.readDevices([refOf(camera)], never())).size).toBe(0);
    await mine.close();
    await own.close();
  });

  it('end within their deadline when the platform is slow', async () => {
    const impatient = connect(simulator, { timeoutMs: 200 });
    await impatient.readPlatform(never());
    await control(simulator, 'faults', { delayMs: 5_000 });
    await expect(impatient.readPlatform(never())).rejects.toMatchObject({ code: 'TIMEOUT' });
    await control(simulator, 'faults');
    await impatient.close();
  });
});

describe('tokens', () => {
  it('are asked for once for many calls, and replaced once when they are refused', async () => {
    const before = simulator.logins();
    await Promise.all([adapter.readPlatform(never()), adapter.listSites(never())]);
    expect(simulator.logins() - before).toBe(1);
    await control(simulator, 'revoke');
    await adapter.readPlatform(never());
    expect(simulator.logins() - before).toBeLessThanOrEqual(3);
  });

  it.each(['locked', 'must-change'])('are not asked for again while the account is %s', async (account) => {
    await control(simulator, 'faults', { account });
    const before = simulator.logins();
    for (let tries = 0; tries < 5; tries += 1)
      await expect(adapter.readPlatform(never())).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(simulator.logins() - before).toBe(1);
  });

  it('are asked for again after an identity provider that was broken', async () => {
    await control(simulator, 'faults', { account: 'broken' });
    await expect(adapter.readPlatform(never())).rejects.toMatchObject({ code: 'UNREACHABLE', retryable: true });
    await control(simulator, 'faults');
    await expect(adapter.readPlatform(never())).resolves.toMatchObject({ version: '25.2.8912.1' });
  });

  it('are renewed before they end', async () => {
    let at = Date.now();
    const clocked = connect(simulator, {}, { now: () => new Date(at) });
    await clocked.readPlatform(never());
    const before = simulator.logins();
    at += 3_541_000;
    await clocked.readPlatform(never());
    expect(simulator.logins() - before).toBe(1);
    await clocked.close();
  });

  it('are renewed as soon as the identity provider says, however short they live', async () => {
    let at = Date.now();
    const now = () => new Date(at);
    const short = await simulate({ devices: 4, now });
    await control(short, 'faults', { tokenSeconds: 20 });
    const clocked = connect(short, {}, { now });
    await clocked.readPlatform(never());
    const before = short.logins();
    at += 9_000;
    await clocked.readPlatform(never());
    expect(short.logins() - before).toBe(0);
    at += 2_000;
    await clocked.readPlatform(never());
    expect(short.logins() - before).toBe(1);
    await clocked.close();
    await short.close();
  });
});

describe('simulator', () => {
  it('goes on after a restart as it was, on the same port', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'milestone-'));
    const stateFile = join(folder, 'state.json');
    const first = await simulate({ stateFile });
    const [camera] = first.devices();
    first.setState(camera?.nativeId ?? '', 'offline');
    await first.close();
    const second = await simulate({ stateFile });
    expect(second.url).toBe(first.url);
    expect(second.devices()[0]).toMatchObject({ nativeId: camera?.nativeId, state: 'offline' });
    const mine = connect(second);
    expect((await listAll(mine)).find(({ nativeId }) => nativeId === camera?.nativeId)?.status?.state).toBe('OFFLINE');
    await mine.close();
    await second.close();
    rmSync(folder, { recursive: true });
  });
});

describe('composition', () => {
  it('fits the other subgraphs', () => {
    const services = subgraphSdls(vendors).map(({ name, sdl }) => ({ name, typeDefs: parse(sdl) }));
    const { supergraphSdl, errors } = composeServices(services);
    expect(errors ?? []).toEqual([]);
    expect(supergraphSdl).toContain('type MilestoneDevice');
  });
});
