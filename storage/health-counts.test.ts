import fc from 'fast-check';
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { DEVICE_STATES } from '../schema/words.ts';
import { deviceRow, insertFixture, integrationRow, orgRow, siteRow } from './fixtures/directory-rows.ts';
import { countedHealth, keptHealth } from './fixtures/health-model.ts';
import { foldHealthDeltas, NO_DEVICES, readHealthCounts, withWorst } from './health-counts.ts';
import type { DeviceRow } from './rows.ts';
import { createTestStore, eachEngine } from './testing.ts';
import { openDatabase } from './open-database.ts';

const EVERYONE = { orgIds: 'all', siteIds: null } as const;
const ORGS = ['org_a', 'org_b'];
const SITES = ['site_a', 'site_b', 'site_c'];
const integrations = ORGS.map((org, index) => integrationRow(`int_${index}`, org));

const change = fc.record({
  device: fc.nat(29),
  what: fc.constantFrom('state', 'site', 'removed', 'flapping', 'maintenance', 'suppressed', 'name', 'delete', 'add'),
  to: fc.nat(3),
});

function changeOf({ what, to }: { readonly what: string; readonly to: number }): Partial<DeviceRow> {
  switch (what) {
    case 'state':
      return { state: [...DEVICE_STATES, 'DREAMING'][to] ?? 'ONLINE' };
    case 'site':
      return { site_id: SITES[to] ?? null };
    case 'removed':
      return { removed_at: to > 1 ? 5 : null };
    case 'flapping':
      return { flapping: to % 2 };
    case 'maintenance':
      return { maintenance_id: to > 1 ? `mw_${to}` : null };
    case 'suppressed':
      return { suppressed_by: to > 1 ? `dev_${to}` : null };
    default:
      return { name: `name ${to}` };
  }
}

const devices = Array.from({ length: 30 }, (_, index) => {
  const integration = integrations[index % 2];
  if (integration === undefined) throw new RangeError('there are two');
  return deviceRow(integration, `native-${index}`, { site_id: SITES[index % 4] ?? null, state: 'ONLINE' });
});

const fixture = { orgs: ORGS.map((id) => orgRow(id)), sites: SITES.map((id) => siteRow(id, 'org_a')), integrations };

