import { once } from 'node:events';
import { createServer } from 'node:https';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Adapter, ProbeReport } from '../../adapter-kit/adapter.ts';
import { createCertificate } from '../../adapter-kit/simulator-kit/certificate.ts';
import { connect, control, jwtOf, listAll, never, refsOf, simulate } from './fixtures/rig.ts';
import type { VendorCloudSimulator } from './simulator.ts';

let simulator: VendorCloudSimulator;
let adapter: Adapter;
beforeAll(async () => {
  simulator = await simulate({ devices: 500, sites: 2 });
});
afterAll(() => simulator.close());
beforeEach(() => {
  adapter = connect(simulator, jwtOf(simulator));
});
afterEach(async () => {
  await control(simulator, 'faults', {});
  await adapter.close();
});

const failureOf = ({ checks }: ProbeReport): string | undefined => checks.find(({ state }) => state === 'FAIL')?.id;

describe('listDevices', () => {
  it('says the sum of all sites on its last page', async () => {
    const { pages, devices } = await listAll(adapter);
    expect(pages.map(({ totalCount }) => totalCount ?? null)).toEqual([null, null, null, null, 500]);
    expect(new Set(devices.map(({ nativeId }) => nativeId)).size).toBe(500);
  });

  it('lists 5,000 devices, none missing and none twice', async () => {
    const large = await simulate({ devices: 5_000, sites: 7 });
    const listing = connect(large, jwtOf(large));
    const { devices, pages } = await listAll(listing);
    await listing.close();
    const truth = large.devices().map(({ nativeId }) => nativeId);
    await large.close();
    expect(devices.map(({ nativeId }) => nativeId).toSorted()).toEqual(truth.toSorted());
    expect(pages.at(-1)?.totalCount).toBe(5_000);
    expect(Math.max(...pages.map((page) => page.devices.length))).toBe(100);
  });

  it('gets over a page that fails once', async () => {
    await control(simulator, 'faults', { status: 500, call: 'inventory', page: 3, times: 1 });
    const { devices, failure } = await listAll(adapter);
    expect([devices.length, failure]).toEqual([500, null]);
  });

  it('throws for a page that stays broken, after what could be read of all sites', async () => {
    await control(simulator, 'faults', { status: 500, call: 'inventory', page: 3 });
    const { devices, pages, failure } = await listAll(adapter);
    // The first site has 300 devices, the second 200 on two pages.
    expect(devices).toHaveLength(400);
    expect(pages.every(({ totalCount }) => totalCount === undefined)).toBe(true);
    expect(failure).toMatchObject({ code: 'UNREACHABLE', status: 500, retryable: true });
  });

  it.each([
    ['endless', 'TIMEOUT'],
    ['huge', 'TOO_LARGE'],
    ['not-json', 'BAD_PAYLOAD'],
    ['redirect', 'BAD_PAYLOAD'],
  ])('ends at an answer that is %s with %s', async (answer, code) => {
    await control(simulator, 'faults', { answer, call: 'sites' });
    const impatient = connect(simulator, jwtOf(simulator), { timeoutMs: 400 });
    const { failure, devices } = await listAll(impatient);
    expect(failure).toMatchObject({ code });
    expect(devices).toEqual([]);
    await impatient.close();
  });

  it('follows no redirect, not even to the platform itself', async () => {
    await control(simulator, 'faults', { answer: 'redirect', redirectTo: `${simulator.url}/api/v1/account` });
    const before = simulator.calls();
    expect((await listAll(adapter)).failure).toMatchObject({ code: 'BAD_PAYLOAD' });
    expect(simulator.calls() - before).toBe(1);
  });

  it.each([
    [401, 'UNAUTHENTICATED', false],
    [403, 'FORBIDDEN', false],
    [429, 'RATE_LIMITED', true],
  ])('stops at once at %i, which holds for every site', async (status, code, retryable) => {
    await control(simulator, 'faults', { status, call: 'inventory', retryAfterSeconds: 7 });
    const before = simulator.calls();
    const { failure } = await listAll(adapter);
    expect(failure).toMatchObject({ code, retryable, retryAfterMs: 7_000 });
    // Account, sites, one inventory page.
    expect(simulator.calls() - before).toBe(3);
  });

  it('hands on a total that is wrong, for the sync to judge', async () => {
    await control(simulator, 'faults', { totalCountOff: 5 });
    const { pages, devices } = await listAll(adapter);
    expect(devices).toHaveLength(500);
    expect(pages.at(-1)?.totalCount).toBe(510);
  });

  it('reads the older revision as the same devices', async () => {
    const newer = await listAll(adapter);
    await control(simulator, 'faults', { olderRevision: true });
    const older = await listAll(adapter);
    const core = (devices: typeof older.devices) =>
      devices.map(({ nativeId, nativeOrgId, nativeSiteId, name, type, status, macAddresses }) =>
        JSON.stringify([nativeId, nativeOrgId, nativeSiteId, name, type, status?.state, macAddresses]),
      );
    expect(core(older.devices)).toEqual(core(newer.devices));
  });

  it('keeps words that nobody knows', async () => {
    await control(simulator, 'faults', { unknownWords: true });
    const { devices } = await listAll(adapter);
    expect(new Set(devices.map(({ type }) => type))).toEqual(new Set(['OTHER']));
    expect(devices[0]).toMatchObject({ status: { state: 'UNKNOWN', vendorState: 'entangled_online', reason: null } });
    expect(devices[0]?.vendorType).toMatch(/^quantum_/);
  });
});

