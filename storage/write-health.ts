import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { Database } from './database.ts';
import type { Arrivals } from './delivery.ts';
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

/** What is written, each with a disk's troubles of its own. */
type Part = 'the database' | 'the file of arrivals';

export function watchWrites({ db, logger, elapsedMs = () => performance.now() }: WriteHealthDeps): WatchedDatabase {
  let wroteAt = Number.NEGATIVE_INFINITY;
  const failing = new Set<Part>();
  let probing: Promise<void> | null = null;

  async function watched<T>(part: Part, job: () => Promise<T>): Promise<T> {
    try {
      const result = await job();
      wroteAt = elapsedMs();
      if (failing.delete(part)) logger.info({ part }, 'The store can be written again');
      return result;
    } catch (error) {
      if (error instanceof StorageError && SICK.has(error.code)) {
        if (!failing.has(part)) logger.error({ err: error, code: error.code, part }, 'The store cannot be written');
        failing.add(part);
      }
      throw error;
    }
  }

  const write: Database['write'] = (job) => watched('the database', () => db.write(job));
  const arrivals = db.arrivals === null ? null : watchArrivals(db.arrivals);

  function watchArrivals(unwatched: Arrivals): Arrivals {
    return {
      ...unwatched,
      append: (deliveries) => watched('the file of arrivals', () => unwatched.append(deliveries)),
      probe: (value) => watched('the file of arrivals', () => unwatched.probe(value)),
    };
  }

  async function probe(): Promise<void> {
    const value = failing.size > 0 ? ' '.repeat(PROBE_BYTES) : '';
    await arrivals?.probe(value);
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
    db: { ...db, write, arrivals },
    get isWritable() {
      return failing.size === 0;
    },
    async check() {
      await db.head();
      if (failing.size === 0 && elapsedMs() - wroteAt < PROBE_AFTER_MS) return;
      probing ??= probe().finally(() => {
        probing = null;
      });
      await probing;
    },
  };
}
