import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { createOnGuardClient } from './client.ts';
import { listAll, never, refs, type Rig, startRig } from './testing.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(() => rig.stop());

const callsOf = async (): Promise<Readonly<Record<string, number>>> => Object((await rig.get('/_sim/calls'))['byCall']);
const loginsOf = async (): Promise<unknown> => (await rig.get('/_sim/calls'))['logins'];

describe('inventory', () => {
  it('has what the platform has: parents, addresses, servers, ids', async () => {
    const devices = await listAll(rig.open());
    expect(devices.get('1')).toMatchObject({
      type: 'CONTROLLER',
      ip: '10.1.1.200',
      manufacturer: 'LenelS2',
      system: 'OGCOMM02',
      nativeSiteId: '1',
      parentNativeId: null,
      status: { state: 'ONLINE', vendorState: '1 (online)' },
    });
    expect(devices.get('1')?.model).toMatch(/^LNL-/);
    expect(devices.get('1-3')).toMatchObject({
      type: 'DOOR',
      vendorType: 'Lnl_Reader',
      parentNativeId: '1',
      nativeSiteId: '1',
      externalIds: [{ namespace: 'onguard:panelid-deviceid', value: '1-3' }],
    });
    expect(devices.get('1-66-i2')).toMatchObject({ type: 'INPUT', parentNativeId: '1-66' });
    expect(devices.get('1-66-o2')).toMatchObject({ type: 'OUTPUT', parentNativeId: '1-66' });
    expect(devices.get('1-1-i2')).toMatchObject({ vendorType: 'Lnl_ReaderInput2', parentNativeId: '1-1' });
  });

  it('says nobody knows below a panel that is down, asks nothing there, and takes inputs with their board', async () => {
    rig.simulator.setState('1', 'offline');
    rig.simulator.setState('3-66', 'offline');
    const before = await callsOf();
    const devices = await listAll(rig.open());
    const after = await callsOf();
    expect(devices.get('1')?.status).toMatchObject({ state: 'OFFLINE', reason: 'NETWORK' });
    expect(devices.get('1-3')?.status).toMatchObject({ state: 'UNKNOWN', reason: 'PARENT_DOWN' });
    expect(devices.get('1-66-i1')?.status).toMatchObject({ state: 'UNKNOWN', reason: 'PARENT_DOWN' });
    expect(devices.get('3-66-i1')?.status).toMatchObject({ state: 'OFFLINE', reason: 'PARENT_DOWN' });
    const asked = (after['POST execute_method'] ?? 0) - (before['POST execute_method'] ?? 0);
    const panels = [...devices.values()].filter(({ type }) => type === 'CONTROLLER').length;
    const below = [...devices.values()].filter(
      ({ vendorType, nativeId }) =>
        ['Lnl_Reader', 'Lnl_AlarmPanel'].includes(vendorType ?? '') && !nativeId.startsWith('1-'),
    ).length;
    expect(asked).toBe(2 * panels + below);
  });

  it('never asks a panel that is switched off, and does not call it offline', async () => {
    await rig.post('/_sim/faults', { disabledPanels: [1] });
    rig.simulator.setState('1', 'offline');
    const devices = await listAll(rig.open());
    expect(devices.get('1')).toMatchObject({ tags: ['disabled'], status: { state: 'UNKNOWN', reason: null } });
    expect(devices.get('1-3')?.status).toMatchObject({ state: 'UNKNOWN' });
    const [live] = (await rig.open().readDevices(refs('1-3'), never())).values();
    expect(live).toMatchObject({ state: 'UNKNOWN', extras: { isDisabled: true } });
  });

  it('leaves states to events where the operator wants no status calls', async () => {
    const devices = await listAll(rig.open({ statusInListing: false }));
    expect(devices.get('1-3')?.status).toBeNull();
    expect((await callsOf())['POST execute_method']).toBeUndefined();
  });

  it('lists the system as one site where there are no segments', async () => {
    await rig.post('/_sim/faults', { segmented: false });
    const adapter = rig.open({ systemName: 'Springfield' });
    expect(await adapter.listSites(never())).toMatchObject([{ nativeId: '0', name: 'Springfield' }]);
    expect([...(await listAll(adapter)).values()].every(({ nativeSiteId }) => nativeSiteId === '0')).toBe(true);
  });

  it('leaves out a type that the release does not have, and says so once', async () => {
    await rig.post('/_sim/faults', { missingTypes: ['Lnl_ReaderInput1', 'Lnl_Camera'] });
    const adapter = rig.open();
    const devices = await listAll(adapter);
    await listAll(adapter);
    expect(devices.has('1-1-i1')).toBe(false);
    expect(devices.has('1-1-i2')).toBe(true);
    expect(rig.logged().filter(({ typeName }) => typeName === 'Lnl_Camera')).toHaveLength(1);
  });

  it('fails where the release does not have panels', async () => {
    await rig.post('/_sim/faults', { missingTypes: ['Lnl_Panel'] });
    await expect(listAll(rig.open())).rejects.toMatchObject({ code: 'BAD_PAYLOAD' });
  });

  it('sorts by one name where the release cannot sort by two', async () => {
    await rig.post('/_sim/faults', { singleSort: true });
    expect((await listAll(rig.open())).size).toBe(44);
  });

  it('lists cameras that have a name, and claims nothing of their state', async () => {
    await rig.post('/_sim/faults', { cameras: true });
    const adapter = rig.open();
    const devices = await listAll(adapter);
    expect(devices.get('camera-1-200')).toMatchObject({
      type: 'CAMERA',
      ip: '192.168.10.21',
      model: 'Generic ONVIF',
      parentNativeId: '1',
      status: null,
    });
    expect(devices.has('camera-1-202')).toBe(false);
    const found = await adapter.readDevices(refs('camera-1-200'), never());
    expect(found.get('camera-1-200')).toMatchObject({ state: 'UNKNOWN' });
  });

  it('tells a total that cannot prove completeness when the platform counts wrongly', async () => {
    await rig.post('/_sim/faults', { totalOff: 1 });
    const pages = await Array.fromAsync(rig.open().listDevices(never()));
    const listed = pages.flatMap(({ devices }) => devices).length;
    expect(pages.at(-1)?.totalCount).not.toBe(listed);
  });
});

