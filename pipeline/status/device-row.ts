import { DEVICE_STATES, type DeviceState, STATUS_REASONS, type StatusReason } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import type { DeviceRow } from '../../storage/rows.ts';
import { bulkUpdateDevices } from '../../storage/bulk-update.ts';
import type { DeviceStatus, Pending } from './machine.ts';

/** The columns of a device that its status is kept in. */
export const STATUS_COLUMNS = [
  'state',
  'state_reason',
  'state_since',
  'state_observed_at',
  'state_vendor',
  'claim_received_at',
  'claim_inbox_id',
  'pending_state',
  'pending_reason',
  'pending_since',
  'pending_until',
  'flapping',
  'flap_changes',
  'flap_until',
] as const satisfies readonly (keyof DeviceRow)[];

export type StatusRow = Pick<DeviceRow, (typeof STATUS_COLUMNS)[number]>;

const NO_CHANGES: readonly number[] = [];

// Rows are ours, yet a word may be from a newer release that was rolled back.
export function knownState(word: string): DeviceState {
  return DEVICE_STATES.find((state) => state === word) ?? 'UNKNOWN';
}
export function knownReason(word: string | null): StatusReason | null {
  return STATUS_REASONS.find((reason) => reason === word) ?? null;
}

function pendingOf(row: StatusRow): Pending | null {
  const { pending_state: state, pending_since: since, pending_until: until } = row;
  if (state === null || since === null || until === null) return null;
  return { state: knownState(state), reason: knownReason(row.pending_reason), since, until };
}

/** A list of numbers and nothing else, written by us; a listing of twenty thousand devices reads as many of them. */
function instantsIn(text: string): readonly number[] {
  const inner = text.slice(1, -1);
  return inner === '' ? NO_CHANGES : inner.split(',').map(Number);
}

/** What a row says of its device's status. */
export function statusOf(row: StatusRow): DeviceStatus {
  return {
    state: knownState(row.state),
    reason: knownReason(row.state_reason),
    since: row.state_since,
    vendorState: row.state_vendor,
    place: { at: row.state_observed_at, receivedAt: row.claim_received_at, inboxId: row.claim_inbox_id },
    pending: pendingOf(row),
    isFlapping: row.flapping !== 0,
    changes: instantsIn(row.flap_changes),
    flapUntil: row.flap_until,
  };
}

/** A device's live columns: its status, and what moves beside it. */
export interface LiveColumns {
  readonly id: string;
  readonly status: DeviceStatus;
  /** As stored. */
  readonly before: DeviceStatus;
  readonly evidence: string;
  readonly lastSeenAt: number | null;
  readonly telemetry: string | null;
  /** When it counts as silent; undefined: stays as it is. */
  readonly silenceDueAt?: number | null;
}

const ALWAYS = [
  { name: 'state_reason', type: 'text' },
  { name: 'state_observed_at', type: 'bigint' },
  { name: 'state_vendor', type: 'text' },
  { name: 'claim_received_at', type: 'bigint' },
  { name: 'claim_inbox_id', type: 'bigint' },
  { name: 'evidence', type: 'text' },
  { name: 'last_seen_at', type: 'bigint' },
  { name: 'telemetry', type: 'text' },
] as const;

const MOVED = [
  { name: 'state', type: 'text' },
  { name: 'state_rank', type: 'bigint' },
  { name: 'state_since', type: 'bigint' },
  { name: 'flap_changes', type: 'text' },
] as const;

const WAITING = [
  { name: 'pending_state', type: 'text' },
  { name: 'pending_reason', type: 'text' },
  { name: 'pending_since', type: 'bigint' },
  { name: 'pending_until', type: 'bigint' },
  { name: 'flapping', type: 'bigint' },
  { name: 'flap_until', type: 'bigint' },
] as const;

const SILENCE = { name: 'silence_due_at', type: 'bigint' } as const;

type Value = string | number | null;

function always({ status, evidence, lastSeenAt, telemetry }: LiveColumns): readonly Value[] {
  const { at, receivedAt, inboxId } = status.place;
  return [status.reason, at, status.vendorState, receivedAt, inboxId, evidence, lastSeenAt, telemetry];
}

function moved({ status: { state, since, changes } }: LiveColumns): readonly Value[] {
  return [state, DEVICE_STATES.indexOf(state), since, JSON.stringify(changes)];
}

function waiting({ status: { pending, isFlapping, flapUntil } }: LiveColumns): readonly Value[] {
  return [
    pending?.state ?? null,
    pending?.reason ?? null,
    pending?.since ?? null,
    pending?.until ?? null,
    isFlapping ? 1 : 0,
    flapUntil,
  ];
}

function hasMoved({ status, before }: LiveColumns): boolean {
  return status.state !== before.state || status.since !== before.since || status.changes !== before.changes;
}

function waitsOtherwise({ status, before }: LiveColumns): boolean {
  return (
    status.pending !== before.pending ||
    status.isFlapping !== before.isFlapping ||
    status.flapUntil !== before.flapUntil
  );
}

/** Writes live columns. Naming an indexed column costs its index entry even where the value stays: only what may move. */
export async function writeLiveColumns(
  tx: Tx,
  engine: Database['engine'],
  devices: readonly LiveColumns[],
): Promise<void> {
  const groups = Map.groupBy(
    devices,
    (device) => `${hasMoved(device)} ${waitsOtherwise(device)} ${device.silenceDueAt !== undefined}`,
  );
  for (const rows of groups.values()) {
    const [first] = rows;
    if (first === undefined) continue;
    const [isMoved, isWaiting, isHeard] = [hasMoved(first), waitsOtherwise(first), first.silenceDueAt !== undefined];
    await bulkUpdateDevices(tx, engine, {
      columns: [...ALWAYS, ...(isMoved ? MOVED : []), ...(isWaiting ? WAITING : []), ...(isHeard ? [SILENCE] : [])],
      rows: rows.map((row) => [
        row.id,
        ...always(row),
        ...(isMoved ? moved(row) : []),
        ...(isWaiting ? waiting(row) : []),
        ...(isHeard ? [row.silenceDueAt ?? null] : []),
      ]),
    });
  }
}
