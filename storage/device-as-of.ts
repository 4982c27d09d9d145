import { z } from 'zod';
import { fault } from '../schema/errors.ts';
import type { AccessScope } from '../schema/principal.ts';
import { DEVICE_STATES } from '../schema/words.ts';
import type { Database } from './database.ts';
import { FieldChanges, undoFields } from './device-fields.ts';
import { readFloor } from './inventory-store-changes.ts';
import { narrowest, readMaintenanceOf, windowsByDevice } from './maintenance-windows.ts';
import type { DeviceRow, InventoryChangeRow } from './rows.ts';

// A device as it was: what changed since is undone, and its state is read from its history. What nobody kept of the past
// is null there, never what it is today.

/** Changes of one device that are undone: more than one an hour for a year is a platform that cannot make up its mind. */
const MAX_CHANGES = 10_000;

const Timed = z.object({ observedAt: z.number() });
const Word = z.looseObject({ receivedAt: z.number() });
const Instants = z.array(z.number());

/**
 * @param device as it is now, of a principal that may see it now
 * @param asOf milliseconds, not later than now
 * @returns null when it was not known yet, or was at a site that the principal may not see
 * @throws GraphQLError BAD_USER_INPUT for an instant before the memory of changes
 */
export async function readDeviceAsOf(
  db: Database,
  access: AccessScope,
  device: DeviceRow,
  asOf: number,
): Promise<DeviceRow | null> {
  if (asOf < device.first_seen_at) return null;
  const floor = await readFloor(db);
  if (asOf < floor.at) throw tooOld(floor.at);
  const later = await db.read
    .selectFrom('inventory_changes')
    .selectAll()
    .where('device_id', '=', device.id)
    .where('at', '>', asOf)
    .orderBy('seq', 'desc')
    .limit(MAX_CHANGES + 1)
    .execute();
  if (later.length > MAX_CHANGES) {
    throw fault('BAD_USER_INPUT', `The device changed more than ${MAX_CHANGES} times since. Ask for a later instant.`);
  }
  const undone = undo(device, later);
  if (undone === null) return null;
  const { then, isRemoved } = undone;
  if (access.siteIds !== null && (then.site_id === null || !access.siteIds.includes(then.site_id))) return null;
  return withStatus(db, later.length === 0 ? then : await withLastChange(db, then, isRemoved, asOf), device, asOf);
}

/** For instants before anything that is kept. @param earliest milliseconds */
export function tooOld(earliest: number): Error {
  const since = new Date(earliest).toISOString();
  return fault('BAD_USER_INPUT', `Changes before ${since} are no longer kept.`, { earliest: since });
}

/** @param later newest first @returns null when the device was not there yet */
function undo(
  device: DeviceRow,
  later: readonly InventoryChangeRow[],
): { readonly then: DeviceRow; readonly isRemoved: boolean } | null {
  let then = device;
  let isRemoved = device.removed_at !== null;
  for (const { kind, fields } of later) {
    if (kind === 'ADDED') return null;
    then = undoFields(then, FieldChanges.parse(JSON.parse(fields)));
    if (kind === 'REMOVED') isRemoved = false;
    if (kind === 'RESTORED') isRemoved = true;
  }
  return { then, isRemoved };
}

async function withLastChange(db: Database, then: DeviceRow, isRemoved: boolean, asOf: number): Promise<DeviceRow> {
  const last = (kind: string | null) => {
    const changes = db.read
      .selectFrom('inventory_changes')
      .select('at')
      .where('device_id', '=', then.id)
      .where('at', '<=', asOf)
      .orderBy('seq', 'desc')
      .limit(1);
    return (kind === null ? changes : changes.where('kind', '=', kind)).executeTakeFirst();
  };
  const updated = await last(null);
  const removed = isRemoved ? await last('REMOVED') : undefined;
  return {
    ...then,
    updated_at: updated?.at ?? then.first_seen_at,
    removed_at: isRemoved ? (removed?.at ?? then.first_seen_at) : null,
  };
}

type StateColumns = Pick<DeviceRow, 'state' | 'state_reason' | 'state_since' | 'state_observed_at' | 'state_vendor'>;

/** The state that holds now, when it held then already; otherwise what the history has. */
async function stateThen(db: Database, device: DeviceRow, asOf: number): Promise<StateColumns> {
  const { state, state_reason, state_since, state_observed_at, state_vendor } = device;
  if (state_since <= asOf) {
    return state_observed_at <= asOf
      ? { state, state_reason, state_since, state_observed_at, state_vendor }
      : { state, state_reason, state_since, state_observed_at: state_since, state_vendor: null };
  }
  const segment = await db.read
    .selectFrom('status_segments')
    .select(['from_at', 'to_at', 'state', 'reason'])
    .where('device_id', '=', device.id)
    .where('from_at', '<=', asOf)
    .orderBy('from_at', 'desc')
    .limit(1)
    .executeTakeFirst();
  const found = segment === undefined || (segment.to_at !== null && segment.to_at <= asOf) ? null : segment;
  const since = found?.from_at ?? device.first_seen_at;
  return {
    state: found?.state ?? 'UNKNOWN',
    state_reason: found?.reason ?? null,
    state_since: since,
    state_observed_at: since,
    state_vendor: null,
  };
}

async function withStatus(db: Database, then: DeviceRow, now: DeviceRow, asOf: number): Promise<DeviceRow> {
  const held = await stateThen(db, now, asOf);
  const isStateOfNow = now.state_since <= asOf;
  const isPending = isStateOfNow && now.pending_since !== null && now.pending_since <= asOf;
  const incident =
    now.incident_id === null
      ? undefined
      : await db.read
          .selectFrom('incidents')
          .select('id')
          .where('id', '=', now.incident_id)
          .where('opened_at', '<=', asOf)
          .executeTakeFirst();
  const windows = await readMaintenanceOf(db, [then], { from: asOf, to: asOf + 1 });
  const open = windowsByDevice(windows)(then).filter(({ from, to }) => from <= asOf && to > asOf);
  return {
    ...then,
    ...held,
    state_rank: DEVICE_STATES.findIndex((state) => state === held.state),
    last_seen_at: now.last_seen_at !== null && now.last_seen_at <= asOf ? now.last_seen_at : null,
    telemetry:
      now.telemetry !== null && Timed.parse(JSON.parse(now.telemetry)).observedAt <= asOf ? now.telemetry : null,
    evidence: wordsUntil(now.evidence, asOf),
    pending_state: isPending ? now.pending_state : null,
    pending_reason: isPending ? now.pending_reason : null,
    pending_since: isPending ? now.pending_since : null,
    pending_until: isPending ? now.pending_until : null,
    flapping: Instants.parse(JSON.parse(now.flap_changes)).every((at) => at <= asOf) ? now.flapping : 0,
    suppressed_by: incident === undefined ? null : now.suppressed_by,
    incident_id: incident === undefined ? null : now.incident_id,
    maintenance_id: narrowest(open)?.id ?? null,
  };
}

/** Words of sources that had been said by then. */
function wordsUntil(evidence: string, asOf: number): string {
  const words = z.array(z.unknown()).parse(JSON.parse(evidence));
  return JSON.stringify(words.filter((word) => (Word.safeParse(word).data?.receivedAt ?? asOf) <= asOf));
}
