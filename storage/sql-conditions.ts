import { type RawBuilder, type SqlBool, sql } from 'kysely';
import type { Database } from './database.ts';

// Conditions that read the same on SQLite and PostgreSQL, as fragments that any query can take.

export type Condition = RawBuilder<SqlBool>;

export const ALWAYS: Condition = sql<SqlBool>`1 = 1`;
export const NEVER: Condition = sql<SqlBool>`1 = 0`;

/** PostgreSQL refuses U+0000 in text: nothing that is stored can contain it, so nothing that contains it matches. */
export function isStorable(text: string): boolean {
  return !text.includes('\0');
}

/** An empty list matches nothing. @param ref qualified column */
export function isOneOf(ref: string, values: readonly (string | number)[]): Condition {
  const storable = values.filter((value) => typeof value === 'number' || isStorable(value));
  return storable.length === 0 ? NEVER : sql<SqlBool>`${sql.ref(ref)} in (${sql.join(storable)})`;
}

/** Members that are null are absent. */
export function isGiven<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}

export function equals(ref: string, value: string | number): Condition {
  return isOneOf(ref, [value]);
}

export function all(conditions: readonly Condition[]): Condition {
  return conditions.length === 0 ? ALWAYS : sql<SqlBool>`(${sql.join(conditions, sql` and `)})`;
}

export function any(conditions: readonly Condition[]): Condition {
  return conditions.length === 0 ? NEVER : sql<SqlBool>`(${sql.join(conditions, sql` or `)})`;
}

/** True where the condition is false or, because a column is empty, neither. */
export function isNot(condition: Condition): Condition {
  return sql<SqlBool>`(${condition}) is not true`;
}

/** What text is compared by when case does not matter. */
export function foldCase(text: string): string {
  return text.toLowerCase();
}

/**
 * A column with its case folded. The `lower()` of both engines knows ASCII only (PostgreSQL's depends on the locale),
 * which is all that an ASCII needle needs; other needles take the slower, complete folding.
 */
function folded(engine: Database['engine'], ref: string, needle: string): RawBuilder<string> {
  // oxlint-disable-next-line no-control-regex -- the range is what ASCII means
  if (/^[\u0000-\u007f]*$/.test(needle)) return sql<string>`lower(${sql.ref(ref)})`;
  return engine === 'sqlite'
    ? sql<string>`fold_case(${sql.ref(ref)})`
    : sql<string>`lower(${sql.ref(ref)} collate "und-x-icu")`;
}

function escapeLike(text: string): string {
  return text.replaceAll(/[\\%_]/g, String.raw`\$&`);
}

/** Equal to one of these, without regard to case. */
export function isOneOfFolded(engine: Database['engine'], ref: string, values: readonly string[]): Condition {
  return any(
    values
      .filter(isStorable)
      .map(foldCase)
      .map((value) => sql<SqlBool>`${folded(engine, ref, value)} = ${value}`),
  );
}

/** Contains (or begins with) this text, without regard to case. */
export function containsFolded(
  engine: Database['engine'],
  ref: string,
  text: string,
  where: 'anywhere' | 'at the start' = 'anywhere',
): Condition {
  if (!isStorable(text)) return NEVER;
  const needle = foldCase(text);
  const pattern = `${where === 'anywhere' ? '%' : ''}${escapeLike(needle)}%`;
  return sql<SqlBool>`${folded(engine, ref, needle)} like ${pattern} escape '\\'`;
}

/** For columns that are kept in lower case already. */
export function containsLower(ref: string, text: string): Condition {
  if (!isStorable(text)) return NEVER;
  return sql<SqlBool>`${sql.ref(ref)} like ${`%${escapeLike(foldCase(text))}%`} escape '\\'`;
}

/** Text as an API's StringFilter takes it: members are combined with AND, null is absent. */
export interface TextFilter {
  readonly eq?: string | null | undefined;
  readonly in?: readonly string[] | null | undefined;
  readonly contains?: string | null | undefined;
  readonly startsWith?: string | null | undefined;
}

/** A filter without members matches everything, also rows whose column is empty. */
export function matchesText(engine: Database['engine'], ref: string, filter: TextFilter): Condition {
  const conditions: Condition[] = [];
  if (isGiven(filter.eq)) conditions.push(isOneOfFolded(engine, ref, [filter.eq]));
  if (isGiven(filter.in)) conditions.push(isOneOfFolded(engine, ref, filter.in));
  if (isGiven(filter.contains)) conditions.push(containsFolded(engine, ref, filter.contains));
  if (isGiven(filter.startsWith)) conditions.push(containsFolded(engine, ref, filter.startsWith, 'at the start'));
  return all(conditions);
}

/** A span of instants in milliseconds; an absent bound is open. */
export interface InstantFilter {
  readonly gte?: number | null | undefined;
  readonly lt?: number | null | undefined;
}

export function matchesInstant(ref: string, filter: InstantFilter): Condition {
  const conditions: Condition[] = [];
  if (isGiven(filter.gte)) conditions.push(sql<SqlBool>`${sql.ref(ref)} >= ${filter.gte}`);
  if (isGiven(filter.lt)) conditions.push(sql<SqlBool>`${sql.ref(ref)} < ${filter.lt}`);
  return all(conditions);
}
