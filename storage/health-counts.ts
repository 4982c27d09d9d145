import { type Kysely, sql } from 'kysely';
import type { AccessScope } from '../schema/principal.ts';
import { DEVICE_STATES, type DeviceState } from '../schema/words.ts';
import { visibleAtSite } from './access-conditions.ts';
import type { Database } from './database.ts';
import { all, isOneOf } from './sql-conditions.ts';
import type { Tables } from './tables.ts';

/** How many devices are in which state. The four states add up to `total`. */
export interface HealthCounts {
  readonly total: number;
  readonly online: number;
  readonly offline: number;
  readonly degraded: number;
  readonly unknown: number;
  readonly flapping: number;
  readonly inMaintenance: number;
  readonly suppressed: number;
  readonly worst: DeviceState;
}

/** Counts without what follows from them. */
export type PlainCounts = Omit<HealthCounts, 'worst'>;

export const NO_DEVICES: HealthCounts = {
  total: 0,
  online: 0,
  offline: 0,
  degraded: 0,
  unknown: 0,
  flapping: 0,
  inMaintenance: 0,
  suppressed: 0,
  worst: 'UNKNOWN',
};

/** Fewer deltas than this cost a reader next to nothing; folding them would be a transaction a second. */
const FOLD_ABOVE = 200;
/** Deltas of one transaction. */
const FOLD_ROWS = 10_000;

export function withWorst(counts: PlainCounts): HealthCounts {
  const { total, online, offline, degraded, unknown, flapping, inMaintenance, suppressed } = counts;
  const states = { OFFLINE: offline, DEGRADED: degraded, UNKNOWN: unknown, ONLINE: online };
  const worst = DEVICE_STATES.find((state) => states[state] > 0) ?? 'UNKNOWN';
  return { total, online, offline, degraded, unknown, flapping, inMaintenance, suppressed, worst };
}

/** Sums of counts as columns of one select. */
const SUMS = sql`
  cast(sum(total) as bigint) as "total", cast(sum(online) as bigint) as "online",
  cast(sum(offline) as bigint) as "offline", cast(sum(degraded) as bigint) as "degraded",
  cast(sum("unknown") as bigint) as "unknown", cast(sum(flapping) as bigint) as "flapping",
  cast(sum(in_maintenance) as bigint) as "inMaintenance", cast(sum(suppressed) as bigint) as "suppressed"`;

/**
 * Counts of all devices that are there and that the principal may see, for each of these orgs or sites; those without a
 * device are absent. Costs a row per site, however many devices there are.
 */
export async function readHealthCounts(
  db: Kysely<Tables>,
  access: AccessScope,
  column: 'org_id' | 'site_id',
  ids: readonly string[],
): Promise<ReadonlyMap<string, HealthCounts>> {
  const ref = `health_rows.${column}`;
  const { rows } = await sql<PlainCounts & { parent: string }>`
    select ${sql.ref(ref)} as "parent", ${SUMS} from health_rows
    where ${all([visibleAtSite(access, 'health_rows'), isOneOf(ref, ids)])} group by 1`.execute(db);
  return new Map(rows.filter(({ total }) => total > 0).map((row) => [row.parent, withWorst(row)]));
}

/** Counts of each site of an org that has devices and that the principal may see. */
export async function readHealthOfSites(
  db: Kysely<Tables>,
  access: AccessScope,
  orgId: string,
): Promise<ReadonlyMap<string, HealthCounts>> {
  const { rows } = await sql<PlainCounts & { site: string }>`
    select site_id as "site", ${SUMS} from health_rows
    where ${all([visibleAtSite(access, 'health_rows'), isOneOf('health_rows.org_id', [orgId])])} and site_id <> ''
    group by 1`.execute(db);
  return new Map(rows.map((row) => [row.site, withWorst(row)]));
}

/**
 * Folds a portion of what PostgreSQL's writers appended into one row per site, once there is enough of it. Sums stay
 * what they are.
 *
 * @returns whether more waits
 */
export async function foldHealthDeltas(db: Database): Promise<boolean> {
  if (db.engine === 'sqlite') return false;
  const waiting = await sql<{ id: number }>`select id from health_deltas limit ${FOLD_ABOVE}`.execute(db.read);
  if (waiting.rows.length < FOLD_ABOVE) return false;
  const names = sql.raw('total, online, offline, degraded, "unknown", flapping, in_maintenance, suppressed');
  const { rows } = await db.write((tx) =>
    // Nobody else deletes deltas, and two that fold at once pass each other's rows by.
    sql<{ folded: number }>`
      with portion as (
        select id from health_deltas order by id limit ${FOLD_ROWS} for update skip locked
      ), gone as (
        delete from health_deltas using portion where health_deltas.id = portion.id returning health_deltas.*
      ), sums as (
        select org_id, site_id, cast(sum(total) as bigint) as total, cast(sum(online) as bigint) as online,
          cast(sum(offline) as bigint) as offline, cast(sum(degraded) as bigint) as degraded,
          cast(sum("unknown") as bigint) as "unknown", cast(sum(flapping) as bigint) as flapping,
          cast(sum(in_maintenance) as bigint) as in_maintenance, cast(sum(suppressed) as bigint) as suppressed
        from gone group by org_id, site_id
      ), added as (
        insert into health_counts (org_id, site_id, ${names}) select org_id, site_id, ${names} from sums
        order by org_id, site_id
        on conflict (org_id, site_id) do update set
          total = health_counts.total + excluded.total, online = health_counts.online + excluded.online,
          offline = health_counts.offline + excluded.offline, degraded = health_counts.degraded + excluded.degraded,
          "unknown" = health_counts."unknown" + excluded."unknown",
          flapping = health_counts.flapping + excluded.flapping,
          in_maintenance = health_counts.in_maintenance + excluded.in_maintenance,
          suppressed = health_counts.suppressed + excluded.suppressed
      )
      select count(*) as "folded" from gone`.execute(tx),
  );
  return (rows[0]?.folded ?? 0) >= FOLD_ROWS;
}
