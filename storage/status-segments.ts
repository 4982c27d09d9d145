import { type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { badCursor, type Page, type PageArgs } from './connection.ts';
import type { CursorCodec } from './cursor.ts';
import type { Database } from './database.ts';
import type { DeviceRow } from './rows.ts';
import { all, type Condition, equals, isOneOf } from './sql-conditions.ts';
import { readMaintenanceOf, windowsByDevice } from './maintenance-windows.ts';

/** A span of a device's time in one state. Milliseconds. */
export interface StatusSegment {
  readonly deviceId: string;
  readonly from: number;
  /** Null while it lasts. */
  readonly to: number | null;
  readonly state: string;
  readonly reason: string | null;
  /** Planned work fell into it. */
  readonly maintenance: boolean;
}

/** Milliseconds; `to` is behind the last. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** What of a device its history needs. Whoever asks may see it. */
export type HistoryDevice = Pick<
  DeviceRow,
  | 'id'
  | 'org_id'
  | 'site_id'
  | 'integration_id'
  | 'state'
  | 'state_reason'
  | 'state_since'
  | 'first_seen_at'
  | 'removed_at'
>;

export type PlainSegment = Omit<StatusSegment, 'maintenance'>;

/** A segment as stored. Instants are milliseconds since the epoch, by the source's clock. */
export interface SegmentRow {
  readonly device_id: string;
  readonly from_at: number;
  readonly to_at: number | null;
  readonly state: string;
  readonly reason: string | null;
}

const CURSOR = 'status history';
const Place = z.tuple([z.string(), z.number()]);

function within({ from, to }: Span): Condition {
  return sql<SqlBool>`status_segments.from_at < ${to} and (status_segments.to_at is null or status_segments.to_at > ${from})`;
}

export function toSegment(row: SegmentRow): PlainSegment {
  return { deviceId: row.device_id, from: row.from_at, to: row.to_at, state: row.state, reason: row.reason };
}

/** Of a device whose history was never written: all that is known is its state now and since when. */
export function onlySegment(device: HistoryDevice): PlainSegment {
  return {
    deviceId: device.id,
    from: device.state_since,
    to: null,
    state: device.state,
    reason: device.state_reason,
  };
}

/** Those of these devices that have no segment at all. */
export async function withoutHistory(
  db: Database,
  devices: readonly HistoryDevice[],
): Promise<readonly HistoryDevice[]> {
  if (devices.length === 0) return [];
  const rows = await db.read
    .selectFrom('devices')
    .select('devices.id')
    .where(
      isOneOf(
        'devices.id',
        devices.map(({ id }) => id),
      ),
    )
    .where(sql<SqlBool>`not exists (select 1 from status_segments where status_segments.device_id = devices.id)`)
    .execute();
  const ids = new Set(rows.map(({ id }) => id));
  return devices.filter(({ id }) => ids.has(id));
}

/**
 * One page of each device's history within a span, newest first, in one statement for all of them.
 *
 * @throws GraphQLError BAD_CURSOR
 */
export async function readSegmentPages(
  db: Database,
  cursors: CursorCodec,
  devices: readonly HistoryDevice[],
  span: Span,
  { first, after }: PageArgs,
): Promise<ReadonlyMap<string, Page<StatusSegment>>> {
  const ids = devices.map(({ id }) => id);
  const conditions = [isOneOf('status_segments.device_id', ids), within(span)];
  let before: number | null = null;
  if (after !== null) {
    const place = Place.safeParse(cursors.decode(CURSOR, after));
    // A cursor is a place in one device's history.
    if (!place.success || ids.some((id) => id !== place.data[0])) throw badCursor();
    before = place.data[1];
    conditions.push(sql<SqlBool>`status_segments.from_at < ${before}`);
  }
  const { rows } = await sql<SegmentRow>`
    select device_id, from_at, to_at, state, reason from (
      select status_segments.*, row_number() over (partition by device_id order by from_at desc) as place
      from status_segments where ${all(conditions)}
    ) as placed where place <= ${first + 1} order by device_id, from_at desc`.execute(db.read);
  const found = Map.groupBy(rows.map(toSegment), ({ deviceId }) => deviceId);
  const missing = await withoutHistory(
    db,
    devices.filter(({ id }) => !found.has(id)),
  );
  for (const device of missing) {
    const only = onlySegment(device);
    if (only.from < (before ?? span.to)) found.set(device.id, [only]);
  }
  const windowsOf = windowsByDevice(await readMaintenanceOf(db, devices, earliest(found, span)));
  return new Map(
    devices.map((device) => {
      const own = windowsOf(device);
      const segments = (found.get(device.id) ?? []).map((segment) => ({
        ...segment,
        maintenance: own.some(({ from, to }) => from < (segment.to ?? span.to) && to > segment.from),
      }));
      const page: Page<StatusSegment> = {
        rows: segments.slice(0, first),
        hasNextPage: segments.length > first,
        hasPreviousPage: after !== null,
        cursorOf: (row) => cursors.encode(CURSOR, [row.deviceId, row.from]),
      };
      return [device.id, page] as const;
    }),
  );
}

/** Segments reach out of the span that they were asked for with. */
function earliest(found: ReadonlyMap<string, readonly PlainSegment[]>, span: Span): Span {
  const starts = [...found.values()].map((segments) => segments.at(-1)?.from ?? span.from);
  return { from: starts.reduce((min, from) => Math.min(min, from), span.from), to: span.to };
}

/** How many segments each device has within a span. */
export async function countSegments(
  db: Database,
  devices: readonly HistoryDevice[],
  span: Span,
): Promise<ReadonlyMap<string, number>> {
  const rows = await db.read
    .selectFrom('status_segments')
    .select(['device_id', (eb) => eb.fn.countAll<number>().as('total')])
    .where(
      isOneOf(
        'status_segments.device_id',
        devices.map(({ id }) => id),
      ),
    )
    .where(within(span))
    .groupBy('device_id')
    .execute();
  const counts = new Map(rows.map((row) => [row.device_id, row.total]));
  const missing = await withoutHistory(
    db,
    devices.filter(({ id }) => !counts.has(id)),
  );
  for (const device of missing) if (device.state_since < span.to) counts.set(device.id, 1);
  return counts;
}

/** Every segment of one of these devices that lies in a span at least in part, in order of time; at most `limit`. */
export async function readSegments(
  db: Database,
  deviceIds: readonly string[],
  span: Span,
  limit: number,
): Promise<readonly PlainSegment[]> {
  const rows = await db.read
    .selectFrom('status_segments')
    .select(['device_id', 'from_at', 'to_at', 'state', 'reason'])
    .where(
      deviceIds.length === 1
        ? equals('status_segments.device_id', deviceIds[0] ?? '')
        : isOneOf('status_segments.device_id', deviceIds),
    )
    .where(within(span))
    .orderBy('device_id')
    .orderBy('from_at')
    .limit(limit)
    .execute();
  return rows.map(toSegment);
}
