import type { Insertable } from 'kysely';
import type { PositionDraft } from '../../adapter-kit/model.ts';
import type { Database, Tx } from '../../storage/database.ts';
import type { DeviceRow, IntegrationRow } from '../../storage/rows.ts';
import type { DevicesTable } from '../../storage/tables.ts';
import { bulkUpdateDevices, type ColumnType } from '../../storage/bulk-update.ts';
import { type DeviceRecord, searchTextOf } from './device-record.ts';

/** A listed device with the place that our bindings give it. */
export interface WrittenDevice {
  readonly record: DeviceRecord;
  readonly siteId: string | null;
  readonly zoneId: string | null;
  /** Where it is from now on; null: unknown. */
  readonly position: PositionDraft | null;
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
  | 'claim_received_at'
  | 'evidence'
  | 'flap_changes'
  | 'last_seen_at'
  | 'telemetry'
>;

// Everything a listing may change on a device that is known. Status and readings are not here: they have times of
// their own, and an event may be newer than the listing.
const LISTED = [
  { name: 'native_id', type: 'text' },
  { name: 'vendor_org_id', type: 'text' },
  { name: 'vendor_site_id', type: 'text' },
  { name: 'site_id', type: 'text' },
  { name: 'zone_id', type: 'text' },
  { name: 'parent_id', type: 'text' },
  { name: 'system', type: 'text' },
  { name: 'name', type: 'text' },
  { name: 'type', type: 'text' },
  { name: 'vendor_type', type: 'text' },
  { name: 'ip', type: 'text' },
  { name: 'hostname', type: 'text' },
  { name: 'manufacturer', type: 'text' },
  { name: 'model', type: 'text' },
  { name: 'firmware', type: 'text' },
  { name: 'serial_number', type: 'text' },
  { name: 'mac_addresses', type: 'text' },
  { name: 'capabilities', type: 'text' },
  { name: 'tags', type: 'text' },
  { name: 'warranty_expires_at', type: 'bigint' },
  { name: 'end_of_support_at', type: 'bigint' },
  { name: 'latitude', type: 'double precision' },
  { name: 'longitude', type: 'double precision' },
  { name: 'content_hash', type: 'text' },
  { name: 'missed_syncs', type: 'bigint' },
  { name: 'search_text', type: 'text' },
  { name: 'updated_at', type: 'bigint' },
  { name: 'removed_at', type: 'bigint' },
] as const satisfies readonly { readonly name: keyof DevicesTable; readonly type: ColumnType }[];

const STATUS = [
  'state',
  'state_rank',
  'state_reason',
  'state_since',
  'state_observed_at',
  'state_vendor',
  'claim_received_at',
  'evidence',
  'flap_changes',
  'last_seen_at',
  'telemetry',
] as const satisfies readonly (keyof FirstStatus)[];

const IDENTITY = ['id', 'org_id', 'integration_id', 'vendor', 'first_seen_at'] as const;

const INSERTED = [...IDENTITY, ...LISTED.map(({ name }) => name), ...STATUS];

function listed({ integration, now }: WriteContext, { record, siteId, zoneId, position }: WrittenDevice) {
  return {
    ...record.columns,
    search_text: searchTextOf(record),
    id: record.id,
    org_id: integration.org_id,
    integration_id: integration.id,
    vendor: integration.vendor,
    first_seen_at: now,
    site_id: siteId,
    zone_id: zoneId,
    latitude: position?.latitude ?? null,
    longitude: position?.longitude ?? null,
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
  // In order of id, which is a hash: the indexes that begin with it are walked once and not jumped about in.
  const sorted = devices.toSorted((a, b) => (a.record.id < b.record.id ? -1 : 1));
  const rows = sorted.map((device) => ({ ...listed(context, device), ...statusOf(device.record) }));
  // A platform knows some of these columns of none of its devices: what is empty in all rows need not be named.
  const columns = INSERTED.filter((name) => rows.some((row) => row[name] !== null));
  await context.db.bulkInsert(tx, {
    table: 'devices',
    columns,
    rows: rows.map((row) => columns.map((name) => row[name])),
  });
  const records = sorted.map(({ record }) => record);
  await insertMacs(tx, context, records);
  await insertTags(tx, context, records);
  await insertExternalIds(tx, context, records);
}

/** What of a device the store had: all of it, or for a device whose listing is the same, what else may differ. */
type Before = Pick<DeviceRow, 'site_id' | 'zone_id' | 'missed_syncs' | 'removed_at' | 'updated_at'> &
  Partial<DeviceRow>;

export interface KnownDeviceWrite {
  readonly device: WrittenDevice;
  readonly before: Before;
  /** False: only our own notes about it change, for example that it was missed. */
  readonly isChange: boolean;
}

/**
 * Writes what a listing decides over devices that exist; their status stays. Only columns that differ for one of them
 * are named: naming an indexed column costs its index entry even where the value stays.
 */
export async function updateDevices(
  tx: Tx,
  context: WriteContext,
  devices: readonly KnownDeviceWrite[],
): Promise<void> {
  const rows = devices.map(({ device, before, isChange }) => ({
    row: { ...listed(context, device), ...(isChange ? {} : { updated_at: before.updated_at }) },
    before,
  }));
  const columns = LISTED.filter(({ name }) =>
    rows.some(({ row, before }) => before[name] !== undefined && before[name] !== row[name]),
  );
  if (columns.length === 0) return;
  await bulkUpdateDevices(tx, context.db.engine, {
    columns,
    rows: rows.map(({ row }) => [row.id, ...columns.map(({ name }) => row[name])]),
  });
}

/** Replaces addresses, tags and the platform's own ids where the listing has others than the store. */
export async function replaceLists(
  tx: Tx,
  context: WriteContext,
  devices: readonly { readonly record: DeviceRecord; readonly before: Pick<DeviceRow, 'mac_addresses' | 'tags'> }[],
): Promise<void> {
  const macs = devices.filter(({ record, before }) => before.mac_addresses !== record.columns.mac_addresses);
  const tags = devices.filter(({ record, before }) => before.tags !== record.columns.tags);
  const ids = await withOtherIds(tx, context.integration.id, devices);
  await forget(tx, 'device_macs', macs);
  await forget(tx, 'device_tags', tags);
  if (ids.length > 0) {
    await tx
      .deleteFrom('external_ids')
      .where('owner_kind', '=', 'device')
      .where('owner_id', 'in', idsOf(ids))
      .where('integration_id', '=', context.integration.id)
      .execute();
  }
  await insertMacs(
    tx,
    context,
    macs.map(({ record }) => record),
  );
  await insertTags(
    tx,
    context,
    tags.map(({ record }) => record),
  );
  await insertExternalIds(
    tx,
    context,
    ids.map(({ record }) => record),
  );
}

interface WithRecord {
  readonly record: DeviceRecord;
}

function idsOf(devices: readonly WithRecord[]): string[] {
  return devices.map(({ record }) => record.id);
}

async function forget(tx: Tx, table: 'device_macs' | 'device_tags', devices: readonly WithRecord[]): Promise<void> {
  if (devices.length > 0) await tx.deleteFrom(table).where('device_id', 'in', idsOf(devices)).execute();
}

async function withOtherIds<T extends WithRecord>(
  tx: Tx,
  integrationId: string,
  devices: readonly T[],
): Promise<readonly T[]> {
  if (devices.length === 0) return [];
  const rows = await tx
    .selectFrom('external_ids')
    .select(['owner_id', 'namespace', 'value'])
    .where('owner_kind', '=', 'device')
    .where('owner_id', 'in', idsOf(devices))
    .where('integration_id', '=', integrationId)
    .execute();
  const key = (ids: readonly { readonly namespace: string; readonly value: string }[]): string =>
    JSON.stringify([...new Set(ids.map(({ namespace, value }) => JSON.stringify([namespace, value])))].toSorted());
  const stored = Map.groupBy(rows, ({ owner_id: owner }) => owner);
  return devices.filter(({ record }) => key(stored.get(record.id) ?? []) !== key(record.externalIds));
}

async function insertMacs(tx: Tx, { db, integration }: WriteContext, records: readonly DeviceRecord[]): Promise<void> {
  await db.bulkInsert(tx, {
    table: 'device_macs',
    columns: ['mac', 'device_id', 'org_id'],
    rows: records.flatMap(({ id, macs }) => macs.map((mac) => [mac, id, integration.org_id])),
    onConflictDoNothing: true,
  });
}

async function insertTags(tx: Tx, { db, integration }: WriteContext, records: readonly DeviceRecord[]): Promise<void> {
  await db.bulkInsert(tx, {
    table: 'device_tags',
    columns: ['device_id', 'org_id', 'tag'],
    rows: records.flatMap(({ id, tags }) => tags.map((tag) => [id, integration.org_id, tag])),
    onConflictDoNothing: true,
  });
}

async function insertExternalIds(
  tx: Tx,
  { db, integration }: WriteContext,
  records: readonly DeviceRecord[],
): Promise<void> {
  await db.bulkInsert(tx, {
    table: 'external_ids',
    columns: ['owner_kind', 'owner_id', 'org_id', 'namespace', 'value', 'integration_id'],
    rows: records.flatMap(({ id, externalIds }) =>
      externalIds.map(({ namespace, value }) => ['device', id, integration.org_id, namespace, value, integration.id]),
    ),
    onConflictDoNothing: true,
  });
}
