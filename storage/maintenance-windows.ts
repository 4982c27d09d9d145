import { type RawBuilder, type SqlBool, sql } from 'kysely';
import type { AccessScope } from '../schema/principal.ts';
import { visibleAtSite, visibleInOrg } from './access-conditions.ts';
import type { Database, Tx } from './database.ts';
import { newId } from './ids.ts';
import type { MaintenanceWindowRow } from './rows.ts';
import { all, any, type Condition, equals, isOneOf } from './sql-conditions.ts';

/** Windows of one org that are not over. An operator plans some; a program that plans without end is stopped here. */
export const MAX_OPEN_WINDOWS = 1_000;
/** Windows of one org, or of one site, that a list shows: the newest. */
export const MAX_LISTED_WINDOWS = 500;
/** Windows that one answer about the past takes into account. */
const MAX_PAST_WINDOWS = 20_000;

/** What planned work is about: exactly one of an org, a site and a device. */
export interface MaintenanceTarget {
  readonly orgId: string;
  readonly siteId: string | null;
  readonly deviceId: string | null;
}

/** Milliseconds; `to` is behind the last. */
export interface MaintenanceSpan extends MaintenanceTarget {
  readonly id: string;
  readonly from: number;
  readonly to: number;
}

/** What of a device decides which planned work is about it. */
export interface Covered {
  readonly id: string;
  readonly org_id: string;
  readonly site_id: string | null;
}

/** Windows found by the device that they are about, narrowest first: its own, its site's, its org's. */
export function windowsByDevice(windows: readonly MaintenanceSpan[]): (device: Covered) => readonly MaintenanceSpan[] {
  const groups = Map.groupBy(windows, ({ orgId, siteId, deviceId }) => deviceId ?? siteId ?? orgId);
  return ({ id, org_id, site_id }) =>
    [id, site_id, org_id].flatMap((target) => (target === null ? [] : (groups.get(target) ?? [])));
}

/** Device before site before org; of equal ones that which ends last, then the smaller id, so that it is always the same. */
export function narrowest(windows: readonly MaintenanceSpan[]): MaintenanceSpan | null {
  const width = ({ siteId, deviceId }: MaintenanceSpan): number => (deviceId !== null ? 0 : siteId !== null ? 1 : 2);
  return windows.toSorted((a, b) => width(a) - width(b) || b.to - a.to || (a.id < b.id ? -1 : 1))[0] ?? null;
}

function toSpan(row: MaintenanceWindowRow): MaintenanceSpan {
  return {
    id: row.id,
    orgId: row.org_id,
    siteId: row.site_id,
    deviceId: row.device_id,
    from: row.from_at,
    to: row.to_at,
  };
}

/** Windows of these orgs that are open at an instant. */
export async function readOpenWindows(
  db: Tx | Database['read'],
  orgIds: readonly string[],
  at: number,
): Promise<readonly MaintenanceSpan[]> {
  const rows = await db
    .selectFrom('maintenance_windows')
    .selectAll()
    .where(isOneOf('maintenance_windows.org_id', orgIds))
    .where('to_at', '>', at)
    .where('from_at', '<=', at)
    .orderBy('id')
    .execute();
  return rows.map(toSpan);
}

/** Windows that can be about one of these devices and that overlap a span. */
export async function readMaintenanceOf(
  db: Database,
  devices: readonly Covered[],
  { from, to }: { readonly from: number; readonly to: number },
): Promise<readonly MaintenanceSpan[]> {
  const orgIds = [...new Set(devices.map((device) => device.org_id))];
  const rows = await db.read
    .selectFrom('maintenance_windows')
    .selectAll()
    .where(isOneOf('maintenance_windows.org_id', orgIds))
    .where('to_at', '>', from)
    .where('from_at', '<', to)
    .orderBy('to_at', 'desc')
    .limit(MAX_PAST_WINDOWS)
    .execute();
  return rows.map(toSpan);
}

/**
 * A site-limited principal sees the windows that its devices are in: those of its sites, of devices there, and of the
 * whole org.
 */
function visibleWindow(access: AccessScope): Condition {
  const inOrg = visibleInOrg(access, 'maintenance_windows');
  const { siteIds } = access;
  if (siteIds === null) return inOrg;
  return all([
    inOrg,
    any([
      sql<SqlBool>`(maintenance_windows.site_id is null and maintenance_windows.device_id is null)`,
      isOneOf('maintenance_windows.site_id', siteIds),
      sql<SqlBool>`exists (select 1 from devices where devices.id = maintenance_windows.device_id and ${visibleAtSite(access, 'devices')})`,
    ]),
  ]);
}

