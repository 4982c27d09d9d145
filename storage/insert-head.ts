import type { BulkInsert } from './database.ts';
import { StorageError } from './storage-error.ts';

const IDENTIFIER = /^[a-z_]{1,63}$/;

/**
 * `insert into "table" ("column", …)`.
 *
 * @param verb the engine's own way to insert
 * @throws StorageError `QUERY` for names that are none, or rows of another length
 */
export function insertHead({ table, columns, rows }: BulkInsert, verb = 'insert'): string {
  for (const name of [table, ...columns]) {
    if (!IDENTIFIER.test(name)) throw new StorageError('QUERY', 'a name in a bulk insert is not an identifier');
  }
  if (rows.some((row) => row.length !== columns.length)) {
    throw new StorageError('QUERY', `a row of a bulk insert into ${table} does not have one value per column`);
  }
  return `${verb} into "${table}" (${columns.map((column) => `"${column}"`).join(', ')})`;
}
