import { type Kysely, type RawBuilder, type SelectQueryBuilder, sql, type SqlBool } from 'kysely';
import { z } from 'zod';
import { fault } from '../schema/errors.ts';
import type { CursorCodec } from './cursor.ts';
import { all, type Condition } from './sql-conditions.ts';
import type { Tables } from './tables.ts';

// Pages by position: a page begins after the sort key and id of the last entry read, never at an offset. Entries that
// come or go between two pages therefore move nothing that was not read yet.

/** Above this an answer grows to megabytes and one client's page becomes everybody's wait. */
export const MAX_PAGE_SIZE = 500;

export interface PageArgs {
  /** 0 to MAX_PAGE_SIZE. */
  readonly first: number;
  readonly after: string | null;
}

type SortKey = string | number | null;

/** How a list is ordered: by one column, then by id in the same direction. Rows without a value come last. */
export interface Ordering<Row extends { readonly id: string }> {
  /** Name of list and order, kept in its cursors: a cursor of another list or order is refused. */
  readonly kind: string;
  readonly table: keyof Tables;
  readonly column: string;
  readonly direction: 'asc' | 'desc';
  /** The column can be NULL. The engines disagree on where those go, so the query says it (and forgoes the index). */
  readonly isNullable: boolean;
  readonly key: (row: Row) => SortKey;
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  /** Sealing costs some microseconds: made for the rows whose cursor is asked for. */
  readonly cursorOf: (row: Row) => string;
  /** Where the page ends, where that is not at its last row. */
  readonly endCursor?: string | undefined;
}

/** @throws GraphQLError PAGE_TOO_LARGE or BAD_USER_INPUT */
export function parsePageArgs(first: number | null | undefined, after: string | null | undefined): PageArgs {
  const size = first ?? 50;
  if (size > MAX_PAGE_SIZE) {
    throw fault('PAGE_TOO_LARGE', `first must be at most ${MAX_PAGE_SIZE}.`, { limit: MAX_PAGE_SIZE });
  }
  if (size < 0) throw fault('BAD_USER_INPUT', `first must be 0 to ${MAX_PAGE_SIZE}.`);
  return { first: size, after: after ?? null };
}

const Position = z.tuple([z.union([z.string(), z.number(), z.null()]), z.string()]);

/** @throws GraphQLError BAD_CURSOR */
function parsePosition(codec: CursorCodec, kind: string, cursor: string): readonly [SortKey, string] {
  const position = Position.safeParse(codec.decode(kind, cursor));
  if (!position.success) throw badCursor();
  return position.data;
}

export function badCursor(): Error {
  return fault('BAD_CURSOR', 'This cursor is not one of this list and order. Start again without `after`.');
}

/** Rows behind a position. NULL compares with nothing, so its three cases are spelled out. */
function isAfter<Row extends { readonly id: string }>(
  { table, column, direction, isNullable }: Ordering<Row>,
  [key, id]: readonly [SortKey, string],
): Condition {
  const [value, row] = [sql.ref(`${table}.${column}`), sql.ref(`${table}.id`)];
  const beyond = direction === 'asc' ? sql`>` : sql`<`;
  if (key === null) return sql<SqlBool>`(${value} is null and ${row} ${beyond} ${id})`;
  // Row values, because both engines answer them from the index.
  const behind = sql<SqlBool>`(${value}, ${row}) ${beyond} (${key}, ${id})`;
  return isNullable ? sql<SqlBool>`(${behind} or ${value} is null)` : behind;
}

function orderTerms<Row extends { readonly id: string }>(ordering: Ordering<Row>): RawBuilder<unknown> {
  const { table, column, isNullable } = ordering;
  const direction = sql.raw(ordering.direction);
  const terms = sql`${sql.ref(`${table}.${column}`)} ${direction}, ${sql.ref(`${table}.id`)} ${direction}`;
  return isNullable ? sql`${sql.ref(`${table}.${column}`)} is null, ${terms}` : terms;
}

function toPage<Row extends { readonly id: string }>(
  rows: readonly Row[],
  page: PageArgs,
  ordering: Ordering<Row>,
  codec: CursorCodec,
): Page<Row> {
  return {
    rows: rows.slice(0, page.first),
    hasNextPage: rows.length > page.first,
    hasPreviousPage: page.after !== null,
    cursorOf: (row) => codec.encode(ordering.kind, [ordering.key(row), row.id]),
  };
}

/**
 * One page of a list.
 *
 * @param query all rows of the list that the principal may see, unordered
 * @throws GraphQLError BAD_CURSOR
 */
export async function fetchPage<Row extends { readonly id: string }, Table extends keyof Tables>(
  query: SelectQueryBuilder<Tables, Table, Row>,
  ordering: Ordering<Row>,
  page: PageArgs,
  codec: CursorCodec,
): Promise<Page<Row>> {
  const { kind } = ordering;
  const behind = page.after === null ? [] : [isAfter(ordering, parsePosition(codec, kind, page.after))];
  // One more than asked for tells whether another page follows.
  const rows = await query
    .where(all(behind))
    .orderBy(orderTerms(ordering))
    .limit(page.first + 1)
    .execute();
  return toPage(rows, page, ordering, codec);
}

/**
 * The first page of many lists of the same kind (the devices of each of these sites) in one statement.
 *
 * @param query all rows of all lists that the principal may see, unordered and with nothing selected
 * @param parent the column of `ordering.table` whose value tells the lists apart
 * @returns pages by the parent's id; parents without rows are absent
 */
export async function fetchFirstPages<Row extends { readonly id: string }, Table extends keyof Tables>(
  db: Kysely<Tables>,
  query: SelectQueryBuilder<Tables, Table, object>,
  ordering: Ordering<Row>,
  parent: { readonly column: string; readonly of: (row: Row) => string | null },
  first: number,
  codec: CursorCodec,
): Promise<ReadonlyMap<string, Page<Row>>> {
  const { table } = ordering;
  const id = sql.ref(`${table}.id`);
  // Only ids are sorted; whole rows are read for those that are shown.
  const placed = query.select([
    sql<string>`${id}`.as('placed_id'),
    sql<number>`row_number() over (partition by ${sql.ref(`${table}.${parent.column}`)} order by ${orderTerms(ordering)})`.as(
      'place',
    ),
  ]);
  const { rows } = await sql<Row>`
    select ${sql.table(table)}.* from ${placed} as placed inner join ${sql.table(table)} on ${id} = placed.placed_id
    where placed.place <= ${first + 1} order by placed.place`.execute(db);
  const byParent = Map.groupBy(rows, parent.of);
  const pages = new Map<string, Page<Row>>();
  for (const [key, list] of byParent) {
    if (key !== null) pages.set(key, toPage(list, { first, after: null }, ordering, codec));
  }
  return pages;
}

/** The page of a list without rows. */
export function emptyPage<Row>(page: PageArgs): Page<Row> {
  return { rows: [], hasNextPage: false, hasPreviousPage: page.after !== null, cursorOf: () => '' };
}

/** PageInfo of the shared words. */
export function pageInfo<Row>(page: Page<Row>): {
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  readonly startCursor: string | null;
  readonly endCursor: string | null;
} {
  const [start, end] = [page.rows[0], page.rows.at(-1)];
  return {
    hasNextPage: page.hasNextPage,
    hasPreviousPage: page.hasPreviousPage,
    startCursor: start === undefined ? null : page.cursorOf(start),
    endCursor: page.endCursor ?? (end === undefined ? null : page.cursorOf(end)),
  };
}
