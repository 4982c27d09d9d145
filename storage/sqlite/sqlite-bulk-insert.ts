import type { BulkInsert, Tx } from '../database.ts';
import { insertHead } from '../insert-head.ts';
import { runManyOnSqlite } from './sqlite-run-many.ts';

/**
 * Not the default, `or abort`: that undoes one statement alone, and where triggers run it keeps copies of every page that
 * each row touches. Here a failure takes the whole transaction back anyway.
 */
const VERB = 'insert or fail';

/** One prepared statement, run once per row: nothing is compiled again and no text grows with the rows. */
export async function bulkInsertIntoSqlite(tx: Tx, insert: BulkInsert): Promise<readonly boolean[]> {
  const values = insert.columns.map(() => '?').join(', ');
  // Not `or ignore`: that would swallow a missing value as well.
  const conflict = insert.onConflictDoNothing === true ? ' on conflict do nothing' : '';
  const text = `${insertHead(insert, VERB)} values (${values})${conflict}`;
  return runManyOnSqlite(tx, text, insert.rows);
}
