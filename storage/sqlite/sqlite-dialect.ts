import { type Dialect, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import type { SqliteConnection } from './sqlite-connection.ts';
import { createReaderDriver, createWriterDriver } from './sqlite-driver.ts';
import type { WriteTurn } from './write-turn.ts';

/** SQLite can roll back DDL; Kysely's own adapter assumes that it cannot. */
class TransactionalSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/**
 * @param role `writer` opens IMMEDIATE transactions; `reader` runs single statements and refuses transactions
 * @param turn of the writer's thread, where several write to the file
 */
export function sqliteDialect(
  connection: SqliteConnection,
  role: 'reader' | 'writer',
  turn: WriteTurn | null = null,
): Dialect {
  return {
    createAdapter: () => new TransactionalSqliteAdapter(),
    createDriver: () => (role === 'writer' ? createWriterDriver(connection, turn) : createReaderDriver(connection)),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}
