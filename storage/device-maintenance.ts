import type { Database, Tx } from './database.ts';
import { narrowest, readOpenWindows, windowsByDevice } from './maintenance-windows.ts';
import { isOneOf } from './sql-conditions.ts';

/** Devices that one read looks at. */
const LOOK_ROWS = 5_000;
/** Windows that are forgotten at once. */
const TRIM_ROWS = 500;

/** A device came into planned work, or out of it: `window` is null. */
export interface MaintenanceMove {
  readonly id: string;
  readonly window: string | null;
}

/**
 * Puts devices into the planned work that they are in now, and out of what is over, in the caller's transaction, which
 * bumps the org's revision when it is told that something moved. A removed device is in none.
 *
 * @param ids at most some hundred
 * @param now milliseconds since the epoch
 * @returns the devices that moved, and where to
 */
export async function settleMaintenance(
  db: Pick<Database, 'engine'>,
  tx: Tx,
  ids: readonly string[],
  now: number,
): Promise<readonly MaintenanceMove[]> {
  if (ids.length === 0) return [];
  if (db.engine === 'postgres') await lockIntegrationsOf(tx, ids);
  const query = tx
    .selectFrom('devices')
    .select(['id', 'org_id', 'site_id', 'maintenance_id', 'removed_at'])
    .where(isOneOf('devices.id', ids))
    // In order of id, as every writer of devices: two that meet wait for each other and not in a circle.
    .orderBy('id');
  const devices = await (db.engine === 'postgres' ? query.forUpdate() : query).execute();
  const orgIds = [...new Set(devices.map((device) => device.org_id))];
  const windowsOf = windowsByDevice(await readOpenWindows(tx, orgIds, now));
  const moves = devices.flatMap((device) => {
    const window = device.removed_at === null ? (narrowest(windowsOf(device))?.id ?? null) : null;
    return window === device.maintenance_id ? [] : [{ id: device.id, window }];
  });
  for (const [window, group] of Map.groupBy(moves, (move) => move.window)) {
    await tx
      .updateTable('devices')
      .set({ maintenance_id: window })
      .where(
        isOneOf(
          'devices.id',
          group.map(({ id }) => id),
        ),
      )
      .execute();
  }
  return moves;
}

/** Who locks devices locks their integration first, as every writer of devices does; several in order of their ids. */
async function lockIntegrationsOf(tx: Tx, deviceIds: readonly string[]): Promise<void> {
  const rows = await tx
    .selectFrom('devices')
    .select('integration_id')
    .distinct()
    .where(isOneOf('devices.id', deviceIds))
    .execute();
  await tx
    .selectFrom('integrations')
    .select('id')
    .where(
      isOneOf(
        'integrations.id',
        rows.map((row) => row.integration_id),
      ),
    )
    .orderBy('id')
    .forUpdate()
    .execute();
}

/**
 * Puts devices that came to their place just now (new, back, or moved) into the planned work that is under way there.
 * Costs one read while there is none. Bumping the org's revision is the caller's.
 *
 * @param ids at most some hundred
 */
export async function joinMaintenance(
  db: Pick<Database, 'engine'>,
  tx: Tx,
  orgId: string,
  ids: readonly string[],
  now: number,
): Promise<void> {
  if (ids.length === 0) return;
  if ((await readOpenWindows(tx, [orgId], now)).length > 0) await settleMaintenance(db, tx, ids, now);
}

/** Devices of an org that are not in the planned work that they should be in, in portions. */
export async function* unsettledDevices(db: Database, orgId: string, now: number): AsyncGenerator<readonly string[]> {
  const windows = await readOpenWindows(db.read, [orgId], now);
  const windowsOf = windowsByDevice(windows);
  const isWhole = windows.some(({ siteId, deviceId }) => siteId === null && deviceId === null);
  const siteIds = windows.flatMap(({ siteId }) => siteId ?? []);
  const deviceIds = windows.flatMap(({ deviceId }) => deviceId ?? []);
  for (let after = ''; ; ) {
    const rows = await db.read
      .selectFrom('devices')
      .select(['id', 'org_id', 'site_id', 'maintenance_id', 'removed_at'])
      .where('org_id', '=', orgId)
      .where((eb) =>
        isWhole
          ? eb.lit(true)
          : eb.or([
              eb('maintenance_id', 'is not', null),
              isOneOf('devices.site_id', siteIds),
              isOneOf('devices.id', deviceIds),
            ]),
      )
      .where('id', '>', after)
      .orderBy('id')
      .limit(LOOK_ROWS)
      .execute();
    const ids = rows
      .filter((row) => {
        const window = row.removed_at === null ? (narrowest(windowsOf(row))?.id ?? null) : null;
        return window !== row.maintenance_id;
      })
      .map(({ id }) => id);
    if (ids.length > 0) yield ids;
    const last = rows.at(-1);
    if (last === undefined || rows.length < LOOK_ROWS) return;
    after = last.id;
  }
}

/** Forgets planned work that ended before an instant. @returns how many windows */
export async function trimWindows(db: Database, before: number): Promise<number> {
  const old = await db.read
    .selectFrom('maintenance_windows')
    .select('id')
    .where('to_at', '<', before)
    .limit(TRIM_ROWS)
    .execute();
  if (old.length === 0) return 0;
  await db.write((tx) =>
    tx
      .deleteFrom('maintenance_windows')
      .where(
        isOneOf(
          'maintenance_windows.id',
          old.map(({ id }) => id),
        ),
      )
      .execute(),
  );
  return old.length;
}

/** Orgs with a window that opened or closed after one instant and up to another. */
export async function orgsWithTurns(db: Database, after: number, upTo: number): Promise<readonly string[]> {
  const rows = await db.read
    .selectFrom('maintenance_windows')
    .select('org_id')
    .distinct()
    .where('to_at', '>', after)
    .where((eb) => eb.or([eb('to_at', '<=', upTo), eb.and([eb('from_at', '>', after), eb('from_at', '<=', upTo)])]))
    .execute();
  return rows.map((row) => row.org_id);
}

/** Orgs with a window that is open, or with a device that is in one, open or not. */
export async function orgsInMaintenance(db: Database, now: number): Promise<readonly string[]> {
  const [open, marked] = await Promise.all([
    db.read
      .selectFrom('maintenance_windows')
      .select('org_id')
      .distinct()
      .where('to_at', '>', now)
      .where('from_at', '<=', now)
      .execute(),
    db.read.selectFrom('devices').select('org_id').distinct().where('maintenance_id', 'is not', null).execute(),
  ]);
  return [...new Set([...open, ...marked].map((row) => row.org_id))].toSorted();
}
