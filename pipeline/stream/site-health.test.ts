import { expect, it } from 'vitest';
import type { Database } from '../../storage/database.ts';
import { bumpOrgRevision } from '../../storage/directory-store-write.ts';
import {
  countStatements,
  deviceRow,
  insertFixture,
  integrationRow,
  orgRow,
  siteRow,
} from '../../storage/fixtures/directory-rows.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createTestTiming, until } from '../testing.ts';
import { createSiteHealthChanges, type SiteHealthChange } from './site-health.ts';

const EVERYONE = { orgIds: 'all', siteIds: null } as const;
const integration = integrationRow('int_a', 'org_a');
const devices = ['site_1', 'site_2', 'site_3'].flatMap((site) =>
  [0, 1].map((index) => deviceRow(integration, `${site}-${index}`, { site_id: site, state: 'ONLINE' })),
);

eachEngine('site health', (open) => {
  async function setUp() {
    const opened = await open();
    await insertFixture(opened, {
      orgs: [orgRow('org_a'), orgRow('org_b')],
      sites: ['site_1', 'site_2', 'site_3'].map((id) => siteRow(id, 'org_a')),
      integrations: [integration],
      devices,
    });
    const timing = createTestTiming();
    const { db, take } = countStatements(opened);
    const changes = createSiteHealthChanges({ db, timing, now: () => 42 });
    const controller = new AbortController();
    const subscribe = async (over: Partial<Parameters<typeof changes.subscribe>[0]> = {}) => {
      const items: SiteHealthChange[] = [];
      const stream = await changes.subscribe({
        access: EVERYONE,
        orgId: 'org_a',
        throttleMs: 1_000,
        signal: controller.signal,
        ...over,
      });
      const done = (async () => {
        for await (const item of stream) items.push(item);
      })();
      return { items, stream, done, sites: () => items.map(({ siteId }) => siteId).toSorted() };
    };
    return { db: opened, take, timing, controller, subscribe };
  }

  async function setState(db: Database, state: string, ...sites: readonly string[]): Promise<void> {
    await db.write(async (tx) => {
      await tx
        .updateTable('devices')
        .set({ state })
        .where('site_id', 'in', sites)
        .where('native_id', 'like', '%-0')
        .execute();
      await bumpOrgRevision(tx, 'org_a', 1);
    });
    db.doorbell.ring('org:org_a');
  }

  /** Lets time pass in small steps until something is so; in each there is time enough to read the store. */
  async function pass(db: Database, timing: ReturnType<typeof createTestTiming>, isSo: () => boolean): Promise<void> {
    await until(async () => {
      if (isSo()) return true;
      timing.advance(50);
      await db.head();
      return false;
    });
  }

  it('tells the sites whose counts moved, and nothing at first', async () => {
    const { db, timing, controller, subscribe } = await setUp();
    const { items, sites, done } = await subscribe();
    await setState(db, 'OFFLINE', 'site_1', 'site_3');
    await pass(db, timing, () => items.length >= 2);
    expect(sites()).toEqual(['site_1', 'site_3']);
    expect(items[0]).toMatchObject({ health: { total: 2, online: 1, offline: 1, worst: 'OFFLINE' }, asOf: 42 });
    await setState(db, 'DEGRADED', 'site_2');
    await pass(db, timing, () => items.length >= 3);
    expect(items[2]).toMatchObject({ siteId: 'site_2', health: { degraded: 1, online: 1 } });
    controller.abort();
    await done;
  });

  it('tells several moves once, as it is then, and those that cancel out not at all', async () => {
    const { db, timing, controller, subscribe } = await setUp();
    const { items, done } = await subscribe({ throttleMs: 20_000 });
    const fast = await subscribe({ throttleMs: 250 });
    await setState(db, 'OFFLINE', 'site_1');
    await pass(db, timing, () => items.length === 1 && fast.items.length === 1);
    const startedAt = timing.elapsedMs();
    await setState(db, 'DEGRADED', 'site_1');
    await pass(db, timing, () => fast.items.length === 2);
    await setState(db, 'OFFLINE', 'site_2');
    await pass(db, timing, () => fast.items.length === 3);
    await setState(db, 'ONLINE', 'site_2');
    await pass(db, timing, () => fast.items.length === 4);
    expect(items).toHaveLength(1);
    await pass(db, timing, () => items.length === 2);
    expect(timing.elapsedMs() - startedAt).toBeGreaterThanOrEqual(19_500);
    expect(items[1]).toMatchObject({ siteId: 'site_1', health: { degraded: 1 } });
    await setState(db, 'OFFLINE', 'site_3');
    await pass(db, timing, () => items.length === 3);
    expect(items[2]?.siteId).toBe('site_3');
    controller.abort();
    await done;
  });

  it('tells nobody of sites and orgs that it does not see', async () => {
    const { db, timing, controller, subscribe } = await setUp();
    const limited = await subscribe({ access: { orgIds: ['org_a'], siteIds: ['site_2'] } });
    const stranger = await subscribe({ access: { orgIds: ['org_b'], siteIds: null } });
    const all = await subscribe();
    await setState(db, 'OFFLINE', 'site_1', 'site_2');
    await pass(db, timing, () => all.items.length === 2 && limited.items.length === 1);
    expect(limited.sites()).toEqual(['site_2']);
    expect(stranger.items).toEqual([]);
    controller.abort();
    await Promise.all([limited.done, stranger.done, all.done]);
  });

  it('reads once for all who look, reads nothing while nothing moves, and stops with the last one', async () => {
    const { db, take, timing, controller, subscribe } = await setUp();
    const watchers = await Promise.all(Array.from({ length: 20 }, () => subscribe()));
    // The revision and the counts.
    expect(take()).toBe(2);
    await setState(db, 'OFFLINE', 'site_1');
    await pass(db, timing, () => watchers.every(({ items }) => items.length === 1));
    const one = take();
    expect(one).toBeLessThan(20);
    const [first, ...others] = watchers;
    await first?.stream.return?.();
    await first?.done;
    await setState(db, 'ONLINE', 'site_1');
    await pass(db, timing, () => others.every(({ items }) => items.length === 2));
    expect(first?.items).toHaveLength(1);
    controller.abort();
    await Promise.all(watchers.map(({ done }) => done));
    take();
    await setState(db, 'OFFLINE', 'site_1');
    for (let step = 0; step < 50; step += 1) {
      timing.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(take()).toBe(0);
  });

  it('finds a change whose ring was lost', async () => {
    const { db, timing, controller, subscribe } = await setUp();
    const { items, done } = await subscribe();
    await db.write(async (tx) => {
      await tx.updateTable('devices').set({ removed_at: 5 }).where('site_id', '=', 'site_1').execute();
      await bumpOrgRevision(tx, 'org_a', 1);
    });
    await pass(db, timing, () => items.length === 1);
    expect(items[0]).toMatchObject({ siteId: 'site_1', health: { total: 0, worst: 'UNKNOWN' } });
    controller.abort();
    await done;
  });

  it.each([0, 249, 60_001])('refuses a throttle of %d ms', async (throttleMs) => {
    const { subscribe } = await setUp();
    await expect(subscribe({ throttleMs })).rejects.toMatchObject({ extensions: { code: 'BAD_USER_INPUT' } });
  });
});
