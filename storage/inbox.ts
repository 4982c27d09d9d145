import { type SqlBool, sql } from 'kysely';
import type { DeadLetterStage } from '../schema/words.ts';
import type { Database, Tx } from './database.ts';
import type { Delivery } from './delivery.ts';
import { countDuplicates } from './event-dedupe.ts';
import { addToCounters } from './integration-counters.ts';
import type { InboxRow } from './rows.ts';
import type { Condition } from './sql-conditions.ts';

function compareKeys(a: Delivery, b: Delivery): number {
  return Buffer.compare(a.key, b.key);
}

/**
 * Stores those of these deliveries that were not seen in the last seven days; the others are counted.
 *
 * @returns for each whether it was new
 */
export async function insertDeliveries(
  db: Pick<Database, 'engine' | 'bulkInsert'>,
  tx: Tx,
  deliveries: readonly Delivery[],
): Promise<readonly boolean[]> {
  // A fixed order, so that two processes that were sent the same deliveries never wait for each other in a ring.
  const firsts = new Map<string, Delivery>();
  for (const delivery of deliveries) {
    const name = Buffer.from(delivery.key).toString('latin1');
    if (!firsts.has(name)) firsts.set(name, delivery);
  }
  const candidates = [...firsts.values()].toSorted(compareKeys);
  const isNew = await db.bulkInsert(tx, {
    table: 'dedupe',
    columns: ['key', 'kind', 'ref', 'duplicates', 'seen_at'],
    rows: candidates.map(({ key, receivedAt }) => [key, 'delivery', 0, 0, receivedAt]),
    onConflictDoNothing: true,
  });
  const fresh = new Set(candidates.filter((_, at) => isNew[at] === true));
  const arrived = deliveries.filter((delivery) => fresh.has(delivery));
  if (arrived.length > 0) {
    await db.bulkInsert(tx, {
      table: 'inbox',
      columns: [
        'org_id',
        'integration_id',
        'received_at',
        'source',
        'delivery_key',
        'headers',
        'body',
        'status',
        'attempts',
      ],
      rows: arrived.map(({ orgId, integrationId, receivedAt, source, key, headers, body }) => [
        orgId,
        integrationId,
        receivedAt,
        source,
        key,
        headers,
        body,
        'PENDING',
        0,
      ]),
    });
  }
  await countRepetitions(
    db,
    tx,
    deliveries.filter((delivery) => !fresh.has(delivery)),
  );
  return deliveries.map((delivery) => fresh.has(delivery));
}

/** Deliveries that were seen before: by key, and for the integration's hour. */
export async function countRepetitions(
  db: Pick<Database, 'engine'>,
  tx: Tx,
  repeated: readonly Pick<Delivery, 'key' | 'integrationId' | 'receivedAt'>[],
): Promise<void> {
  if (repeated.length === 0) return;
  await countDuplicates(
    db,
    tx,
    repeated.map(({ key }) => key),
  );
  const byIntegration = Map.groupBy(repeated, ({ integrationId }) => integrationId);
  for (const [integrationId, group] of [...byIntegration].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    await addToCounters(tx, integrationId, group[0]?.receivedAt ?? 0, { duplicates: group.length });
  }
}

/** Said in the words of the partial index of what waits, which the engines recognise by its text. */
const IS_PENDING: Condition = sql<SqlBool>`inbox.status = 'PENDING'`;

/** The oldest delivery that waits, of each integration that has one: an index probe each, however long the backlog is. */
const FIRST_PENDING = sql`(select min(inbox.id) from inbox where inbox.integration_id = integrations.id and ${IS_PENDING})`;

