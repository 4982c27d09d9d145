import { sql } from 'kysely';
import type { Tx } from './database.ts';

const HOUR_MS = 3_600_000;

export interface CounterChange {
  readonly events?: number;
  readonly rejected?: number;
  readonly duplicates?: number;
  readonly late?: number;
  /** Events that the platform told by itself. */
  readonly pushed?: number;
  /** Events about devices that were found by asking. */
  readonly asked?: number;
  /** Differences of state that asking found although the platform pushes, and how many of them became events. */
  readonly polled?: number;
  readonly repaired?: number;
}

/** Adds to the integration's counters of the hour. @param at milliseconds since the epoch */
export async function addToCounters(tx: Tx, integrationId: string, at: number, change: CounterChange): Promise<void> {
  const { events = 0, rejected = 0, duplicates = 0, late = 0 } = change;
  const { pushed = 0, asked = 0, polled = 0, repaired = 0 } = change;
  const counts = { events, rejected, duplicates, late, pushed, asked, polled, repaired };
  await tx
    .insertInto('integration_counters')
    .values({ integration_id: integrationId, hour: Math.floor(at / HOUR_MS), ...counts })
    .onConflict((conflict) =>
      conflict.columns(['integration_id', 'hour']).doUpdateSet({
        events: sql<number>`integration_counters.events + excluded.events`,
        rejected: sql<number>`integration_counters.rejected + excluded.rejected`,
        duplicates: sql<number>`integration_counters.duplicates + excluded.duplicates`,
        late: sql<number>`integration_counters.late + excluded.late`,
        pushed: sql<number>`integration_counters.pushed + excluded.pushed`,
        asked: sql<number>`integration_counters.asked + excluded.asked`,
        polled: sql<number>`integration_counters.polled + excluded.polled`,
        repaired: sql<number>`integration_counters.repaired + excluded.repaired`,
      }),
    )
    .execute();
}
