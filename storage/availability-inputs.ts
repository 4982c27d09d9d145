import { fault } from '../schema/errors.ts';
import type { AccessScope } from '../schema/principal.ts';
import { visibleAtSite, visibleOrg } from './access-conditions.ts';
import type { Database } from './database.ts';
import { type MaintenanceSpan, readMaintenanceOf, windowsByDevice } from './maintenance-windows.ts';
import { equals, isOneOf } from './sql-conditions.ts';
import {
  type HistoryDevice,
  onlySegment,
  type PlainSegment,
  readSegments,
  type Span,
  withoutHistory,
} from './status-segments.ts';

/** A hundred changes a day for a month of every device of a large page; who flaps more is told to ask for less. */
const MAX_SEGMENTS = 300_000;

/** When a source could not be heard, in milliseconds; `to` is null while it lasts. */
export interface Outage {
  readonly from: number;
  readonly to: number | null;
}

/** What availability is calculated from, for devices that were asked for together. */
export interface AvailabilityInputs {
  segmentsOf(device: HistoryDevice): readonly PlainSegment[];
  maintenanceOf(device: HistoryDevice): readonly MaintenanceSpan[];
  /** Of its integration and of ourselves, and while it was not in its platform's inventory. */
  outagesOf(device: HistoryDevice): readonly Outage[];
}

/** @throws GraphQLError BAD_USER_INPUT when there is too much of it */
export async function readAvailabilityInputs(
  db: Database,
  devices: readonly HistoryDevice[],
  span: Span,
): Promise<AvailabilityInputs> {
  const integrationIds = [...new Set(devices.map((device) => device.integration_id))];
  const [segments, windows, outages, absences] = await Promise.all([
    readSegments(
      db,
      devices.map(({ id }) => id),
      span,
      MAX_SEGMENTS + 1,
    ),
    readMaintenanceOf(db, devices, span),
    readOutages(db, integrationIds, span),
    readAbsences(db, devices, span),
  ]);
  if (segments.length > MAX_SEGMENTS) {
    throw fault('BAD_USER_INPUT', 'These devices changed too often for this window: choose a shorter one.');
  }
  const byDevice = Map.groupBy(segments, ({ deviceId }) => deviceId);
  const missing = await withoutHistory(
    db,
    devices.filter(({ id }) => !byDevice.has(id)),
  );
  for (const device of missing) byDevice.set(device.id, [onlySegment(device)]);
  const ours = outages.get('') ?? [];
  const maintenanceOf = windowsByDevice(windows);
  return {
    segmentsOf: ({ id }) => byDevice.get(id) ?? [],
    maintenanceOf,
    outagesOf: ({ id, integration_id: integrationId }) => [
      ...ours,
      ...(outages.get(integrationId) ?? []),
      ...(absences.get(id) ?? []),
    ],
  };
}

async function readOutages(
  db: Database,
  integrationIds: readonly string[],
  { from, to }: Span,
): Promise<ReadonlyMap<string, readonly Outage[]>> {
  const rows = await db.read
    .selectFrom('source_outages')
    .select(['integration_id', 'from_at', 'to_at'])
    .where(isOneOf('source_outages.integration_id', ['', ...integrationIds]))
    .where('from_at', '<', to)
    .where((eb) => eb.or([eb('to_at', 'is', null), eb('to_at', '>', from)]))
    .execute();
  const groups = Map.groupBy(rows, (row) => row.integration_id);
  return new Map(groups.entries().map(([id, each]) => [id, each.map((row) => ({ from: row.from_at, to: row.to_at }))]));
}

/** When devices were gone: removed with their platform's inventory, and listed again later. Nobody heard them meanwhile. */
async function readAbsences(
  db: Database,
  devices: readonly HistoryDevice[],
  { to }: Span,
): Promise<ReadonlyMap<string, readonly Outage[]>> {
  const rows = await db.read
    .selectFrom('inventory_changes')
    .select(['device_id', 'kind', 'at'])
    .where(
      isOneOf(
        'inventory_changes.device_id',
        devices.map(({ id }) => id),
      ),
    )
    .where('kind', 'in', ['REMOVED', 'RESTORED'])
    .where('at', '<', to)
    .orderBy('seq')
    .execute();
  const groups = Map.groupBy(rows, (row) => row.device_id);
  return new Map(
    groups
      .entries()
      .map(([id, changes]) => [
        id,
        changes.flatMap(({ kind, at }, index) =>
          kind === 'REMOVED'
            ? [{ from: at, to: changes.slice(index + 1).find((next) => next.kind === 'RESTORED')?.at ?? null }]
            : [],
        ),
      ]),
  );
}

/** IANA time zones of sites that have one. */
export async function readTimezones(db: Database, siteIds: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const rows = await db.read
    .selectFrom('sites')
    .select(['id', 'timezone'])
    .where(isOneOf('sites.id', siteIds))
    .execute();
  return new Map(rows.flatMap(({ id, timezone }) => (timezone === null ? [] : [[id, timezone] as const])));
}

/** Devices of an org or a site, as far as a principal sees them. */
export interface DeviceGroup {
  readonly column: 'org_id' | 'site_id';
  readonly id: string;
}

/** Whether the principal may see this org or site. */
export async function isGroupVisible(db: Database, access: AccessScope, { column, id }: DeviceGroup): Promise<boolean> {
  const found =
    column === 'org_id'
      ? db.read
          .selectFrom('orgs')
          .select('id')
          .where(visibleOrg(access))
          .where(isOneOf('orgs.id', [id]))
      : db.read
          .selectFrom('sites')
          .select('id')
          .where(visibleAtSite(access, 'sites', 'id'))
          .where(isOneOf('sites.id', [id]));
  return (await found.executeTakeFirst()) !== undefined;
}

/** Devices that are there now, in order of id, behind `after`. */
export function readGroupDevices(
  db: Database,
  access: AccessScope,
  { column, id }: DeviceGroup,
  after: string,
  limit: number,
): Promise<readonly HistoryDevice[]> {
  return db.read
    .selectFrom('devices')
    .select([
      'id',
      'org_id',
      'site_id',
      'integration_id',
      'state',
      'state_reason',
      'state_since',
      'first_seen_at',
      'removed_at',
    ])
    .where(visibleAtSite(access, 'devices'))
    .where(equals(`devices.${column}`, id))
    .where('removed_at', 'is', null)
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .execute();
}
