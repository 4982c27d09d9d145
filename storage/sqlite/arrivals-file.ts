import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { EVIDENCE_SOURCES } from '../../schema/words.ts';
import type { Delivery } from '../delivery.ts';
import { EPOCH_BYTES } from '../log-sequence.ts';
import { StorageError } from '../storage-error.ts';
import { SqliteConnection } from './sqlite-connection.ts';
import { retryWhileBusy } from './sqlite-driver.ts';
import { toSqliteError } from './sqlite-error.ts';

// What arrives is on disk here first: a file with one writer that matters, whose transactions are as long as its rows.

/** How often who finds the other one writing tries again: it drops some rows, which takes less than a millisecond. */
const BUSY_RETRY_MS = 1;
/** Deliveries that may wait to be moved: nobody moves any more when there are so many. */
const MAX_WAITING = 200_000;

/** A repetition has no body: it is only to be counted. Numbers are never given again, also when all rows are gone. */
const SCHEMA = `
  create table if not exists identity (epoch text not null, probe text not null default '') strict;
  create table if not exists arrivals (
    id integer primary key autoincrement,
    key blob not null,
    org_id text not null,
    integration_id text not null,
    source text not null,
    received_at integer not null,
    headers text not null,
    body blob
  ) strict;
  create unique index if not exists arrivals_by_key on arrivals (key) where body is not null;
`;
const COLUMNS = 'key, org_id, integration_id, source, received_at, headers, body';
const INSERT = `insert or fail into arrivals (${COLUMNS}) values (?, ?, ?, ?, ?, ?, ?)`;
const INSERT_NEW = `${INSERT} on conflict (key) where body is not null do nothing`;

const Row = z.object({
  id: z.int(),
  key: z.instanceof(Uint8Array),
  org_id: z.string(),
  integration_id: z.string(),
  source: z.enum(EVIDENCE_SOURCES),
  received_at: z.int(),
  headers: z.string(),
  body: z.instanceof(Uint8Array).nullable(),
});

export interface Arrived {
  /** Goes up by arrival. */
  readonly id: number;
  readonly delivery: Delivery;
  /** It was seen before: there is nothing to process, and its body was not kept. */
  readonly isRepetition: boolean;
}

export interface ArrivalsFile {
  /** Random text made with the file: numbers of another file mean nothing. */
  readonly epoch: string;
  /**
   * @param isKnown whether the inbox remembers the delivery of this key
   * @returns for each whether it is new
   */
  append(deliveries: readonly Delivery[], isKnown: (key: Uint8Array) => boolean): Promise<readonly boolean[]>;
  /** In order of arrival, behind a number. */
  readBehind(id: number, limit: number): readonly Arrived[];
  /** The number of the last arrival, 0 at first. */
  last(): number;
  oldest(): number | null;
  /** Drops everything up to a number. A power cut may bring some of it back. */
  forget(upTo: number): Promise<void>;
  /** Writes a text durably, and takes it away again. */
  probe(value: string): Promise<void>;
  close(): void;
}

export function arrivalsFileOf(file: string): string {
  return `${file}-arrivals`;
}

/** Whether something waits in front of the inbox of a database: for those who look at it from outside. */
export function hasArrivals(database: string): boolean {
  const file = arrivalsFileOf(database);
  if (!existsSync(file)) return false;
  const connection = new DatabaseSync(file, { readOnly: true });
  try {
    return connection.prepare('select 1 from arrivals limit 1').all().length > 0;
  } finally {
    connection.close();
  }
}

/**
 * Opens or makes the file of a database.
 *
 * @param durability `full`: what was appended survives a power cut; `relaxed` is for who moves: a deletion may be lost
 * @throws StorageError
 */