describe('live read', () => {
  it('reads trouble bits, panel, segment and reader number', async () => {
    await rig.post('/_sim/devices/1-3/status', { status: 0x45 });
    const [door] = (await rig.open().readDevices(refs('1-3'), never())).values();
    expect(door).toMatchObject({
      state: 'DEGRADED',
      vendorState: '69 (online, cabinet tamper, door held open)',
      extras: {
        readerId: 3,
        panel: { id: '1' },
        segment: { id: '1', name: 'Site 1' },
        troubles: ['cabinet tamper', 'door held open'],
        isDisabled: false,
      },
    });
  });

  it('costs two calls for a panel and one for each of its readers, beside the lists', async () => {
    const adapter = rig.open();
    await adapter.readPlatform(never());
    const before = await callsOf();
    await adapter.readDevices(refs('1-1', '1-2', '1-66-i1', '1-66-i2', '1-1-i1'), never());
    const after = await callsOf();
    expect((after['POST execute_method'] ?? 0) - (before['POST execute_method'] ?? 0)).toBe(2 + 2 + 1);
    // Panel, readers, boards, inputs of boards and of readers (two types).
    expect((after['GET instances'] ?? 0) - (before['GET instances'] ?? 0)).toBe(6);
  });

  it('leaves out ids that are none of its own without asking', async () => {
    const before = rig.simulator.calls();
    const found = await rig.open().readDevices(refs('x', '1-2-3', '../1', '1 OR 1=1', ''), never());
    expect([found.size, rig.simulator.calls()]).toEqual([0, before]);
  });

  it('ends with its caller while it waits for a panel', async () => {
    const controller = new AbortController();
    const adapter = rig.open({ statusSettleMs: 10_000 });
    const reading = adapter.readDevices(refs('1-1'), controller.signal);
    await rig.open().readPlatform(never());
    controller.abort();
    await expect(reading).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  it('ends with the deadline of its caller when the platform is slow', async () => {
    const adapter = rig.open();
    // A login is shared by all who wait for it, and has a deadline of its own.
    await adapter.listSites(never());
    await rig.post('/_sim/faults', { delayMs: 60_000 });
    const reading = adapter.readDevices(refs('1-1'), AbortSignal.timeout(50));
    await expect(reading).rejects.toMatchObject({ code: 'TIMEOUT', retryable: true });
    await rig.post('/_sim/faults', {});
    expect((await adapter.readDevices(refs('1-1'), never())).size).toBe(1);
  });

  it('takes a refusal for one device as its state, and an outage as the platform’s', async () => {
    const adapter = rig.open();
    await rig.post('/_sim/faults', { call: 'execute_method', status: 403, code: 'openaccess.general.forbidden' });
    const [door] = (await adapter.readDevices(refs('1-1'), never())).values();
    expect(door).toMatchObject({ state: 'UNKNOWN', vendorState: null });
    await rig.post('/_sim/faults', { call: 'execute_method', status: 503 });
    await expect(adapter.readDevices(refs('1-1'), never())).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });
});

describe('session', () => {
  it('logs in once for calls that begin together', async () => {
    const adapter = rig.open();
    await Promise.all([adapter.listSites(never()), adapter.readPlatform(never()), listAll(adapter)]);
    expect(await loginsOf()).toBe(1);
  });

  it('replaces a token that the platform no longer takes, once', async () => {
    const adapter = rig.open();
    await adapter.listSites(never());
    await rig.post('/_sim/tokens', {});
    await expect(adapter.listSites(never())).resolves.toHaveLength(2);
    expect(await loginsOf()).toBe(2);
  });

  it('does not replace for ever', async () => {
    const adapter = rig.open();
    await adapter.listSites(never());
    await rig.post('/_sim/faults', {
      call: 'instances',
      status: 401,
      code: 'openaccess.general.invalidsessiontoken',
    });
    await expect(listAll(adapter)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await loginsOf()).toBe(2);
  });

  it('gets a new token before the old one ends', async () => {
    const adapter = rig.open();
    await adapter.listSites(never());
    rig.advance(8 * 3_600_000 - 299_000);
    await adapter.listSites(never());
    expect(await loginsOf()).toBe(2);
  });

  it('asks once and not again for a while with a wrong password: accounts lock', async () => {
    const adapter = rig.open({}, { password: 'wrong' });
    for (let attempt = 0; attempt < 8; attempt += 1)
      await expect(adapter.listSites(never())).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await callsOf())['POST authentication']).toBe(1);
    rig.advance(300_001);
    await expect(adapter.listSites(never())).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await callsOf())['POST authentication']).toBe(2);
    // The account is not locked by us.
    await expect(rig.open().listSites(never())).resolves.toHaveLength(2);
  });

  it('says that the license is missing', async () => {
    const adapter = rig.open({ applicationId: 'NOT_LICENSED' });
    await expect(adapter.listSites(never())).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('license'),
    });
  });

  it('finds a directory by its name', async () => {
    await expect(rig.open({ directory: 'CORP.example' }).listSites(never())).resolves.toHaveLength(2);
    await expect(rig.open({ directory: 'nowhere' }).listSites(never())).rejects.toMatchObject({
      code: 'MISCONFIGURED',
    });
  });

  it('ends the session when it is closed', async () => {
    const adapter = rig.open();
    await adapter.listSites(never());
    await adapter.close();
    expect((await callsOf())['DELETE authentication']).toBe(1);
  });

  it('takes a page of HTML for what its status says', async () => {
    await rig.post('/_sim/faults', { call: 'instances', status: 404 });
    await expect(rig.open().readPlatform(never())).rejects.toBeInstanceOf(AdapterError);
  });
});

