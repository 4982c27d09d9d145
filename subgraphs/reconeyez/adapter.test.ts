import { X509Certificate } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { Adapter } from '../../adapter-kit/adapter.ts';
import type { DeviceDraft, DevicePage, DeviceRef, LiveDevice } from '../../adapter-kit/model.ts';
import type { ResolveName } from '../../adapter-kit/network/address-guard.ts';
import { controlAddress } from './client.ts';
import {
  type Connection,
  connect,
  control,
  never,
  operatorOf,
  simulate,
  type SimulatorOverrides,
} from './fixtures/rig.ts';
import type { ReconeyezSimulator } from './simulator.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function opened(
  over: SimulatorOverrides = {},
  connection: Connection = {},
): Promise<{ simulator: ReconeyezSimulator; adapter: Adapter; open: (connection: Connection) => Adapter }> {
  const simulator = await simulate(over);
  cleanups.push(() => simulator.close());
  const open = (how: Connection): Adapter => {
    const adapter = connect(simulator, how);
    cleanups.push(() => adapter.close());
    return adapter;
  };
  return { simulator, adapter: open(connection), open };
}

async function list(adapter: Adapter): Promise<{ pages: DevicePage[]; devices: DeviceDraft[] }> {
  const pages = await Array.fromAsync(adapter.listDevices(never()));
  return { pages, devices: pages.flatMap(({ devices }) => devices) };
}

const refOf = (nativeId: string): DeviceRef => ({ nativeId, nativeOrgId: '', nativeSiteId: '' });

