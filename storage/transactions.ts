import { AsyncLocalStorage } from 'node:async_hooks';
import { performance } from 'node:perf_hooks';
import type { Kysely } from 'kysely';
import type { Tx } from './database.ts';
import { StorageError } from './storage-error.ts';
import type { Tables } from './tables.ts';

/** Writes that may wait for their turn. Each holds a request open: more than this is a store that cannot keep up. */
export const MAX_WAITING_WRITES = 1_000;
/** A transaction that takes longer holds everybody up; it is rolled back. */
export const TRANSACTION_TIMEOUT_MS = 30_000;
/** Embedded statements never wait for I/O, so a full queue would keep sockets and timers from running at all. */
const YIELD_AFTER_MS = 5;

export interface TransactionsOptions {
  /** Transactions that may run at once. */
  readonly slots: number;
  /** Default MAX_WAITING_WRITES. */
  readonly maxWaiting?: number | undefined;
  /** Default TRANSACTION_TIMEOUT_MS. */
  readonly timeoutMs?: number | undefined;
}

export interface Transactions {
  /**
   * Runs one transaction, first come first served.
   *
   * @throws StorageError `OVERLOADED` (too many wait), `NESTED_WRITE` (started inside another transaction: it would wait
   * for itself), `TIMEOUT`, `CLOSED`, and whatever the statements or the job threw
   */
  write<T>(job: (tx: Tx) => Promise<T>): Promise<T>;
  /** Refuses new transactions and waits for those under way. */
  close(): Promise<void>;
}

/** @param writer its connections must open transactions that are allowed to write */
export function createTransactions(writer: Kysely<Tables>, options: TransactionsOptions): Transactions {
  const maxWaiting = options.maxWaiting ?? MAX_WAITING_WRITES;
  const timeoutMs = options.timeoutMs ?? TRANSACTION_TIMEOUT_MS;
  const current = new AsyncLocalStorage<{ active: boolean }>();
  const waiting: (() => void)[] = [];
  const onIdle: (() => void)[] = [];
  let running = 0;
  let closed = false;
  let yieldedAt = performance.now();

  const release = (): void => {
    const next = waiting.shift();
    if (next === undefined) {
      running -= 1;
      if (running === 0) for (const resolve of onIdle.splice(0)) resolve();
    } else if (performance.now() - yieldedAt > YIELD_AFTER_MS) {
      setImmediate(() => {
        yieldedAt = performance.now();
        next();
      });
    } else {
      next();
    }
  };

  const acquire = async (): Promise<void> => {
    if (closed) throw new StorageError('CLOSED', 'the database is closed');
    if (running < options.slots) {
      if (running === 0) yieldedAt = performance.now();
      running += 1;
      return;
    }
    if (waiting.length >= maxWaiting) {
      throw new StorageError('OVERLOADED', `${maxWaiting} writes wait for the database already`);
    }
    await new Promise<void>((resolve) => waiting.push(resolve));
  };

  return {
    async write(job) {
      if (current.getStore()?.active === true) {
        throw new StorageError('NESTED_WRITE', 'a write was started inside a write; use its transaction instead');
      }
      await acquire();
      const mark = { active: true };
      try {
        return await writer
          .transaction()
          .execute((tx) => current.run(mark, () => withTimeout(() => job(tx), timeoutMs)));
      } finally {
        mark.active = false;
        release();
      }
    },
    async close() {
      closed = true;
      if (running > 0) await new Promise<void>((resolve) => onIdle.push(resolve));
    },
  };
}

/** A job that is given up goes on running, but its transaction is over: its next statement throws. */
async function withTimeout<T>(job: () => Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  try {
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new StorageError('TIMEOUT', `the transaction took longer than ${timeoutMs} ms and was rolled back`));
      }, timeoutMs);
    });
    return await Promise.race([job(), timeout]);
  } finally {
    clearTimeout(timer);
  }
}
