import { accessSync, chmodSync, closeSync, constants, existsSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { Database } from '../database.ts';
import type { Delivery } from '../delivery.ts';
import { createDoorbell } from '../doorbell.ts';
import { syncName } from '../durable-files.ts';
import { readEpoch, readHead, takeSequence } from '../log-sequence.ts';
import { migrate } from '../migrations/index.ts';
import { StorageError } from '../storage-error.ts';
import type { Tables } from '../tables.ts';
import { createTransactions, type TransactionsOptions } from '../transactions.ts';
import { createArrivals } from './arrivals.ts';
import { arrivalsFileOf, openArrivalsFile } from './arrivals-file.ts';
import { type Checkpointer, createCheckpointer } from './checkpointer.ts';
import { bulkInsertIntoSqlite } from './sqlite-bulk-insert.ts';
import { SqliteConnection } from './sqlite-connection.ts';
import { sqliteDialect } from './sqlite-dialect.ts';
import { retryWhileBusy } from './sqlite-driver.ts';
import { toSqliteError } from './sqlite-error.ts';
import { createWriteTurn, type WriteTurn, type WritingThread } from './write-turn.ts';

/** Before it, two connections that write and checkpoint at once could corrupt the file (sqlite.org/wal.html#walresetbug). */
const OLDEST_SQLITE = [3, 51, 3] as const;
const CACHE_KIB = 65_536;
/** Reads meet a lock only while another process recovers the log. */
const READ_BUSY_TIMEOUT_MS = 5_000;
const OWNER_ONLY = 0o600;

export interface SqliteOptions {
  /** Path of the database; its directory is made when it is missing. */
  readonly file: string;
  readonly logger: Logger;
  /** A larger file is not searched for damage. Default: every file is. */
  readonly checkMaxBytes?: number | undefined;
  /** How often pages of the log move to the database, in milliseconds. */
  readonly checkpointMs?: number | undefined;
  readonly transactions?: Omit<TransactionsOptions, 'slots'>;
  /** Where several threads of this process write to the file: this one's part. Default: it writes alone. */
  readonly thread?: WritingThread | undefined;
}

/**
 * One writing and one reading handle of one file. Only the first of several threads looks after the file: it checks and
 * migrates it before the others open it, moves the pages of its log, and closes it last. With several threads what
 * arrives is stored in a file of its own.
 *
 * @throws StorageError: see openDatabase
 */
export async function openSqlite(options: SqliteOptions): Promise<Database> {
  const { file, logger, transactions: limits, checkMaxBytes = Number.POSITIVE_INFINITY, thread } = options;
  const createOwnCheckpointer = (path: string) =>
    createCheckpointer({ file: path, logger, intervalMs: options.checkpointMs });
  const isFirst = thread === undefined || thread.number === 0;
  // Before any connection of this process: to close the file beside one would drop its locks.
  if (isFirst) makeWritable(file);
  const writing = openConnection(file);
  const writer = new Kysely<Tables>({ dialect: sqliteDialect(writing, 'writer', turnOf(thread)) });
  try {
    assertVersion(writing);
    // WAL lets readers go on while somebody writes. FULL: a commit that was answered survives a power cut.
    await retryWhileBusy(() => writing.exec('pragma journal_mode=wal'));
    writing.exec('pragma synchronous=full; pragma wal_autocheckpoint=0');
    tune(writing);
    if (isFirst) {
      const { size } = statSync(file);
      if (size <= checkMaxBytes) await retryWhileBusy(() => assertSound(writing, file));
      else logger.info({ file, bytes: size }, 'The database is too large to be searched for damage at a start');
      await migrate(writer, 'sqlite');
    }
  } catch (error) {
    writing.close();
    throw error;
  }
  const reading = new SqliteConnection(new DatabaseSync(file, { readOnly: true, timeout: READ_BUSY_TIMEOUT_MS }));
  tune(reading);
  const read = new Kysely<Tables>({ dialect: sqliteDialect(reading, 'reader') });
  const epoch = await readEpoch(writer, read);
  const checkpointer = isFirst ? createOwnCheckpointer(file) : null;
  const transactions = createTransactions(writer, { ...limits, slots: 1 });
  const doorbell = createDoorbell(logger);
  // Other threads ring behind what they commit.
  if (thread !== undefined && checkpointer !== null) doorbell.on('*', () => checkpointer.wrote());
  const db: Database = {
    engine: 'sqlite',
    read,
    async write(job) {
      const result = await transactions.write(job);
      checkpointer?.wrote();
      return result;
    },
    bulkInsert: bulkInsertIntoSqlite,
    takeSequence,
    head: () => readHead(read),
    epoch,
    doorbell,
    arrivals: null,
    close: () => (closing ??= close()),
  };
  const isKnown = (key: Uint8Array): boolean =>
    reading.query('select 1 from dedupe where key = ?', [key]).rows.length > 0;
  const front = await openFront({ file, db, thread, isKnown, logger, createCheckpointer: createOwnCheckpointer });
  // Names of new files, and the end of the journal that they were made with.
  if (isFirst) await syncName(file);
  logger.info({ engine: 'sqlite', file, durability: 'fsync' }, 'Database opened');

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await transactions.close();
    await front?.close();
    await checkpointer?.close();
    await read.destroy();
    reading.close();
    try {
      if (isFirst) writing.exec('pragma wal_checkpoint(truncate)');
    } catch (error) {
      // The log stays and is read at the next start: nothing is lost.
      logger.warn({ err: error }, 'The write-ahead log could not be truncated');
    }
    await writer.destroy();
    writing.close();
  };

  return { ...db, arrivals: front?.arrivals ?? null };
}

