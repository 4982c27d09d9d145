import { sql } from 'kysely';
import { expect, it } from 'vitest';
import type { AccessScope } from '../schema/principal.ts';
import { bumpOrgRevision } from './directory-store-write.ts';
import { createCursorCodec } from './cursor.ts';
import type { Database } from './database.ts';
import {
  bindingRow,
  countStatements,
  deviceRow,
  FIXTURE_AT,
  type Fixture,
  insertFixture,
  integrationRow,
  orgRow,
  siteRow,
  syncRunRow,
} from './fixtures/directory-rows.ts';
import { createInventoryStore } from './inventory-store.ts';
import { eachEngine } from './testing.ts';

const EVERYONE: AccessScope = { orgIds: 'all', siteIds: null };
const ORG_A: AccessScope = { orgIds: ['org_a'], siteIds: null };
const ORG_B: AccessScope = { orgIds: ['org_b'], siteIds: null };
const SITE_1: AccessScope = { orgIds: ['org_a'], siteIds: ['site_1'] };
const HOUR_MS = 3_600_000;
const vendors = [{ slug: 'acme-vms', enumValue: 'ACME_VMS', name: 'Acme VMS', ingest: { syncIntervalMs: HOUR_MS } }];
const EVERYTHING = { filter: null, search: null };
const FIRST = { page: { first: 50, after: null }, order: { field: 'NAME', direction: 'ASC' } as const, ...EVERYTHING };

const int1 = integrationRow('int_1', 'org_a');
const int2 = integrationRow('int_2', 'org_a', { vendor: 'gone-vendor' });
const intB = integrationRow('int_b', 'org_b');

const world: Fixture = {
  orgs: [orgRow('org_a'), orgRow('org_b')],
  sites: [
    siteRow('site_1', 'org_a', { name: 'North' }),
    siteRow('site_2', 'org_a', { name: 'South' }),
    siteRow('site_b', 'org_b'),
  ],
  integrations: [int1, int2, intB],
  bindings: [
    bindingRow('bind_1', int1, 'site_1'),
    bindingRow('bind_2', int1, 'site_2'),
    bindingRow('bind_b', intB, 'site_b'),
  ],
  devices: [
    deviceRow(int1, 'a', { site_id: 'site_1', state: 'OFFLINE', model: 'M1', tags: '["roof","vip"]' }),
    deviceRow(int1, 'b', { site_id: 'site_1', state: 'ONLINE', model: 'M1', tags: '["roof"]' }),
    deviceRow(int1, 'c', { site_id: 'site_2', state: 'DEGRADED', model: 'M2', type: 'DOOR' }),
    deviceRow(int2, 'd', { state: 'UNKNOWN' }),
    deviceRow(int2, 'e', { state: 'ONLINE', removed_at: FIXTURE_AT }),
    deviceRow(intB, 'a', { site_id: 'site_b', state: 'OFFLINE' }),
  ],
};

