import { z } from 'zod';
import { StorageError, type StorageErrorCode } from '../storage-error.ts';

/** @see PostgreSQL 15, appendix A: the first two characters are the class */
const STATES = new Map<string, StorageErrorCode>([
  ['23505', 'DUPLICATE'],
  ['25006', 'READ_ONLY'],
  ['25P02', 'TRANSACTION_ABORTED'],
  ['25P03', 'TIMEOUT'],
  ['3D000', 'DATABASE_MISSING'],
  ['40001', 'BUSY'],
  ['40P01', 'BUSY'],
  ['53100', 'DISK_FULL'],
  ['53300', 'OVERLOADED'],
  ['55P03', 'BUSY'],
  ['57014', 'TIMEOUT'],
  ['58030', 'IO'],
]);
const CLASSES = new Map<string, StorageErrorCode>([
  ['08', 'DATABASE_UNREACHABLE'],
  ['23', 'CONSTRAINT'],
  ['28', 'DATABASE_LOGIN_REFUSED'],
  ['53', 'OVERLOADED'],
  ['57', 'DATABASE_UNREACHABLE'],
  ['58', 'IO'],
  ['XX', 'CORRUPT'],
]);
/** Its messages quote the value that was refused. */
const DATA_EXCEPTION = '22';

const PostgresFailure = z.object({
  code: z.string().regex(/^[0-9A-Z]{5}$/),
  message: z.string(),
  severity: z.string(),
});
const SocketFailure = z.object({ code: z.string().regex(/^E[A-Z_]+$/) });

/** Gives a failure of PostgreSQL or of the way there its stable code. Detail and cause stay away: they quote rows. */
export function toPostgresError(error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const failure = PostgresFailure.safeParse(error);
  if (failure.success) {
    const { code: state, message } = failure.data;
    const stateClass = state.slice(0, 2);
    const code = STATES.get(state) ?? CLASSES.get(stateClass) ?? 'QUERY';
    const said = stateClass === DATA_EXCEPTION ? 'a value does not fit its column' : message;
    return new StorageError(code, `PostgreSQL: ${said} (${state})`);
  }
  const socket = SocketFailure.safeParse(error);
  if (socket.success) {
    return new StorageError('DATABASE_UNREACHABLE', `PostgreSQL cannot be reached (${socket.data.code})`);
  }
  const message = error instanceof Error ? error.message : 'the query failed';
  // `pg` has no codes for these: the connection broke off, or none could be had in time.
  return /connect|terminat|closed|timeout/i.test(message)
    ? new StorageError('DATABASE_UNREACHABLE', `PostgreSQL cannot be reached (${message})`)
    : new StorageError('QUERY', message, { cause: error });
}