export async function openArrivalsFile(file: string, durability: 'full' | 'relaxed'): Promise<ArrivalsFile> {
  const connection = connect(file);
  const epoch = await prepare(connection, durability);
  const one = (sql: string, ...parameters: unknown[]): unknown =>
    Object.values(connection.query(sql, parameters).rows[0] ?? {})[0];

  function transact<T>(job: () => T): Promise<T> {
    return retryWhileBusy(() => {
      connection.exec('begin immediate');
      try {
        const result = job();
        connection.exec('commit');
        return result;
      } finally {
        if (connection.isInTransaction) connection.exec('rollback');
      }
    }, BUSY_RETRY_MS);
  }

  return {
    epoch,
    append: (deliveries, isKnown) =>
      transact(() => {
        // Each on its own is an index probe; asked for at once they would be a walk over all that waits.
        const waiting = Number(one('select (select max(id) from arrivals) - (select min(id) from arrivals)') ?? 0);
        if (waiting >= MAX_WAITING) {
          throw new StorageError('OVERLOADED', 'too many deliveries wait to be moved to the inbox');
        }
        const isAdded = connection.runMany(INSERT_NEW, deliveries.map(valuesOf));
        // Looked for behind the insert: what is neither here nor there now can only come after us.
        const isNew = deliveries.map(({ key }, at) => isAdded[at] === true && !isKnown(key));
        const known = deliveries.filter((_, at) => isAdded[at] === true && isNew[at] !== true);
        connection.runMany(
          'delete from arrivals where key = ? and body is not null',
          known.map(({ key }) => [key]),
        );
        const repeated = deliveries.filter((_, at) => isNew[at] !== true);
        connection.runMany(
          INSERT,
          repeated.map((delivery) => valuesOf({ ...delivery, headers: '{}', body: null })),
        );
        return isNew;
      }),
    readBehind(id, limit) {
      const { rows } = connection.query(`select id, ${COLUMNS} from arrivals where id > ? order by id limit ${limit}`, [
        id,
      ]);
      return rows.map(toArrived);
    },
    last: () => Number(one("select seq from sqlite_sequence where name = 'arrivals'") ?? 0),
    oldest() {
      const at = one('select received_at from arrivals order by id limit 1');
      return at === undefined ? null : Number(at);
    },
    async forget(upTo) {
      await transact(() => connection.query('delete from arrivals where id <= ?', [upTo]));
    },
    async probe(value) {
      for (const text of [value, '']) {
        await transact(() => connection.query('update identity set probe = ?', [text]));
      }
    },
    close: () => connection.close(),
  };
}

function connect(file: string): SqliteConnection {
  try {
    return new SqliteConnection(new DatabaseSync(file));
  } catch (error) {
    throw toSqliteError(error);
  }
}

/** @returns the file's epoch, made by whoever opens it first */
async function prepare(connection: SqliteConnection, durability: 'full' | 'relaxed'): Promise<string> {
  try {
    await retryWhileBusy(() => connection.exec('pragma journal_mode=wal'));
    connection.exec('pragma synchronous=full; pragma wal_autocheckpoint=0');
    await retryWhileBusy(() => connection.exec(`begin immediate; ${SCHEMA} commit`));
    await retryWhileBusy(() =>
      connection.query('insert into identity (epoch) select ? where not exists (select 1 from identity)', [
        randomBytes(EPOCH_BYTES).toString('base64url'),
      ]),
    );
    if (durability === 'relaxed') connection.exec('pragma synchronous=normal');
    return z.object({ epoch: z.string() }).parse(connection.query('select epoch from identity', []).rows[0]).epoch;
  } catch (error) {
    connection.close();
    throw toSqliteError(error);
  }
}

function valuesOf(delivery: Omit<Delivery, 'body'> & { readonly body: Uint8Array | null }): readonly unknown[] {
  const { key, orgId, integrationId, source, receivedAt, headers, body } = delivery;
  return [key, orgId, integrationId, source, receivedAt, headers, body];
}

function toArrived(row: unknown): Arrived {
  const { id, key, org_id: orgId, integration_id: integrationId, ...rest } = Row.parse(row);
  const { source, received_at: receivedAt, headers, body } = rest;
  const delivery = { key, orgId, integrationId, source, receivedAt, headers, body: body ?? new Uint8Array() };
  return { id, delivery, isRepetition: body === null };
}
