import { sql } from 'kysely';
import type { Tx } from './database.ts';

// What may be forgotten, a bounded number of rows at a time: a long delete would hold up everybody who writes.

/** Memory of deliveries and events from before an instant. @returns how many rows went */
export async function trimDedupe(tx: Tx, before: number, limit: number): Promise<number> {
  return affected(
    await sql`delete from dedupe where key in (
      select key from dedupe where seen_at < ${before} order by seen_at limit ${limit})`.execute(tx),
  );
}

/** Deliveries of one status that were settled before an instant. @returns how many rows went */
export async function trimInbox(
  tx: Tx,
  status: 'DONE' | 'DEAD' | 'REFUSED',
  before: number,
  limit: number,
): Promise<number> {
  return affected(
    await sql`delete from inbox where id in (
      select id from inbox where status = ${status} and settled_at < ${before} limit ${limit})`.execute(tx),
  );
}

/** Counters of hours before an instant. @returns how many rows went */
export async function trimCounters(tx: Tx, beforeHour: number): Promise<number> {
  return affected(await sql`delete from integration_counters where hour < ${beforeHour}`.execute(tx));
}

function affected(result: { readonly numAffectedRows?: bigint }): number {
  return Number(result.numAffectedRows ?? 0n);
}
