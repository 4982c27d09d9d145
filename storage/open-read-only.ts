import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { Kysely } from 'kysely';
import { pino } from 'pino';
import type { Database } from './database.ts';
import { postgresDialect } from './postgres/postgres-dialect.ts';
import { createPostgresPool } from './postgres/postgres-pool.ts';
import { SqliteConnection } from './sqlite/sqlite-connection.ts';
import { sqliteDialect } from './sqlite/sqlite-dialect.ts';
import { toSqliteError } from './sqlite/sqlite-error.ts';
import { StorageError } from './storage-error.ts';
import type { Tables } from './tables.ts';

const SQLITE_PREFIX = 'sqlite:';
const BUSY_TIMEOUT_MS = 5_000;

/** A store that is looked at and not changed: no tables are brought up to date, and a running product goes on beside us. */
export interface ReadOnlyStore extends Pick<Database, 'engine' | 'read'> {
  close(): Promise<void>;
}

/** @throws StorageError `DATABASE_MISSING`, `CORRUPT`, and what opening throws (see openDatabase) */
export function openReadOnly(url: string): ReadOnlyStore {
  if (!url.startsWith(SQLITE_PREFIX)) {
    if (!URL.canParse(url)) throw new StorageError('BAD_DATABASE_URL', 'the database URL cannot be read');
    // Whoever looks at all of a log that grew for years has time.
    const settings = { default_transaction_read_only: 'on', statement_timeout: '0' };
    const pool = createPostgresPool({ url, logger: pino({ level: 'silent' }), max: 2, settings });
    const read = new Kysely<Tables>({ dialect: postgresDialect(pool) });
    return { engine: 'postgres', read, close: () => read.destroy() };
  }
  const connection = openFileReadOnly(url.slice(SQLITE_PREFIX.length));
  const read = new Kysely<Tables>({ dialect: sqliteDialect(connection, 'reader') });
  return {
    engine: 'sqlite',
    read,
    async close() {
      await read.destroy();
      connection.close();
    },
  };
}

/** @throws StorageError `DATABASE_MISSING`, `IO`, `CORRUPT` */
export function openFileReadOnly(file: string): SqliteConnection {
  if (!existsSync(file)) throw new StorageError('DATABASE_MISSING', `there is no database at ${file}`);
  try {
    return new SqliteConnection(new DatabaseSync(file, { readOnly: true, timeout: BUSY_TIMEOUT_MS }));
  } catch (error) {
    throw toSqliteError(error);
  }
}
