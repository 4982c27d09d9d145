import type { Logger } from 'pino';
import type { Database } from './database.ts';
import { openPostgres } from './postgres/open-postgres.ts';
import { openSqlite } from './sqlite/open-sqlite.ts';
import type { WritingThread } from './sqlite/write-turn.ts';
import { StorageError } from './storage-error.ts';

export interface OpenDatabaseOptions {
  /** `sqlite:<file>` or `postgres://user:password@host:port/database`. */
  readonly url: string;
  readonly logger: Logger;
  /** SQLite only: a larger file is not searched for damage when it is opened. Default: every file is. */
  readonly checkMaxBytes?: number | undefined;
  /** SQLite only: how often pages of the write-ahead log move to the database, in milliseconds; default 2,000. */
  readonly checkpointMs?: number | undefined;
  /** PostgreSQL only: where the tables live; made when it is missing. Default: where the login's search path leads. */
  readonly schema?: string | undefined;
  /** PostgreSQL only: connections of this process at most, half of them for writing. Default 20. */
  readonly maxConnections?: number | undefined;
  /** SQLite only: this thread's part, where several of this process write. Default: it writes alone. */
  readonly thread?: WritingThread | undefined;
}

const SQLITE_PREFIX = 'sqlite:';

/**
 * Opens the store, checks it and brings its tables up to date.
 *
 * @throws StorageError `BAD_DATABASE_URL`, `DATA_DIRECTORY_NOT_WRITABLE`, `DATABASE_UNREACHABLE`,
 * `DATABASE_LOGIN_REFUSED`, `DATABASE_MISSING`, `DATABASE_UNSUPPORTED` (too old), `DATABASE_TOO_NEW` (a newer program
 * was here), `MIGRATION_FAILED` or `CORRUPT`
 */
export async function openDatabase({
  url,
  logger,
  checkMaxBytes,
  checkpointMs,
  thread,
  ...postgres
}: OpenDatabaseOptions): Promise<Database> {
  if (url.startsWith(SQLITE_PREFIX) && url.length > SQLITE_PREFIX.length) {
    return openSqlite({ file: url.slice(SQLITE_PREFIX.length), logger, checkMaxBytes, checkpointMs, thread });
  }
  if (/^postgres(ql)?:\/\//.test(url)) return openPostgres({ url, logger, ...postgres });
  throw new StorageError('BAD_DATABASE_URL', 'the database is neither sqlite:<file> nor postgres://…');
}