describe('readDevices', () => {
  it('reads only the pages on which the devices were last seen', async () => {
    const { devices } = await listAll(adapter);
    const wanted = refsOf([...devices.slice(110, 120), ...devices.slice(450, 460)]);
    const before = simulator.calls();
    expect((await adapter.readDevices(wanted, never())).size).toBe(20);
    expect(simulator.calls() - before).toBe(2);
  });

  it('finds a device that is on another page than it was', async () => {
    const { devices } = await listAll(adapter);
    const other = connect(simulator, jwtOf(simulator), { perPage: 30 });
    await other.readDevices(refsOf(devices.slice(0, 1)), never());
    const found = await other.readDevices(refsOf(devices.slice(290, 300)), never());
    expect(found.size).toBe(10);
    await other.close();
  });

  it('leaves out what the platform no longer has: a device, a site', async () => {
    const [ref] = refsOf((await listAll(adapter)).devices);
    if (ref === undefined) throw new Error('there are devices');
    const refs = [ref, { ...ref, nativeId: 'gone' }, { ...ref, nativeId: 'elsewhere', nativeSiteId: 'gone' }];
    expect([...(await adapter.readDevices(refs, never())).keys()]).toEqual([ref.nativeId]);
  });

  it('ends with the deadline of its caller when the platform is slow', async () => {
    const refs = refsOf((await listAll(adapter)).devices.slice(0, 2));
    await control(simulator, 'faults', { delayMs: 60_000 });
    const reading = adapter.readDevices(refs, AbortSignal.timeout(50));
    await expect(reading).rejects.toMatchObject({ code: 'TIMEOUT', retryable: true });
    await control(simulator, 'faults', {});
    expect((await adapter.readDevices(refs, never())).size).toBe(2);
  });

  it('fails as a whole when a site cannot be read, rather than to say that its devices are gone', async () => {
    const refs = refsOf((await listAll(adapter)).devices.slice(0, 2));
    await control(simulator, 'faults', { status: 503, call: 'inventory' });
    await expect(adapter.readDevices(refs, never())).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });
});

describe('pageDevices', () => {
  it.each(['{"site":"gone","page":1,"skip":0}', 'x', '{"site":"s","page":-1,"skip":0}', '[]'])(
    'refuses the position %s',
    async (after) => {
      await expect(adapter.pageDevices(10, after, never())).rejects.toMatchObject({ code: 'NOT_FOUND' });
    },
  );
});

