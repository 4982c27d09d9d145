import { sql } from 'kysely';
import type { Tx } from './database.ts';

/** Tables of what was, with the instant from which a row's age counts. Rows without it are not over and stay. */
const HISTORIES = {
  status_segments: { key: ['device_id', 'from_at'], at: 'to_at' },
  incidents: { key: ['id'], at: 'closed_at' },
  source_outages: { key: ['integration_id', 'from_at'], at: 'to_at' },
  rhythms: { key: ['integration_id', 'type'], at: 'updated_at' },
  unknown_codes: { key: ['integration_id', 'code'], at: 'last_seen_at' },
  sync_runs: { key: ['id'], at: 'started_at' },
} as const;

export type History = keyof typeof HISTORIES;

/** Rows that were over before an instant, up to `limit` of them. @returns how many went */
export async function trimHistory(tx: Tx, history: History, before: number, limit: number): Promise<number> {
  const { key, at } = HISTORIES[history];
  const columns = sql.join(key.map((column) => sql.ref(column)));
  const result = await sql`delete from ${sql.table(history)} where (${columns}) in (
    select ${columns} from ${sql.table(history)} where ${sql.ref(at)} < ${before} limit ${limit})`.execute(tx);
  return Number(result.numAffectedRows ?? 0n);
}
