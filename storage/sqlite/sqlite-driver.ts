import { setTimeout as delay } from 'node:timers/promises';
import type { CompiledQuery, DatabaseConnection, Driver, QueryResult } from 'kysely';
import { StorageError } from '../storage-error.ts';
import type { SqliteConnection } from './sqlite-connection.ts';
import type { WriteTurn } from './write-turn.ts';

/** How long a writer waits for its turn while another process has it, in milliseconds: senders of webhooks wait for 10 s. */
const BUSY_TIMEOUT_MS = 8_000;
const BUSY_RETRY_MS = 5;

/** What Kysely sees of the handle for the length of one transaction. */
export class SqliteSession implements DatabaseConnection {
  readonly connection: SqliteConnection;
  #state: 'open' | 'aborted' | 'over' = 'open';

  constructor(connection: SqliteConnection) {
    this.connection = connection;
  }

  /** Runs a step of the transaction. After a failure everything else is refused, as PostgreSQL does it. */
  step<T>(run: (connection: SqliteConnection) => T): T {
    this.assertOpen();
    try {
      return run(this.connection);
    } catch (error) {
      if (this.connection.isInTransaction) this.#state = 'aborted';
      throw error;
    }
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const run = () => this.step((connection) => toQueryResult<R>(connection.query(query.sql, query.parameters)));
    // Inside a transaction nobody can be in the way: it began with the write lock.
    return this.connection.isInTransaction ? run() : retryWhileBusy(run);
  }

  streamQuery(): never {
    throw new StorageError('QUERY', 'streaming is not supported; read pages by key');
  }

  /** @throws StorageError `TRANSACTION_ABORTED` when a statement failed, or the transaction is over */
  assertOpen(): void {
    if (this.#state === 'aborted') {
      throw new StorageError('TRANSACTION_ABORTED', 'an earlier statement of this transaction failed');
    }
    if (this.#state === 'over') throw new StorageError('TRANSACTION_ABORTED', 'this transaction is over');
  }

  end(): void {
    this.#state = 'over';
  }
}

/** Reads are single statements on one handle: they finish before anyone else runs, so no queue is needed. */
export function createReaderDriver(connection: SqliteConnection): Driver {
  const session = new SqliteSession(connection);
  const refuse = async (): Promise<never> => {
    throw new StorageError('READ_ONLY', 'transactions need write()');
  };
  return {
    init: async () => {},
    acquireConnection: async () => session,
    beginTransaction: refuse,
    commitTransaction: refuse,
    rollbackTransaction: refuse,
    releaseConnection: async () => {},
    destroy: async () => connection.close(),
  };
}

/**
 * @param connection used by one session at a time: whoever calls Kysely must queue (see createTransactions)
 * @param turn of this thread, where several write to the file
 */
export function createWriterDriver(connection: SqliteConnection, turn: WriteTurn | null): Driver {
  let owner: DatabaseConnection | undefined;
  let hasTurn = false;
  return {
    init: async () => {},
    async acquireConnection() {
      if (owner !== undefined) throw new StorageError('NESTED_WRITE', 'the writing connection is in use');
      owner = new SqliteSession(connection);
      return owner;
    },
    async beginTransaction() {
      if (turn !== null) {
        await turn.acquire();
        hasTurn = true;
      }
      await retryWhileBusy(() => connection.exec('begin immediate'));
    },
    async commitTransaction(session) {
      asSession(session).step((open) => open.exec('commit'));
      asSession(session).end();
    },
    async rollbackTransaction(session) {
      asSession(session).end();
      // SQLite rolls back by itself after some failures (disk full, I/O).
      if (connection.isInTransaction) connection.exec('rollback');
    },
    async releaseConnection(session) {
      asSession(session).end();
      if (hasTurn) turn?.release();
      hasTurn = false;
      owner = undefined;
    },
    destroy: async () => connection.close(),
  };
}

/** @throws StorageError `QUERY` when the connection belongs to another driver */
export function asSession(connection: DatabaseConnection): SqliteSession {
  if (connection instanceof SqliteSession) return connection;
  throw new StorageError('QUERY', 'the transaction belongs to another database');
}

/**
 * Waits for other processes, and for the checkpointer, outside SQLite: its own busy timeout would stop the whole process.
 *
 * @param everyMs how often it is tried
 * @throws StorageError `BUSY` after BUSY_TIMEOUT_MS
 */
export async function retryWhileBusy<T>(attempt: () => T, everyMs = BUSY_RETRY_MS): Promise<T> {
  const giveUpAt = performance.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      const isBusy = error instanceof StorageError && error.code === 'BUSY';
      if (!isBusy || performance.now() >= giveUpAt) throw error;
    }
    await delay(everyMs);
  }
}

function toQueryResult<R>(result: ReturnType<SqliteConnection['query']>): QueryResult<R> {
  return {
    // Kysely's typed tables describe the rows; the driver cannot know them.
    rows: result.rows as R[],
    ...(result.changes === undefined ? {} : { numAffectedRows: BigInt(result.changes) }),
    ...(result.lastInsertRowid === undefined ? {} : { insertId: BigInt(result.lastInsertRowid) }),
  };
}
