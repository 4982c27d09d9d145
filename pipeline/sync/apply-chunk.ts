import { type EventWriter, lockIntegration } from '../process/event-writer.ts';
import type { EventDraft } from '../../adapter-kit/model.ts';
import { readPolicies } from '../status/policies.ts';
import type { Database, Tx } from '../../storage/database.ts';
import { joinMaintenance } from '../../storage/device-maintenance.ts';
import { type FieldChange, fieldChanges } from '../../storage/device-fields.ts';
import { addToCounters } from '../../storage/integration-counters.ts';
import { bumpOrgRevision } from '../../storage/directory-store-write.ts';
import { zoneId } from '../../storage/ids.ts';
import type { DeviceRow, IntegrationRow } from '../../storage/rows.ts';
import type { DeviceRecord } from './device-record.ts';
import { siteChange, zoneChange } from './field-changes.ts';
import { type Change, writeChanges } from './changes.ts';
import { insertLinks, replaceLinks } from './device-links.ts';
import { insertDevices, replaceLists, updateDevices, type WrittenDevice } from './device-writes.ts';
import {
  BELIEVED,
  firstStatus,
  GLANCED,
  healthDraft,
  judge,
  type Refresh,
  refreshStatus,
  saysNothingNew,
} from './listed-status.ts';
import { inventoryDraft } from './inventory-events.ts';
import { movedTo, positionChange, storedPosition } from './positions.ts';
import { createSiteResolver } from './site-resolver.ts';

export interface ChunkContext {
  readonly db: Database;
  readonly events: EventWriter;
  readonly integration: IntegrationRow;
  /** Nothing of the integration is known yet: what is listed now is what changes are told against later, and no news. */
  readonly isBaseline: boolean;
  /** When the listing started: the age of its claims. */
  readonly startedAt: number;
  /** Our clock now. */
  readonly now: number;
}

/** What a chunk came to; a run adds them up. */
export interface ChunkResult {
  readonly added: number;
  readonly updated: number;
  readonly unmapped: number;
  /** Something was written that readers can see. */
  readonly hasChanged: boolean;
}

const KNOWN = [
  'id',
  'site_id',
  'content_hash',
  'zone_id',
  'removed_at',
  'missed_syncs',
  'updated_at',
  'latitude',
  'longitude',
  ...GLANCED,
] as const satisfies readonly (keyof DeviceRow)[];

type Known = Pick<DeviceRow, (typeof KNOWN)[number]>;

type Believed = Pick<DeviceRow, (typeof BELIEVED)[number]>;

/**
 * Brings a part of a listing into the store, in the caller's transaction: new devices, changed fields, moves, returns,
 * what the listing says about their state, and a record of each change. What is equal costs one read.
 *
 * @param records each device at most once; at most some hundred
 */
export async function applyChunk(
  tx: Tx,
  context: ChunkContext,
  records: readonly DeviceRecord[],
): Promise<ChunkResult> {
  const { integration, now, startedAt } = context;
  await lockIntegration(context.db, tx, integration.id);
  const { known, believed } = await knownDevices(tx, context, records);
  const resolve = await createSiteResolver(tx, integration.id);
  const policyOf = await readPolicies(tx, integration.org_id);

  const added: WrittenDevice[] = [];
  const touched: { readonly device: WrittenDevice; readonly before: Known; readonly sameContent: boolean }[] = [];
  const refreshes: Refresh[] = [];
  const drafts: EventDraft[] = [];
  let unmapped = 0;

  for (const record of records) {
    const siteId = resolve(record.columns.vendor_org_id, record.columns.vendor_site_id);
    if (siteId === null) unmapped += 1;
    const zone = siteId === null || record.zone === null ? null : zoneId(siteId, record.zone.kind, record.zone.name);
    const before = known.get(record.id);
    if (before === undefined) {
      added.push({ record, siteId, zoneId: zone, position: record.position });
      continue;
    }
    const moved = movedTo(before, record.position);
    const device: WrittenDevice = { record, siteId, zoneId: zone, position: moved ?? storedPosition(before) };
    const sameContent = before.content_hash === record.columns.content_hash;
    const samePlace = before.site_id === siteId && before.zone_id === zone;
    if (!sameContent || !samePlace || moved !== null || before.removed_at !== null || before.missed_syncs > 0) {
      touched.push({ device, before, sameContent });
    }
    const belief = believed.get(record.id);
    if (belief === undefined) continue;
    const verdict = judge(belief, record, { integrationId: integration.id, now, siteId, policyOf });
    if (verdict.refresh !== null) refreshes.push(verdict.refresh);
    if (verdict.claim !== null) drafts.push(healthDraft(record, belief.state, verdict.claim));
  }

  const full = await fullRows(
    tx,
    touched.filter(({ sameContent }) => !sameContent).map(({ device }) => device.record.id),
  );
  const changes: Change[] = added.map((device) => change('ADDED', device, []));
  const news = added.map((device) => ({ entry: change('ADDED', device, []), device }));
  const writes = touched.map(({ device, before, sameContent }) => {
    const row = full.get(device.record.id);
    const listed = sameContent || row === undefined ? [] : fieldChanges(row, device.record.columns);
    const moved = movedTo(before, device.record.position);
    const fields = moved === null ? listed : [...listed, positionChange(before, moved)];
    const own = changesOf(device, before, fields);
    changes.push(...own);
    // Zones that appear because a site was bound are our doing, and no news about the device.
    news.push(...own.filter(({ kind }) => kind !== 'UPDATED' || fields.length > 0).map((entry) => ({ entry, device })));
    return { device, before: row ?? before, isChange: own.length > 0 };
  });

  await insertZones(tx, context, [...added, ...touched.map(({ device }) => device)]);
  await insertDevices(tx, context, added, (record) =>
    firstStatus(record, { startedAt, integrationId: integration.id, now }),
  );
  await updateDevices(tx, context, writes);
  const placed = touched.filter(({ device, before }) => before.removed_at !== null || before.site_id !== device.siteId);
  const arrivals = [...added, ...placed.map(({ device }) => device)].map(({ record }) => record.id);
  await joinMaintenance(context.db, tx, integration.org_id, arrivals, now);
  await replaceLists(
    tx,
    context,
    touched.flatMap(({ device: { record } }) => {
      const row = full.get(record.id);
      return row === undefined ? [] : [{ record, before: row }];
    }),
  );
  await insertLinks(
    tx,
    context,
    added.map(({ record }) => record),
  );
  await replaceLinks(
    tx,
    context,
    touched.filter(({ sameContent }) => !sameContent).map(({ device: { record } }) => record),
  );
  await refreshStatus(tx, context.db.engine, refreshes);
  await writeChanges(tx, context, changes);
  const told = context.isBaseline
    ? []
    : news
        .filter(({ device }) => device.siteId !== null)
        .map(({ entry, device }) => inventoryDraft(entry.kind, device.record.columns, entry.fields, now));
  const written = await context.events.writeEvents(tx, integration, [...told, ...drafts], 'POLL', now);
  const unlogged = refreshes.filter((refresh) => refresh.changes.length > 0).length;
  await countMissed(tx, context, drafts.length + unlogged, written.changed);
  const hasChanged = changes.length > 0 || refreshes.length > 0 || written.written > 0;
  if (hasChanged) await bumpOrgRevision(tx, integration.org_id, now);

  const isUpdated = (entry: Change): boolean => entry.kind === 'UPDATED' || entry.kind === 'MOVED';
  return {
    added: changes.filter(({ kind }) => kind === 'ADDED' || kind === 'RESTORED').length,
    updated: new Set(changes.filter(isUpdated).map(({ deviceId }) => deviceId)).size,
    unmapped,
    hasChanged,
  };
}

