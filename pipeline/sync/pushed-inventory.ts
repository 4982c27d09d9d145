import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { InventoryDelivery } from '../../adapter-kit/model.ts';
import type { SyncState, UserError } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { applyTransition } from '../integrations/state.ts';
import { userError } from '../integrations/user-errors.ts';
import { type EventWriter, lockIntegration } from '../process/event-writer.ts';
import { applyChunk, type ChunkContext } from './apply-chunk.ts';
import { type DeviceRecord, refusal, toRecord } from './device-record.ts';
import { applyAbsences } from './removals.ts';
import { MAX_ERRORS } from './runs.ts';
import { createSiteResolver } from './site-resolver.ts';

/** Devices compared and written with one set of statements. */
const CHUNK_DEVICES = 500;
/** Parts of one list: of a thousand devices each they are more than any site has. */
export const MAX_PARTS = 1_000;
/** Lists of one integration that may be under way beside each other: a sender that starts anew has given up the old. */
const MAX_OPEN_LISTS = 4;

/** What became of a pushed inventory. */
export interface PushedOutcome {
  readonly added: number;
  /** What was not taken, and at which stage; the rest of the delivery was. Null: all of it. */
  readonly problem: { readonly stage: 'BINDING' | 'SCHEMA'; readonly reason: string } | null;
}

export interface PushedContext {
  readonly db: Database;
  readonly events: EventWriter;
  readonly integration: IntegrationRow;
  /** The delivery it came in. */
  readonly inboxId: number;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly now: number;
}

/**
 * Brings an inventory that came in a delivery into the store, by the same rules as one that we read: differences become
 * changes, and only what two complete lists in a row are without is removed. Devices whose site is not bound are left
 * out and told: whose they are is nobody's to guess. Repeating a delivery changes nothing.
 */
export async function applyPushedInventory(
  tx: Tx,
  context: PushedContext,
  delivery: InventoryDelivery,
): Promise<PushedOutcome> {
  const { db, integration, receivedAt } = context;
  await lockIntegration(db, tx, integration.id);
  const chunk: ChunkContext = {
    db,
    events: context.events,
    integration,
    isBaseline: !(await hasDevices(tx, integration.id)),
    startedAt: receivedAt,
    now: context.now,
  };
  const sorted = await sortOut(tx, context, delivery);
  const progress = { added: 0, updated: 0, removed: 0 };
  for (let from = 0; from < sorted.records.length; from += CHUNK_DEVICES) {
    const result = await applyChunk(tx, chunk, sorted.records.slice(from, from + CHUNK_DEVICES));
    progress.added += result.added;
    progress.updated += result.updated;
  }

  const isWhole = sorted.errors.length === 0;
  const listed =
    isWhole && delivery.list !== null ? await completeList(tx, context, delivery.list, sorted.records) : null;
  // An empty list is more likely a fault of the sender than the end of everything.
  const isEmpty = listed !== null && listed.size === 0;
  if (listed !== null && !isEmpty) progress.removed = await applyAbsences(chunk, listed, (job) => job(tx));

  const errors = isEmpty ? [userError('OTHER', 'The pushed list has no devices at all.')] : sorted.errors;
  const state = listed === null ? 'PARTIAL' : isEmpty ? 'FAILED' : 'SUCCEEDED';
  await recordRun(tx, context, delivery, { ...progress, unmapped: sorted.unbound }, state, errors);
  return { added: progress.added, problem: problemOf(sorted, delivery) };
}

interface Sorted {
  readonly records: readonly DeviceRecord[];
  /** Devices that belong to no site of ours. */
  readonly unbound: number;
  readonly unreadable: number;
  /** The first of each. */
  readonly firstUnbound: string | null;
  readonly firstUnreadable: string | null;
  readonly errors: readonly UserError[];
}

async function sortOut(
  tx: Tx,
  { integration, receivedAt }: PushedContext,
  delivery: InventoryDelivery,
): Promise<Sorted> {
  const resolve = await createSiteResolver(tx, integration.id);
  const listing = { integrationId: integration.id, vendor: integration.vendor, startedAt: receivedAt };
  const records = new Map<string, DeviceRecord>();
  const unreadable = delivery.rejected.map(({ nativeId, reason }) => told(nativeId, reason));
  const unbound: string[] = [];
  for (const draft of delivery.devices) {
    const why = refusal(draft);
    if (why !== null) {
      unreadable.push(told(draft.nativeId, why));
      continue;
    }
    const record = toRecord(draft, listing);
    const { vendor_org_id: account, vendor_site_id: site } = record.columns;
    if (resolve(account, site) === null)
      unbound.push(told(draft.nativeId, `vendor site "${site}" is not bound to a site`));
    // The last word on a device counts, as if it had come in a delivery of its own.
    else records.set(record.id, record);
  }
  return {
    records: [...records.values()],
    unbound: unbound.length,
    unreadable: unreadable.length,
    firstUnbound: unbound[0] ?? null,
    firstUnreadable: unreadable[0] ?? null,
    errors: [...unreadable, ...unbound].slice(0, MAX_ERRORS).map((message) => userError('OTHER', message)),
  };
}

