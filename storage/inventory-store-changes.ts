import { type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import type { AccessScope } from '../schema/principal.ts';
import { visibleAtSite } from './access-conditions.ts';
import { badCursor, type PageArgs } from './connection.ts';
import type { CursorCodec } from './cursor.ts';
import type { Database } from './database.ts';
import { type FieldChange, FieldChanges } from './device-fields.ts';
import type { InventoryChangeRow } from './rows.ts';
import { all, any, type Condition, equals, isOneOf, matchesInstant } from './sql-conditions.ts';

// The inventory's own log: what a client that keeps a copy reads to stay equal. Its numbers are those of the `log`
// sequence, so a cursor that was read misses nothing that is committed later.

const KIND = 'inventory changes';
/** Where pruning got to: a position before it can no longer be continued. */
const FLOOR_KEY = 'inventory_changes_floor';
/** Rows that one pruning transaction deletes, so that it holds other writers up for milliseconds only. */
const PRUNE_BATCH = 5_000;

const Position = z.object({ epoch: z.string(), orgId: z.string(), seq: z.int().nonnegative() });
const Floor = z.object({ seq: z.int(), at: z.int() });
/** A change as this principal may see it. */
export interface InventoryChange {
  readonly row: InventoryChangeRow;
  readonly kind: string;
  readonly fields: readonly FieldChange[];
  /** Where to go on after it. */
  readonly cursor: () => string;
}

export interface InventoryChanges {
  readonly changes: readonly InventoryChange[];
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  /** The client's copy cannot be continued: see `resetRequired` of the API. */
  readonly isResetRequired: boolean;
  /** After the last change; on an empty page where to go on from all the same. */
  readonly endCursor: string;
}

export interface InventoryChangesArgs {
  readonly orgId: string;
  readonly page: PageArgs;
  /** Milliseconds; counts while `page.after` is absent. */
  readonly since: number | null;
}

interface Start {
  readonly seq: number;
  readonly since: number | null;
  readonly isResetRequired: boolean;
}

/** Where the memory of changes begins: `at` in milliseconds. Everything from then on is there. */
export async function readFloor(db: Pick<Database, 'read'>): Promise<z.infer<typeof Floor>> {
  const row = await db.read.selectFrom('meta').select('value').where('key', '=', FLOOR_KEY).executeTakeFirst();
  return row === undefined ? { seq: 0, at: 0 } : Floor.parse(JSON.parse(row.value));
}

/** A move out of a site-limited scope has its row at the other site: it is found by the site it names. */
function visibleChange(access: AccessScope): Condition {
  const { siteIds } = access;
  if (siteIds === null) return visibleAtSite(access, 'inventory_changes');
  const leftOneOf = any(siteIds.map((id) => sql<SqlBool>`inventory_changes.fields like ${`%"${id}"%`}`));
  const inOrg = visibleAtSite({ ...access, siteIds: null }, 'inventory_changes');
  return all([inOrg, any([isOneOf('inventory_changes.site_id', siteIds), all([isMove, leftOneOf])])]);
}

const isMove = sql<SqlBool>`inventory_changes.kind = 'MOVED'`;

/** To who sees only some sites, a move over their border is an arrival or a departure, and the other side has no name. */
function asSeen(row: InventoryChangeRow, { siteIds }: AccessScope): Pick<InventoryChange, 'row' | 'kind' | 'fields'> {
  const fields = FieldChanges.parse(JSON.parse(row.fields));
  const move = fields.find(({ name }) => name === 'site');
  if (siteIds === null || move === undefined) return { row, kind: row.kind, fields };
  const isSeen = (id: string | null) => id !== null && siteIds.includes(id);
  if (isSeen(move.before) && isSeen(move.after)) return { row, kind: row.kind, fields };
  return { row, kind: isSeen(move.after) ? 'ADDED' : 'REMOVED', fields: [] };
}

/**
 * A page of an org's inventory changes, oldest first.
 *
 * @throws GraphQLError BAD_CURSOR
 */
export async function readInventoryChanges(
  db: Database,
  cursors: CursorCodec,
  access: AccessScope,
  { orgId, page, since }: InventoryChangesArgs,
): Promise<InventoryChanges> {
  const seal = (seq: number) => cursors.encode(KIND, { epoch: db.epoch, orgId, seq });

  function parseStart(floor: z.infer<typeof Floor>): Start {
    if (page.after === null) {
      return { seq: 0, since, isResetRequired: floor.seq > 0 && (since === null || since < floor.at) };
    }
    const position = Position.safeParse(cursors.decode(KIND, page.after));
    if (!position.success || position.data.orgId !== orgId) throw badCursor();
    const { seq, epoch } = position.data;
    return { seq, since: null, isResetRequired: epoch !== db.epoch || seq < floor.seq };
  }

  // Both before the rows: whatever is committed up to this number is in what we read next.
  const head = await db.head();
  const start = parseStart(await readFloor(db));
  if (start.isResetRequired) {
    return {
      changes: [],
      hasNextPage: false,
      hasPreviousPage: false,
      isResetRequired: true,
      endCursor: seal(head),
    };
  }
  const rows = await db.read
    .selectFrom('inventory_changes')
    .selectAll()
    .where(visibleChange(access))
    .where(equals('inventory_changes.org_id', orgId))
    .where('seq', '>', start.seq)
    .where(matchesInstant('inventory_changes.at', { gte: start.since }))
    .orderBy('seq')
    .limit(page.first + 1)
    .execute();
  const changes = rows.slice(0, page.first).map((row) => ({ ...asSeen(row, access), cursor: () => seal(row.seq) }));
  const hasNextPage = rows.length > page.first;
  const end = changes.at(-1)?.row.seq ?? (hasNextPage ? start.seq : Math.max(head, start.seq));
  return {
    changes,
    hasNextPage,
    hasPreviousPage: page.after !== null,
    isResetRequired: false,
    endCursor: seal(end),
  };
}

/**
 * Deletes changes that are older; whoever comes back with a cursor from before then is told to start over.
 *
 * @param before milliseconds
 * @returns how many were deleted
 */
export async function pruneInventoryChanges(db: Database, before: number): Promise<number> {
  let deleted = 0;
  for (;;) {
    const count = await db.write(async (tx) => {
      const rows = await tx
        .selectFrom('inventory_changes')
        .select(['seq', 'at'])
        .where('at', '<', before)
        .orderBy('seq')
        .limit(PRUNE_BATCH)
        .execute();
      const last = rows.at(-1);
      if (last === undefined) return 0;
      const stored = await tx.selectFrom('meta').select('value').where('key', '=', FLOOR_KEY).executeTakeFirst();
      const floor = stored === undefined ? { seq: 0, at: 0 } : Floor.parse(JSON.parse(stored.value));
      // Instants of neighbours may be out of order by a clock's step: the floor must cover all that goes.
      const at = rows.reduce((latest, row) => Math.max(latest, row.at), floor.at);
      const value = JSON.stringify({ seq: Math.max(last.seq, floor.seq), at: at + 1 });
      await tx.deleteFrom('meta').where('key', '=', FLOOR_KEY).execute();
      await tx.insertInto('meta').values({ key: FLOOR_KEY, value }).execute();
      await tx.deleteFrom('inventory_changes').where('at', '<', before).where('seq', '<=', last.seq).execute();
      return rows.length;
    });
    deleted += count;
    if (count < PRUNE_BATCH) return deleted;
  }
}
