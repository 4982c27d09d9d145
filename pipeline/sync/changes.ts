import type { InventoryChangeKind } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import type { FieldChange } from '../../storage/device-fields.ts';

export interface Change {
  readonly kind: InventoryChangeKind;
  readonly deviceId: string;
  /** Where the device is after the change. */
  readonly siteId: string | null;
  readonly fields: readonly FieldChange[];
}

/** Records changes of the inventory under numbers of the log: call it as late as possible in a transaction. */
export async function writeChanges(
  tx: Tx,
  {
    db,
    integration,
    now,
  }: { readonly db: Database; readonly integration: { readonly org_id: string }; readonly now: number },
  changes: readonly Change[],
): Promise<void> {
  if (changes.length === 0) return;
  const first = await db.takeSequence(tx, changes.length);
  await db.bulkInsert(tx, {
    table: 'inventory_changes',
    columns: ['seq', 'org_id', 'site_id', 'device_id', 'kind', 'at', 'fields'],
    rows: changes.map(({ kind, deviceId, siteId, fields }, index) => [
      first + index,
      integration.org_id,
      siteId,
      deviceId,
      kind,
      now,
      JSON.stringify(fields),
    ]),
  });
}
