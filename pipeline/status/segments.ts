import { CompiledQuery, sql } from 'kysely';
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

/** Rows of one statement: texts of this size are kept prepared. */
const ROWS = 50;

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
    const list = JSON.stringify(gone);
    const rows =
      engine === 'sqlite' ? sql`json_each(${list})` : sql`json_array_elements(cast(${list} as json)) as list`;
    await sql`delete from status_segments
      where (device_id, from_at) in (select value ->> 0, cast(value ->> 1 as bigint) from ${rows})`.execute(tx);
  }
  const all = writes.flatMap(({ deviceId, segments }) => segments.map((segment) => ({ deviceId, ...segment })));
  const { true: old = [], false: fresh = [] } = Object.groupBy(all, ({ isOld }) => (isOld ? 'true' : 'false'));
  await upsert(tx, engine, old, ['to_at']);
  await upsert(tx, engine, fresh, ['to_at', 'state', 'reason']);
}

async function upsert(
  tx: Tx,
  engine: Database['engine'],
  segments: readonly (Segment & { readonly deviceId: string })[],
  overwritten: readonly ('to_at' | 'state' | 'reason')[],
): Promise<void> {
  const set = overwritten.map((name) => `${name} = excluded.${name}`).join(', ');
  for (let at = 0; at < segments.length; at += ROWS) {
    const rows = segments.slice(at, at + ROWS);
    await tx.executeQuery(
      CompiledQuery.raw(
        `insert into status_segments (device_id, from_at, to_at, state, reason) values ${placeholders(engine, rows.length)}
          on conflict (device_id, from_at) do update set ${set}`,
        rows.flatMap(({ deviceId, from, to, state, reason }) => [deviceId, from, to, state, reason]),
      ),
    );
  }
}

const COLUMNS = 5;

/** Written as text: building a tree of nodes for each value costs more than the row. */
function placeholders(engine: Database['engine'], rows: number): string {
  const place = (at: number): string => (engine === 'postgres' ? `$${at + 1}` : '?');
  const row = (index: number): string =>
    `(${Array.from({ length: COLUMNS }, (_, column) => place(index * COLUMNS + column)).join(', ')})`;
  return Array.from({ length: rows }, (_, index) => row(index)).join(', ');
}
