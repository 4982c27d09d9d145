import { type SqlBool, sql } from 'kysely';
import type { AccessScope } from '../schema/principal.ts';
import { visibleAtSite } from './access-conditions.ts';
import type { Database, Tx } from './database.ts';
import { MAX_LINKS_PER_DEVICE } from './device-links.ts';
import { isKeyIn } from './key-list.ts';
import type { CustomEventRow } from './rows.ts';

/** Whether any entry of the outbox is due: a look, where taking one is a transaction. */
export async function hasDueCustomEvents(db: Pick<Database, 'read'>, now: number): Promise<boolean> {
  const due = await db.read
    .selectFrom('custom_events')
    .select('id')
    .where(sql<SqlBool>`custom_events.state = 'PENDING'`)
    .where('next_attempt_at', '<=', now)
    .limit(1)
    .executeTakeFirst();
  return due !== undefined;
}

/**
 * Takes entries of the outbox that are due: nobody else gets them until `until`. From here on each counts as uncertain,
 * because a process may die between the platform's answer and our note of it; the rows say what was known before.
 */
export async function claimCustomEvents(
  db: Database,
  tx: Tx,
  { now, until, limit }: { readonly now: number; readonly until: number; readonly limit: number },
): Promise<readonly CustomEventRow[]> {
  const due = tx
    .selectFrom('custom_events')
    .selectAll()
    .where('state', '=', 'PENDING')
    .where('next_attempt_at', '<=', now)
    .orderBy('next_attempt_at')
    .orderBy('id')
    .limit(limit);
  const rows = await (db.engine === 'postgres' ? due.forUpdate().skipLocked() : due).execute();
  if (rows.length === 0) return [];
  await tx
    .updateTable('custom_events')
    .set({ attempts: sql<number>`attempts + 1`, is_uncertain: 1, next_attempt_at: until })
    .where(
      'id',
      'in',
      rows.map(({ id }) => id),
    )
    .execute();
  return rows;
}

/** It is there. */
export async function settleCreated(tx: Tx, id: string, now: number): Promise<void> {
  await tx
    .updateTable('custom_events')
    .set({ state: 'DONE', is_uncertain: 0, error_code: null, error_message: null, settled_at: now })
    .where('id', '=', id)
    .execute();
}

export interface FailedAttempt {
  readonly code: string;
  readonly message: string;
  /** Nobody knows whether it worked. */
  readonly isUncertain: boolean;
}

/** It is to be tried again. @param at milliseconds since the epoch */
export async function postponeCustomEvent(tx: Tx, id: string, at: number, failed: FailedAttempt): Promise<void> {
  await tx
    .updateTable('custom_events')
    .set({
      next_attempt_at: at,
      is_uncertain: Number(failed.isUncertain),
      error_code: failed.code,
      error_message: failed.message,
    })
    .where('id', '=', id)
    .execute();
}

/** Gives back what was taken and not tried. */
export async function releaseCustomEvents(tx: Tx, rows: readonly CustomEventRow[], at: number): Promise<void> {
  for (const { id, attempts, is_uncertain } of rows) {
    await tx
      .updateTable('custom_events')
      .set({ next_attempt_at: at, attempts, is_uncertain })
      .where('id', '=', id)
      .execute();
  }
}

/** It is given up. */
export async function settleFailed(tx: Tx, id: string, now: number, failed: FailedAttempt): Promise<void> {
  await tx
    .updateTable('custom_events')
    .set({
      state: 'FAILED',
      settled_at: now,
      is_uncertain: Number(failed.isUncertain),
      error_code: failed.code,
      error_message: failed.message,
    })
    .where('id', '=', id)
    .execute();
}

/** Forgets what was settled before then. */
export async function trimCustomEvents(tx: Tx, before: number): Promise<void> {
  await tx.deleteFrom('custom_events').where('settled_at', '<', before).execute();
}

/** How many wait to be created, for the metrics. */
export async function countWaitingCustomEvents(db: Pick<Database, 'read'>): Promise<number> {
  const row = await db.read
    .selectFrom('custom_events')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('state', '=', 'PENDING')
    .executeTakeFirst();
  return Number(row?.count ?? 0);
}

/** What is told of an entry of the outbox: the event that it passes on is not repeated. */
export type ForwardingRow = Pick<
  CustomEventRow,
  | 'event_key'
  | 'target_device_id'
  | 'state'
  | 'attempts'
  | 'is_uncertain'
  | 'error_code'
  | 'error_message'
  | 'created_at'
  | 'settled_at'
>;

/** Entries of these events whose camera is in scope, each event's by camera. No more than links are told of a device. */
export async function readForwardings(
  db: Pick<Database, 'read' | 'engine'>,
  access: AccessScope,
  keys: readonly Uint8Array[],
): Promise<readonly ForwardingRow[]> {
  if (keys.length === 0) return [];
  return db.read
    .selectFrom('custom_events')
    .innerJoin('devices', 'devices.id', 'custom_events.target_device_id')
    .select(['custom_events.event_key', 'custom_events.target_device_id', 'custom_events.state'])
    .select(['custom_events.attempts', 'custom_events.is_uncertain'])
    .select(['custom_events.error_code', 'custom_events.error_message'])
    .select(['custom_events.created_at', 'custom_events.settled_at'])
    .where(isKeyIn(db.engine, 'custom_events.event_key', keys))
    .where(visibleAtSite(access, 'devices'))
    .orderBy('custom_events.event_key')
    .orderBy('custom_events.target_device_id')
    .limit(keys.length * MAX_LINKS_PER_DEVICE)
    .execute();
}