describe('probe', () => {
  it('names the permission that is missing', async () => {
    await control(simulator, 'faults', { status: 403, call: 'inventory' });
    const report = await adapter.probe(never());
    expect(failureOf(report)).toBe('permission');
    expect(report.accountName).toBe('Acme');
  });

  it('names the call that is broken, when transport and credentials are good', async () => {
    await control(simulator, 'faults', { status: 500, call: 'sites' });
    const { checks } = await adapter.probe(never());
    expect(checks.filter(({ state }) => state === 'PASS').map(({ id }) => id)).toEqual([
      'dns',
      'tcp',
      'credentials',
      'account',
    ]);
    expect(checks.find(({ state }) => state === 'FAIL')?.id).toBe('sites');
  });

  it('fails at the credentials for a key that cannot sign, before it is sent anywhere', async () => {
    const broken = connect(simulator, { ...jwtOf(simulator), privateKeyPem: 'nothing' });
    const before = simulator.calls();
    expect(failureOf(await broken.probe(never()))).toBe('credentials');
    expect(simulator.calls() - before).toBe(1);
    await broken.close();
  });

  it('warns of ids that are no UUIDs, of http, and of a platform without webhooks, and fails for none', async () => {
    await control(simulator, 'faults', { webhookApi: false });
    const { checks } = await adapter.probe(never());
    expect(checks.filter(({ state }) => state === 'WARN').map(({ id }) => id)).toEqual(['tls', 'ids', 'event-channel']);
    expect(checks.filter(({ state }) => state === 'FAIL' || state === 'SKIPPED')).toEqual([]);
  });

  it.each([
    ['address', 'sites', '2 site(s), 2 without address and coordinates'],
    ['timezone', 'sites', '2 site(s), 2 without an IANA time zone'],
    ['mac_address', 'inventory', '100 of 100 device(s) have no MAC address'],
    ['pagination', 'inventory', 'no total_count: completeness of a sync cannot be proven'],
  ])('warns of a platform that does not tell %s', async (member, id, detail) => {
    await control(simulator, 'faults', { without: [member] });
    const { checks } = await adapter.probe(never());
    expect(checks.find((check) => check.id === id)).toMatchObject({ state: 'WARN', detail });
    expect(failureOf({ checks, accountId: null, accountName: null })).toBeUndefined();
  });

  it('fails at an address that is not one we connect to', async () => {
    const inside = connect(simulator, jwtOf(simulator), {}, 'http://169.254.169.254');
    expect(failureOf(await inside.probe(never()))).toBe('dns');
    await inside.close();
  });

  it('fails at a certificate that has ended, and sends no credentials there', async () => {
    const seen: unknown[] = [];
    const { certificatePem, privateKeyPem } = createCertificate({
      hosts: ['127.0.0.1'],
      notBefore: new Date('2020-01-01'),
      notAfter: new Date('2020-02-01'),
    });
    const server = createServer({ cert: certificatePem, key: privateKeyPem }, (request, response) => {
      seen.push(request.headers);
      response.end('{}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const url = `https://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    const expired = connect(simulator, jwtOf(simulator), { tlsCa: certificatePem }, url);
    const { checks } = await expired.probe(never());
    await expired.close();
    server.close();
    await once(server, 'close');
    const failure = checks.find(({ state }) => state === 'FAIL');
    expect(failure?.id).toBe('tls');
    expect(failure?.detail).toMatch(/expired/i);
    expect(seen).toEqual([]);
  });
});

describe('registerWebhook', () => {
  const target = { url: 'http://127.0.0.1:9/webhooks/int_1', profile: 'CONTRACT_V1', secret: 's'.repeat(32) } as const;
  const hooks = async () => Object(Object((await control(simulator, 'webhooks')).body).hooks);

  it('leaves one registration for the same address, and takes it back', async () => {
    const first = await adapter.registerWebhook?.(target, never());
    const second = await adapter.registerWebhook?.({ ...target, profile: 'STANDARD_WEBHOOKS' }, never());
    expect(second?.nativeId).not.toBe(first?.nativeId);
    expect(await hooks()).toEqual([{ id: second?.nativeId, url: target.url, profile: 'standard-webhooks' }]);
    await adapter.unregisterWebhook?.(second?.nativeId ?? '', never());
    expect(await hooks()).toEqual([]);
    await expect(adapter.unregisterWebhook?.(second?.nativeId ?? '', never())).resolves.toBeUndefined();
  });

  it('answers with the secret that the vendor made itself', async () => {
    await control(simulator, 'faults', { ownSecret: true });
    const made = await adapter.registerWebhook?.(target, never());
    expect(made?.secret).toMatch(/^vcs_/);
    await adapter.unregisterWebhook?.(made?.nativeId ?? '', never());
  });

  it('says NOT_SUPPORTED where there is no webhook API', async () => {
    await control(simulator, 'faults', { webhookApi: false });
    await expect(adapter.registerWebhook?.(target, never())).rejects.toMatchObject({ code: 'NOT_SUPPORTED' });
  });
});
