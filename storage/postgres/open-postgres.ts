import { Kysely, sql } from 'kysely';
import type { Logger } from 'pino';
import type { Database } from '../database.ts';
import { createDoorbell } from '../doorbell.ts';
import { readEpoch, readHead, takeSequence } from '../log-sequence.ts';
import { migrate } from '../migrations/index.ts';
import { StorageError } from '../storage-error.ts';
import type { Tables } from '../tables.ts';
import { createTransactions, type TransactionsOptions } from '../transactions.ts';
import { bulkInsertIntoPostgres, readTableShapes, type TableShapes } from './postgres-bulk-insert.ts';
import { postgresDialect } from './postgres-dialect.ts';
import { createPostgresPool } from './postgres-pool.ts';

/** Of all processes together PostgreSQL takes 100 by default; half of these read, half write. */
const MAX_CONNECTIONS = 20;
/** An index over a log that grew for years takes its time. */
const MIGRATION_TIMEOUT_MS = 600_000;
/** The oldest that is still maintained and tried. */
const OLDEST_VERSION = 140_000;
/** Any number that is ours. */
const MIGRATION_LOCK = 1_131_378_247;
const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,62}$/;

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`, with the parameters of libpq (`sslmode`, …). */
  readonly url: string;
  readonly logger: Logger;
  /** Made when it is missing. Default: where the login's search path leads. */
  readonly schema?: string | undefined;
  /** Default 20, at least 2. */
  readonly maxConnections?: number | undefined;
  readonly transactions?: Omit<TransactionsOptions, 'slots'> | undefined;
}

/** Two pools, of which one cannot write: a read never waits for a write to end. @throws StorageError: see openDatabase */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const { url, logger, maxConnections = MAX_CONNECTIONS } = options;
  if (!URL.canParse(url)) throw new StorageError('BAD_DATABASE_URL', 'the PostgreSQL URL cannot be read');
  if (options.schema !== undefined && !SCHEMA_NAME.test(options.schema)) {
    throw new StorageError('BAD_DATABASE_URL', 'the schema must be lower-case letters, digits and underscores');
  }
  const path: Record<string, string> = options.schema === undefined ? {} : { search_path: options.schema };
  const connect = (max: number, settings: Record<string, string>) =>
    new Kysely<Tables>({
      dialect: postgresDialect(createPostgresPool({ url, logger, max, settings: { ...path, ...settings } })),
    });

  const { shapes, settings } = await prepare(connect, options.schema);
  const half = Math.max(1, Math.floor(maxConnections / 2));
  const writer = connect(half, settings['synchronous_commit'] === 'off' ? { synchronous_commit: 'on' } : {});
  const read = connect(half, { default_transaction_read_only: 'on' });
  const epoch = await readEpoch(writer, read);
  const transactions = createTransactions(writer, { ...options.transactions, slots: half });
  const durability = settings['fsync'] === 'on' ? 'fsync' : 'none';
  logger.info({ engine: 'postgres', version: settings['server_version'], durability }, 'Database opened');

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await transactions.close();
    await Promise.all([read.destroy(), writer.destroy()]);
  };

  return {
    engine: 'postgres',
    read,
    write: (job) => transactions.write(job),
    bulkInsert: (tx, insert) => bulkInsertIntoPostgres(shapes, tx, insert),
    takeSequence,
    head: () => readHead(read),
    epoch,
    doorbell: createDoorbell(logger),
    arrivals: null,
    close: () => (closing ??= close()),
  };
}

/** Checks the server and brings the tables up to date, on a connection of its own that may take long. */
async function prepare(
  connect: (max: number, settings: Record<string, string>) => Kysely<Tables>,
  schema: string | undefined,
): Promise<{ shapes: TableShapes; settings: Record<string, string> }> {
  const db = connect(1, {
    statement_timeout: String(MIGRATION_TIMEOUT_MS),
    lock_timeout: String(MIGRATION_TIMEOUT_MS),
  });
  try {
    const settings = await readSettings(db);
    if (Number(settings['server_version_num']) < OLDEST_VERSION) {
      throw new StorageError(
        'DATABASE_UNSUPPORTED',
        `PostgreSQL ${settings['server_version']} is too old: 14 is the oldest that works`,
      );
    }
    if (settings['server_encoding'] !== 'UTF8') {
      throw new StorageError('DATABASE_UNSUPPORTED', 'the PostgreSQL database must have the encoding UTF8');
    }
    const { rows } = await sql<{ name: string | null }>`select current_schema() as name`.execute(db);
    const name = schema ?? rows[0]?.name ?? 'public';
    // Of several processes that start at once one migrates. The only connection of this pool keeps the lock to its end.
    await sql`select pg_advisory_lock(${MIGRATION_LOCK}, hashtext(${name}))`.execute(db);
    await migrate(db, 'postgres', name);
    return { shapes: await readTableShapes(db, name), settings };
  } finally {
    await db.destroy();
  }
}

async function readSettings(db: Kysely<Tables>): Promise<Record<string, string>> {
  const { rows } = await sql<{ name: string; setting: string }>`
    select name, setting from pg_settings
    where name in ('server_version', 'server_version_num', 'server_encoding', 'synchronous_commit', 'fsync')`.execute(
    db,
  );
  return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
}
