import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEVICE_STATES } from '../schema/words.ts';
import { MAX_PAGE_SIZE, pageInfo, parsePageArgs } from './connection.ts';
import { createCursorCodec } from './cursor.ts';
import type { Database } from './database.ts';
import {
  deviceRow,
  FIXTURE_AT,
  insertDevices,
  insertFixture,
  integrationRow,
  orgRow,
  siteRow,
} from './fixtures/directory-rows.ts';
import { createInventoryStore, type InventoryStore } from './inventory-store.ts';
import type { DeviceOrder } from './inventory-store-list.ts';
import type { DeviceRow } from './rows.ts';
import { eachEngine } from './testing.ts';

const EVERYONE = { orgIds: 'all', siteIds: null } as const;
const BY_NAME: DeviceOrder = { field: 'NAME', direction: 'ASC' };
const cursors = createCursorCodec(new Uint8Array(32).fill(1));
const integration = integrationRow('int_a', 'org_a');

const ORDERS: readonly DeviceOrder[] = (['ASC', 'DESC'] as const).flatMap((direction) =>
  (['NAME', 'STATE_SEVERITY', 'STATUS_SINCE', 'LAST_SEEN', 'UPDATED_AT'] as const).map((field) => ({
    field,
    direction,
  })),
);

/** Few different keys, so that ties are common; some are empty. */
function drawDevice(index: number, random: () => number): DeviceRow {
  return deviceRow(integration, `n${index}`, {
    name: ['a', 'B', 'ä', 'Z', '日', '10', '9'][Math.floor(random() * 7)] ?? '',
    state: DEVICE_STATES[Math.floor(random() * 4)] ?? 'UNKNOWN',
    state_since: FIXTURE_AT + Math.floor(random() * 3),
    updated_at: FIXTURE_AT + Math.floor(random() * 3),
    last_seen_at: random() < 0.4 ? null : FIXTURE_AT + Math.floor(random() * 3),
  });
}

function createStore(db: Database): InventoryStore {
  return createInventoryStore({ db, cursors, vendors: [], now: () => FIXTURE_AT });
}

async function open(openDb: () => Promise<Database>, devices: readonly DeviceRow[]) {
  const db = await openDb();
  await insertFixture(db, {
    orgs: [orgRow('org_a')],
    sites: [siteRow('site_a', 'org_a')],
    integrations: [integration],
    devices,
  });
  return { db, store: createStore(db) };
}

function key(row: DeviceRow, { field }: DeviceOrder): string | number | null {
  return {
    NAME: row.name,
    STATE_SEVERITY: row.state_rank,
    STATUS_SINCE: row.state_since,
    LAST_SEEN: row.last_seen_at,
    UPDATED_AT: row.updated_at,
  }[field];
}

/** Texts by their bytes, ties by id in the same direction, empty keys last. */
function inOrder(rows: readonly DeviceRow[], order: DeviceOrder): string[] {
  const sign = order.direction === 'ASC' ? 1 : -1;
  const compare = (a: string | number, b: string | number) =>
    typeof a === 'number' && typeof b === 'number'
      ? a - b
      : Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)));
  return rows
    .toSorted((a, b) => {
      const [left, right] = [key(a, order), key(b, order)];
      if (left === null || right === null) {
        return left === right ? sign * compare(a.id, b.id) : left === null ? 1 : -1;
      }
      return sign * (compare(left, right) || compare(a.id, b.id));
    })
    .map(({ id }) => id);
}