const MAX_QUOTED = 80;

function told(nativeId: string | null, reason: string): string {
  const name =
    nativeId === null ? 'without an id' : `"${nativeId.replaceAll(/[\p{Cc}"]/gu, '?').slice(0, MAX_QUOTED)}"`;
  return `device ${name}: ${reason}`;
}

function problemOf(sorted: Sorted, { devices, rejected }: InventoryDelivery): PushedOutcome['problem'] {
  const all = devices.length + rejected.length;
  const { firstUnbound, firstUnreadable, unbound, unreadable } = sorted;
  if (firstUnbound !== null) return { stage: 'BINDING', reason: `${unbound} of ${all} devices: ${firstUnbound}` };
  if (firstUnreadable !== null)
    return { stage: 'SCHEMA', reason: `${unreadable} of ${all} devices: ${firstUnreadable}` };
  return null;
}

const Ids = z.array(z.string());

/** Notes a part. @returns ids of all devices of the list when it is the last part that was missing, else null */
async function completeList(
  tx: Tx,
  { integration, receivedAt }: PushedContext,
  { id, part, parts }: NonNullable<InventoryDelivery['list']>,
  records: readonly DeviceRecord[],
): Promise<ReadonlySet<string> | null> {
  const own = records.map((record) => record.id);
  if (parts === 1) return new Set(own);
  const row = {
    integration_id: integration.id,
    list_id: id,
    part,
    parts,
    received_at: receivedAt,
    device_ids: JSON.stringify(own),
  };
  await tx
    .insertInto('inventory_parts')
    .values(row)
    .onConflict((conflict) =>
      conflict
        .columns(['integration_id', 'list_id', 'part'])
        .doUpdateSet({ device_ids: row.device_ids, parts, received_at: receivedAt }),
    )
    .execute();
  const stored = await tx
    .selectFrom('inventory_parts')
    .select(['part', 'parts', 'device_ids'])
    .where('integration_id', '=', integration.id)
    .where('list_id', '=', id)
    .execute();
  const fitting = stored.filter((each) => each.parts === parts && each.part <= parts);
  if (fitting.length < parts) {
    await forgetOldLists(tx, integration.id);
    return null;
  }
  await tx
    .deleteFrom('inventory_parts')
    .where('integration_id', '=', integration.id)
    .where('list_id', '=', id)
    .execute();
  return new Set(fitting.flatMap(({ device_ids: ids }) => Ids.parse(JSON.parse(ids))));
}

async function forgetOldLists(tx: Tx, integrationId: string): Promise<void> {
  const lists = await tx
    .selectFrom('inventory_parts')
    .select(['list_id', (eb) => eb.fn.max('received_at').as('at')])
    .where('integration_id', '=', integrationId)
    .groupBy('list_id')
    .orderBy('at', 'desc')
    .orderBy('list_id')
    .execute();
  const old = lists.slice(MAX_OPEN_LISTS).map(({ list_id: id }) => id);
  if (old.length === 0) return;
  await tx
    .deleteFrom('inventory_parts')
    .where('integration_id', '=', integrationId)
    .where('list_id', 'in', old)
    .execute();
}

/** One run per list, or per delivery that is no part of one: what a list came to adds up in it. */
async function recordRun(
  tx: Tx,
  context: PushedContext,
  { list, devices }: InventoryDelivery,
  counts: { readonly added: number; readonly updated: number; readonly removed: number; readonly unmapped: number },
  state: Exclude<SyncState, 'RUNNING'>,
  errors: readonly UserError[],
): Promise<void> {
  const { db, events, integration, now } = context;
  const name = list === null ? `delivery ${context.inboxId}` : `list ${list.id}`;
  const id = `sync_${createHash('sha256').update(integration.id).update('\0').update(name).digest('hex').slice(0, 24)}`;
  const before = await tx.selectFrom('sync_runs').selectAll().where('id', '=', id).executeTakeFirst();
  const run = {
    state,
    finished_at: now,
    listed: (before?.listed ?? 0) + devices.length,
    added: (before?.added ?? 0) + counts.added,
    updated: (before?.updated ?? 0) + counts.updated,
    removed: (before?.removed ?? 0) + counts.removed,
    unmapped: counts.unmapped,
    errors: JSON.stringify(errors),
  };
  if (before === undefined) {
    await tx
      .insertInto('sync_runs')
      .values({
        ...run,
        id,
        org_id: integration.org_id,
        integration_id: integration.id,
        trigger: 'EXTERNAL',
        started_at: context.receivedAt,
        idempotency_key: null,
      })
      .execute();
  } else await tx.updateTable('sync_runs').set(run).where('id', '=', id).execute();
  await applyTransition(tx, { db, events }, integration.id, { lastSync: { at: now, state } }, 'WEBHOOK', now);
}

async function hasDevices(tx: Tx, integrationId: string): Promise<boolean> {
  const row = await tx
    .selectFrom('devices')
    .select('id')
    .where('integration_id', '=', integrationId)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