describe('probe', () => {
  it('names its checks', async () => {
    const { checks, accountName } = await rig.open().probe(never());
    expect(checks.map(({ id, state }) => `${id} ${state}`)).toEqual([
      'dns PASS',
      'tcp PASS',
      'tls WARN',
      'credentials PASS',
      'version PASS',
      'permission PASS',
      'inventory PASS',
      'status PASS',
      'event-channel PASS',
      'event-codes PASS',
    ]);
    expect(accountName).toBe('OnGuard 8.2');
  });

  it('warns of what it can live without', async () => {
    await rig.post('/_sim/faults', { call: 'eventbridge', status: 404 });
    const { checks } = await rig.open().probe(never());
    expect(checks.find(({ id }) => id === 'event-channel')?.state).toBe('WARN');
  });

  it('fails at credentials without a license', async () => {
    const { checks } = await rig.open({ applicationId: 'NOT_LICENSED' }).probe(never());
    expect(checks.find(({ state }) => state === 'FAIL')?.id).toBe('credentials');
  });
});

describe('client', () => {
  it('executes no method that does more than read', async () => {
    const request = vi.fn<() => Promise<never>>();
    const http = {
      request,
      json: request,
      webSocket: request,
      socket: request,
      download: request,
      close: () => Promise.resolve(),
    };
    const client = createOnGuardClient({
      integrationId: 'int_1',
      baseUrl: new URL(rig.simulator.integration.baseUrl),
      credentials: null,
      settings: rig.settings(),
      http: () => http,
      logger: pino({ level: 'silent' }),
      now: () => new Date(),
    });
    const method = 'OpenDoor' as 'GetHardwareStatus';
    const key = { PanelID: 1, ReaderID: 1 };
    await expect(client.execute('Lnl_Reader', method, key, never())).rejects.toMatchObject({ code: 'NOT_SUPPORTED' });
    expect(request).not.toHaveBeenCalled();
  });
});
