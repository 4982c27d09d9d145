import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely';
import type { PoolClient } from 'pg';
import { toSqlValue } from '../sql-values.ts';
import { StorageError } from '../storage-error.ts';
import { toPostgresError } from './postgres-error.ts';
import type { PostgresPool } from './postgres-pool.ts';

/** After a restart of the server every idle connection is broken; more than some of them are not worth the wait. */
const MAX_BEGIN_ATTEMPTS = 4;

/** What Kysely sees of one connection while it has it. */
export class PostgresSession implements DatabaseConnection {
  readonly #pool: PostgresPool;
  #client: PoolClient | null;
  #isOver = false;
  #isBroken = false;

  constructor(pool: PostgresPool, client: PoolClient) {
    this.#pool = pool;
    this.#client = client;
  }

  /** A connection that broke off while it was idle is noticed here first, and nothing is lost by taking another. */
  async begin(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.run('begin', []);
        return;
      } catch (error) {
        if (!this.#isBroken || attempt === MAX_BEGIN_ATTEMPTS) throw error;
      }
      // First back to the pool: it may have no other place.
      this.#giveBack();
      this.#client = await this.#pool.connect();
    }
  }

  async executeQuery<R>(query: Pick<CompiledQuery, 'sql' | 'parameters'>): Promise<QueryResult<R>> {
    if (this.#isOver) throw new StorageError('TRANSACTION_ABORTED', 'this transaction is over');
    return this.run<R>(query.sql, query.parameters.map(toParameter));
  }

  async run<R>(text: string, parameters: unknown[]): Promise<QueryResult<R> & { readonly command: string }> {
    if (this.#client === null) throw new StorageError('DATABASE_UNREACHABLE', 'the connection was given back');
    try {
      const { command, rowCount, rows } = await this.#client.query(text, parameters);
      // Kysely's typed tables describe the rows; the driver cannot know them.
      const result = { command, rows: rows as R[] };
      return command === 'SELECT' || rowCount === null ? result : { ...result, numAffectedRows: BigInt(rowCount) };
    } catch (error) {
      const failure = toPostgresError(error);
      // The pool would hand it out again.
      if (failure.code === 'DATABASE_UNREACHABLE') this.#isBroken = true;
      throw failure;
    }
  }

  streamQuery(): never {
    throw new StorageError('QUERY', 'streaming is not supported; read pages by key');
  }

  /** PostgreSQL answers COMMIT of a failed transaction with ROLLBACK, not with an error. */
  async commit(): Promise<void> {
    this.#isOver = true;
    const { command } = await this.run('commit', []);
    if (command !== 'COMMIT') {
      throw new StorageError('TRANSACTION_ABORTED', 'an earlier statement of this transaction failed');
    }
  }

  /** First closes the session to the job: a statement sent behind ROLLBACK would be committed on its own. */
  async rollback(): Promise<void> {
    this.#isOver = true;
    try {
      await this.run('rollback', []);
    } catch {
      // The server rolls back when the connection goes away; why it failed is known from what failed first.
      this.#isBroken = true;
    }
  }

  release(): void {
    this.#isOver = true;
    this.#giveBack();
  }

  #giveBack(): void {
    this.#client?.release(this.#isBroken);
    this.#client = null;
    this.#isBroken = false;
  }
}

/** Migrations run under a lock that openPostgres holds: Kysely's own would need the session after its transaction. */
class PostgresAdapterWithoutLock extends PostgresAdapter {
  override async acquireMigrationLock(): Promise<void> {}
  override async releaseMigrationLock(): Promise<void> {}
}

export function postgresDialect(pool: PostgresPool): Dialect {
  return {
    createAdapter: () => new PostgresAdapterWithoutLock(),
    createDriver: () => createDriver(pool),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  };
}

/** @throws StorageError `QUERY` when the connection belongs to another driver */
export function asSession(connection: DatabaseConnection): PostgresSession {
  if (connection instanceof PostgresSession) return connection;
  throw new StorageError('QUERY', 'the transaction belongs to another database');
}

function createDriver(pool: PostgresPool): Driver {
  return {
    init: async () => {},
    acquireConnection: async () => new PostgresSession(pool, await pool.connect()),
    beginTransaction: (connection) => asSession(connection).begin(),
    commitTransaction: (connection) => asSession(connection).commit(),
    rollbackTransaction: (connection) => asSession(connection).rollback(),
    releaseConnection: async (connection) => asSession(connection).release(),
    destroy: () => pool.end(),
  };
}

function toParameter(value: unknown): unknown {
  // A list is PostgreSQL's own: bulk inserts hand over one per column.
  return Array.isArray(value) ? value.map(toSqlValue) : toSqlValue(value);
}
