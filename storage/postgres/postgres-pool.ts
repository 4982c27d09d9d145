import { Pool, type PoolClient, type PoolConfig, types } from 'pg';
import type { Logger } from 'pino';
import { StorageError } from '../storage-error.ts';
import { toPostgresError } from './postgres-error.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 30_000;
/** Below the limit of a transaction, so that the statement is what gets the blame. */
export const STATEMENT_TIMEOUT_MS = 20_000;
const LOCK_TIMEOUT_MS = 10_000;
/** A process that stopped between two statements must not hold the log's lock. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000;
/** Reads that may wait for a connection. */
const MAX_WAITING_READS = 1_000;

/** Types of which the driver would make texts (int8, numeric), booleans or Buffers: SQLite gives numbers and plain bytes. */
const PARSERS = new Map<number, (value: string) => unknown>([
  [types.builtins.INT8, Number],
  [types.builtins.NUMERIC, Number],
  [types.builtins.BOOL, (value) => (value === 't' ? 1 : 0)],
  [types.builtins.BYTEA, (value) => Uint8Array.from(Buffer.from(value.slice(2), 'hex'))],
]);

export interface PostgresPoolOptions {
  readonly url: string;
  readonly logger: Logger;
  /** Connections at most. */
  readonly max: number;
  /** Server settings of every connection, for example `search_path`. */
  readonly settings: Readonly<Record<string, string>>;
}

export interface PostgresPool {
  /** @throws StorageError `DATABASE_UNREACHABLE`, `DATABASE_LOGIN_REFUSED`, `DATABASE_MISSING`, `OVERLOADED` */
  connect(): Promise<PoolClient>;
  end(): Promise<void>;
}

export function createPostgresPool({ url, logger, max, settings }: PostgresPoolOptions): PostgresPool {
  const pool = new Pool(poolConfig(url, max, settings));
  // Without a listener a connection that breaks off ends the process.
  pool.on('error', (error) => logger.warn({ err: toPostgresError(error) }, 'An idle database connection broke off'));
  pool.on('connect', (client) => client.on('error', () => {}));
  return {
    async connect() {
      if (pool.waitingCount >= MAX_WAITING_READS) {
        throw new StorageError('OVERLOADED', `${MAX_WAITING_READS} queries wait for a database connection already`);
      }
      try {
        return await pool.connect();
      } catch (error) {
        const failure = toPostgresError(error);
        if (failure.code !== 'DATABASE_UNREACHABLE') throw failure;
        throw new StorageError(failure.code, `${failure.message} at ${new URL(url).host}`, { cause: error });
      }
    },
    end: () => pool.end(),
  };
}

function poolConfig(url: string, max: number, settings: Readonly<Record<string, string>>): PoolConfig {
  const target = new URL(url);
  const own: Record<string, string> = {
    statement_timeout: String(STATEMENT_TIMEOUT_MS),
    lock_timeout: String(LOCK_TIMEOUT_MS),
    idle_in_transaction_session_timeout: String(IDLE_IN_TRANSACTION_TIMEOUT_MS),
    ...settings,
  };
  const options = Object.entries(own).map(([name, value]) => `-c ${name}=${value}`);
  // `pg` lets the URL win over everything else; the operator's settings come first, so that ours do.
  target.searchParams.set('options', [target.searchParams.get('options') ?? '', ...options].join(' ').trim());
  return {
    connectionString: target.href,
    application_name: 'convergraph',
    max,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    keepAlive: true,
    // Pools of processes that are about to end must not keep them.
    allowExitOnIdle: true,
    types: {
      getTypeParser: (oid, format) => PARSERS.get(oid) ?? types.getTypeParser(oid, format),
    },
  };
}
