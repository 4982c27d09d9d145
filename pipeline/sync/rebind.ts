import type { Database, Tx } from '../../storage/database.ts';
import { joinMaintenance } from '../../storage/device-maintenance.ts';
import { bumpOrgRevision } from '../../storage/directory-store-write.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { lockIntegration } from '../process/event-writer.ts';
import { type Change, writeChanges } from './changes.ts';
import { siteChange, zoneChange } from './field-changes.ts';
import { createSiteResolver } from './site-resolver.ts';

/** Devices of one statement. */
const ROWS = 1_000;

/**
 * Puts the devices that are known from a vendor's site where its binding says, in the transaction that changed the
 * binding, with a MOVED change for each. Zones belong to a site: they come back with the next sync.
 *
 * @returns how many devices moved
 */
export async function rebindDevices(
  tx: Tx,
  { db, integration, now }: { readonly db: Database; readonly integration: IntegrationRow; readonly now: number },
  vendorSiteId: string,
): Promise<number> {
  await lockIntegration(db, tx, integration.id);
  const resolve = await createSiteResolver(tx, integration.id);
  const devices = await tx
    .selectFrom('devices')
    .select(['id', 'vendor_org_id', 'vendor_site_id', 'site_id', 'zone_id', 'removed_at'])
    .where('integration_id', '=', integration.id)
    .where('vendor_site_id', '=', vendorSiteId)
    .orderBy('id')
    .execute();
  const changes: Change[] = [];
  const targets = new Map<string | null, string[]>();
  for (const device of devices) {
    const siteId = resolve(device.vendor_org_id, device.vendor_site_id);
    if (siteId === device.site_id) continue;
    const group = targets.get(siteId) ?? [];
    group.push(device.id);
    targets.set(siteId, group);
    if (device.removed_at !== null) continue;
    const zone = device.zone_id === null ? [] : [zoneChange(device.zone_id, null)];
    const fields = [siteChange(device.site_id, siteId), ...zone];
    changes.push({ kind: 'MOVED', deviceId: device.id, siteId, fields });
  }
  for (const [siteId, ids] of targets) {
    for (let from = 0; from < ids.length; from += ROWS) {
      const moved = ids.slice(from, from + ROWS);
      await tx
        .updateTable('devices')
        .set({ site_id: siteId, zone_id: null, updated_at: now })
        .where('id', 'in', moved)
        .execute();
      await joinMaintenance(db, tx, integration.org_id, moved, now);
    }
  }
  // First the log's numbers, then the org's row: whoever takes both takes them in this order.
  await writeChanges(tx, { db, integration, now }, changes);
  await bumpOrgRevision(tx, integration.org_id, now);
  return changes.length;
}
