import type { Tx } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { inChunks } from '../process/chunks.ts';
import type { KnownDevice } from '../process/resolve.ts';
import { knownState } from './device-row.ts';
import type { WriterSource } from './incidents.ts';

// A failure within planned work, or behind another one, wakes nobody. When neither holds any more and the device still has
// not come back, nobody has been told of it yet.

/** How much earlier than the state that it claims an event may say that it happened. */
const REPORTED_BEFORE_MS = 86_400_000;

/** Whether nothing explains any more why the device is not up, and the log takes events of it. */
function isUnexplained(device: KnownDevice): boolean {
  if (device.removed_at !== null || device.site_id === null) return false;
  if (device.suppressed_by !== null || device.maintenance_id !== null) return false;
  const state = knownState(device.state);
  // Of a device of which nothing is known nothing is to be told.
  return state === 'OFFLINE' || state === 'DEGRADED' || (state === 'UNKNOWN' && device.state_reason !== null);
}

/** Those devices of a list that are not up, explained by nothing, and of whose state only hidden events have told. */
export async function untoldOf(tx: Tx, devices: readonly KnownDevice[]): Promise<readonly KnownDevice[]> {
  const standing = new Map(devices.filter(isUnexplained).map((device) => [device.id, device]));
  const hidden = new Map<string, boolean>();
  for (const chunk of inChunks([...standing.keys()])) {
    const since = Math.min(...chunk.map((id) => standing.get(id)?.state_since ?? 0));
    const rows = await tx
      .selectFrom('events')
      .select(['device_id', 'state', 'occurred_at', 'observed_at', 'suppressed', 'in_maintenance'])
      .where('device_id', 'in', chunk)
      .where('occurred_at', '>=', since - REPORTED_BEFORE_MS)
      .where((eb) => eb.or([eb('changed', '=', 1), eb('derived', '=', 1)]))
      .where('state', 'is not', null)
      .orderBy('seq')
      .execute();
    for (const row of rows) {
      const device = standing.get(row.device_id ?? '');
      if (device === undefined || row.state !== device.state) continue;
      if ((row.observed_at ?? row.occurred_at) < device.state_since) continue;
      hidden.set(device.id, row.suppressed === 1 || row.in_maintenance === 1);
    }
  }
  return [...standing.values()].filter(({ id }) => hidden.get(id) === true);
}

/**
 * Tells of devices of any integrations. The caller holds their integrations' rows.
 *
 * @param now milliseconds since the epoch
 * @returns the integrations of which something was told
 */
export async function tellStillDown(
  tx: Tx,
  writer: WriterSource,
  ids: readonly string[],
  now: number,
): Promise<readonly IntegrationRow[]> {
  const groups = new Map<string, string[]>();
  for (const chunk of inChunks(ids)) {
    const rows = await tx.selectFrom('devices').select(['id', 'integration_id']).where('id', 'in', chunk).execute();
    for (const { id, integration_id: integrationId } of rows) {
      const own = groups.get(integrationId) ?? [];
      own.push(id);
      groups.set(integrationId, own);
    }
  }
  const told: IntegrationRow[] = [];
  for (const [id, own] of [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const row = await tx.selectFrom('integrations').selectAll().where('id', '=', id).executeTakeFirst();
    if (row !== undefined && (await writer().tellStillDown(tx, row, own, now)) > 0) told.push(row);
  }
  return told;
}
