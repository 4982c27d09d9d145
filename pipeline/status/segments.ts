import { type RawBuilder, sql } from 'kysely';
import type { Database, Tx } from '../../storage/database.ts';
import type { Tables } from '../../storage/tables.ts';
import type { DeviceStatus, StateChange } from './machine.ts';

/** One state of a device from instant to instant, by the source's clock; the last one is open. */
export interface Segment {
  readonly from: number;
  readonly to: number | null;
  readonly state: string;
  /** With which it began. */
  readonly reason: string | null;
  /** It began before what is written now, and may be there: then only its end is news. */
  readonly isOld: boolean;
}

export interface SegmentChanges {
  /** In order; of a history that goes on the last one is open. */
  readonly segments: readonly Segment[];
  /** Beginnings that are not there any more. */
  readonly gone: readonly number[];
}

export interface SegmentWrite extends SegmentChanges {
  readonly deviceId: string;
}

/** A segment as stored. */
type StoredSegment = Pick<Tables['status_segments'], 'from_at' | 'to_at' | 'state' | 'reason'>;

/**
 * The segments of a device from the state that it was in before some changes. Nothing lasts no time: of states that began
 * at one instant the last one counts.
 *
 * @param base null: nothing is known of the time before the first change
 */
export function segmentsOf(
  base: Pick<DeviceStatus, 'state' | 'reason' | 'since'> | null,
  changes: readonly StateChange[],
): readonly Segment[] {
  const begun = [
    ...(base === null ? [] : [{ from: base.since, state: base.state, reason: base.reason, isOld: true }]),
    ...changes.map(({ at, after, reason }) => ({ from: at, state: after, reason, isOld: false })),
  ];
  const lasting = begun.filter(({ from }, index) => from < (begun[index + 1]?.from ?? Number.MAX_SAFE_INTEGER));
  return lasting.map((segment, index) => ({ ...segment, to: lasting[index + 1]?.from ?? null }));
}

/** What must be written so that these segments stand where others are stored. */
export function differences(stored: readonly StoredSegment[], segments: readonly Segment[]): SegmentChanges {
  const left = new Map(stored.map((row) => [row.from_at, row]));
  const changed = segments.filter(({ from, to, state, reason }) => {
    const row = left.get(from);
    left.delete(from);
    return row === undefined || row.to_at !== to || row.state !== state || row.reason !== reason;
  });
  return { segments: changed.map((each) => ({ ...each, isOld: false })), gone: [...left.keys()] };
}

/** Writes segments over those that began at the same instants. */
export async function writeSegments(
  tx: Tx,
  engine: Database['engine'],
  writes: readonly SegmentWrite[],
): Promise<void> {
  const gone = writes.flatMap(({ deviceId, gone: each }) => each.map((from) => [deviceId, from] as const));
  if (gone.length > 0) {
    await sql`delete from status_segments where (device_id, from_at) in (
      select value ->> 0, cast(value ->> 1 as bigint) from ${listed(engine, gone)})`.execute(tx);
  }
  const rows = writes.flatMap(({ deviceId, segments }) =>
    segments.map(({ from, to, state, reason, isOld }) => ({
      isOld,
      row: [deviceId, from, to, state, reason] as const,
    })),
  );
  await upsert(
    tx,
    engine,
    rows.flatMap(({ isOld, row }) => (isOld ? [row] : [])),
    sql`to_at = excluded.to_at`,
  );
  const all = sql`to_at = excluded.to_at, state = excluded.state, reason = excluded.reason`;
  await upsert(
    tx,
    engine,
    rows.flatMap(({ isOld, row }) => (isOld ? [] : [row])),
    all,
  );
}

/** A list as one parameter: the statement is the same for any number of rows, and stays prepared. */
function listed(
  engine: Database['engine'],
  rows: readonly (readonly (string | number | null)[])[],
): RawBuilder<unknown> {
  const list = JSON.stringify(rows);
  return engine === 'sqlite' ? sql`json_each(${list})` : sql`json_array_elements(cast(${list} as json)) as list`;
}

async function upsert(
  tx: Tx,
  engine: Database['engine'],
  rows: readonly (readonly [string, number, number | null, string, string | null])[],
  overwritten: RawBuilder<unknown>,
): Promise<void> {
  if (rows.length === 0) return;
  // SQLite takes `on conflict` for a part of a join unless a condition stands before it.
  await sql`insert into status_segments (device_id, from_at, to_at, state, reason)
    select value ->> 0, cast(value ->> 1 as bigint), cast(value ->> 2 as bigint), value ->> 3, value ->> 4
    from ${listed(engine, rows)} where true
    on conflict (device_id, from_at) do update set ${overwritten}`.execute(tx);
}
