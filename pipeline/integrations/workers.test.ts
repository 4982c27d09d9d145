import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { ListenItem } from '../../adapter-kit/adapter.ts';
import type { IngestTraits } from '../../adapter-kit/define-vendor.ts';
import type { Database } from '../../storage/database.ts';
import { eachEngine } from '../../storage/testing.ts';
import type { Arrival } from '../inbox/inbox-writer.ts';
import { createIntegrationChanges } from '../stream/integration-changes.ts';
import { createSyncEngine, type SyncEngine } from '../sync/engine.ts';
import { createIntegrationService } from './service.ts';
import {
  createParts,
  device,
  FakePlatform,
  principalOf,
  seedBinding,
  seedIntegration,
  seedOrg,
  seedSite,
  TEST_NOW,
  until,
  watched,
} from './testing.ts';
import { createIntegrationWorkers, type IntegrationWorkers } from './workers.ts';

const MINUTE = 60_000;
const offline = { state: 'OFFLINE', reason: null, vendorState: 'offline', observedAt: null } as const;

eachEngine('integration workers', (open) => {
  let db: Database;
  let platform: FakePlatform;
  let parts: ReturnType<typeof createParts>;
  let sync: SyncEngine;
  let orgId: string;
  let arrivals: Arrival[];
  let settle: () => Promise<void>;

  beforeEach(async () => {
    const quiet = watched(await open());
    db = quiet.db;
    settle = quiet.settle;
    platform = new FakePlatform();
    platform.devices = [device('a')];
    arrivals = [];
    setUp();
    orgId = await seedOrg(db);
  });

  function setUp(ingest: Partial<IngestTraits> = {}): void {
    parts = createParts(db, platform, ingest);
    sync = createSyncEngine(parts);
  }

  function workersOf(owner: string): IntegrationWorkers {
    const append = async (arrival: Arrival) => {
      arrivals.push(arrival);
      return { deliveryId: String(arrivals.length), isDuplicate: false };
    };
    const workers = createIntegrationWorkers({ ...parts, sync, inbox: { append }, random: () => 0.5, owner });
    onTestFinished(async () => {
      await workers.close();
      await sync.close();
    });
    return workers;
  }

  function start(owner = 'one'): IntegrationWorkers {
    const workers = workersOf(owner);
    workers.start();
    return workers;
  }

  const row = (id: string) =>
    db.read.selectFrom('integrations').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  const runs = () => db.read.selectFrom('sync_runs').selectAll().orderBy('started_at').execute();
  const ended = async () => (await runs()).filter(({ state }) => state !== 'RUNNING');
  const events = async () => {
    const all = await db.read.selectFrom('events').select(['type', 'origin', 'family']).orderBy('seq').execute();
    return all.map(({ type, origin }) => `${type} ${origin}`);
  };
  /** Lets time pass in steps, so that each timer's work is done before the next fires. */
  const pass = async (ms: number, isThere: () => Promise<boolean>, what: string) => {
    const from = parts.clock.now();
    for (let passed = 0; passed < ms; passed += 1_000) {
      await parts.clock.advance(1_000, settle);
      await settle();
      if (await isThere()) return parts.clock.now() - from;
    }
    throw new Error(`within ${ms} ms it did not come to pass that ${what}`);
  };
  const seedBound = async (changes: Parameters<typeof seedIntegration>[2] = {}) => {
    const id = await seedIntegration(db, orgId, changes);
    await seedBinding(db, { orgId, integrationId: id, siteId: await seedSite(db, orgId) });
    return id;
  };
  const heard = async (id: string) => {
    await db.write((tx) =>
      tx.updateTable('integrations').set({ last_webhook_at: parts.clock.now() }).where('id', '=', id).execute(),
    );
    db.doorbell.ring(`integration:${id}`);
  };

  /** What a watcher of the org's connections sees, one after the other. */
  const watchModes = (id: string): readonly string[] => {
    const { clock } = parts;
    const timing = { elapsedMs: () => clock.now(), after: (ms: number, job: () => void) => clock.after(ms, job) };
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    const access = { orgIds: [orgId], siteIds: null };
    const changes = createIntegrationChanges({ db, timing }).subscribe({ access, orgId, signal: stop.signal });
    const modes: string[] = [];
    const look = async (): Promise<void> => {
      const { ingest_mode: mode } = await row(id);
      if (modes.at(-1) !== mode) modes.push(mode);
    };
    void (async () => {
      await look();
      for await (const changed of changes) if (changed === id) await look();
    })();
    return modes;
  };

  it('sync each integration for the first time, and then at its interval', async () => {
    const id = await seedBound();
    start();
    await until('the first sync ended', async () => (await ended()).length === 1);
    expect(await runs()).toMatchObject([{ trigger: 'FIRST', state: 'SUCCEEDED', added: 1 }]);
    expect(await row(id)).toMatchObject({ state: 'CONNECTED' });
    await db.write((tx) => tx.updateTable('integrations').set({ ingest_mode: 'PUSH' }).execute());
    const waited = await pass(61 * MINUTE, async () => (await ended()).length === 2, 'it syncs again');
    expect(waited).toBeGreaterThanOrEqual(59 * MINUTE);
    expect((await runs())[1]).toMatchObject({ trigger: 'SCHEDULE' });
  });

  it('begin with an integration when it is created', async () => {
    start();
    const service = createIntegrationService({
      ...parts,
      webhookUrl: () => 'https://here.example',
      replay: async () => undefined,
    });
    const { integration } = await service.createIntegration(principalOf([orgId]), {
      integration: { orgId, vendor: 'FAKE_CLOUD', name: 'New', credentials: { apiKey: 'key' } },
      idempotencyKey: 'k',
    });
    await pass(5_000, async () => (await ended()).length === 1, 'it syncs');
    expect(await runs()).toMatchObject([{ integration_id: integration?.id, trigger: 'FIRST' }]);
  });

  describe('of a platform that fell silent', () => {
    it('poll it, repair what was missed, and stop when it is heard', async () => {
      const id = await seedBound({ expected_silence_ms: 5 * MINUTE });
      start();
      await until('the first sync ended', async () => (await ended()).length === 1);
      const modes = watchModes(id);
      platform.devices = [device('a', { status: offline })];
      const waited = await pass(
        6 * MINUTE,
        async () => (await row(id)).ingest_mode === 'POLLING_FALLBACK_ACTIVE',
        'it polls',
      );
      expect(waited).toBeLessThanOrEqual(5 * MINUTE + 30_000);
      await pass(30_000, async () => (await ended()).length === 2, 'it has polled');
      expect((await runs())[1]).toMatchObject({ trigger: 'FALLBACK', state: 'SUCCEEDED' });
      // What we found ourselves is no word of the platform's.
      expect(await row(id)).toMatchObject({ state: 'DEGRADED', last_event_at: null });
      await pass(2 * MINUTE, async () => (await ended()).length === 3, 'it polls again');
      await heard(id);
      await pass(5_000, async () => (await row(id)).ingest_mode === 'PUSH_WITH_POLL_FALLBACK', 'it stops polling');
      expect(await row(id)).toMatchObject({ state: 'CONNECTED' });
      expect(await events()).toEqual([
        'system.integration_connected POLL',
        'system.polling_fallback_started SILENCE',
        'health.offline POLL',
        'system.polling_fallback_ended WEBHOOK',
      ]);
      const counted = await db.read.selectFrom('integration_counters').selectAll().execute();
      const total = (column: 'polled' | 'repaired' | 'asked') => counted.reduce((sum, each) => sum + each[column], 0);
      expect([total('polled'), total('repaired'), total('asked')]).toEqual([1, 1, 1]);
      expect((await row(id)).last_fallback_at).not.toBeNull();
      // Who watches the connections sees it come and go, each once.
      await pass(5_000, async () => modes.length >= 3, 'who watches is told');
      expect(modes).toEqual(['PUSH_WITH_POLL_FALLBACK', 'POLLING_FALLBACK_ACTIVE', 'PUSH_WITH_POLL_FALLBACK']);
    });

    it.each([
      ['back', -60 * MINUTE, 6 * MINUTE],
      // Leases have run out by then: who takes over listens anew.
      ['forward', 60 * MINUTE, 10 * MINUTE],
    ])('notice it in time when the clock is set an hour %s while it is silent', async (_, step, atMost) => {
      const id = await seedBound({ expected_silence_ms: 5 * MINUTE });
      start();
      await until('the first sync ended', async () => (await ended()).length === 1);
      await heard(id);
      const isSilent = async () => (await row(id)).ingest_mode === 'POLLING_FALLBACK_ACTIVE';
      const from = parts.clock.elapsedMs();
      for (let minute = 0; minute < 4; minute += 1) await parts.clock.advance(MINUTE, settle);
      parts.clock.set(step);
      expect(await isSilent()).toBe(false);
      await pass(atMost, isSilent, 'it polls');
      const waited = parts.clock.elapsedMs() - from;
      expect(waited).toBeGreaterThanOrEqual(5 * MINUTE - 1_000);
      expect(waited).toBeLessThanOrEqual(atMost);
      // It is heard, by the clock as it is now.
      await heard(id);
      await pass(5_000, async () => !(await isSilent()), 'it stops polling');
    });

    it('do not wait an hour longer for the next try when the clock is set back', async () => {
      await seedBound({ ingest_mode: 'POLL_ONLY' });
      platform.fault = () => new AdapterError('UNREACHABLE', 'down');
      start();
      await until('the first sync failed', async () => (await ended()).length === 1);
      parts.clock.set(-60 * MINUTE);
      const waited = await pass(2 * MINUTE, async () => (await ended()).length === 2, 'it is tried again');
      expect(waited).toBeGreaterThanOrEqual(5_000);
    });

    it('do not poll while it is heard', async () => {
      const id = await seedBound({ expected_silence_ms: 5 * MINUTE });
      start();
      await until('the first sync ended', async () => (await ended()).length === 1);
      for (let minutes = 0; minutes < 12; minutes += 4) {
        await heard(id);
        for (let second = 0; second < 240; second += 1) await parts.clock.advance(1_000, settle);
      }
      expect(await row(id)).toMatchObject({ ingest_mode: 'PUSH_WITH_POLL_FALLBACK' });
      expect(await ended()).toHaveLength(1);
    });
  });

  describe('of a platform that only pushes', () => {
    it('say once that it fell silent, whatever its inventory answers, and once that it is heard', async () => {
      const settings = JSON.stringify({ syncIntervalMs: 2 * MINUTE });
      const id = await seedBound({ ingest_mode: 'PUSH', expected_silence_ms: 5 * MINUTE, settings });
      start();
      await until('the first sync ended', async () => (await ended()).length === 1);
      await heard(id);
      const waited = await pass(6 * MINUTE, async () => (await row(id)).silent_since !== null, 'it is silent');
      expect(waited).toBeGreaterThanOrEqual(5 * MINUTE - 1_000);
      expect(waited).toBeLessThanOrEqual(5 * MINUTE + 30_000);
      expect(await row(id)).toMatchObject({ state: 'DEGRADED', ingest_mode: 'PUSH', error_code: null });
      const outages = () => db.read.selectFrom('source_outages').selectAll().execute();
      expect(await outages()).toMatchObject([{ integration_id: id, cause: 'SILENCE', to_at: null }]);
      const incidents = () => db.read.selectFrom('incidents').selectAll().execute();
      expect(await incidents()).toMatchObject([{ cause: 'PLATFORM_DOWN', root_id: id, closed_at: null, affected: 1 }]);
      // Asking for the inventory proves nothing about the way that events take.
      const synced = (await ended()).length;
      await pass(3 * MINUTE, async () => (await ended()).length > synced, 'it syncs again');
      expect((await row(id)).state).toBe('DEGRADED');
      await heard(id);
      await pass(5_000, async () => (await row(id)).silent_since === null, 'it is heard');
      expect(await row(id)).toMatchObject({ state: 'CONNECTED' });
      expect(await outages()).not.toMatchObject([{ to_at: null }]);
      expect(await incidents()).not.toMatchObject([{ closed_at: null }]);
      expect(await events()).toEqual([
        'system.integration_connected POLL',
        'integration.silent SILENCE',
        'incident.opened POLL',
        'integration.heard WEBHOOK',
        'incident.closed POLL',
      ]);
    });
  });

  it('make one incident and one outage of a platform that is away', async () => {
    const id = await seedBound({ ingest_mode: 'POLL_ONLY' });
    start();
    await until('the first sync ended', async () => (await ended()).length === 1);
    platform.fault = () => new AdapterError('UNREACHABLE', 'down');
    await pass(10 * MINUTE, async () => (await ended()).length >= 4, 'it failed some times');
    platform.fault = () => null;
    await pass(10 * MINUTE, async () => (await row(id)).state === 'CONNECTED', 'it is back');
    const outages = await db.read.selectFrom('source_outages').selectAll().execute();
    expect(outages).toMatchObject([{ integration_id: id, cause: 'UNREACHABLE' }]);
    expect(outages[0]?.to_at).toBeGreaterThan(outages[0]?.from_at ?? 0);
    expect(await db.read.selectFrom('incidents').selectAll().execute()).toMatchObject([
      { cause: 'PLATFORM_DOWN', root_kind: 'INTEGRATION', root_id: id, affected: 1 },
    ]);
    expect((await events()).filter((line) => line.startsWith('incident'))).toEqual([
      'incident.opened POLL',
      'incident.closed POLL',
    ]);
  });

  it('poll a platform that cannot push at the polling interval', async () => {
    await seedBound({ ingest_mode: 'POLL_ONLY' });
    start();
    await until('the first sync ended', async () => (await ended()).length === 1);
    const waited = await pass(2 * MINUTE, async () => (await ended()).length === 2, 'it polls');
    expect(waited).toBeGreaterThan(50_000);
    expect((await runs())[1]).toMatchObject({ trigger: 'SCHEDULE' });
  });

  it('leave a platform alone that refused the credentials, until it has new ones', async () => {
    const id = await seedBound({ ingest_mode: 'POLL_ONLY' });
    platform.fault = () => new AdapterError('UNAUTHENTICATED', 'refused');
    start();
    await until('it is refused', async () => (await row(id)).state === 'REAUTH_REQUIRED');
    const asked = platform.calls.length;
    for (let minute = 0; minute < 10; minute += 1) await parts.clock.advance(MINUTE, settle);
    expect(platform.calls).toHaveLength(asked);
    platform.fault = () => null;
    const service = createIntegrationService({
      ...parts,
      webhookUrl: () => 'https://here.example',
      replay: async () => undefined,
    });
    await service.updateIntegration(principalOf([orgId]), { id, credentials: { apiKey: 'new' } });
    await pass(2 * MINUTE, async () => (await ended()).length === 2, 'it syncs again');
    expect((await row(id)).state).toBe('CONNECTED');
    expect(await events()).toEqual([
      'system.integration_reauth_required POLL',
      'system.integration_connected OPERATOR',
    ]);
  });

  it('wait as long as a platform asks for, and no longer', async () => {
    await seedBound({ ingest_mode: 'POLL_ONLY' });
    platform.fault = () => new AdapterError('RATE_LIMITED', 'slow down', { retryAfterMs: 5 * MINUTE });
    start();
    await until('it was asked to wait', async () => (await ended()).length === 1);
    platform.fault = () => null;
    const waited = await pass(6 * MINUTE, async () => (await ended()).length === 2, 'it tries again');
    expect(waited).toBeGreaterThanOrEqual(5 * MINUTE - 1_000);
  });

  it('try again soon when a platform was down', async () => {
    await seedBound({ ingest_mode: 'PUSH' });
    platform.fault = () => new AdapterError('UNREACHABLE', 'down');
    start();
    await until('it failed', async () => (await ended()).length === 1);
    platform.fault = () => null;
    const waited = await pass(30_000, async () => (await ended()).length === 2, 'it tries again');
    expect(waited).toBeLessThanOrEqual(11_000);
  });

  it('stop with an integration that is switched off', async () => {
    const id = await seedBound({ ingest_mode: 'POLL_ONLY' });
    start();
    await until('the first sync ended', async () => (await ended()).length === 1);
    await db.write((tx) => tx.updateTable('integrations').set({ enabled: 0, version: 2 }).execute());
    db.doorbell.ring(`integration:${id}`);
    for (let minute = 0; minute < 5; minute += 1) await parts.clock.advance(MINUTE, settle);
    expect(await ended()).toHaveLength(1);
  });

  describe('in two processes', () => {
    const owner = async (id: string) => {
      const lease = await db.read
        .selectFrom('leases')
        .selectAll()
        .where('name', '=', `integration:${id}`)
        .executeTakeFirst();
      return lease === undefined || lease.expires_at <= parts.clock.now() ? null : lease.owner;
    };

    it('share no integration, and hand over at once when one stops', async () => {
      const id = await seedBound();
      const one = start('one');
      await until('one owns it', async () => (await owner(id)) === 'one');
      start('two');
      await pass(10_000, async () => parts.clock.now() > TEST_NOW + 8_000, 'some time passes');
      expect(await owner(id)).toBe('one');
      await one.close();
      await pass(5_000, async () => (await owner(id)) === 'two', 'two owns it');
      expect(await ended()).toHaveLength(1);
    });

    it('take over within seconds when the other dies', async () => {
      const id = await seedBound();
      // Somebody who renews no more.
      await parts.leases.acquire(`integration:${id}`, 'dead', 15_000);
      start('two');
      const waited = await pass(30_000, async () => (await owner(id)) === 'two', 'two owns it');
      expect(waited).toBeLessThanOrEqual(19_000);
    });
  });

  describe('of a platform that holds a connection', () => {
    const item = (text: string, resumeToken: string | null = null): ListenItem => ({
      message: { body: Buffer.from(text), headers: {}, source: 'STREAM', receivedAt: new Date(TEST_NOW) },
      resumeToken,
    });
    const bodies = () => arrivals.map(({ body }) => Buffer.from(body).toString());

    it('append what comes to the inbox, and resume after a loss', async () => {
      const resumed: (string | null)[] = [];
      platform.listen = async function* (token, signal) {
        resumed.push(token);
        if (resumed.length === 1) {
          yield item('first', 't1');
          yield item('second', 't2');
          throw new AdapterError('UNREACHABLE', 'lost');
        }
        yield item('third', 't3');
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      };
      setUp({ webhooks: false, listens: true });
      const id = await seedBound();
      const workers = start();
      await until('the first two came', () => arrivals.length === 2);
      await until('the place is kept', async () => (await row(id)).resume_token === 't2');
      await pass(3_000, async () => arrivals.length === 3, 'it connects again');
      expect(resumed).toEqual([null, 't2']);
      expect(bodies()).toEqual(['first', 'second', 'third']);
      expect(arrivals[0]).toMatchObject({ orgId, integrationId: id, source: 'STREAM', receivedAt: TEST_NOW });
      await workers.close();
      expect((await row(id)).resume_token).toBe('t3');
    });

    it('end when it refuses the credentials', async () => {
      let connections = 0;
      // oxlint-disable-next-line require-yield -- it is refused before it has anything to say
      platform.listen = async function* () {
        connections += 1;
        throw new AdapterError('UNAUTHENTICATED', 'refused');
      };
      platform.fault = () => new AdapterError('UNAUTHENTICATED', 'refused');
      setUp({ webhooks: false, listens: true });
      const id = await seedBound();
      start();
      await until('it is refused', async () => (await row(id)).state === 'REAUTH_REQUIRED');
      for (let minute = 0; minute < 3; minute += 1) await parts.clock.advance(MINUTE, settle);
      expect(connections).toBe(1);
    });
  });

  it('register a webhook that creation could not', async () => {
    platform.registers = (target) => ({ nativeId: 'hook', secret: target.secret });
    const service = createIntegrationService({
      ...parts,
      webhookUrl: () => 'https://here.example',
      replay: async () => undefined,
    });
    const id = await seedBound();
    await service.rotateWebhookSecret(principalOf([orgId]), { integrationId: id });
    await parts.clock.advance(2 * MINUTE, settle);
    const { registerWebhook } = await import('./webhook-registration.ts');
    const workers = createIntegrationWorkers({
      ...parts,
      sync,
      inbox: { append: async () => ({ deliveryId: '', isDuplicate: false }) },
      random: () => 0.5,
      registerWebhook: (integrationId) =>
        registerWebhook({ ...parts, webhookUrl: () => 'https://here.example' }, integrationId),
    });
    onTestFinished(() => workers.close());
    workers.start();
    await until('it is registered', async () => (await row(id)).webhook_native_id !== null);
    expect((await row(id)).webhook_native_id).toBe('hook');
  });
});