/** The site that a window is about, also through its device. */
const SITE_OF_WINDOW: RawBuilder<string | null> = sql`coalesce(maintenance_windows.site_id,
  (select devices.site_id from devices where devices.id = maintenance_windows.device_id))`;

/** A window in the list of one of the sites or orgs that were asked for. */
export type ListedWindow = MaintenanceWindowRow & { readonly listed_at_site: string | null };

export interface NewWindow extends MaintenanceTarget {
  readonly from: number;
  readonly to: number;
  readonly reason: string;
  readonly createdBy: string;
}

export interface MaintenanceReader {
  windows(access: AccessScope, ids: readonly string[]): Promise<readonly MaintenanceWindowRow[]>;
  /**
   * Of each org, newest first, at most MAX_LISTED_WINDOWS.
   *
   * @param activeAt only those that are open at this instant
   */
  windowsOfOrgs(
    access: AccessScope,
    orgIds: readonly string[],
    activeAt: number | null,
  ): Promise<readonly MaintenanceWindowRow[]>;
  /** What concerns each site: its own, those of its devices and those of its org; newest first, as `windowsOfOrgs`. */
  windowsOfSites(
    access: AccessScope,
    siteIds: readonly string[],
    activeAt: number | null,
  ): Promise<readonly ListedWindow[]>;
}

export function createMaintenanceReader(db: Database): MaintenanceReader {
  const { read } = db;

  function isActive(at: number | null): Condition {
    return at === null
      ? sql<SqlBool>`1 = 1`
      : sql<SqlBool>`(maintenance_windows.from_at <= ${at} and maintenance_windows.to_at > ${at})`;
  }

  return {
    windows: (access, ids) =>
      read
        .selectFrom('maintenance_windows')
        .selectAll()
        .where(visibleWindow(access))
        .where(isOneOf('maintenance_windows.id', ids))
        .execute(),

    async windowsOfOrgs(access, orgIds, activeAt) {
      const { rows } = await sql<MaintenanceWindowRow>`
        select id, org_id, site_id, device_id, from_at, to_at, reason, created_by, created_at from (
          select maintenance_windows.*, row_number() over (partition by org_id order by from_at desc, id) as place
          from maintenance_windows
          where ${all([visibleWindow(access), isOneOf('maintenance_windows.org_id', orgIds), isActive(activeAt)])}
        ) as placed where place <= ${MAX_LISTED_WINDOWS} order by from_at desc, id`.execute(read);
      return rows;
    },

    async windowsOfSites(access, siteIds, activeAt) {
      const concerns = sql<SqlBool>`(sites.id = ${SITE_OF_WINDOW}
        or (maintenance_windows.site_id is null and maintenance_windows.device_id is null))`;
      const asked = all([visibleAtSite(access, 'sites', 'id'), isOneOf('sites.id', siteIds)]);
      const { rows } = await sql<ListedWindow>`
        select id, org_id, site_id, device_id, from_at, to_at, reason, created_by, created_at, listed_at_site from (
          select maintenance_windows.*, sites.id as listed_at_site,
            row_number() over (partition by sites.id order by maintenance_windows.from_at desc, maintenance_windows.id) as place
          from sites inner join maintenance_windows on maintenance_windows.org_id = sites.org_id and ${concerns}
          where ${all([asked, isActive(activeAt)])}
        ) as placed where place <= ${MAX_LISTED_WINDOWS} order by from_at desc, id`.execute(read);
      return rows;
    },
  };
}

/** @returns null when the org has MAX_OPEN_WINDOWS that are not over */
export async function insertWindow(tx: Tx, window: NewWindow, now: number): Promise<MaintenanceWindowRow | null> {
  const open = await tx
    .selectFrom('maintenance_windows')
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .where('org_id', '=', window.orgId)
    .where('to_at', '>', now)
    .executeTakeFirstOrThrow();
  if (open.total >= MAX_OPEN_WINDOWS) return null;
  const row: MaintenanceWindowRow = {
    id: newId('mw'),
    org_id: window.orgId,
    site_id: window.siteId,
    device_id: window.deviceId,
    from_at: window.from,
    to_at: window.to,
    reason: window.reason,
    created_by: window.createdBy,
    created_at: now,
  };
  await tx.insertInto('maintenance_windows').values(row).execute();
  return row;
}

export async function deleteWindow(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('maintenance_windows').where(equals('maintenance_windows.id', id)).execute();
}
