import { type RawBuilder, sql } from 'kysely';
import type { Database, Tx } from '../../storage/database.ts';
import type { SegmentRow } from '../../storage/status-segments.ts';

// What the fold reads of a device's past. Spans are one parameter, a JSON list: the statements are the same for any
// number of devices, and stay prepared.

/** A claim as the log has it. */
export interface ClaimRow {
  readonly device_id: string;
  readonly at: number;
  readonly received_at: number;
  readonly inbox_id: number | null;
  readonly seq: number;
  readonly state: string;
  readonly state_reason: string | null;
  readonly state_vendor: string | null;
  readonly keeps_degraded: string | null;
}

/** A stretch of one device's past, both ends included. */
export interface Stretch {
  readonly id: string;
  readonly from: number;
  readonly to: number;
}

function wanted(engine: Database['engine'], stretches: readonly Stretch[]): RawBuilder<unknown> {
  const list = JSON.stringify(stretches.map(({ id, from, to }) => [id, from, to]));
  const rows = engine === 'sqlite' ? sql`json_each(${list})` : sql`json_array_elements(cast(${list} as json)) as list`;
  return sql`wanted (id, since, upto) as (
    select value ->> 0, cast(value ->> 1 as bigint), cast(value ->> 2 as bigint) from ${rows})`;
}

/**
 * The segments that begin in these stretches, and so many that begin before and behind each; per device, oldest first.
 *
 * @param ahead null: all that follow
 */
export async function readSegments(
  tx: Tx,
  engine: Database['engine'],
  stretches: readonly Stretch[],
  { back, ahead, limit }: { readonly back: number; readonly ahead: number | null; readonly limit: number },
): Promise<ReadonlyMap<string, readonly SegmentRow[]>> {
  const upTo =
    ahead === null
      ? sql``
      : sql`and s.from_at <= coalesce(
          (select a.from_at from status_segments a where a.device_id = wanted.id and a.from_at > wanted.upto
            order by a.from_at limit 1 offset ${sql.raw(String(Math.max(0, ahead - 1)))}), ${Number.MAX_SAFE_INTEGER})`;
  // Crossed, so that SQLite begins with what is wanted.
  const { rows } = await sql<SegmentRow>`
    with ${wanted(engine, stretches)}
    select s.device_id, s.from_at, s.to_at, s.state, s.reason from wanted cross join status_segments s
    where s.device_id = wanted.id and s.from_at >= coalesce(
      (select b.from_at from status_segments b where b.device_id = wanted.id and b.from_at < wanted.since
        order by b.from_at desc limit 1 offset ${sql.raw(String(Math.max(0, back - 1)))}), ${Number.MIN_SAFE_INTEGER})
      ${upTo}
    limit ${limit}`.execute(tx);
  const byDevice = Map.groupBy(rows, ({ device_id: id }) => id);
  for (const own of byDevice.values()) own.sort((a, b) => a.from_at - b.from_at);
  return byDevice;
}

/** The claims of these stretches, in no order. */
export async function readClaims(
  tx: Tx,
  engine: Database['engine'],
  stretches: readonly Stretch[],
  limit: number,
): Promise<readonly ClaimRow[]> {
  const columns = sql`e.device_id, coalesce(e.observed_at, e.occurred_at) as at, e.received_at, e.inbox_id, e.seq,
    e.state, e.state_reason, e.state_vendor, e.keeps_degraded`;
  // Found by when the event happened or, where the claim is of another instant, by that one.
  const { rows } = await sql<ClaimRow>`
    with ${wanted(engine, stretches)}
    select ${columns} from wanted cross join events e
      where e.device_id = wanted.id and e.occurred_at >= wanted.since and e.occurred_at <= wanted.upto
        and e.state is not null and e.derived = 0 and e.observed_at is null
    union all
    select ${columns} from wanted cross join events e
      where e.device_id = wanted.id and e.observed_at >= wanted.since and e.observed_at <= wanted.upto
        and e.state is not null and e.derived = 0 and e.observed_at is not null
    limit ${limit}`.execute(tx);
  return rows;
}
