import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { DeviceDraft } from '../../adapter-kit/model.ts';
import type { AccessScope } from '../../schema/principal.ts';
import { createCursorCodec } from '../../storage/cursor.ts';
import type { Database } from '../../storage/database.ts';
import { readDeviceAsOf } from '../../storage/device-as-of.ts';
import { pruneInventoryChanges, readInventoryChanges } from '../../storage/inventory-store-changes.ts';
import { readInventoryDiff } from '../../storage/inventory-diff.ts';
import type { DeviceRow } from '../../storage/rows.ts';
import { eachEngine } from '../../storage/testing.ts';
import {
  createParts,
  device,
  FakePlatform,
  seedBinding,
  seedIntegration,
  seedOrg,
  seedSite,
} from '../integrations/testing.ts';
import { createSyncEngine } from './engine.ts';

const EVERYTHING: AccessScope = { orgIds: 'all', siteIds: null };
const MINUTE = 60_000;
const cursors = createCursorCodec(new Uint8Array(32));

/** A platform whose inventory is another one at each step; the third site is not bound. */
const draft = fc
  .record({
    name: fc.constantFrom('Door', 'Gate', 'Hall'),
    nativeSiteId: fc.constantFrom('site-1', 'site-1', 'site-2', 'site-3'),
    firmware: fc.constantFrom(null, '1.0', '1.1'),
    model: fc.constantFrom(null, 'M1'),
    tags: fc.constantFrom([], ['a'], ['a, b', 'c'], ['b']),
    parentNativeId: fc.constantFrom(null, 'p1', 'p2'),
    zone: fc.constantFrom(null, { name: 'Ground', kind: 'FLOOR' as const }, { name: 'First', kind: 'FLOOR' as const }),
    state: fc.constantFrom('ONLINE' as const, 'OFFLINE' as const, 'DEGRADED' as const),
  })
  .map(
    ({ state, ...fields }): Partial<DeviceDraft> => ({
      ...fields,
      status: { state, reason: null, vendorState: state, observedAt: null },
    }),
  );
const inventory = fc
  .uniqueArray(fc.record({ id: fc.constantFrom('a', 'b', 'c', 'd'), draft }), { selector: ({ id }) => id })
  .map((devices) => devices.map((each) => device(each.id, each.draft)));

async function world(db: Database) {
  const platform = new FakePlatform();
  const parts = createParts(db, platform);
  const engine = createSyncEngine(parts);
  const orgId = await seedOrg(db);
  const sites = [await seedSite(db, orgId), await seedSite(db, orgId, 'Second')];
  const integrationId = await seedIntegration(db, orgId);
  for (const [at, siteId] of sites.entries()) {
    await seedBinding(db, { orgId, integrationId, siteId, vendorSiteId: `site-${at + 1}` });
  }
  return {
    orgId,
    sites,
    now: () => parts.clock.now(),
    rows: () => db.read.selectFrom('devices').selectAll().where('org_id', '=', orgId).orderBy('id').execute(),
    /** The platform becomes this, and a minute later we have seen it. */
    step: async (devices: readonly DeviceDraft[]) => {
      await parts.clock.advance(MINUTE);
      platform.devices = [...devices];
      await engine.run({ integrationId, trigger: 'SCHEDULE' });
      await parts.clock.advance(MINUTE);
    },
  };
}

/** What must be the same then and now; the rest is bookkeeping of the store. */
function told(row: DeviceRow) {
  const {
    content_hash: _hash,
    search_text: _text,
    missed_syncs: _missed,
    claim_received_at: _at,
    claim_inbox_id: _id,
    ...rest
  } = row;
  return rest;
}

/** The same without what is only known of now: when it was heard last, and in which words. */
function remembered(row: DeviceRow) {
  const {
    last_seen_at: _seen,
    state_observed_at: _observed,
    state_vendor: _word,
    evidence: _evidence,
    flap_changes: _flaps,
    flap_until: _until,
    silence_due_at: _due,
    ...rest
  } = told(row);
  return rest;
}

const runsOn = (engine: Database['engine']) => ({ numRuns: engine === 'sqlite' ? 12 : 4, endOnFailure: true });

