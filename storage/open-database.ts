import type { Logger } from 'pino';
import type { Database } from './database.ts';
import { openSqlite } from './sqlite/open-sqlite.ts';
import { StorageError } from './storage-error.ts';

export interface OpenDatabaseOptions {
  /** `sqlite:<file>` or `postgres://user:password@host:port/database`. */
  readonly url: string;
  readonly logger: Logger;
}

/**
 * Opens the store, checks it and brings its tables up to date.
 *
 * @throws StorageError `BAD_DATABASE_URL`, `DATA_DIRECTORY_NOT_WRITABLE`, `DATABASE_UNREACHABLE`,
 * `DATABASE_LOGIN_REFUSED`, `DATABASE_MISSING`, `DATABASE_UNSUPPORTED` (too old), `DATABASE_TOO_NEW` (a newer program
 * was here), `MIGRATION_FAILED` or `CORRUPT`
 */
export async function openDatabase(options: OpenDatabaseOptions): Promise<Database> {
  const { url, logger } = options;
  if (url.startsWith('sqlite:') && url.length > 'sqlite:'.length) {
    return openSqlite({ file: url.slice('sqlite:'.length), logger });
  }
  throw new StorageError('BAD_DATABASE_URL', 'the database is neither sqlite:<file> nor postgres://…');
}