/** What a listing finds of a platform that should have told it is what push missed. */
async function countMissed(
  tx: Tx,
  { integration, now }: ChunkContext,
  polled: number,
  repaired: number,
): Promise<void> {
  if (polled === 0 || integration.ingest_mode === 'POLL_ONLY') return;
  await addToCounters(tx, integration.id, now, { polled, repaired });
}

function change(kind: Change['kind'], device: WrittenDevice, fields: readonly FieldChange[]): Change {
  return { kind, deviceId: device.record.id, siteId: device.siteId, fields };
}

function changesOf(device: WrittenDevice, before: Known, listed: readonly FieldChange[]): readonly Change[] {
  const changes: Change[] = [];
  const fields = before.zone_id === device.zoneId ? listed : [...listed, zoneChange(before.zone_id, device.zoneId)];
  if (before.removed_at !== null) changes.push(change('RESTORED', device, fields));
  else if (fields.length > 0) changes.push(change('UPDATED', device, fields));
  if (before.site_id !== device.siteId) {
    changes.push(change('MOVED', device, [siteChange(before.site_id, device.siteId)]));
  }
  return changes;
}

/** What is known of devices; and what is believed of those of which the listing may say something new. */
interface KnownDevices {
  readonly known: ReadonlyMap<string, Known>;
  readonly believed: ReadonlyMap<string, Believed>;
}

async function knownDevices(
  tx: Tx,
  { integration, startedAt, now }: ChunkContext,
  records: readonly DeviceRecord[],
): Promise<KnownDevices> {
  if (records.length === 0) return { known: new Map(), believed: new Map() };
  const ids = records.map(({ id }) => id);
  // Claims without a time of their own are news each time: then one read is cheaper than two.
  if (records.some(({ claim }) => claim?.observedAt === startedAt)) {
    const columns = [...new Set([...KNOWN, ...BELIEVED])];
    const rows = await tx.selectFrom('devices').select(columns).where('id', 'in', ids).execute();
    const known = new Map(rows.map((row) => [row.id, row]));
    return { known, believed: known };
  }
  const rows = await tx.selectFrom('devices').select(KNOWN).where('id', 'in', ids).execute();
  const known = new Map(rows.map((row) => [row.id, row]));
  const open = records.filter((record) => {
    const row = known.get(record.id);
    return row !== undefined && !saysNothingNew(row, record, { integrationId: integration.id, now });
  });
  if (open.length === 0) return { known, believed: new Map() };
  const beliefs = await tx
    .selectFrom('devices')
    .select(BELIEVED)
    .where(
      'id',
      'in',
      open.map(({ id }) => id),
    )
    .execute();
  return { known, believed: new Map(beliefs.map((row) => [row.id, row])) };
}

async function fullRows(tx: Tx, ids: readonly string[]): Promise<ReadonlyMap<string, DeviceRow>> {
  if (ids.length === 0) return new Map();
  const rows = await tx.selectFrom('devices').selectAll().where('id', 'in', ids).execute();
  return new Map(rows.map((row) => [row.id, row]));
}

async function insertZones(
  tx: Tx,
  { db, integration }: ChunkContext,
  devices: readonly WrittenDevice[],
): Promise<void> {
  const zones = new Map<string, readonly unknown[]>();
  for (const { record, siteId, zoneId: id } of devices) {
    if (id === null || siteId === null || record.zone === null) continue;
    zones.set(id, [id, integration.org_id, siteId, null, record.zone.name, record.zone.kind]);
  }
  if (zones.size === 0) return;
  await db.bulkInsert(tx, {
    table: 'zones',
    columns: ['id', 'org_id', 'site_id', 'parent_id', 'name', 'kind'],
    rows: [...zones.values()],
    onConflictDoNothing: true,
  });
}
