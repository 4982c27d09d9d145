import type { Kysely, Transaction } from 'kysely';
import type { Arrivals } from './delivery.ts';
import type { Tables } from './tables.ts';

export type Tx = Transaction<Tables>;

/** What rings when something was committed. Rings are hints: the tables are the truth. */
export type DoorbellTopic = 'inbox' | 'log' | `org:${string}` | `integration:${string}`;

export interface Doorbell {
  ring(topic: DoorbellTopic): void;
  /** @returns how to stop listening */
  on(topic: DoorbellTopic | '*', listener: (topic: DoorbellTopic) => void): () => void;
}

/** One value per row, for `Tx`-bound bulk inserts: SQLite runs one prepared statement per row, PostgreSQL one statement per batch. */
export interface BulkInsert {
  readonly table: keyof Tables;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  /** Rows that exist already are passed over. */
  readonly onConflictDoNothing?: boolean;
}

/**
 * The database: SQLite or PostgreSQL behind the same Kysely tables.
 *
 * `read` sees committed rows only. `write` runs one transaction; on SQLite writers queue behind each other, on
 * PostgreSQL they run beside each other. A transaction that throws leaves nothing behind.
 */
export interface Database {
  readonly engine: 'sqlite' | 'postgres';
  /** For reading only: on SQLite this is a read-only connection. */
  readonly read: Kysely<Tables>;
  write<T>(job: (tx: Tx) => Promise<T>): Promise<T>;
  /** Inserts many rows fast inside a `write`. @returns for each row whether it was new (always true without `onConflictDoNothing`) */
  bulkInsert(tx: Tx, insert: BulkInsert): Promise<readonly boolean[]>;
  /**
   * Takes `count` numbers of the `log` sequence inside `write`: call it as late as possible, other writers of the log
   * wait until this transaction ends. @returns the first number
   */
  takeSequence(tx: Tx, count: number): Promise<number>;
  /** The last committed number of the `log` sequence, 0 at first. */
  head(): Promise<number>;
  /** Random text made with the store; cursors carry it. */
  readonly epoch: string;
  readonly doorbell: Doorbell;
  /** In front of the inbox, where processing has a thread of its own on SQLite; null: deliveries go there at once. */
  readonly arrivals: Arrivals | null;
  /** Truncates the write-ahead log, gives back connections. */
  close(): Promise<void>;
}
