import { CompiledQuery, type Kysely, sql } from 'kysely';
import type { BulkInsert, Tx } from '../database.ts';
import { insertHead } from '../insert-head.ts';
import { StorageError } from '../storage-error.ts';
import type { Tables } from '../tables.ts';

interface TableShape {
  /** Type of each column, as in SQL. */
  readonly types: Map<string, string>;
  readonly primaryKey: string[];
}

export type TableShapes = ReadonlyMap<string, TableShape>;

/** What bulk inserts must know of the tables, read once after the migrations. */
export async function readTableShapes(db: Kysely<Tables>, schema: string): Promise<TableShapes> {
  const { rows } = await sql<{ table: string; column: string; type: string; is_key: number }>`
    select c.relname as "table", a.attname as "column", format_type(a.atttypid, null) as "type",
      coalesce(a.attnum = any (i.indkey), false) as "is_key"
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_index i on i.indrelid = c.oid and i.indisprimary
    where n.nspname = ${schema} and c.relkind = 'r'
    order by c.relname, a.attnum`.execute(db);
  const shapes = new Map<string, TableShape>();
  for (const { table, column, type, is_key } of rows) {
    const shape = shapes.get(table) ?? { types: new Map<string, string>(), primaryKey: [] };
    shape.types.set(column, type);
    if (is_key === 1) shape.primaryKey.push(column);
    shapes.set(table, shape);
  }
  return shapes;
}

/** One statement per batch: a list per column, so that its text does not grow with the rows. */
export async function bulkInsertIntoPostgres(
  shapes: TableShapes,
  tx: Tx,
  insert: BulkInsert,
): Promise<readonly boolean[]> {
  const { table, columns, rows } = insert;
  if (rows.length === 0) return [];
  const head = insertHead(insert);
  const shape = shapes.get(table);
  const lists = columns.map((column, index) => {
    const type = shape?.types.get(column);
    if (type === undefined) throw new StorageError('QUERY', `${table} has no column ${column}`);
    return `$${index + 1}::${type}[]`;
  });
  const values = columns.map((_, index) => rows.map((row) => row[index]));
  const text = `${head} select * from unnest(${lists.join(', ')})`;
  if (insert.onConflictDoNothing !== true) {
    await tx.executeQuery(CompiledQuery.raw(text, values));
    return rows.map(() => true);
  }

  const positions = (shape?.primaryKey ?? []).map((column) => columns.indexOf(column));
  if (positions.length === 0 || positions.includes(-1)) {
    throw new StorageError('QUERY', `passing over rows of ${table} that exist needs its primary key among the columns`);
  }
  const key = (shape?.primaryKey ?? []).map((column) => `"${column}"`).join(', ');
  const returning = `${text} on conflict do nothing returning ${key}`;
  const { rows: inserted } = await tx.executeQuery<Record<string, unknown>>(CompiledQuery.raw(returning, values));
  const fresh = new Set(inserted.map((row) => keyText(Object.values(row))));
  // `delete` says true once: of equal rows in one batch the first is the one that was inserted.
  return rows.map((row) => fresh.delete(keyText(positions.map((position) => row[position]))));
}

function keyText(values: readonly unknown[]): string {
  return JSON.stringify(
    values.map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value))),
  );
}
