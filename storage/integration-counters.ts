import { sql } from 'kysely';
import type { Tx } from './database.ts';

const HOUR_MS = 3_600_000;

export interface CounterChange {
  readonly events?: number;
  readonly rejected?: number;
  readonly duplicates?: number;
  readonly late?: number;
}

/** Adds to the integration's counters of the hour. @param at milliseconds since the epoch */
export async function addToCounters(tx: Tx, integrationId: string, at: number, change: CounterChange): Promise<void> {
  const { events = 0, rejected = 0, duplicates = 0, late = 0 } = change;
  await tx
    .insertInto('integration_counters')
    .values({ integration_id: integrationId, hour: Math.floor(at / HOUR_MS), events, rejected, duplicates, late })
    .onConflict((conflict) =>
      conflict.columns(['integration_id', 'hour']).doUpdateSet({
        events: sql<number>`integration_counters.events + excluded.events`,
        rejected: sql<number>`integration_counters.rejected + excluded.rejected`,
        duplicates: sql<number>`integration_counters.duplicates + excluded.duplicates`,
        late: sql<number>`integration_counters.late + excluded.late`,
      }),
    )
    .execute();
}
