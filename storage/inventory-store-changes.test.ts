import { expect, it } from 'vitest';
import type { AccessScope } from '../schema/principal.ts';
import { createCursorCodec } from './cursor.ts';
import type { Database } from './database.ts';
import { FIXTURE_AT } from './fixtures/directory-rows.ts';
import { pruneInventoryChanges, readInventoryChanges } from './inventory-store-changes.ts';
import type { InventoryChangeRow } from './rows.ts';
import { eachEngine } from './testing.ts';

const ORG_A: AccessScope = { orgIds: ['org_a'], siteIds: null };
const ORG_B: AccessScope = { orgIds: ['org_b'], siteIds: null };
const SITE_1: AccessScope = { orgIds: ['org_a'], siteIds: ['site_1'] };
const cursors = createCursorCodec(new Uint8Array(32));

type Change = Partial<Omit<InventoryChangeRow, 'seq'>>;

async function write(db: Database, changes: readonly Change[]): Promise<void> {
  await db.write(async (tx) => {
    const first = await db.takeSequence(tx, changes.length);
    const rows = changes.map((change, index) => ({
      seq: first + index,
      org_id: 'org_a',
      site_id: null,
      device_id: `dev_${first + index}`,
      kind: 'ADDED',
      at: FIXTURE_AT,
      fields: '[]',
      ...change,
    }));
    await tx.insertInto('inventory_changes').values(rows).execute();
  });
}

function moved(before: string, after: string): Change {
  return { kind: 'MOVED', site_id: after, fields: JSON.stringify([{ name: 'site', before, after }]) };
}

eachEngine('inventory changes', (openDb) => {
  interface Asked {
    readonly access?: AccessScope;
    readonly orgId?: string;
    readonly after?: string | null;
    readonly since?: number | null;
    readonly first?: number;
  }

  function read(
    db: Database,
    { access = ORG_A, orgId = 'org_a', after = null, since = null, first = 100 }: Asked = {},
  ) {
    return readInventoryChanges(db, cursors, access, { orgId, since, page: { first, after } });
  }

  it('come oldest first, each once, by cursor', async () => {
    const db = await openDb();
    await write(
      db,
      Array.from({ length: 7 }, () => ({})),
    );
    await write(db, [{ org_id: 'org_b' }, {}]);
    const seen: string[] = [];
    let after: string | null = null;
    for (let more = true; more && seen.length < 20; ) {
      const page = await read(db, { after, first: 3 });
      seen.push(...page.changes.map(({ row }) => row.device_id));
      expect(page.changes.at(-1)?.cursor()).toBe(page.endCursor);
      ({ endCursor: after, hasNextPage: more } = page);
    }
    expect(seen).toEqual(['dev_1', 'dev_2', 'dev_3', 'dev_4', 'dev_5', 'dev_6', 'dev_7', 'dev_9']);
  });

  it('tell on an empty page where to go on', async () => {
    const db = await openDb();
    await write(db, [{}]);
    const { endCursor } = await read(db);
    const empty = await read(db, { after: endCursor });
    expect(empty.changes).toEqual([]);
    await write(db, [{ org_id: 'org_b' }, {}]);
    expect((await read(db, { after: empty.endCursor })).changes.map(({ row }) => row.seq)).toEqual([3]);
    expect((await read(db, { after: endCursor, first: 0 })).endCursor).toBe(endCursor);
  });

  it('begin at an instant', async () => {
    const db = await openDb();
    await write(db, [{ at: FIXTURE_AT - 1 }, { at: FIXTURE_AT }]);
    expect((await read(db, { since: FIXTURE_AT })).changes).toHaveLength(1);
  });

  it('of a foreign org look like those of an unknown one', async () => {
    const db = await openDb();
    await write(db, [{}]);
    const shown = async (asked: Asked) => {
      const { changes, hasNextPage, isResetRequired } = await read(db, asked);
      return { changes, hasNextPage, isResetRequired };
    };
    expect(await shown({ access: ORG_B })).toEqual(await shown({ access: ORG_B, orgId: 'org_x' }));
  });

  it('show a move over the border of a limited scope as an arrival or a departure without the other side', async () => {
    const db = await openDb();
    await write(db, [
      { site_id: 'site_1' },
      { site_id: 'site_2' },
      moved('site_1', 'site_2'),
      moved('site_2', 'site_1'),
      moved('site_2', 'site_3'),
    ]);
    const limited = await read(db, { access: SITE_1 });
    expect(limited.changes.map(({ row, kind, fields }) => [row.seq, kind, fields])).toEqual([
      [1, 'ADDED', []],
      [3, 'REMOVED', []],
      [4, 'ADDED', []],
    ]);
    const whole = await read(db);
    expect(whole.changes.map(({ kind }) => kind)).toEqual(['ADDED', 'ADDED', 'MOVED', 'MOVED', 'MOVED']);
    expect(whole.changes[2]?.fields).toEqual([{ name: 'site', before: 'site_1', after: 'site_2' }]);
  });

  it('ask for a fresh start where they cannot be continued', async () => {
    const db = await openDb();
    await write(db, [{ at: FIXTURE_AT }, { at: FIXTURE_AT + 1 }, { at: FIXTURE_AT + 2 }]);
    const [first, second] = (await read(db)).changes.map(({ cursor }) => cursor());
    expect(await pruneInventoryChanges(db, FIXTURE_AT + 2)).toBe(2);
    const lost = await read(db, { after: first! });
    expect(lost).toMatchObject({ isResetRequired: true, changes: [] });
    expect((await read(db)).isResetRequired).toBe(true);
    expect((await read(db, { since: FIXTURE_AT })).isResetRequired).toBe(true);
    expect((await read(db, { after: second! })).changes).toHaveLength(1);
    expect((await read(db, { since: FIXTURE_AT + 2 })).changes).toHaveLength(1);
    await write(db, [{}]);
    expect((await read(db, { after: lost.endCursor })).changes.map(({ row }) => row.seq)).toEqual([4]);
    const otherLife = { ...db, epoch: 'another' };
    expect((await read(otherLife, { after: second! })).isResetRequired).toBe(true);
  });

  it('refuse cursors of another org or maker', async () => {
    const db = await openDb();
    await write(db, [{}]);
    const { endCursor } = await read(db);
    const bad = { extensions: { code: 'BAD_CURSOR' } };
    await expect(read(db, { after: endCursor, orgId: 'org_b' })).rejects.toMatchObject(bad);
    await expect(read(db, { after: 'nonsense' })).rejects.toMatchObject(bad);
  });
});
