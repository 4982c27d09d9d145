import { type SqlBool, sql } from 'kysely';
import type { AccessScope } from '../schema/principal.ts';
import { visibleAtSite, whollyVisibleIntegration } from './access-conditions.ts';
import { type ConformanceFacts, readConformanceFacts } from './conformance-facts.ts';
import type { Database } from './database.ts';
import { IS_DEAD_LETTER } from './inbox-dead-letters.ts';
import { isOneOf } from './sql-conditions.ts';

const HOUR_MS = 3_600_000;
const HOURS_PER_DAY = 24;

/** How push and asking compare, of the last 24 hours. */
export interface ReconcileCounts {
  /** Events that the platform told by itself, and those about devices that were found by asking. */
  readonly eventsByPush: number;
  readonly eventsByPoll: number;
  /** Differences of state that asking found although the platform should have told, and those that became events. */
  readonly missed: number;
  readonly repaired: number;
  readonly duplicates: number;
  readonly late: number;
}

/** What is counted for an integration. */
export interface Vitals {
  readonly events24h: number;
  readonly rejected24h: number;
  readonly deadLettersOpen: number;
  /** When the oldest delivery that was not processed yet arrived, in milliseconds; null when none waits. */
  readonly oldestPendingAt: number | null;
  /** Null to a principal that does not see all of its sites. */
  readonly reconcile: ReconcileCounts | null;
}

export const NO_VITALS: Vitals = {
  events24h: 0,
  rejected24h: 0,
  deadLettersOpen: 0,
  oldestPendingAt: null,
  reconcile: null,
};

const NOTHING_RECONCILED: ReconcileCounts = {
  eventsByPush: 0,
  eventsByPoll: 0,
  missed: 0,
  repaired: 0,
  duplicates: 0,
  late: 0,
};

function sum(column: string) {
  return sql<number>`cast(coalesce(sum(${sql.ref(column)}), 0) as bigint)`;
}

export interface IntegrationVitals {
  /**
   * Counts by integration; integrations without any are absent. A principal that sees only some of an integration's
   * sites gets the events of those sites, and nothing that is counted for the integration as a whole.
   */
  vitals(access: AccessScope, integrationIds: readonly string[]): Promise<ReadonlyMap<string, Vitals>>;
  /** What platforms are judged by; integrations of which the principal does not see all sites are absent. */
  conformance(access: AccessScope, integrationIds: readonly string[]): Promise<ReadonlyMap<string, ConformanceFacts>>;
}

interface Counted {
  readonly id: string;
  readonly total: number;
}

/** @param now milliseconds since the epoch */
export function createIntegrationVitals(db: Database, now: () => number): IntegrationVitals {
  const { read } = db;

  async function wholly(access: AccessScope, ids: readonly string[]): Promise<readonly string[]> {
    const rows = await read
      .selectFrom('integrations')
      .select('id')
      .where(whollyVisibleIntegration(access))
      .where(isOneOf('integrations.id', ids))
      .execute();
    return rows.map(({ id }) => id);
  }

  /** The counters know no sites: what a site-limited principal sees of a shared integration is counted in the log. */
  async function eventsAtSites(
    access: AccessScope,
    ids: readonly string[],
    since: number,
  ): Promise<readonly Counted[]> {
    if (ids.length === 0 || access.siteIds === null) return [];
    return read
      .selectFrom('events')
      .select(['integration_id as id', (eb) => eb.fn.countAll<number>().as('total')])
      .where(visibleAtSite(access, 'events'))
      .where(isOneOf('events.integration_id', ids))
      .where('received_at', '>=', since)
      .groupBy('integration_id')
      .execute();
  }

  function counters(ids: readonly string[], hour: number) {
    return read
      .selectFrom('integration_counters')
      .select('integration_id as id')
      .select([
        sum('events').as('events'),
        sum('rejected').as('rejected'),
        sum('pushed').as('eventsByPush'),
        sum('asked').as('eventsByPoll'),
        sum('polled').as('missed'),
        sum('repaired').as('repaired'),
        sum('duplicates').as('duplicates'),
        sum('late').as('late'),
      ])
      .where(isOneOf('integration_counters.integration_id', ids))
      .where('hour', '>', hour - HOURS_PER_DAY)
      .groupBy('integration_id')
      .execute();
  }

  function open(ids: readonly string[]) {
    return read
      .selectFrom('inbox')
      .select(['integration_id as id', (eb) => eb.fn.countAll<number>().as('total')])
      .where(isOneOf('inbox.integration_id', ids))
      .where(sql<SqlBool>`${IS_DEAD_LETTER} and inbox.status = 'DEAD'`)
      .groupBy('integration_id')
      .execute();
  }

  function oldestPending(ids: readonly string[]) {
    return read
      .selectFrom('integrations')
      .select('id')
      .select(
        // Deliveries are numbered as they arrive: the first pending one is the oldest, and the index finds it at once.
        sql<
          number | null
        >`(select inbox.received_at from inbox where inbox.integration_id = integrations.id and inbox.status = 'PENDING' order by inbox.id limit 1)`.as(
          'at',
        ),
      )
      .where(sql<SqlBool>`${isOneOf('integrations.id', ids)}`)
      .execute();
  }

  return {
    conformance: (access, integrationIds) => readConformanceFacts(db, access, integrationIds, now()),

    async vitals(access, integrationIds) {
      const hour = Math.floor(now() / HOUR_MS);
      const whole = await wholly(access, integrationIds);
      const shared = integrationIds.filter((id) => !whole.includes(id));
      const [counted, dead, pending, atSites] = await Promise.all([
        counters(whole, hour),
        open(whole),
        oldestPending(whole),
        eventsAtSites(access, shared, (hour - HOURS_PER_DAY + 1) * HOUR_MS),
      ]);
      const result = new Map<string, Vitals>();
      const put = (id: string, part: Partial<Vitals>) => result.set(id, { ...(result.get(id) ?? NO_VITALS), ...part });
      for (const id of whole) put(id, { reconcile: NOTHING_RECONCILED });
      for (const { id, events, rejected, ...reconcile } of counted)
        put(id, { events24h: events, rejected24h: rejected, reconcile });
      for (const { id, total } of dead) put(id, { deadLettersOpen: total });
      for (const { id, at } of pending) if (at !== null) put(id, { oldestPendingAt: at });
      for (const { id, total } of atSites) put(id, { events24h: total });
      return result;
    },
  };
}
