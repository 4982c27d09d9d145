import type { Insertable } from 'kysely';
import type { Database, Tx } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import type { DevicesTable } from '../../storage/tables.ts';
import type { DeviceRecord } from './device-record.ts';

/** A listed device with the place that our bindings give it. */
export interface WrittenDevice {
  readonly record: DeviceRecord;
  readonly siteId: string | null;
  readonly zoneId: string | null;
}

interface WriteContext {
  readonly db: Database;
  readonly integration: IntegrationRow;
  readonly now: number;
}

/** The status columns of a device that is seen for the first time. */
type FirstStatus = Pick<
  Insertable<DevicesTable>,
  | 'state'
  | 'state_rank'
  | 'state_reason'
  | 'state_since'
  | 'state_observed_at'
  | 'state_vendor'
  | 'last_seen_at'
  | 'telemetry'
>;

/** Rows of one upsert: keeps a statement well below both engines' parameter bounds. */
const UPSERT_ROWS = 200;

// Everything a listing may change on a device that is known. Status and readings are not here: they have times of
// their own, and an event may be newer than the listing.
const LISTED = [
  'native_id',
  'vendor_org_id',
  'vendor_site_id',
  'site_id',
  'zone_id',
  'parent_id',
  'system',
  'name',
  'type',
  'vendor_type',
  'ip',
  'hostname',
  'manufacturer',
  'model',
  'firmware',
  'serial_number',
  'mac_addresses',
  'capabilities',
  'tags',
  'warranty_expires_at',
  'end_of_support_at',
  'content_hash',
  'missed_syncs',
  'search_text',
  'updated_at',
  'removed_at',
] as const satisfies readonly (keyof DevicesTable)[];

const STATUS = [
  'state',
  'state_rank',
  'state_reason',
  'state_since',
  'state_observed_at',
  'state_vendor',
  'last_seen_at',
  'telemetry',
] as const satisfies readonly (keyof FirstStatus)[];

const IDENTITY = ['id', 'org_id', 'integration_id', 'vendor', 'first_seen_at'] as const;

function listed({ integration, now }: WriteContext, { record, siteId, zoneId }: WrittenDevice) {
  return {
    ...record.columns,
    id: record.id,
    org_id: integration.org_id,
    integration_id: integration.id,
    vendor: integration.vendor,
    first_seen_at: now,
    site_id: siteId,
    zone_id: zoneId,
    missed_syncs: 0,
    updated_at: now,
    removed_at: null,
  };
}

export async function insertDevices(
  tx: Tx,
  context: WriteContext,
  devices: readonly WrittenDevice[],
  statusOf: (record: DeviceRecord) => FirstStatus,
): Promise<void> {
  if (devices.length === 0) return;
  await context.db.bulkInsert(tx, {
    table: 'devices',
    columns: [...IDENTITY, ...LISTED, ...STATUS],
    rows: devices.map((device) => {
      const row = listed(context, device);
      const status = statusOf(device.record);
      return [
        ...IDENTITY.map((name) => row[name]),
        ...LISTED.map((name) => row[name]),
        ...STATUS.map((name) => status[name]),
      ];
    }),
  });
  await insertLists(
    tx,
    context,
    devices.map(({ record }) => record),
  );
}

/** Writes what a listing decides over devices that exist; their status stays. In order of id, as every writer does. */
export async function updateDevices(tx: Tx, context: WriteContext, devices: readonly WrittenDevice[]): Promise<void> {
  const sorted = devices.toSorted((a, b) => (a.record.id < b.record.id ? -1 : 1));
  for (let from = 0; from < sorted.length; from += UPSERT_ROWS) {
    const rows = sorted.slice(from, from + UPSERT_ROWS).map((device) => ({
      ...listed(context, device),
      // Only for the shape of the insert: the row exists.
      state: 'UNKNOWN',
      state_rank: 0,
      state_since: 0,
      state_observed_at: 0,
    }));
    await tx
      .insertInto('devices')
      .values(rows)
      .onConflict((conflict) =>
        conflict
          .column('id')
          .doUpdateSet((eb) => Object.fromEntries(LISTED.map((name) => [name, eb.ref(`excluded.${name}`)]))),
      )
      .execute();
  }
}

/** Replaces addresses, tags and the platform's own ids of devices whose listing changed. */
export async function replaceLists(tx: Tx, context: WriteContext, records: readonly DeviceRecord[]): Promise<void> {
  if (records.length === 0) return;
  const ids = records.map(({ id }) => id);
  await tx.deleteFrom('device_macs').where('device_id', 'in', ids).execute();
  await tx.deleteFrom('device_tags').where('device_id', 'in', ids).execute();
  await tx
    .deleteFrom('external_ids')
    .where('owner_kind', '=', 'device')
    .where('owner_id', 'in', ids)
    .where('integration_id', '=', context.integration.id)
    .execute();
  await insertLists(tx, context, records);
}

async function insertLists(tx: Tx, { db, integration }: WriteContext, records: readonly DeviceRecord[]): Promise<void> {
  const { org_id: orgId, id: integrationId } = integration;
  const macs = records.flatMap(({ id, macs: list }) => list.map((mac) => [mac, id, orgId]));
  const tags = records.flatMap(({ id, tags: list }) => list.map((tag) => [id, orgId, tag]));
  const ids = records.flatMap(({ id, externalIds }) =>
    externalIds.map(({ namespace, value }) => ['device', id, orgId, namespace, value, integrationId]),
  );
  const insert = { onConflictDoNothing: true };
  if (macs.length > 0) {
    await db.bulkInsert(tx, { ...insert, table: 'device_macs', columns: ['mac', 'device_id', 'org_id'], rows: macs });
  }
  if (tags.length > 0) {
    await db.bulkInsert(tx, { ...insert, table: 'device_tags', columns: ['device_id', 'org_id', 'tag'], rows: tags });
  }
  if (ids.length > 0) {
    const columns = ['owner_kind', 'owner_id', 'org_id', 'namespace', 'value', 'integration_id'];
    await db.bulkInsert(tx, { ...insert, table: 'external_ids', columns, rows: ids });
  }
}
