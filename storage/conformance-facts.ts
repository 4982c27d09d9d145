import { sql } from 'kysely';
import type { AccessScope } from '../schema/principal.ts';
import { whollyVisibleIntegration } from './access-conditions.ts';
import type { Database } from './database.ts';
import { isOneOf } from './sql-conditions.ts';

const HOUR_MS = 3_600_000;
const HOURS = 24;

/** What a platform's behaviour is judged by: counts of the last 24 hours, and how things stand now. */
export interface ConformanceFacts {
  readonly integrationId: string;
  readonly ingestMode: string;
  readonly signatureProfile: string | null;
  readonly lastSyncState: string | null;
  readonly isSilent: boolean;
  readonly events: number;
  readonly rejected: number;
  readonly duplicates: number;
  readonly late: number;
  readonly missed: number;
  readonly deadLetters: number;
  /** Codes that no table of ours knows, ever. */
  readonly unknownCodes: number;
  readonly isClockOff: boolean;
}

function sum(column: string) {
  return sql<number>`cast(coalesce(sum(${sql.ref(column)}), 0) as bigint)`;
}

/**
 * Facts of integrations; those of which the principal does not see all sites are absent.
 *
 * @param now milliseconds since the epoch
 */
export async function readConformanceFacts(
  { read }: Pick<Database, 'read'>,
  access: AccessScope,
  ids: readonly string[],
  now: number,
): Promise<ReadonlyMap<string, ConformanceFacts>> {
  const integrations = await read
    .selectFrom('integrations')
    .leftJoin('source_clocks', 'source_clocks.integration_id', 'integrations.id')
    .select(['integrations.id', 'ingest_mode', 'signature_profile', 'last_sync_state', 'silent_since'])
    .select('source_clocks.is_off')
    .where(whollyVisibleIntegration(access))
    .where(isOneOf('integrations.id', ids))
    .execute();
  const own = integrations.map(({ id }) => id);
  const [counted, dead, codes] = await Promise.all([
    read
      .selectFrom('integration_counters')
      .select('integration_id as id')
      .select([sum('events').as('events'), sum('rejected').as('rejected'), sum('duplicates').as('duplicates')])
      .select([sum('late').as('late'), sum('polled').as('missed')])
      .where(isOneOf('integration_counters.integration_id', own))
      .where('hour', '>', Math.floor(now / HOUR_MS) - HOURS)
      .groupBy('integration_id')
      .execute(),
    read
      .selectFrom('inbox')
      .select(['integration_id as id', (eb) => eb.fn.countAll<number>().as('total')])
      .where(isOneOf('inbox.integration_id', own))
      .where('inbox.status', '=', 'DEAD')
      .groupBy('integration_id')
      .execute(),
    read
      .selectFrom('unknown_codes')
      .select(['integration_id as id', (eb) => eb.fn.countAll<number>().as('total')])
      .where(isOneOf('unknown_codes.integration_id', own))
      .groupBy('integration_id')
      .execute(),
  ]);
  const counts = new Map(counted.map((row) => [row.id, row]));
  const letters = new Map(dead.map(({ id, total }) => [id, total]));
  const unknown = new Map(codes.map(({ id, total }) => [id, total]));
  return new Map(
    integrations.map((row) => {
      const { events = 0, rejected = 0, duplicates = 0, late = 0, missed = 0 } = counts.get(row.id) ?? {};
      return [
        row.id,
        {
          integrationId: row.id,
          ingestMode: row.ingest_mode,
          signatureProfile: row.signature_profile,
          lastSyncState: row.last_sync_state,
          isSilent: row.silent_since !== null,
          events,
          rejected,
          duplicates,
          late,
          missed,
          deadLetters: letters.get(row.id) ?? 0,
          unknownCodes: unknown.get(row.id) ?? 0,
          isClockOff: row.is_off === 1,
        },
      ];
    }),
  );
}
