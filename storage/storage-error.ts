/** Why the database refused. At start the code says what to repair, later it says whether waiting helps. */
export type StorageErrorCode =
  | 'BAD_DATABASE_URL'
  | 'DATA_DIRECTORY_NOT_WRITABLE'
  | 'DATABASE_UNREACHABLE'
  | 'DATABASE_LOGIN_REFUSED'
  | 'DATABASE_MISSING'
  | 'DATABASE_UNSUPPORTED'
  | 'DATABASE_TOO_NEW'
  | 'MIGRATION_FAILED'
  | 'CORRUPT'
  | 'BUSY'
  | 'DISK_FULL'
  | 'IO'
  | 'READ_ONLY'
  | 'OVERLOADED'
  | 'TIMEOUT'
  | 'CLOSED'
  | 'NESTED_WRITE'
  | 'TRANSACTION_ABORTED'
  | 'DUPLICATE'
  | 'CONSTRAINT'
  | 'QUERY'
  | 'SECRET_UNREADABLE'
  | 'MASTER_KEY_INVALID';

/** Can the same request succeed later without a change of code or settings? */
const RETRYABLE: Readonly<Record<StorageErrorCode, boolean>> = {
  BAD_DATABASE_URL: false,
  DATA_DIRECTORY_NOT_WRITABLE: false,
  DATABASE_UNREACHABLE: true,
  DATABASE_LOGIN_REFUSED: false,
  DATABASE_MISSING: false,
  DATABASE_UNSUPPORTED: false,
  DATABASE_TOO_NEW: false,
  MIGRATION_FAILED: false,
  CORRUPT: false,
  BUSY: true,
  DISK_FULL: true,
  IO: true,
  READ_ONLY: true,
  OVERLOADED: true,
  TIMEOUT: true,
  CLOSED: true,
  NESTED_WRITE: false,
  TRANSACTION_ABORTED: false,
  DUPLICATE: false,
  CONSTRAINT: false,
  QUERY: false,
  SECRET_UNREADABLE: false,
  MASTER_KEY_INVALID: false,
};

export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly code: StorageErrorCode;
  readonly retryable: boolean;

  /** @param message what was attempted and what came back; never a value of a row, never a password */
  constructor(code: StorageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryable = RETRYABLE[code];
  }
}
