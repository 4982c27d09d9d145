import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { Database } from './database.ts';
import { StorageError, type StorageErrorCode } from './storage-error.ts';

/** A store that nobody wrote to for so long is asked, in milliseconds. */
const PROBE_AFTER_MS = 10_000;
/** What a probe writes while the store fails: a disk with room for a page is full for everything else. */
const PROBE_BYTES = 64 * 1_024;
const PROBE = 'write_probe';

/** Failures of the disk or the server; the others are of the statement, or of too much work. */
const SICK: ReadonlySet<StorageErrorCode> = new Set([
  'DISK_FULL',
  'IO',
  'READ_ONLY',
  'BUSY',
  'CORRUPT',
  'DATABASE_UNREACHABLE',
  'DATABASE_LOGIN_REFUSED',
]);

export interface WatchedDatabase {
  /** The same database; its writes are watched. */
  readonly db: Database;
  /** What the last write met; true before the first one. */
  readonly isWritable: boolean;
  /**
   * Resolves while the store can be read and written. What the last write met counts; after a failure, and after ten
   * quiet seconds, something is written to find out: who is told to send nothing here could never show that it works again.
   *
   * @throws StorageError
   */
  check(): Promise<void>;
}

export interface WriteHealthDeps {
  readonly db: Database;
  readonly logger: Logger;
  /** Milliseconds that only go up; default the process's clock. */
  readonly elapsedMs?: () => number;
}

export function watchWrites({ db, logger, elapsedMs = () => performance.now() }: WriteHealthDeps): WatchedDatabase {
  let wroteAt = Number.NEGATIVE_INFINITY;
  let isFailing = false;
  let probing: Promise<void> | null = null;

  const write: Database['write'] = async (job) => {
    try {
      const result = await db.write(job);
      wroteAt = elapsedMs();
      if (isFailing) logger.info('The database can be written again');
      isFailing = false;
      return result;
    } catch (error) {
      if (error instanceof StorageError && SICK.has(error.code)) {
        if (!isFailing) logger.error({ err: error, code: error.code }, 'The database cannot be written');
        isFailing = true;
      }
      throw error;
    }
  };

  async function probe(): Promise<void> {
    const value = isFailing ? ' '.repeat(PROBE_BYTES) : '';
    await write((tx) =>
      tx
        .insertInto('meta')
        .values({ key: PROBE, value })
        .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
        .execute(),
    );
    if (value !== '') await write((tx) => tx.updateTable('meta').set({ value: '' }).where('key', '=', PROBE).execute());
  }

  return {
    db: { ...db, write },
    get isWritable() {
      return !isFailing;
    },
    async check() {
      await db.head();
      if (!isFailing && elapsedMs() - wroteAt < PROBE_AFTER_MS) return;
      probing ??= probe().finally(() => {
        probing = null;
      });
      await probing;
    },
  };
}
