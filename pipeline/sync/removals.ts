import type { Database, Tx } from '../../storage/database.ts';
import { bumpOrgRevision } from '../../storage/directory-store-write.ts';
import { lockIntegration } from '../process/event-writer.ts';
import type { ChunkContext } from './apply-chunk.ts';
import { writeChanges } from './changes.ts';
import { inventoryDraft } from './inventory-events.ts';

/** Complete lists in a row that must be without a device before it counts as gone. */
export const LISTS_UNTIL_REMOVED = 2;
/** Rows read at once while looking for what was not listed. */
const READ_ROWS = 5_000;
/** Devices of one transaction. */
const WRITE_ROWS = 500;

/**
 * Notes which devices a complete listing was without, and removes those that were missing from two in a row. Removed
 * devices stay readable as tombstones and come back when they are listed again.
 *
 * @param listed ids of all devices of the listing
 * @param write runs a transaction that proves its right to write
 * @returns how many were removed now
 */
export async function applyAbsences(
  context: ChunkContext,
  listed: ReadonlySet<string>,
  write: <T>(job: (tx: Tx) => Promise<T>) => Promise<T>,
): Promise<number> {
  let removed = 0;
  for await (const missing of missingDevices(context.db, context.integration.id, listed)) {
    for (let from = 0; from < missing.length; from += WRITE_ROWS) {
      const ids = missing.slice(from, from + WRITE_ROWS);
      removed += await write((tx) => markMissing(tx, context, ids));
    }
  }
  return removed;
}

async function* missingDevices(
  db: Database,
  integrationId: string,
  listed: ReadonlySet<string>,
): AsyncGenerator<readonly string[]> {
  let after = '';
  for (;;) {
    const rows = await db.read
      .selectFrom('devices')
      .select('id')
      .where('integration_id', '=', integrationId)
      .where('removed_at', 'is', null)
      .where('id', '>', after)
      .orderBy('id')
      .limit(READ_ROWS)
      .execute();
    const missing = rows.map(({ id }) => id).filter((id) => !listed.has(id));
    if (missing.length > 0) yield missing;
    const last = rows.at(-1);
    if (last === undefined || rows.length < READ_ROWS) return;
    after = last.id;
  }
}

async function markMissing(tx: Tx, context: ChunkContext, ids: readonly string[]): Promise<number> {
  const { db, integration, now } = context;
  await lockIntegration(db, tx, integration.id);
  await tx
    .updateTable('devices')
    .set((eb) => ({ missed_syncs: eb('missed_syncs', '+', 1) }))
    .where('id', 'in', ids)
    .where('removed_at', 'is', null)
    .execute();
  const gone = await tx
    .selectFrom('devices')
    .select(['id', 'site_id', 'native_id', 'vendor_org_id', 'vendor_site_id', 'name'])
    .where('id', 'in', ids)
    .where('removed_at', 'is', null)
    .where('missed_syncs', '>=', LISTS_UNTIL_REMOVED)
    .orderBy('id')
    .execute();
  if (gone.length === 0) return 0;
  await tx
    .updateTable('devices')
    .set({ removed_at: now, updated_at: now })
    .where(
      'id',
      'in',
      gone.map(({ id }) => id),
    )
    .execute();
  await writeChanges(
    tx,
    context,
    gone.map(({ id, site_id: siteId }) => ({ kind: 'REMOVED' as const, deviceId: id, siteId, fields: [] })),
  );
  const told = gone.filter(({ site_id: siteId }) => siteId !== null);
  const drafts = told.map((device) => inventoryDraft('REMOVED', device, [], now));
  await context.events.writeEvents(tx, integration, drafts, 'POLL', now);
  await bumpOrgRevision(tx, integration.org_id, now);
  return gone.length;
}
