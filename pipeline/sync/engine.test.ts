import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../storage/database.ts';
import type { Leases } from '../../storage/leases.ts';
import { eachEngine } from '../../storage/testing.ts';
import {
  createParts,
  device,
  FakePlatform,
  seedBinding,
  seedIntegration,
  seedOrg,
  seedSite,
  until,
} from '../integrations/testing.ts';
import { createSyncEngine, MAX_SYNC_MS, MAX_WAITING, type SyncEngine } from './engine.ts';

/** How often a lease of 30 s is renewed. */
const RENEWAL_MS = 10_000;

/** Leases whose renewals others see some turns before their owner hears of them, as with a database that is busy. */
function answeringLate(leases: Leases): Leases {
  return {
    ...leases,
    async renew(lease, ttlMs) {
      const renewed = await leases.renew(lease, ttlMs);
      for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
      return renewed;
    },
  };
}

eachEngine('sync engine', (open) => {
  let db: Database;
  let platform: FakePlatform;
  let parts: ReturnType<typeof createParts>;
  let engine: SyncEngine;
  let orgId: string;
  let siteId: string;
  let id: string;

  beforeEach(async () => {
    db = await open();
    platform = new FakePlatform();
    platform.pageSize = 2;
    parts = createParts(db, platform);
    engine = createSyncEngine(parts);
    orgId = await seedOrg(db);
    siteId = await seedSite(db, orgId);
    id = await seedIntegration(db, orgId);
    await seedBinding(db, { orgId, integrationId: id, siteId });
  });

  const sync = async () => (await engine.run({ integrationId: id, trigger: 'SCHEDULE' })).run;
  const integration = () =>
    db.read.selectFrom('integrations').selectAll().where('id', '=', id).executeTakeFirstOrThrow();

  describe('runs', () => {
    it('are one at a time per integration, in the order in which they were asked for', async () => {
      platform.devices = [device('a')];
      const { promise, resolve } = Promise.withResolvers<void>();
      platform.gate = () => promise;
      const started = await Promise.all(
        ['1', '2', '3'].map((key) => engine.start({ integrationId: id, trigger: 'MANUAL', idempotencyKey: key })),
      );
      await until('the first one lists', () => platform.calls.length > 0);
      expect(platform.calls).toHaveLength(1);
      expect(new Set(started.map(({ run }) => run.id)).size).toBe(3);
      resolve();
      const outcomes = await Promise.all(started.map(({ done }) => done));
      expect(outcomes.map(({ run }) => run.state)).toEqual(['SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED']);
    });

    it('with the same key are one run, at once and later', async () => {
      const request = { integrationId: id, trigger: 'MANUAL', idempotencyKey: 'k' } as const;
      const [first, second] = await Promise.all([engine.start(request), engine.start(request)]);
      await first.done;
      const third = await engine.start(request);
      expect([second.run.id, third.run.id]).toEqual([first.run.id, first.run.id]);
      expect(third.run.state).toBe('SUCCEEDED');
      expect(await db.read.selectFrom('sync_runs').select('id').execute()).toHaveLength(1);
    });

    it('are refused beyond the bound, for unknown and for switched-off integrations', async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      platform.gate = () => promise;
      const start = () => engine.start({ integrationId: id, trigger: 'MANUAL' });
      const waiting = [];
      for (let index = 0; index <= MAX_WAITING; index += 1) waiting.push(await start());
      await expect(start()).rejects.toMatchObject({ code: 'BUSY' });
      resolve();
      await Promise.all(waiting.map(({ done }) => done));
      await (await start()).done;
      await expect(engine.start({ integrationId: 'int_none', trigger: 'MANUAL' })).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
      await db.write((tx) => tx.updateTable('integrations').set({ enabled: 0 }).execute());
      await expect(start()).rejects.toMatchObject({ code: 'DISABLED' });
    });

    it('say in the log what they came to when they found something', async () => {
      const lines: Record<string, unknown>[] = [];
      const logger = pino(
        { level: 'info', base: null },
        { write: (line: string) => void lines.push(JSON.parse(line)) },
      );
      engine = createSyncEngine({ ...parts, logger });
      platform.devices = [device('a'), device('b'), device('far', { nativeSiteId: 'unbound' })];
      const run = await sync();
      await sync();
      expect(lines.filter(({ msg }) => msg === 'A sync has ended')).toEqual([
        expect.objectContaining({
          integrationId: id,
          runId: run.id,
          trigger: 'SCHEDULE',
          state: 'SUCCEEDED',
          lastSyncAt: new Date(parts.clock.now()).toISOString(),
          listed: 3,
          added: 3,
          updated: 0,
          removed: 0,
          unmapped: 1,
          errors: 0,
        }),
      ]);
    });

    it('of another process are joined, not repeated', async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      platform.gate = () => promise;
      const first = await engine.start({ integrationId: id, trigger: 'SCHEDULE' });
      const other = createSyncEngine(parts);
      const joined = await other.start({ integrationId: id, trigger: 'MANUAL', idempotencyKey: 'k' });
      expect(joined.run.id).toBe(first.run.id);
      await expect(other.start({ integrationId: id, trigger: 'MANUAL', idempotencyKey: 'l' })).rejects.toMatchObject({
        code: 'BUSY',
      });
      resolve();
      await first.done;
      expect((await engine.start({ integrationId: id, trigger: 'MANUAL', idempotencyKey: 'k' })).run.id).toBe(
        first.run.id,
      );
    });

    it('that a dead process left are failed by the next owner', async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      platform.gate = () => promise;
      const dead = await engine.start({ integrationId: id, trigger: 'SCHEDULE' });
      await until('it lists', () => platform.calls.length > 0);
      // Its timers died with it: the lease runs out.
      await db.write((tx) =>
        tx
          .updateTable('leases')
          .set({ expires_at: parts.clock.now() - 1 })
          .execute(),
      );
      platform.gate = () => Promise.resolve();
      const next = createSyncEngine(parts);
      expect((await next.run({ integrationId: id, trigger: 'SCHEDULE' })).run.state).toBe('SUCCEEDED');
      resolve();
      await expect(dead.done).rejects.toMatchObject({ name: 'LeaseLostError' });
      const states = await db.read
        .selectFrom('sync_runs')
        .select('state')
        .orderBy('started_at')
        .orderBy('state')
        .execute();
      expect(states).toEqual([{ state: 'FAILED' }, { state: 'SUCCEEDED' }]);
    });

    it('end when the engine stops, and are not held against the platform', async () => {
      const lines: string[] = [];
      const logger = pino({ level: 'info' }, { write: (line) => void lines.push(line) });
      engine = createSyncEngine({ ...parts, logger });
      platform.gate = () => new Promise(() => undefined);
      const { done } = await engine.start({ integrationId: id, trigger: 'SCHEDULE' });
      await until('it lists', () => platform.calls.length > 0);
      const [end] = await Promise.allSettled([done, engine.close()]);
      expect(end).toMatchObject({ status: 'rejected', reason: { code: 'STOPPED' } });
      // It was asked for: nobody has to look at it.
      expect(lines).toEqual([]);
      expect(await db.read.selectFrom('sync_runs').select('state').execute()).toEqual([{ state: 'FAILED' }]);
      expect(await integration()).toMatchObject({ state: 'PENDING', error_code: null });
      await expect(engine.start({ integrationId: id, trigger: 'MANUAL' })).rejects.toMatchObject({ code: 'STOPPED' });
    });

    it('end at their deadline when the platform never stops answering', async () => {
      platform.gate = () => new Promise(() => undefined);
      engine = createSyncEngine({ ...parts, leases: answeringLate(parts.leases) });
      const { done } = await engine.start({ integrationId: id, trigger: 'SCHEDULE' });
      await until('it lists', () => platform.calls.length > 0);
      for (let waited = RENEWAL_MS; waited < MAX_SYNC_MS; waited += RENEWAL_MS) {
        await parts.clock.advance(RENEWAL_MS);
        // What the store shows is not enough: it shows the renewal before the engine has its answer, and a clock that
        // moves on in between moves past the next renewal before that is set.
        await until('the deadline and the next renewal are waited for', () => parts.clock.waiting === 2);
        const lease = await db.read.selectFrom('leases').select('expires_at').executeTakeFirstOrThrow();
        expect(lease.expires_at).toBeGreaterThan(parts.clock.now() + 2 * RENEWAL_MS);
      }
      await parts.clock.advance(RENEWAL_MS);
      const { run } = await done;
      expect(run.state).toBe('FAILED');
      expect(JSON.parse(run.errors)).toMatchObject([{ code: 'TIMEOUT' }]);
    });
  });

  it('tells when devices were added', async () => {
    const told: string[] = [];
    engine = createSyncEngine({ ...parts, onDevicesAdded: async (integrationId) => void told.push(integrationId) });
    platform.devices = [device('a')];
    await sync();
    await sync();
    expect(told).toEqual([id]);
  });
});