eachEngine('pages of devices', (openDb) => {
  it('come in order whatever the order and size', async () => {
    let seed = 1;
    const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
    const rows = Array.from({ length: 60 }, (_, index) => drawDevice(index, random));
    const { store } = await open(openDb, rows);
    for (const order of ORDERS) {
      for (const first of [1, 7, 60]) {
        const seen: string[] = [];
        let after: string | null = null;
        do {
          const page = await store.page(EVERYONE, { page: { first, after }, order, filter: null, search: null });
          seen.push(...page.rows.map(({ id }) => id));
          after = page.hasNextPage ? pageInfo(page).endCursor : null;
        } while (after !== null && seen.length < 200);
        expect({ order, seen }).toEqual({ order, seen: inOrder(rows, order) });
      }
    }
  });

  it('show every entry that stays exactly once while others come and go', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 - 2 }), fc.constantFrom(...ORDERS), async (start, order) => {
        let seed = start;
        const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
        const rows = Array.from({ length: 30 }, (_, index) => drawDevice(index, random));
        const { db, store } = await open(openDb, rows);
        const [stays, goes] = [rows.slice(0, 20), rows.slice(20)];
        const seen: string[] = [];
        let after: string | null = null;
        let next = rows.length;
        do {
          const first = 1 + Math.floor(random() * 6);
          const page = await store.page(EVERYONE, { page: { first, after }, order, filter: null, search: null });
          seen.push(...page.rows.map(({ id }) => id));
          after = page.hasNextPage ? pageInfo(page).endCursor : null;
          const gone = goes.pop();
          next += 1;
          await db.write(async (tx) => {
            await insertDevices(tx, [drawDevice(next, random)]);
            if (gone !== undefined) await tx.deleteFrom('devices').where('id', '=', gone.id).execute();
            await tx.updateTable('orgs').set({ revision: next }).execute();
          });
        } while (after !== null && seen.length < 200);
        expect(new Set(seen).size).toBe(seen.length);
        expect(stays.filter(({ id }) => !seen.includes(id))).toEqual([]);
      }),
      { numRuns: 8, seed: 5 },
    );
  });

  it('go on behind an entry that is gone', async () => {
    const rows = ['a', 'b', 'c'].map((name) => deviceRow(integration, name, { name }));
    const { db, store } = await open(openDb, rows);
    const args = { order: BY_NAME, filter: null, search: null };
    const page = await store.page(EVERYONE, { ...args, page: { first: 2, after: null } });
    await db.write(async (tx) => {
      await tx.deleteFrom('devices').where('name', '=', 'b').execute();
      await tx.updateTable('orgs').set({ revision: 2 }).execute();
    });
    const next = await store.page(EVERYONE, { ...args, page: { first: 2, after: pageInfo(page).endCursor } });
    expect(next.rows.map(({ name }) => name)).toEqual(['c']);
    expect(pageInfo(next)).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
  });

  it('tell of a next page when none of this one is asked for', async () => {
    const { store } = await open(openDb, [deviceRow(integration, 'a')]);
    const page = await store.page(EVERYONE, {
      page: { first: 0, after: null },
      order: BY_NAME,
      filter: null,
      search: null,
    });
    expect(pageInfo(page)).toEqual({ hasNextPage: true, hasPreviousPage: false, startCursor: null, endCursor: null });
  });

  it('of many parents are the same as those of each', async () => {
    const sites = ['site_1', 'site_2', 'site_3'];
    const rows = sites.slice(0, 2).flatMap((site_id, group) =>
      Array.from({ length: 5 + group }, (_, index) =>
        deviceRow(integration, `${site_id}-${index}`, {
          site_id,
          last_seen_at: index % 2 === 0 ? null : FIXTURE_AT + index,
        }),
      ),
    );
    const { store } = await open(openDb, rows);
    for (const order of ORDERS) {
      const args = { page: { first: 3, after: null }, order, filter: null, search: null };
      const together = await store.pages(EVERYONE, args, { column: 'site_id', ids: sites });
      for (const id of sites) {
        const alone = (await store.pages(EVERYONE, args, { column: 'site_id', ids: [id] })).get(id)!;
        const same = together.get(id)!;
        expect(same.rows.map((row) => row.id)).toEqual(alone.rows.map((row) => row.id));
        expect(pageInfo(same)).toEqual(pageInfo(alone));
      }
    }
  });

  it('refuse cursors of another list, order or maker', async () => {
    const { store } = await open(openDb, [deviceRow(integration, 'a'), deviceRow(integration, 'b')]);
    const list = (order: DeviceOrder, after: string | null) =>
      store.page(EVERYONE, { page: { first: 1, after }, order, filter: null, search: null });
    const good = pageInfo(await list(BY_NAME, null)).endCursor!;
    await expect(list(BY_NAME, good)).resolves.toBeDefined();
    const foreign = createCursorCodec(new Uint8Array(32).fill(2)).encode('devices NAME ASC', ['a', 'dev_a']);
    const bad = { extensions: { code: 'BAD_CURSOR' } };
    await expect(list({ field: 'NAME', direction: 'DESC' }, good)).rejects.toMatchObject(bad);
    await expect(list({ field: 'UPDATED_AT', direction: 'ASC' }, good)).rejects.toMatchObject(bad);
    await expect(list(BY_NAME, foreign)).rejects.toMatchObject(bad);
    await expect(list(BY_NAME, `${good}A`)).rejects.toMatchObject(bad);
    await expect(list(BY_NAME, '')).rejects.toMatchObject(bad);
    await expect(store.syncRuns(EVERYONE, ['int_a'], { first: 1, after: good })).rejects.toMatchObject(bad);
  });

  it('carry the longest names in their cursors', async () => {
    const name = '\u0001'.repeat(500);
    const { store } = await open(openDb, [
      deviceRow(integration, 'a', { name }),
      deviceRow(integration, 'b', { name }),
    ]);
    const args = { order: BY_NAME, filter: null, search: null };
    const page = await store.page(EVERYONE, { ...args, page: { first: 1, after: null } });
    const next = await store.page(EVERYONE, { ...args, page: { first: 1, after: pageInfo(page).endCursor } });
    expect(next.rows).toHaveLength(1);
  });
});

describe('page arguments', () => {
  it('are 50 entries from the start by default', () => {
    expect(parsePageArgs(undefined, null)).toEqual({ first: 50, after: null });
  });

  it('name the limit that is passed', () => {
    expect(parsePageArgs(MAX_PAGE_SIZE, undefined).first).toBe(500);
    expect(() => parsePageArgs(501, null)).toThrow(
      expect.objectContaining({
        message: expect.stringContaining('500'),
        extensions: { code: 'PAGE_TOO_LARGE', limit: 500 },
      }),
    );
    expect(() => parsePageArgs(-1, null)).toThrow(expect.objectContaining({ extensions: { code: 'BAD_USER_INPUT' } }));
  });
});
