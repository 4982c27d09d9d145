import type { Logger } from 'pino';
import type { Database } from '../../storage/database.ts';
import type { StatusJob } from '../status/keeper.ts';

const HOUR_MS = 3_600_000;
/** Integrations of one portion, each a line. */
const PORTION = 200;

function instant(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

/**
 * Once an hour, a line for each integration in use: when it was synchronized and heard last, what it brought in the hour
 * that ended, and what fails. The same numbers as `Integration.health`, for who reads logs and not the graph.
 *
 * @param now milliseconds since the epoch: the hour that runs now is the first that will be told
 */
export function createHourlyReport({
  db,
  logger,
  now,
}: {
  readonly db: Pick<Database, 'read'>;
  readonly logger: Logger;
  readonly now: number;
}): StatusJob {
  /** The hour that is told next, and after which integration to go on. */
  let hour = Math.floor(now / HOUR_MS);
  let after = '';

  async function portion(): Promise<number> {
    const integrations = await db.read
      .selectFrom('integrations')
      .leftJoin('integration_counters as counters', (join) =>
        join.onRef('counters.integration_id', '=', 'integrations.id').on('counters.hour', '=', hour),
      )
      .select(['id', 'org_id', 'vendor', 'state', 'ingest_mode', 'last_sync_at', 'last_sync_state', 'last_event_at'])
      .select(['error_code', 'events', 'rejected', 'duplicates', 'late'])
      .where('enabled', '=', 1)
      .where('id', '>', after)
      .orderBy('id')
      .limit(PORTION)
      .execute();
    for (const row of integrations) {
      logger.info(
        {
          integrationId: row.id,
          orgId: row.org_id,
          vendor: row.vendor,
          state: row.state,
          ingestMode: row.ingest_mode,
          hour: new Date(hour * HOUR_MS).toISOString(),
          lastSyncAt: instant(row.last_sync_at),
          lastSyncState: row.last_sync_state,
          lastEventAt: instant(row.last_event_at),
          events: Number(row.events ?? 0),
          rejected: Number(row.rejected ?? 0),
          duplicates: Number(row.duplicates ?? 0),
          late: Number(row.late ?? 0),
          error: row.error_code,
        },
        'Integration in the last hour',
      );
      after = row.id;
    }
    return integrations.length;
  }

  return {
    name: 'hourly report',
    async run(at) {
      const current = Math.floor(at / HOUR_MS);
      // Hours in which nobody was there to tell are in the graph; a clock that was set back tells none twice.
      if (current <= hour) return false;
      if (after === '') hour = Math.max(hour, current - 1);
      if ((await portion()) === PORTION) return true;
      hour += 1;
      after = '';
      return false;
    },
  };
}
