import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createHttpClientFactory } from '../../adapter-kit/http/create-http-client.ts';
import type { Simulator } from '../../adapter-kit/simulator.ts';
import { type Clock, systemClock } from '../../pipeline/integrations/clock.ts';
import type { CredentialsInput } from '../../pipeline/integrations/payloads.ts';
import { createIntegrationRuntime } from '../../pipeline/integrations/runtime.ts';
import { createIntegrationService } from '../../pipeline/integrations/service.ts';
import { createParts, FakePlatform, principalOf, seedOrg, silent } from '../../pipeline/integrations/testing.ts';
import { createVendorHost } from '../../pipeline/live/vendor-host.ts';
import { createSyncEngine } from '../../pipeline/sync/engine.ts';
import type { Database } from '../../storage/database.ts';
import { createLeases } from '../../storage/leases.ts';
import { eachEngine } from '../../storage/testing.ts';
import { vendorCloud } from './index.ts';
import { startSimulator } from './simulator.ts';

// What the house makes of a platform that misbehaves, over real HTTP.

const DEVICES = 30;

eachEngine('a vendor cloud that misbehaves', (open) => {
  let db: Database;
  let simulator: Simulator;
  let parts: Omit<ReturnType<typeof createParts>, 'clock'> & { readonly clock: Clock };
  let orgId: string;
  let integrationId: string;

  beforeEach(async () => {
    db = await open();
    simulator = await startSimulator({
      seed: 8,
      accountId: '6a0e0000-0000-4000-8000-000000000001',
      accountName: 'Account',
      sites: [{ name: 'Head office', address: '1 Main Street', timezone: 'Europe/Berlin' }],
      devices: DEVICES,
      port: 0,
      stateFile: null,
      now: () => new Date(),
    });
    onTestFinished(() => simulator.close());
    const base = createParts(db, new FakePlatform());
    const http = createHttpClientFactory({
      network: { allow: ['127.0.0.0/8'], allowHttp: true },
      logger: silent,
      now: () => new Date(),
      random: () => 0,
      sleep: async () => undefined,
    });
    // Real time: tokens are checked by the platform's clock.
    parts = { ...base, clock: systemClock, leases: createLeases({ db, now: systemClock.now }) };
    const runtime = { db, vault: base.vault, vendors: [vendorCloud], http, logger: silent, now: systemClock.now };
    parts = { ...parts, runtime: createIntegrationRuntime(runtime) };
    onTestFinished(() => parts.runtime.close());
    orgId = await seedOrg(db);
    const service = createIntegrationService({
      ...parts,
      webhookUrl: () => 'https://here.example/',
      replay: async () => undefined,
    });
    const { integration } = await service.createIntegration(principalOf([orgId]), {
      integration: {
        orgId,
        vendor: 'VENDOR_CLOUD',
        name: 'Cloud',
        baseUrl: new URL(simulator.integration.baseUrl),
        credentials: simulator.integration.credentials as CredentialsInput,
        settings: { ...simulator.integration.settings, perPage: 10, timeoutMs: 300 },
      },
      idempotencyKey: 'k',
    });
    if (integration === null) throw new Error('the integration was not created');
    integrationId = integration.id;
    for (const site of simulator.sites()) {
      await service.bindSite(principalOf([orgId]), {
        integrationId,
        vendorOrgId: site.nativeOrgId,
        vendorSiteId: site.nativeId,
        createSite: true,
      });
    }
  });

  const sim = async (path: string, body: object) => {
    const { ok } = await fetch(`${simulator.url}/_sim/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(ok).toBe(true);
  };
  const sync = async () => createSyncEngine(parts).run({ integrationId, trigger: 'MANUAL' });
  const integration = () => db.read.selectFrom('integrations').selectAll().executeTakeFirstOrThrow();
  const present = async () =>
    (await db.read.selectFrom('devices').select('id').where('removed_at', 'is', null).execute()).length;

  it('is read completely when it behaves, and its switched states become events', async () => {
    expect((await sync()).run).toMatchObject({
      state: 'SUCCEEDED',
      listed: DEVICES,
      added: DEVICES,
      unmapped: 0,
      errors: '[]',
    });
    const truth = new Map(simulator.devices().map(({ nativeId, state }) => [nativeId, state.toUpperCase()]));
    const stored = await db.read.selectFrom('devices').select(['native_id', 'state']).execute();
    expect(new Map(stored.map((row) => [row.native_id, row.state]))).toEqual(truth);
    const [first] = simulator.devices();
    const next = first?.state === 'online' ? 'offline' : 'online';
    await sim('faults', { dropWebhooks: true });
    simulator.setState(first?.nativeId ?? '', next);
    await sync();
    const health = await db.read.selectFrom('events').selectAll().where('family', '=', 'HEALTH').execute();
    expect(health).toMatchObject([{ origin: 'POLL', state: next.toUpperCase(), changed: 1 }]);
  });

  it.each([
    ['500 in the middle', { status: 500, call: 'inventory', page: 2 }, 'UNREACHABLE'],
    ['10 MB in the middle', { answer: 'huge', call: 'inventory', page: 2 }, 'TOO_LARGE'],
    ['an answer that never ends', { answer: 'endless', call: 'inventory', page: 2 }, 'TIMEOUT'],
    ['something that is no JSON', { answer: 'not-json', call: 'inventory', page: 2 }, 'BAD_PAYLOAD'],
    ['a redirect to a private address', { answer: 'redirect', call: 'inventory', page: 2 }, 'BAD_PAYLOAD'],
  ])('keeps what was read and removes nothing: %s', async (_, faults, code) => {
    await sync();
    await sim('faults', faults);
    for (let times = 0; times < 3; times += 1) {
      const { run } = await sync();
      expect(run).toMatchObject({ state: 'PARTIAL', removed: 0 });
    }
    expect(await present()).toBe(DEVICES);
    expect(await integration()).toMatchObject({ state: 'DEGRADED', error_code: code });
    await sim('faults', {});
    expect((await sync()).run.state).toBe('SUCCEEDED');
    expect(await integration()).toMatchObject({ state: 'CONNECTED', error_code: null });
  });

  it('is not believed when its count and its list differ', async () => {
    await sync();
    await sim('faults', { totalCountOff: 5 });
    expect((await sync()).run).toMatchObject({ state: 'PARTIAL', removed: 0 });
    expect(await present()).toBe(DEVICES);
  });

  it('that refuses the credentials must get new ones', async () => {
    await sim('faults', { status: 401 });
    expect((await sync()).run.state).toBe('FAILED');
    expect(await integration()).toMatchObject({ state: 'REAUTH_REQUIRED', error_code: 'UNAUTHENTICATED' });
  });

  it('that asks for time gets it', async () => {
    await sim('faults', { status: 429, retryAfterSeconds: 120 });
    const { run, failure } = await sync();
    expect(run.state).toBe('FAILED');
    expect(failure).toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: 120_000 });
  });

  describe('live', () => {
    const read = async (ids: readonly string[]) => {
      const host = createVendorHost(parts);
      return host.readDevices(integrationId, ids, principalOf([orgId]));
    };

    it('costs few calls for many devices', async () => {
      await sync();
      const before = simulator.calls?.() ?? 0;
      const ids = simulator.devices().map(({ nativeId }) => nativeId);
      expect((await read(ids)).size).toBe(DEVICES);
      expect((simulator.calls?.() ?? 0) - before).toBeLessThanOrEqual(5);
    });

    it('fails by name in an outage, and recovers', async () => {
      await sync();
      const [first] = simulator.devices();
      const ids = [first?.nativeId ?? ''];
      await sim('outage', { seconds: 60, mode: 'reset' });
      await expect(read(ids)).rejects.toMatchObject({ code: 'UNREACHABLE' });
      await sim('outage', { seconds: 0 });
      expect((await read(ids)).size).toBe(1);
    });
  });
});