eachEngine('kept counts', (open, engine) => {
  it('are what a full count finds after any writes, folded or not', async () => {
    const db = await open();
    await insertFixture(db, { ...fixture, devices });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 20 }), async (changes) => {
        await db.write(async (tx) => {
          for (const each of changes) {
            const row = devices[each.device];
            if (row === undefined) continue;
            if (each.what === 'delete') await tx.deleteFrom('devices').where('id', '=', row.id).execute();
            else if (each.what === 'add') {
              await tx
                .insertInto('devices')
                .values(row)
                .onConflict((conflict) => conflict.column('id').doUpdateSet({ state: 'OFFLINE', removed_at: null }))
                .execute();
            } else await tx.updateTable('devices').set(changeOf(each)).where('id', '=', row.id).execute();
          }
          // Many rows of one statement, as syncs and incidents write them.
          const [first] = changes;
          if (first !== undefined)
            await tx.updateTable('devices').set(changeOf(first)).where('name', '<', 'n').execute();
        });
        expect(await keptHealth(db)).toEqual(await countedHealth(db));
      }),
      { numRuns: 40, seed: 3 },
    );
    while (await foldHealthDeltas(db)) {
      // Until nothing is left to fold.
    }
    expect(await keptHealth(db)).toEqual(await countedHealth(db));
    const deltas = await db.read.selectFrom('health_deltas').select('id').limit(200).execute();
    expect(deltas.length).toBeLessThan(200);
  });

  it('do not keep what a transaction took back', async () => {
    const db = await open();
    await insertFixture(db, { ...fixture, devices });
    const before = await keptHealth(db);
    const undone = db.write(async (tx) => {
      await tx.updateTable('devices').set({ state: 'OFFLINE' }).execute();
      throw new Error('taken back');
    });
    await expect(undone).rejects.toThrow('taken back');
    expect(await keptHealth(db)).toEqual(before);
  });

  it('let writers of the same sites pass each other in any order', async () => {
    const db = await open();
    await insertFixture(db, { ...fixture, devices });
    const half = (rest: number) => devices.filter((_, index) => index % 2 === rest);
    // Each holds one site's counts while it goes on to the next; the two go in opposite directions.
    const walk = (rows: readonly DeviceRow[], state: string) =>
      db.write(async (tx) => {
        for (const row of rows) await tx.updateTable('devices').set({ state }).where('id', '=', row.id).execute();
      });
    for (let round = 0; round < 20; round += 1) {
      const state = DEVICE_STATES[round % 4] ?? 'ONLINE';
      await Promise.all([walk(half(0), state), walk(half(1).toReversed(), state), foldHealthDeltas(db)]);
    }
    expect(await keptHealth(db)).toEqual(await countedHealth(db));
  });

  it('are sums of visible sites, and tell the worst state', async () => {
    const db = await open();
    await insertFixture(db, { ...fixture, devices });
    await db.write((tx) =>
      tx.updateTable('devices').set({ state: 'DEGRADED', flapping: 1 }).where('site_id', '=', 'site_b').execute(),
    );
    const all = await readHealthCounts(db.read, EVERYONE, 'org_id', ['org_a', 'org_b', 'org_x']);
    const atSites = { orgIds: ['org_a'], siteIds: ['site_a', 'site_c'] };
    const some = await readHealthCounts(db.read, atSites, 'org_id', ORGS);
    const sites = await readHealthCounts(db.read, EVERYONE, 'site_id', SITES);
    const counts = await countedHealth(db);
    const total = (org: string) =>
      [...counts].filter(([key]) => key.startsWith(org)).reduce((sum, [, each]) => sum + each.total, 0);
    expect([...all.keys()].toSorted()).toEqual(ORGS);
    expect(all.get('org_a')?.total).toBe(total('org_a'));
    expect(all.get('org_b')).toMatchObject({ worst: 'DEGRADED', flapping: 8, online: 7 });
    expect([...some.keys()]).toEqual(['org_a']);
    expect(some.get('org_a')).toMatchObject({
      total: (counts.get('org_a site_a')?.total ?? 0) + (counts.get('org_a site_c')?.total ?? 0),
      worst: 'ONLINE',
    });
    expect(sites.get('site_b')).toMatchObject({ online: 0, degraded: 8, worst: 'DEGRADED' });
    expect(withWorst(NO_DEVICES)).toEqual(NO_DEVICES);
  });

  it('begin with the devices that a store of an older release has', async () => {
    const store = await createTestStore(engine);
    const old = await openDatabase(store.options);
    await insertFixture(old, { ...fixture, devices });
    const before = await keptHealth(old);
    // Back to before the counts were kept.
    await old.write(async (tx) => {
      const all = ['insert', 'update', 'delete', ...(engine === 'sqlite' ? ['first', 'enter', 'leave'] : [])];
      for (const name of all.map((each) => `health_counts_${each}`)) {
        await sql.raw(`drop trigger "${name}"${engine === 'postgres' ? ' on devices' : ''}`).execute(tx);
        if (engine === 'postgres') await sql.raw(`drop function "${name}"`).execute(tx);
      }
      await sql`drop view health_rows`.execute(tx);
      await sql`drop table health_deltas`.execute(tx);
      await sql`drop index health_counts_by_site_id`.execute(tx);
      await sql`delete from health_counts`.execute(tx);
      await sql`delete from kysely_migration where name >= '0004'`.execute(tx);
    });
    await old.close();
    const migrated = await openDatabase(store.options);
    expect(await keptHealth(migrated)).toEqual(before);
    expect(before).toEqual(await countedHealth(migrated));
    await migrated.close();
    await store.remove();
  });
});