eachEngine('the inventory in time', (open, engine) => {
  const RUNS = runsOn(engine);
  it('shows every device as it was after each step, and as it is now', async () => {
    const db = await open();
    await fc.assert(
      fc.asyncProperty(fc.array(inventory, { minLength: 2, maxLength: 6 }), async (steps) => {
        const { step, rows, now } = await world(db);
        const seen: { readonly at: number; readonly rows: readonly DeviceRow[] }[] = [];
        for (const devices of steps) {
          await step(devices);
          seen.push({ at: now(), rows: await rows() });
        }
        const live = await rows();
        for (const each of live) {
          const asNow = await readDeviceAsOf(db, EVERYTHING, each, now());
          expect(asNow === null ? null : told(asNow)).toEqual(told(each));
        }
        for (const { at, rows: before } of seen) {
          for (const each of live) {
            const then = await readDeviceAsOf(db, EVERYTHING, each, at);
            const expected = before.find(({ id }) => id === each.id);
            expect(then === null ? undefined : remembered(then)).toEqual(expected && remembered(expected));
          }
        }
      }),
      RUNS,
    );
  });

  it('gives whoever applies all changes to an old copy the inventory of now, also after changes were forgotten', async () => {
    const db = await open();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ devices: inventory, reads: fc.boolean(), forgets: fc.boolean() }), {
          minLength: 2,
          maxLength: 7,
        }),
        async (steps) => {
          const { orgId, step, rows, now } = await world(db);
          const copy = new Map<string, ReturnType<typeof kept>>();
          let after: string | null = null;

          const snapshot = async (): Promise<void> => {
            copy.clear();
            for (const row of await rows()) if (row.removed_at === null) copy.set(row.id, kept(row));
          };
          const follow = async (): Promise<void> => {
            for (;;) {
              const args = { orgId, since: null, page: { first: 3, after } };
              const page = await readInventoryChanges(db, cursors, EVERYTHING, args);
              if (page.isResetRequired) await snapshot();
              const current = new Map((await rows()).map((row) => [row.id, row]));
              for (const { row, kind, fields } of page.changes) {
                const known = copy.get(row.device_id);
                const present = current.get(row.device_id);
                if (kind === 'REMOVED') copy.delete(row.device_id);
                // A new one is read as it is by now; what follows says the same once more.
                else if (known === undefined && present !== undefined && present.removed_at === null)
                  copy.set(row.device_id, kept(present));
                else if (known !== undefined)
                  copy.set(row.device_id, {
                    ...known,
                    ...Object.fromEntries(fields.map(({ name, after: value }) => [name, value])),
                  });
              }
              after = page.endCursor;
              if (!page.hasNextPage) return;
            }
          };

          for (const { devices, reads, forgets } of steps) {
            await step(devices);
            if (reads) await follow();
            if (forgets) await pruneInventoryChanges(db, now() - MINUTE / 2);
          }
          await follow();
          const live = (await rows()).filter(({ removed_at }) => removed_at === null);
          expect([...copy].toSorted(([a], [b]) => (a < b ? -1 : 1))).toEqual(live.map((row) => [row.id, kept(row)]));
        },
      ),
      RUNS,
    );
  });

  it('tells of two instants what came, went, moved and changed, to each who saw it', async () => {
    const db = await open();
    await fc.assert(
      fc.asyncProperty(fc.array(inventory, { minLength: 3, maxLength: 6 }), fc.boolean(), async (steps, isLimited) => {
        const { orgId, sites, step, rows, now } = await world(db);
        const access: AccessScope = isLimited ? { orgIds: [orgId], siteIds: sites.slice(0, 1) } : EVERYTHING;
        const states: { readonly at: number; readonly rows: ReadonlyMap<string, DeviceRow> }[] = [
          { at: now(), rows: new Map() },
        ];
        for (const devices of steps) {
          await step(devices);
          states.push({ at: now(), rows: new Map((await rows()).map((row) => [row.id, row])) });
        }
        const isSeen = (row: DeviceRow | undefined): row is DeviceRow =>
          row !== undefined &&
          row.removed_at === null &&
          (access.siteIds === null || (row.site_id !== null && access.siteIds.includes(row.site_id)));
        for (const [from, before] of states.entries()) {
          for (const after of states.slice(from + 1)) {
            const found = await all(db, access, { orgId, from: before.at, to: after.at });
            const expected = [...after.rows.keys()].toSorted().flatMap((deviceId) => {
              const [was, is] = [before.rows.get(deviceId), after.rows.get(deviceId)];
              if (isSeen(was) && isSeen(is)) {
                const [old, fresh] = [kept(was), kept(is)];
                const names = Object.keys(old).filter((name) => old[name] !== fresh[name]);
                if (names.length === 0) return [];
                return [{ deviceId, kind: names.includes('site') ? 'MOVED' : 'UPDATED', names: names.toSorted() }];
              }
              if (isSeen(was) === isSeen(is)) return [];
              return [{ deviceId, kind: isSeen(is) ? 'ADDED' : 'REMOVED', names: [] }];
            });
            expect(
              found.map(({ deviceId, kind, fields }) => ({
                deviceId,
                kind,
                names: fields.map(({ name }) => name).toSorted(),
              })),
            ).toEqual(expected);
          }
        }
      }),
      RUNS,
    );
  });

  it('knows when a device was gone, and that it came back', async () => {
    const db = await open();
    const { step, rows, now } = await world(db);
    const seen: { readonly at: number; readonly removedAt: number | null }[] = [];
    for (const isListed of [true, false, false, false, true, true]) {
      await step([device('b'), ...(isListed ? [device('a', { name: 'Door' })] : [])]);
      const row = (await rows()).find(({ name }) => name === 'Door');
      seen.push({ at: now(), removedAt: row?.removed_at ?? null });
    }
    const door = (await rows()).find(({ name }) => name === 'Door');
    if (door === undefined) throw new Error('there is no device');
    expect(seen.map(({ removedAt }) => removedAt === null)).toEqual([true, true, false, false, true, true]);
    for (const { at, removedAt } of seen) {
      expect((await readDeviceAsOf(db, EVERYTHING, door, at))?.removed_at).toBe(removedAt);
    }
  });

  it('tells nothing about what it no longer knows', async () => {
    const db = await open();
    const { orgId, step, rows, now } = await world(db);
    await step([device('a')]);
    const first = now();
    await step([device('a', { firmware: '2' })]);
    await pruneInventoryChanges(db, first);
    const [a] = await rows();
    if (a === undefined) throw new Error('there is no device');
    await expect(readDeviceAsOf(db, EVERYTHING, a, first - MINUTE)).rejects.toMatchObject({
      extensions: { code: 'BAD_USER_INPUT' },
    });
    expect(await readDeviceAsOf(db, EVERYTHING, a, a.first_seen_at - 1)).toBeNull();
    expect(await readDeviceAsOf(db, EVERYTHING, a, first)).toMatchObject({ firmware: null });
    const span = { orgId, page: { first: 10, after: null } };
    await expect(
      readInventoryDiff(db, cursors, EVERYTHING, { ...span, from: first - MINUTE, to: now() }),
    ).rejects.toMatchObject({
      extensions: { code: 'BAD_USER_INPUT' },
    });
    await expect(readInventoryDiff(db, cursors, EVERYTHING, { ...span, from: now(), to: first })).rejects.toMatchObject(
      {
        extensions: { code: 'BAD_USER_INPUT' },
      },
    );
  });

  it('shows a past to nobody who may not see where the device was', async () => {
    const db = await open();
    const { orgId, sites, step, rows, now } = await world(db);
    await step([device('a', { nativeSiteId: 'site-1' })]);
    const atFirst = now();
    await step([device('a', { nativeSiteId: 'site-2', firmware: '2' })]);
    const [a] = await rows();
    if (a === undefined) throw new Error('there is no device');
    const scope = (siteIds: readonly string[]): AccessScope => ({ orgIds: [orgId], siteIds });
    expect(await readDeviceAsOf(db, scope(sites.slice(1)), a, atFirst)).toBeNull();
    expect(await readDeviceAsOf(db, scope(sites.slice(1)), a, now())).toMatchObject({ firmware: '2' });
    expect(await readDeviceAsOf(db, scope(sites), a, atFirst)).toMatchObject({ site_id: sites[0], firmware: null });
  });
});

/** Every entry, page by page. */
async function all(
  db: Database,
  access: AccessScope,
  span: { readonly orgId: string; readonly from: number; readonly to: number },
) {
  const found = [];
  let after: string | null = null;
  for (;;) {
    const page = await readInventoryDiff(db, cursors, access, { ...span, page: { first: 2, after } });
    found.push(...page.rows);
    const last = page.rows.at(-1);
    if (!page.hasNextPage || last === undefined) return found;
    after = page.cursorOf(last);
  }
}

/** What a client keeps of a device, in the words of its changes. */
function kept(row: DeviceRow): Record<string, string | null> {
  const listOf = (json: string): string => JSON.parse(json).join(', ');
  return {
    name: row.name,
    firmware: row.firmware,
    model: row.model,
    tags: listOf(row.tags),
    parent: row.parent_id,
    site: row.site_id,
    zone: row.zone_id,
    vendorSiteId: row.vendor_site_id,
  };
}
