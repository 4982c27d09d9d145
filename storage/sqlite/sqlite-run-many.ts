import type { Tx } from '../database.ts';
import { asSession } from './sqlite-driver.ts';

/**
 * Runs one prepared statement once per row inside a transaction on SQLite: nothing is compiled again, and no row is
 * copied into a table of its own first, as with one statement over a list of values.
 *
 * @param text with a `?` for each value of a row, in their order
 * @returns for each row whether it changed anything
 */
export async function runManyOnSqlite(
  tx: Tx,
  text: string,
  rows: readonly (readonly unknown[])[],
): Promise<readonly boolean[]> {
  if (rows.length === 0) return [];
  return tx
    .getExecutor()
    .provideConnection(async (session) => asSession(session).step((connection) => connection.runMany(text, rows)));
}
