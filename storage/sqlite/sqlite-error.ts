import { z } from 'zod';
import { StorageError, type StorageErrorCode } from '../storage-error.ts';

/** @see sqlite.org/rescode.html: the low byte is the primary code, the rest says more */
const PRIMARY_CODES = new Map<number, StorageErrorCode>([
  [5, 'BUSY'],
  [6, 'BUSY'],
  [8, 'READ_ONLY'],
  [10, 'IO'],
  [11, 'CORRUPT'],
  [13, 'DISK_FULL'],
  [14, 'IO'],
  [19, 'CONSTRAINT'],
  [26, 'CORRUPT'],
]);
/** SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE and _ROWID. */
const DUPLICATE_CODES: ReadonlySet<number> = new Set([1555, 2067, 2579]);

const SqliteFailure = z.object({ code: z.literal('ERR_SQLITE_ERROR'), errcode: z.int(), message: z.string() });

/** Gives a failure of `node:sqlite` its stable code; everything else is a mistake in the query. */
export function toSqliteError(error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const failure = SqliteFailure.safeParse(error);
  if (!failure.success) {
    return new StorageError('QUERY', error instanceof Error ? error.message : 'the query failed', { cause: error });
  }
  const { errcode, message } = failure.data;
  const code = DUPLICATE_CODES.has(errcode) ? 'DUPLICATE' : (PRIMARY_CODES.get(errcode & 0xff) ?? 'QUERY');
  return new StorageError(code, `SQLite: ${message} (${errcode})`, { cause: error });
}