eachEngine('inventory store', (openDb, engine) => {
  async function open(fixture: Fixture = world, now = FIXTURE_AT) {
    const opened = await openDb();
    await insertFixture(opened, fixture);
    const { db, take } = countStatements(opened);
    const clock = { now };
    const cursors = createCursorCodec(new Uint8Array(32));
    return { db, take, clock, cursors, store: createInventoryStore({ db, cursors, vendors, now: () => clock.now }) };
  }

  const bump = (db: Database, orgId: string) => db.write((tx) => bumpOrgRevision(tx, orgId, FIXTURE_AT));

  it('counts by state for each parent, within the scope', async () => {
    const { store } = await open();
    const still = { flapping: 0, inMaintenance: 0, suppressed: 0 };
    const a = { total: 4, online: 1, offline: 1, degraded: 1, unknown: 1, ...still, worst: 'OFFLINE' };
    const none = { total: 0, online: 0, offline: 0, degraded: 0, unknown: 0, ...still, worst: 'UNKNOWN' };
    const limited = { total: 2, online: 1, offline: 1, degraded: 0, unknown: 0, ...still, worst: 'OFFLINE' };
    expect((await store.health(EVERYONE, 'org_id', ['org_a', 'org_x'])).get('org_a')).toEqual(a);
    expect((await store.health(SITE_1, 'org_id', ['org_a'])).get('org_a')).toEqual(limited);
    const sites = await store.health(SITE_1, 'site_id', ['site_1', 'site_2', 'site_b']);
    expect([...sites.values()]).toEqual([limited, none, none]);
    expect((await store.health(ORG_B, 'org_id', ['org_a'])).get('org_a')).toEqual(none);
  });

  // PostgreSQL decides by what is in the table, which here is nearly nothing.
  it.runIf(engine === 'sqlite')('walks along an index to list devices by severity', async () => {
    const { db } = await open();
    const list = sql.raw(
      `select * from devices where org_id = 'org_a' and removed_at is null order by state_rank desc, id desc limit 50`,
    );
    const { rows } = await sql<{ detail: string }>`explain query plan ${list}`.execute(db.read);
    expect(rows.map(({ detail }) => detail)).toEqual([
      'SEARCH devices USING INDEX devices_by_org_id_state_rank_id (org_id=?)',
    ]);
  });

  it('lists the values of a field with their counts and labels', async () => {
    const { store } = await open();
    const facet = async (access: AccessScope, field: 'SITE' | 'VENDOR' | 'TAG' | 'MODEL' | 'TYPE', limit = 20) =>
      (await store.facets(access, EVERYTHING, null, field, limit)).get('');
    expect(await facet(ORG_A, 'SITE')).toEqual([
      { key: 'site_1', label: 'North', count: 2 },
      { key: '', label: 'None', count: 1 },
      { key: 'site_2', label: 'South', count: 1 },
    ]);
    expect(await facet(SITE_1, 'SITE')).toEqual([{ key: 'site_1', label: 'North', count: 2 }]);
    expect(await facet(ORG_A, 'VENDOR')).toEqual([
      { key: 'ACME_VMS', label: 'Acme VMS', count: 3 },
      { key: 'OTHER', label: 'Other', count: 1 },
    ]);
    expect(await facet(ORG_A, 'TAG')).toEqual([
      { key: '', label: 'None', count: 2 },
      { key: 'roof', label: 'roof', count: 2 },
      { key: 'vip', label: 'vip', count: 1 },
    ]);
    expect(await facet(ORG_A, 'TYPE', 1)).toEqual([{ key: 'CAMERA', label: 'Camera', count: 3 }]);
    await expect(facet(ORG_A, 'TYPE', 101)).rejects.toMatchObject({ extensions: { code: 'BAD_USER_INPUT' } });
  });

  it('counts and facets many parents at once', async () => {
    const { store, take } = await open();
    const parent = { column: 'site_id', ids: ['site_1', 'site_2', 'site_b'] } as const;
    take();
    expect([...(await store.totals(ORG_A, EVERYTHING, parent)).values()]).toEqual([2, 1, 0]);
    const models = await store.facets(ORG_A, EVERYTHING, parent, 'MODEL', 1);
    expect([...models.values()].map((buckets) => buckets.map(({ key }) => key))).toEqual([['M1'], ['M2'], []]);
    // One statement each, and one each for the revision.
    expect(take()).toBe(4);
  });

  it('aggregates over several fields', async () => {
    const { store } = await open();
    const rows = await store.aggregate(ORG_A, EVERYTHING, ['TYPE', 'SITE']);
    expect(
      rows.map(({ keys, count, health }) => [keys.map(({ value }) => value).join(' '), count, health.worst]),
    ).toEqual([
      ['CAMERA site_1', 2, 'OFFLINE'],
      ['CAMERA ', 1, 'UNKNOWN'],
      ['DOOR site_2', 1, 'DEGRADED'],
    ]);
    const refused = { extensions: { code: 'BAD_USER_INPUT' } };
    await expect(store.aggregate(ORG_A, EVERYTHING, [])).rejects.toMatchObject(refused);
    await expect(store.aggregate(ORG_A, EVERYTHING, ['TYPE', 'TYPE'])).rejects.toMatchObject(refused);
    await expect(store.aggregate(ORG_A, EVERYTHING, ['TYPE', 'SITE', 'TAG', 'MODEL'])).rejects.toMatchObject(refused);
  });

  it('answers a repeated question from memory and sees every committed change', async () => {
    const { store, db, take } = await open();
    const names = async (access: AccessScope) => (await store.page(access, FIRST)).rows.map(({ name }) => name);
    expect(await names(ORG_A)).toEqual(['a', 'b', 'c', 'd']);
    take();
    expect(await names(ORG_A)).toEqual(['a', 'b', 'c', 'd']);
    expect(take()).toBe(1);
    await db.write(async (tx) => {
      await tx.updateTable('devices').set({ name: 'z' }).where('native_id', '=', 'a').execute();
      await bumpOrgRevision(tx, 'org_a', FIXTURE_AT);
    });
    expect(await names(ORG_A)).toEqual(['b', 'c', 'd', 'z']);
    expect(await names(SITE_1)).toEqual(['b', 'z']);
  });

  it('asks anew what the clock alone changes', async () => {
    const { store, clock } = await open({ ...world, syncRuns: [syncRunRow('run_1', int1)] }, FIXTURE_AT + HOUR_MS);
    const selection = { filter: { stale: true, integrationIds: ['int_1'] }, search: null };
    const stale = async () => (await store.totals(ORG_A, selection, null)).get('');
    expect(await stale()).toBe(0);
    clock.now = FIXTURE_AT + 2 * HOUR_MS + 1;
    expect(await stale()).toBe(3);
  });

  it('confesses where rows come from, how old that is and what fails', async () => {
    const failing = integrationRow('int_3', 'org_a', { error_code: 'TIMEOUT', error_message: 'No answer.', name: 'z' });
    const locked = integrationRow('int_4', 'org_a', { state: 'REAUTH_REQUIRED', name: 'y' });
    const off = integrationRow('int_5', 'org_a', { state: 'DISABLED', name: 'x' });
    const fixture = {
      ...world,
      integrations: [int1, int2, intB, failing, locked, off],
      syncRuns: [
        syncRunRow('run_1', int1, { started_at: FIXTURE_AT - 90_000 }),
        syncRunRow('run_2', int1, { started_at: FIXTURE_AT, state: 'RUNNING' }),
        syncRunRow('run_3', int2, { started_at: FIXTURE_AT - HOUR_MS }),
      ],
    };
    const { store } = await open(fixture);
    const reports = (await store.sources(ORG_A, EVERYTHING, null)).get('')!;
    expect(reports.map((it) => [it.integrationId, it.freshness, it.ageSeconds, it.error?.code ?? null])).toEqual([
      ['int_4', 'UNREACHABLE', null, 'UNAUTHENTICATED_AT_PLATFORM'],
      ['int_3', 'UNREACHABLE', null, 'TIMEOUT'],
      ['int_1', 'FRESH', 90, null],
      ['int_2', 'STALE', 3_600, null],
      ['int_5', 'NEVER_SYNCED', null, 'OTHER'],
    ]);
  });

  it('names only sources that a list can come from and the principal sees', async () => {
    const { store } = await open();
    const ids = async (access: AccessScope, filter: object | null) =>
      (await store.sources(access, { filter, search: null }, null)).get('')?.map(({ integrationId }) => integrationId);
    expect(await ids(EVERYONE, null)).toEqual(['int_1', 'int_2', 'int_b']);
    expect(await ids(EVERYONE, { orgId: 'org_b' })).toEqual(['int_b']);
    expect(await ids(EVERYONE, { siteIds: ['site_2', 'site_b'] })).toEqual(['int_1', 'int_b']);
    expect(await ids(EVERYONE, { vendors: ['ACME_VMS'] })).toEqual(['int_1', 'int_b']);
    expect(await ids(SITE_1, null)).toEqual(['int_1']);
    expect(await ids(ORG_B, { orgId: 'org_a' })).toEqual([]);
    const bySite = await store.sources(ORG_A, EVERYTHING, { column: 'site_id', ids: ['site_1', 'site_b'] });
    expect([...bySite.values()].map((reports) => reports.map(({ integrationId }) => integrationId))).toEqual([
      ['int_1'],
      [],
    ]);
  });

  it('finds devices by their ids, removed ones too, and never a foreign one', async () => {
    const { store } = await open();
    const ids = world.devices!.map(({ id }) => id);
    const found = async (access: AccessScope) =>
      (await store.devices(access, ids)).map(({ org_id: org, native_id: id }) => `${org} ${id}`).toSorted();
    expect(await found(ORG_A)).toEqual(['org_a a', 'org_a b', 'org_a c', 'org_a d', 'org_a e']);
    expect(await found(SITE_1)).toEqual(['org_a a', 'org_a b']);
    const byId = async (access: AccessScope, value: string) =>
      (await store.deviceByExternalId(access, 'acme-vms:device-id', value))?.org_id;
    expect(await byId(ORG_A, 'a')).toBe('org_a');
    expect(await byId(ORG_B, 'a')).toBe('org_b');
    expect(await byId(ORG_B, 'c')).toBeUndefined();
    expect(await byId(SITE_1, 'c')).toBeUndefined();
    expect(await byId(ORG_A, '\0')).toBeUndefined();
  });

  it('keeps sync runs from who sees only some of the sites that they count', async () => {
    const syncRuns = ['run_1', 'run_2', 'run_3'].map((id, index) =>
      syncRunRow(id, int1, { started_at: FIXTURE_AT + index }),
    );
    const { store } = await open({ ...world, syncRuns });
    const runs = async (access: AccessScope) => {
      const page = (await store.syncRuns(access, ['int_1', 'int_b'], { first: 2, after: null })).get('int_1')!;
      return {
        ids: page.rows.map(({ id }) => id),
        total: (await store.syncRunCounts(access, ['int_1'])).get('int_1') ?? 0,
      };
    };
    expect(await runs(ORG_A)).toEqual({ ids: ['run_3', 'run_2'], total: 3 });
    expect(await runs({ orgIds: ['org_a'], siteIds: ['site_1', 'site_2'] })).toEqual({
      ids: ['run_3', 'run_2'],
      total: 3,
    });
    expect(await runs(SITE_1)).toEqual({ ids: [], total: 0 });
    expect(await runs(ORG_B)).toEqual({ ids: [], total: 0 });
  });

  it('reads the revision only to answer from memory', async () => {
    const { store, db, take } = await open();
    await store.page(EVERYONE, { ...FIRST, filter: { orgId: 'org_a' } });
    await bump(db, 'org_b');
    take();
    await store.page(EVERYONE, { ...FIRST, filter: { orgId: 'org_a' } });
    expect(take()).toBe(1);
  });
});
