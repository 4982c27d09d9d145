import { type SqlBool, sql } from 'kysely';
import type { Database } from './database.ts';
import type { Condition } from './sql-conditions.ts';

/**
 * `column in (…)` for many keys as one parameter: a statement with thousands of them costs more to write down, compile
 * and prepare than to run, and is another statement for every count.
 */
export function isKeyIn(engine: Database['engine'], column: string, keys: readonly Uint8Array[]): Condition {
  const list = JSON.stringify(
    keys.map((key) => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex')),
  );
  return engine === 'sqlite'
    ? sql<SqlBool>`${sql.ref(column)} in (select unhex(value) from json_each(${list}))`
    : sql<SqlBool>`${sql.ref(column)} in (select decode(value, 'hex') from json_array_elements_text(cast(${list} as json)))`;
}
