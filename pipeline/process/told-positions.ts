import type { EventDraft } from '../../adapter-kit/model.ts';
import type { Database, Tx } from '../../storage/database.ts';
import { deviceId } from '../../storage/ids.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { writeChanges } from '../sync/changes.ts';
import { inventoryDraft } from '../sync/inventory-events.ts';
import { movedTo, positionChange, soundPosition } from '../sync/positions.ts';
import type { EventWriter } from './event-writer.ts';

/** An event that happened longer ago tells where a device was, not where it is. */
const MAX_AGE_MS = 3_600_000;

interface ToldPosition {
  readonly draft: EventDraft;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
}

const COLUMNS = [
  'id',
  'site_id',
  'native_id',
  'vendor_org_id',
  'vendor_site_id',
  'name',
  'latitude',
  'longitude',
] as const;

/**
 * Takes over where events say that devices are, and makes a move a change of the inventory and an event. Locks devices
 * and takes numbers of the log: call it before other events are written, in the same transaction.
 *
 * @param now milliseconds since the epoch
 */
export async function noteToldPositions(
  tx: Tx,
  { db, writer }: { readonly db: Database; readonly writer: Pick<EventWriter, 'writeItems'> },
  integration: IntegrationRow,
  told: readonly ToldPosition[],
  now: number,
): Promise<void> {
  const newest = new Map<string, ToldPosition>();
  for (const each of told) {
    const { nativeDeviceId, position, occurredAt } = each.draft;
    if (nativeDeviceId === null || soundPosition(position) === null) continue;
    if (each.receivedAt - occurredAt.getTime() > MAX_AGE_MS) continue;
    const id = deviceId(integration.id, nativeDeviceId);
    const before = newest.get(id);
    if (before === undefined || before.draft.occurredAt <= occurredAt) newest.set(id, each);
  }
  if (newest.size === 0) return;
  const devices = await tx
    .selectFrom('devices')
    .select(COLUMNS)
    .where('id', 'in', [...newest.keys()])
    .where('removed_at', 'is', null)
    // In order of id, as every writer of devices.
    .orderBy('id')
    .execute();
  const moves = devices.flatMap((device) => {
    const to = movedTo(device, soundPosition(newest.get(device.id)?.draft.position));
    return to === null ? [] : [{ device, to, fields: [positionChange(device, to)] }];
  });
  if (moves.length === 0) return;
  for (const { device, to } of moves) {
    await tx
      .updateTable('devices')
      .set({ latitude: to.latitude, longitude: to.longitude, updated_at: now })
      .where('id', '=', device.id)
      .execute();
  }
  const changes = moves.map(({ device, fields }) => ({
    kind: 'UPDATED' as const,
    deviceId: device.id,
    siteId: device.site_id,
    fields,
  }));
  await writeChanges(tx, { db, integration, now }, changes);
  const item = { origin: 'WEBHOOK', receivedAt: now, inboxId: null, clockSkewMs: null } as const;
  await writer.writeItems(
    tx,
    integration,
    moves
      .filter(({ device }) => device.site_id !== null)
      .map(({ device, fields }) => ({
        ...item,
        draft: inventoryDraft('UPDATED', device, fields, now),
        countsAsDuplicate: false,
      })),
  );
}
