import { CompiledQuery } from 'kysely';
import type { Database, Tx } from './database.ts';
import { runManyOnSqlite } from './sqlite/sqlite-run-many.ts';

/** Rows of one statement. Statements of this size are kept prepared; longer texts would be compiled each time. */
const ROWS_PER_STATEMENT = 50;

/** How both engines name the type of a column. */
export type ColumnType = 'text' | 'bigint' | 'double precision';

/** An update of many rows of `devices`, each with values of its own. */
export interface BulkUpdate {
  /** Columns to set; the first value of each row is the device's id, the others follow in this order. */
  readonly columns: readonly { readonly name: string; readonly type: ColumnType }[];
  readonly rows: readonly (readonly (string | number | null)[])[];
}

/**
 * Updates devices by id, in order of id, as every writer does: two that meet wait for each other instead of blocking
 * each other. Written as text because building a tree of nodes for each value costs more than the update.
 */
export async function bulkUpdateDevices(tx: Tx, engine: Database['engine'], update: BulkUpdate): Promise<void> {
  const sorted = update.rows.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1));
  if (engine === 'sqlite') {
    const set = update.columns.map(({ name }) => `"${name}" = ?`).join(', ');
    const rows = sorted.map(([id, ...values]) => [...values, id]);
    await runManyOnSqlite(tx, `update devices set ${set} where id = ?`, rows);
    return;
  }
  for (let from = 0; from < sorted.length; from += ROWS_PER_STATEMENT) {
    const rows = sorted.slice(from, from + ROWS_PER_STATEMENT);
    await tx.executeQuery(CompiledQuery.raw(statement(update.columns, rows.length), rows.flat()));
  }
}

/** Texts made so far: a few lists of columns, each with up to so many rows. */
const texts = new Map<string, string>();
const MAX_TEXTS = 1_000;

function statement(columns: BulkUpdate['columns'], rows: number): string {
  const key = `${rows} ${columns.map(({ name }) => name).join(' ')}`;
  let text = texts.get(key);
  if (text === undefined) {
    text = makeStatement(columns, rows);
    if (texts.size < MAX_TEXTS) texts.set(key, text);
  }
  return text;
}

/** For PostgreSQL, where each statement is a way over the network. */
function makeStatement(columns: BulkUpdate['columns'], rows: number): string {
  const width = columns.length + 1;
  // PostgreSQL takes the types of a list of values from its first row, and parameters have none of their own.
  const typed = columns.map(({ type }, at) => `cast($${at + 2} as ${type})`);
  const others = Array.from({ length: rows - 1 }, (_, row) => {
    const first = (row + 1) * width + 1;
    return `(${Array.from({ length: width }, (__, at) => `$${first + at}`).join(', ')})`;
  });
  const values = [`(cast($1 as text), ${typed.join(', ')})`, ...others].join(', ');
  const names = columns.map(({ name }) => `"${name}"`);
  return `with fresh ("fresh_id", ${names.join(', ')}) as (values ${values})
    update devices set ${names.map((name) => `${name} = fresh.${name}`).join(', ')}
    from fresh where devices.id = fresh.fresh_id`;
}
