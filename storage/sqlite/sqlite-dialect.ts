import { type Dialect, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import type { SqliteConnection } from './sqlite-connection.ts';
import { createReaderDriver, createWriterDriver } from './sqlite-driver.ts';

/** SQLite can roll back DDL; Kysely's own adapter assumes that it cannot. */
class TransactionalSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/** @param role `writer` opens IMMEDIATE transactions; `reader` runs single statements and refuses transactions */
export function sqliteDialect(connection: SqliteConnection, role: 'reader' | 'writer'): Dialect {
  return {
    createAdapter: () => new TransactionalSqliteAdapter(),
    createDriver: () => (role === 'writer' ? createWriterDriver(connection) : createReaderDriver(connection)),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}
