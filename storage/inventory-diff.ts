import { sql } from 'kysely';
import { z } from 'zod';
import { fault } from '../schema/errors.ts';
import type { AccessScope } from '../schema/principal.ts';
import type { InventoryChangeKind } from '../schema/words.ts';
import { visibleInOrg } from './access-conditions.ts';
import { badCursor, type Page, type PageArgs } from './connection.ts';
import type { CursorCodec } from './cursor.ts';
import type { Database } from './database.ts';
import { tooOld } from './device-as-of.ts';
import { type FieldChange, FieldChanges, netFields } from './device-fields.ts';
import { readFloor } from './inventory-store-changes.ts';
import type { InventoryChangeRow } from './rows.ts';
import { all, type Condition, equals, isOneOf } from './sql-conditions.ts';

// Two instants of an inventory compared: what is left of all changes in between.

const CURSOR = 'inventory diff';
/** Changes in one span: some tens of milliseconds to look through. */
const MAX_CHANGES = 100_000;
/** Devices whose changes are read at once. */
const CHUNK = 500;

export interface InventoryDiffArgs {
  readonly orgId: string;
  /** Milliseconds; what changed after `from` and up to `to`. */
  readonly from: number;
  readonly to: number;
  readonly page: PageArgs;
}

/** What is different about one device. */
export interface DeviceDifference {
  readonly deviceId: string;
  readonly kind: Exclude<InventoryChangeKind, 'RESTORED'>;
  readonly fields: readonly FieldChange[];
}

const Place = z.tuple([z.string(), z.number(), z.number(), z.string()]);

/**
 * A page of the devices that are different at two instants, by id. Who sees some sites only sees what was at one of them
 * at one of the instants, and a move over their border as an arrival or a departure.
 *
 * @throws GraphQLError BAD_CURSOR; BAD_USER_INPUT for a span that is empty, has too many changes, or begins before the
 *   memory of changes
 */
export async function readInventoryDiff(
  db: Database,
  cursors: CursorCodec,
  access: AccessScope,
  { orgId, from, to, page }: InventoryDiffArgs,
): Promise<Page<DeviceDifference>> {
  if (from >= to) throw fault('BAD_USER_INPUT', '`from` must be before `to`.');
  const after = page.after === null ? '' : parsePlace(cursors, page.after, [orgId, from, to]);
  const floor = await readFloor(db);
  if (from < floor.at) throw tooOld(floor.at);
  const inSpan = all([
    visibleInOrg(access, 'inventory_changes'),
    equals('inventory_changes.org_id', orgId),
    sql<boolean>`inventory_changes.at > ${from} and inventory_changes.at <= ${to}`,
  ]);
  const ids = await changedDevices(db, inSpan, after);
  const found: DeviceDifference[] = [];
  for (let start = 0; start < ids.length && found.length <= page.first; start += CHUNK) {
    const chunk = ids.slice(start, start + CHUNK);
    const rows = await db.read
      .selectFrom('inventory_changes')
      .selectAll()
      .where(inSpan)
      .where(isOneOf('inventory_changes.device_id', chunk))
      .orderBy('seq')
      .execute();
    const byDevice = Map.groupBy(rows, (row) => row.device_id);
    for (const id of chunk) found.push(...differenceOf(id, byDevice.get(id) ?? [], access.siteIds));
  }
  return {
    rows: found.slice(0, page.first),
    hasNextPage: found.length > page.first,
    hasPreviousPage: page.after !== null,
    cursorOf: ({ deviceId }) => cursors.encode(CURSOR, [orgId, from, to, deviceId]),
  };
}

/** @throws GraphQLError BAD_CURSOR */
function parsePlace(cursors: CursorCodec, cursor: string, asked: readonly [string, number, number]): string {
  const place = Place.safeParse(cursors.decode(CURSOR, cursor));
  if (!place.success || asked.some((value, at) => place.data[at] !== value)) throw badCursor();
  return place.data[3];
}

/** In order of id. */
async function changedDevices(db: Database, inSpan: Condition, after: string): Promise<readonly string[]> {
  const { rows } = await sql<{ device_id: string; changes: number }>`
    select device_id, count(*) as changes from (
      select device_id from inventory_changes where ${inSpan} limit ${MAX_CHANGES + 1}
    ) as changed group by device_id order by device_id`.execute(db.read);
  if (rows.reduce((sum, { changes }) => sum + Number(changes), 0) > MAX_CHANGES) {
    throw fault(
      'BAD_USER_INPUT',
      `More than ${MAX_CHANGES} changes lie between the instants. Ask for a shorter span.`,
      {
        limit: MAX_CHANGES,
      },
    );
  }
  return rows.map(({ device_id }) => device_id).filter((id) => id > after);
}

/** @param rows of one device, oldest first @param siteIds those that are seen; null: all */
function differenceOf(
  deviceId: string,
  rows: readonly InventoryChangeRow[],
  siteIds: readonly string[] | null,
): readonly DeviceDifference[] {
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === undefined || last === undefined) return [];
  const changes = rows.map((row) => FieldChanges.parse(JSON.parse(row.fields)));
  const fields = netFields(changes);
  const move = changes.flat().find(({ name }) => name === 'site');
  const isSeen = (siteId: string | null): boolean => siteIds === null || (siteId !== null && siteIds.includes(siteId));
  const existence = rows.filter(({ kind }) => kind === 'ADDED' || kind === 'RESTORED' || kind === 'REMOVED');
  const wasThere = existence[0] === undefined || existence[0].kind === 'REMOVED';
  const isThere = existence.at(-1) === undefined || existence.at(-1)?.kind !== 'REMOVED';
  const before = wasThere && isSeen(move === undefined ? first.site_id : move.before);
  const after = isThere && isSeen(last.site_id);
  if (before && after) {
    if (fields.length === 0) return [];
    return [{ deviceId, kind: fields.some(({ name }) => name === 'site') ? 'MOVED' : 'UPDATED', fields }];
  }
  return before === after ? [] : [{ deviceId, kind: after ? 'ADDED' : 'REMOVED', fields: [] }];
}