/** Whether so many deliveries wait to be processed. Counts them only when their numbers are so far apart that it can be. */
export async function hasPending(db: Pick<Database, 'read'>, count: number): Promise<boolean> {
  const { rows: spans } = await sql<{ span: number | null }>`
    select (select max(id) from inbox) - min(first.id) + 1 as span
    from (select ${FIRST_PENDING} as id from integrations) as first`.execute(db.read);
  if (Number(spans[0]?.span ?? 0) < count) return false;
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from (select 1 from inbox where ${IS_PENDING} limit ${count}) as waiting`.execute(db.read);
  return Number(rows[0]?.count ?? 0) >= count;
}

/** When the delivery arrived that waits longest to be processed, in milliseconds; null when none waits. */
export async function findOldestPending(db: Pick<Database, 'read'>): Promise<number | null> {
  const { rows } = await sql<{ at: number | null }>`
    select min(inbox.received_at) as at from inbox where inbox.id in (select ${FIRST_PENDING} from integrations)`.execute(
    db.read,
  );
  return rows[0]?.at ?? null;
}

/** Integrations that have deliveries to process at this instant. One index probe each, however long the backlog is. */
export async function findIntegrationsWithWork(db: Pick<Database, 'read'>, now: number): Promise<readonly string[]> {
  const { rows } = await sql<{ id: string }>`
    select integrations.id as id from integrations where exists (
      select 1 from inbox where inbox.integration_id = integrations.id and ${IS_PENDING}
        and (inbox.next_attempt_at is null or inbox.next_attempt_at <= ${now}))`.execute(db.read);
  return rows.map(({ id }) => id);
}

/** An integration's next deliveries in order of arrival; those that wait for another attempt let the others pass. */
export async function readDue(
  db: Pick<Database, 'read'>,
  integrationId: string,
  now: number,
  limit: number,
): Promise<readonly InboxRow[]> {
  return db.read
    .selectFrom('inbox')
    .selectAll()
    .where('integration_id', '=', integrationId)
    .where(IS_PENDING)
    .where((eb) => eb.or([eb('next_attempt_at', 'is', null), eb('next_attempt_at', '<=', now)]))
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** Which of these are still to be processed: another process may have been faster. */
export async function stillPending(tx: Tx, ids: readonly number[]): Promise<ReadonlySet<number>> {
  // Looked at here and not in the query: SQLite would walk the index of everything that waits instead of these rows.
  const rows = await tx.selectFrom('inbox').select(['id', 'status']).where('id', 'in', ids).execute();
  return new Set(rows.filter(({ status }) => status === 'PENDING').map(({ id }) => id));
}

/** These became what they say. */
export async function settleDone(tx: Tx, ids: readonly number[], now: number): Promise<void> {
  if (ids.length === 0) return;
  await tx
    .updateTable('inbox')
    .set({
      status: 'DONE',
      attempts: sql<number>`attempts + 1`,
      next_attempt_at: null,
      stage: null,
      reason: null,
      settled_at: now,
    })
    .where('id', 'in', ids)
    .execute();
}

/** This one cannot be used as things are; it can be replayed. */
export async function settleDead(
  tx: Tx,
  id: number,
  { stage, reason, now }: { readonly stage: DeadLetterStage; readonly reason: string; readonly now: number },
): Promise<void> {
  await tx
    .updateTable('inbox')
    .set({ status: 'DEAD', attempts: sql<number>`attempts + 1`, next_attempt_at: null, stage, reason, settled_at: now })
    .where('id', '=', id)
    .execute();
}

/** This one is to be tried again. @param at milliseconds since the epoch */
export async function postpone(tx: Tx, id: number, at: number): Promise<void> {
  await tx
    .updateTable('inbox')
    .set({ attempts: sql<number>`attempts + 1`, next_attempt_at: at })
    .where('id', '=', id)
    .execute();
}

/** A delivery as it came; null when it is not kept any more. */
export async function readDelivery(
  db: Pick<Database, 'read'>,
  id: number,
): Promise<Pick<InboxRow, 'headers' | 'body' | 'source' | 'received_at'> | null> {
  const columns = ['headers', 'body', 'source', 'received_at'] as const;
  return (await db.read.selectFrom('inbox').select(columns).where('id', '=', id).executeTakeFirst()) ?? null;
}

/** The keys under which repetitions of these deliveries are counted. @returns by inbox id */
export async function readDeliveryKeys(
  db: Pick<Database, 'read'>,
  ids: readonly number[],
): Promise<ReadonlyMap<number, Uint8Array>> {
  if (ids.length === 0) return new Map();
  const rows = await db.read.selectFrom('inbox').select(['id', 'delivery_key']).where('id', 'in', ids).execute();
  return new Map(rows.map(({ id, delivery_key }) => [id, delivery_key]));
}
