import { randomBytes } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import type { Tx } from './database.ts';
import { StorageError } from './storage-error.ts';
import type { Tables } from './tables.ts';

/** Of the random text that names a life of the store. */
export const EPOCH_BYTES = 9;

/** See Database.takeSequence: the row's lock is held until commit, which makes numbers and commits one order. */
export async function takeSequence(tx: Tx, count: number): Promise<number> {
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new StorageError('QUERY', 'takeSequence needs a whole number of at least 1');
  }
  const { value } = await tx
    .updateTable('sequence_heads')
    .set({ value: sql`value + ${count}` })
    .where('name', '=', 'log')
    .returning('value')
    .executeTakeFirstOrThrow();
  return value - count + 1;
}

/** See Database.head. */
export async function readHead(read: Kysely<Tables>): Promise<number> {
  const row = await read
    .selectFrom('sequence_heads')
    .select('value')
    .where('name', '=', 'log')
    .executeTakeFirstOrThrow();
  return row.value;
}

/** The store's epoch, made by whoever opens it first. */
export async function readEpoch(writer: Kysely<Tables>, read: Kysely<Tables>): Promise<string> {
  const find = () => read.selectFrom('meta').select('value').where('key', '=', 'epoch').executeTakeFirst();
  const known = await find();
  if (known !== undefined) return known.value;
  const value = randomBytes(EPOCH_BYTES).toString('base64url');
  await writer.transaction().execute((tx) =>
    tx
      .insertInto('meta')
      .values({ key: 'epoch', value })
      .onConflict((conflict) => conflict.doNothing())
      .execute(),
  );
  const made = await find();
  if (made === undefined) throw new StorageError('QUERY', 'the epoch could not be stored');
  return made.value;
}