interface FrontDeps {
  readonly file: string;
  readonly db: Database;
  readonly thread: WritingThread | undefined;
  readonly isKnown: (key: Uint8Array) => boolean;
  readonly logger: Logger;
  readonly createCheckpointer: (file: string) => Checkpointer;
}

/** The file in front of the inbox. Whoever writes alone needs none, and takes over what another start left in one. */
async function openFront({ file: database, db, thread, isKnown, logger, ...deps }: FrontDeps) {
  const file = arrivalsFileOf(database);
  if (thread === undefined && !existsSync(file)) return null;
  const isAppending = thread?.number === 0;
  if (isAppending) makeWritable(file);
  const arrivalsFile = await openArrivalsFile(file, isAppending ? 'full' : 'relaxed');
  const arrivals = createArrivals({
    appending: isAppending ? arrivalsFile : null,
    moving: arrivalsFile,
    db,
    isKnown,
    logger,
  });
  if (thread === undefined) {
    while ((await arrivals.move()) > 0);
    arrivalsFile.close();
    return null;
  }
  const checkpointer = isAppending ? deps.createCheckpointer(file) : null;
  return {
    arrivals: {
      ...arrivals,
      append: async (deliveries: readonly Delivery[]) => {
        const isNew = await arrivals.append(deliveries);
        checkpointer?.wrote();
        return isNew;
      },
    },
    async close() {
      await checkpointer?.close();
      arrivalsFile.close();
    },
  };
}

function turnOf(thread: WritingThread | undefined): WriteTurn | null {
  return thread === undefined ? null : createWriteTurn(thread.memory, thread.number);
}

function makeWritable(file: string): void {
  const directory = dirname(file);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.W_OK | constants.X_OK);
    // SQLite gives its log the permissions of the database: they must be right before it writes there.
    closeSync(openSync(file, 'a', OWNER_ONLY));
    chmodSync(file, OWNER_ONLY);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new StorageError(
      'DATA_DIRECTORY_NOT_WRITABLE',
      `${file} cannot be written in its data directory (${reason})`,
      {
        cause: error,
      },
    );
  }
}

function openConnection(file: string): SqliteConnection {
  try {
    return new SqliteConnection(new DatabaseSync(file));
  } catch (error) {
    const failure = toSqliteError(error);
    throw failure.code === 'IO' || failure.code === 'READ_ONLY'
      ? new StorageError('DATA_DIRECTORY_NOT_WRITABLE', `${file} cannot be opened: ${failure.message}`, {
          cause: error,
        })
      : failure;
  }
}

function tune(connection: SqliteConnection): void {
  connection.exec(`pragma cache_size=-${CACHE_KIB}; pragma temp_store=memory`);
  // PostgreSQL's LIKE is case-sensitive, and only this way can SQLite walk an index for a prefix.
  connection.exec('pragma case_sensitive_like=on');
}

function assertVersion(connection: SqliteConnection): void {
  const version = String(connection.query('select sqlite_version() as version', []).rows[0]?.['version']);
  const parts = version.split('.').map(Number);
  const difference = OLDEST_SQLITE.map((wanted, index) => (parts[index] ?? 0) - wanted).find((part) => part !== 0) ?? 0;
  if (difference < 0) {
    const wanted = OLDEST_SQLITE.join('.');
    throw new StorageError(
      'DATABASE_UNSUPPORTED',
      `SQLite ${version} is too old, ${wanted} is needed: use the pinned Node.js`,
    );
  }
}

/** Finds damage before it spreads; reads the whole file, about a second per gigabyte. */
function assertSound(connection: SqliteConnection, file: string): void {
  const verdict = connection.query('pragma quick_check(1)', []).rows[0]?.['quick_check'];
  if (verdict !== 'ok') {
    throw new StorageError('CORRUPT', `${file} is damaged, restore a backup: ${String(verdict)}`);
  }
}