describe('the inventory', () => {
  it('has what the platform says of a device, and areas as sites', async () => {
    const { simulator, adapter } = await opened();
    const { devices } = await list(adapter);
    const detector = devices.find(({ type }) => type === 'DETECTOR');
    expect(detector).toMatchObject({
      name: expect.stringMatching(/^Detector: [0-9A-F]{4}$/),
      vendorType: expect.stringMatching(/^detector_hdr/),
      model: detector?.vendorType,
      manufacturer: 'Reconeyez',
      status: null,
      externalIds: [{ namespace: 'json:account', value: expect.stringMatching(/^#400[01]\|1-\d{3}$/) }],
    });
    expect(new Set(devices.map(({ type }) => type))).toEqual(new Set(['DETECTOR', 'BRIDGE', 'SIREN']));
    const sites = await adapter.listSites(never());
    expect(sites.map(({ nativeId, deviceCount }) => [nativeId, deviceCount])).toEqual([
      ['North depot', 30],
      ['South depot', 30],
    ]);
    expect(simulator.devices().map(({ siteId }) => siteId)).toContain('North depot');
  });

  it('of 1,200 devices comes in pages of 500, for two calls', async () => {
    const { simulator, adapter } = await opened({ devices: 1_200 });
    const { pages, devices } = await list(adapter);
    expect(pages.map((page) => [page.devices.length, page.totalCount])).toEqual([
      [500, 1_200],
      [500, 1_200],
      [200, 1_200],
    ]);
    expect(new Set(devices.map(({ nativeId }) => nativeId)).size).toBe(1_200);
    expect(simulator.calls()).toBe(2);
  });

  it('has sirens that only their own list has, in live reads too', async () => {
    const { simulator, adapter } = await opened();
    const sirens = simulator.devices().filter(({ type }) => type === 'siren_v1');
    await control(simulator, 'faults', { sirensApart: true });
    const { devices } = await list(adapter);
    expect(devices).toHaveLength(60);
    const [siren] = sirens;
    if (siren === undefined) throw new Error('the fleet has sirens');
    const before = simulator.calls();
    const found = await adapter.readDevices([refOf(siren.nativeId)], never());
    expect(found.get(siren.nativeId)).toMatchObject({ type: 'SIREN', name: siren.name });
    expect(simulator.calls() - before).toBe(2);
  });

  it('says which entries it could not read, and does not say that there is nothing when nothing is listed', async () => {
    const { simulator, adapter } = await opened();
    await control(simulator, 'faults', { brokenEntries: 2 });
    const { pages } = await list(adapter);
    expect(pages[0]?.rejected).toEqual(Array.from({ length: 2 }, () => ({ nativeId: null, reason: 'it has no GUID' })));
    expect(pages[0]?.totalCount).toBe(62);
    const none = await opened({ devices: 0 });
    expect((await list(none.adapter)).pages).toEqual([{ devices: [], rejected: [], totalCount: null }]);
  });

  it('keeps a renamed area when an operator says which one it was', async () => {
    const lines: string[] = [];
    const { simulator, adapter, open } = await opened({}, { log: (line) => lines.push(line) });
    await list(adapter);
    await control(simulator, 'areas', { area: 'North depot', name: 'Depot N' });
    expect((await adapter.listSites(never())).map(({ nativeId }) => nativeId)).toEqual(['Depot N', 'South depot']);
    await list(adapter);
    // Once, however often it is listed.
    expect(lines.filter((line) => line.includes('An area is new')).length).toBe(1);
    const settings = { areaAliases: { 'Depot N': 'North depot' }, areaTimezones: { 'North depot': 'Europe/Tallinn' } };
    const sites = await open({ settings }).listSites(never());
    expect(sites.map(({ nativeId, timezone }) => [nativeId, timezone])).toEqual([
      ['North depot', 'Europe/Tallinn'],
      ['South depot', null],
    ]);
  });

  it('tells the log once of members and types that the documentation does not name', async () => {
    const lines: string[] = [];
    const { simulator, adapter } = await opened({}, { log: (line) => lines.push(line) });
    const [device] = simulator.devices();
    simulator.setWords(device?.nativeId ?? '', { type: 'drone_v1' });
    await control(simulator, 'faults', { moreMembers: true });
    const { devices } = await list(adapter);
    await list(adapter);
    expect(devices.find(({ nativeId }) => nativeId === device?.nativeId)).toMatchObject({
      type: 'OTHER',
      vendorType: 'drone_v1',
    });
    const told = lines.filter((line) => /"(member|deviceType)":"(firmware_version|online|drone_v1)"/.test(line));
    expect(told).toHaveLength(3);
  });
});

describe('a live read', () => {
  it('is one call for 200 devices, with the extras of each', async () => {
    const { simulator, adapter } = await opened({ devices: 240 });
    const refs = simulator
      .devices()
      .slice(0, 200)
      .map(({ nativeId }) => refOf(nativeId));
    const found = await adapter.readDevices(refs, never());
    expect(found.size).toBe(200);
    expect(simulator.calls()).toBe(1);
    const detector = [...found.values()].find(({ type }) => type === 'DETECTOR');
    const area = detector?.nativeSiteId;
    const sirens = simulator.devices().filter(({ type, siteId }) => type === 'siren_v1' && siteId === area);
    expect(sirens.length).toBeGreaterThan(1);
    expect(detector?.extras).toMatchObject({
      area,
      sirens: sirens.map(({ nativeId, name }) => ({ id: nativeId, name })),
      accounts: [{ system: 'Json', account: expect.stringMatching(/^400/), group: '1' }],
    });
  });

  it('finds a device whatever the case of its GUID, under the id that was asked for', async () => {
    const { simulator, adapter } = await opened();
    const id = simulator.devices()[0]?.nativeId.toLowerCase() ?? '';
    expect([...(await adapter.readDevices([refOf(id)], never())).keys()]).toEqual([id]);
  });

  it('of the platform says its areas', async () => {
    const { adapter } = await opened();
    const { extras, version } = await adapter.readPlatform(never());
    expect({ ...extras, version }).toEqual({
      areas: ['North depot', 'South depot'],
      instance: '127.0.0.1',
      version: null,
    });
  });

  it('ends with the deadline of its caller when the platform does not answer', async () => {
    const { simulator, adapter } = await opened();
    await control(simulator, 'faults', { answer: 'hang' });
    const call = adapter.readDevices([refOf('01')], AbortSignal.timeout(50));
    await expect(call).rejects.toMatchObject({ code: 'TIMEOUT', retryable: true });
    await control(simulator, 'faults', {});
    await expect(adapter.readPlatform(never())).resolves.toBeDefined();
  });
});

describe('the limit of calls at once', () => {
  it('is never reached by us, however many ask', async () => {
    const { simulator, adapter } = await opened();
    await control(simulator, 'faults', { delayMs: 20 });
    const asked = Array.from({ length: 4 }, () => list(adapter));
    const live: Promise<LiveDevice[]>[] = Array.from({ length: 4 }, async () =>
      (await adapter.pageDevices(10, null, never())).devices.slice(),
    );
    await Promise.all([...asked, ...live]);
    expect(await control(simulator, 'calls')).toMatchObject({ body: { calls: 16, peak: 2, tooMany: 0 } });
  });

  it('is there: a fourth call of the same user is refused', async () => {
    const { simulator, open } = await opened();
    await control(simulator, 'faults', { answer: 'hang' });
    const patience = new AbortController();
    const waiting = Array.from({ length: 3 }, () => open({}).readPlatform(patience.signal));
    const settled = Promise.allSettled(waiting);
    // Each look is a call of its own: this waits for the platform, not for time.
    while (simulator.peak() < 3) await control(simulator, 'calls');
    await expect(open({}).readPlatform(never())).rejects.toMatchObject({ code: 'RATE_LIMITED', retryable: true });
    patience.abort();
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  });
});

describe('an answer that is none', () => {
  it.each([
    [{ answer: 'truncated' }, 'BAD_PAYLOAD', false],
    [{ answer: 'html' }, 'BAD_PAYLOAD', false],
    [{ answer: 'endless' }, 'TOO_LARGE', false],
    [{ status: 500 }, 'UNREACHABLE', true],
    [{ status: 429 }, 'RATE_LIMITED', true],
    [{ status: 404 }, 'NOT_FOUND', false],
    [{ status: 302 }, 'BAD_PAYLOAD', false],
  ])('%j is %s', async (faults, code, retryable) => {
    const { simulator, adapter } = await opened();
    await control(simulator, 'faults', faults);
    await expect(adapter.listSites(never())).rejects.toMatchObject({ code, retryable });
  });

  it.each([[{ status: 500 }], [{ status: 429 }]])('%j once is asked again', async (faults) => {
    const { simulator, adapter } = await opened();
    await control(simulator, 'faults', { ...faults, times: 1 });
    await expect(adapter.listSites(never())).resolves.toHaveLength(2);
  });

  it('of one list fails the listing as a whole: a missing siren must not look like a removed one', async () => {
    const { simulator, adapter } = await opened();
    await control(simulator, 'faults', { status: 500, call: 'get_siren_list' });
    await expect(list(adapter)).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('is a connection that is cut', async () => {
    const { simulator, adapter } = await opened();
    await control(simulator, 'outage', { seconds: 60, mode: 'reset' });
    await expect(adapter.listSites(never())).rejects.toMatchObject({ code: 'UNREACHABLE', retryable: true });
    await control(simulator, 'outage', { seconds: 0 });
    await expect(adapter.listSites(never())).resolves.toHaveLength(2);
  });
});

describe('the credential test', () => {
  it('names every check, and says what cannot be tried', async () => {
    const { adapter } = await opened();
    const { checks } = await adapter.probe(never());
    expect(checks.map(({ id, state }) => [id, state])).toEqual([
      ['dns', 'PASS'],
      ['tcp', 'PASS'],
      ['tls', 'PASS'],
      ['credentials', 'PASS'],
      ['permission', 'PASS'],
      ['inventory', 'PASS'],
      ['event-channel', 'WARN'],
    ]);
    expect(checks.find(({ id }) => id === 'inventory')?.detail).toBe('60 device(s) in 2 area(s)');
  });

  it('names both reasons for which a user is refused, and no password', async () => {
    const { simulator, open } = await opened();
    for (const user of [simulator.powerless, { ...operatorOf(simulator), password: 'wrong-password' }]) {
      const credentials = { kind: 'basic', username: user.username, password: user.password } as const;
      const { checks } = await open({ credentials }).probe(never());
      const failed = checks.find(({ state }) => state === 'FAIL');
      expect(failed).toMatchObject({ id: 'credentials', detail: expect.stringContaining('may not control devices') });
      expect(JSON.stringify(checks)).not.toContain(user.password);
    }
  });

  it('fails at the certificate that nobody vouches for', async () => {
    const { open } = await opened();
    const { checks } = await open({ settings: { tlsCa: undefined } }).probe(never());
    expect(checks.find(({ state }) => state === 'FAIL')?.id).toBe('tls');
  });

  it('fails at the list when that is what is wrong', async () => {
    const { simulator, adapter } = await opened();
    await control(simulator, 'faults', { answer: 'html', call: 'get_device_list' });
    const { checks } = await adapter.probe(never());
    expect(checks.filter(({ state }) => state === 'FAIL').map(({ id }) => id)).toEqual(['inventory']);
  });

  it('finds the UK instance where the other half of the documentation says it is', async () => {
    const { simulator, open } = await opened();
    const resolve: ResolveName = (host, _, done) => {
      if (host === 'integrations.reconeyez.com') done(null, [{ address: '127.0.0.1', family: 4 }]);
      else done(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), []);
    };
    const { port } = new URL(simulator.integration.baseUrl);
    // Its certificate is good for loopback only; what counts here is which name is asked.
    const fingerprint = new X509Certificate(String(simulator.integration.settings['tlsCa'])).fingerprint256;
    const settings = { tlsCa: undefined, tlsPinnedFingerprint: fingerprint };
    const adapter = open({ baseUrl: `https://uk.reconeyez.com:${port}`, resolve, settings });
    const { checks } = await adapter.probe(never());
    expect(checks.find(({ state }) => state === 'FAIL')).toMatchObject({
      id: 'dns',
      detail: expect.stringContaining('integrations.reconeyez.com answers'),
    });
  });
});

describe('the address', () => {
  it.each([
    ['https://eu.reconeyez.com', 'https://eu.reconeyez.com:9028/'],
    ['https://eu.reconeyez.com:8443/x', 'https://eu.reconeyez.com:8443/x'],
    ['https://proxy.example.org', 'https://proxy.example.org/'],
  ])('%s is called at %s', (given, called) => {
    expect(controlAddress(new URL(given)).href).toBe(called);
  });

  it('that is closed to us is refused before any call', async () => {
    const { simulator, open } = await opened();
    const adapter = open({ allow: [] });
    await expect(adapter.listSites(never())).rejects.toMatchObject({ code: 'BLOCKED_ADDRESS' });
    expect(simulator.calls()).toBe(0);
  });
});
