import { sql } from 'kysely';
import type { AccessScope } from '../schema/principal.ts';
import type { Database, Tx } from './database.ts';
import { type EventFilter, matchesEventFilter, visibleEvent } from './event-log-filter.ts';
import type { EventRow } from './rows.ts';
import type { Condition } from './sql-conditions.ts';

/**
 * An event without the platform's own record, which can be large and is read when it is asked for, and without what only
 * the fold of its claim needs.
 */
export type LoggedEvent = Omit<EventRow, 'raw' | 'observed_at' | 'keeps_degraded' | 'state_vendor' | 'derived'>;

const COLUMNS = [
  'seq',
  'key',
  'org_id',
  'site_id',
  'device_id',
  'integration_id',
  'inbox_id',
  'family',
  'type',
  'severity',
  'occurred_at',
  'received_at',
  'clock_skew_ms',
  'late',
  'vendor_event_id',
  'vendor_code',
  'origin',
  'summary',
  'state',
  'previous_state',
  'state_reason',
  'changed',
  'details',
  'media',
  'suppressed',
  'in_maintenance',
  'incident_id',
  'device_type',
] as const satisfies readonly (keyof LoggedEvent)[];

const QUALIFIED = COLUMNS.map((column) => `events.${column}` as const);

/** Name of the fact in `meta`: events up to this number may be gone. */
const TAIL = 'events_tail';

/** Appends events whose numbers were taken in this transaction. */
export async function insertEvents(db: Database, tx: Tx, rows: readonly EventRow[]): Promise<void> {
  const columns = [...COLUMNS, 'raw', 'observed_at', 'keeps_degraded', 'state_vendor', 'derived'] as const;
  await db.bulkInsert(tx, { table: 'events', columns, rows: rows.map((row) => columns.map((column) => row[column])) });
}

/** Everything of the log behind a number, in order; `upTo` must be a committed head. For the tailer: no scope. */
export async function readLog(
  db: Pick<Database, 'read'>,
  span: { readonly after: number; readonly upTo: number; readonly limit: number },
): Promise<readonly LoggedEvent[]> {
  return db.read
    .selectFrom('events')
    .select(COLUMNS)
    .where('seq', '>', span.after)
    .where('seq', '<=', span.upTo)
    .orderBy('seq')
    .limit(span.limit)
    .execute();
}

/** Which part of the log a principal asks for. */
export interface EventSelection {
  readonly access: AccessScope;
  readonly filter: EventFilter;
  /** Only events that moved a device's state. */
  readonly changesOnly?: boolean;
  /** What else must hold of a row of `events`. */
  readonly also?: Condition;
}

function selected(db: Pick<Database, 'read' | 'engine'>, { access, filter, changesOnly, also }: EventSelection) {
  let query = db.read.selectFrom('events').where(visibleEvent(access)).where(matchesEventFilter(db.engine, filter));
  if (changesOnly === true) query = query.where('events.changed', '=', 1);
  return also === undefined ? query : query.where(also);
}

/** The visible and matching part of the log behind a number, in order; `upTo` must be a committed head. */
export async function readSelection(
  db: Pick<Database, 'read' | 'engine'>,
  selection: EventSelection,
  span: { readonly after: number; readonly upTo: number; readonly limit: number },
): Promise<readonly LoggedEvent[]> {
  return selected(db, selection)
    .select(QUALIFIED)
    .where('events.seq', '>', span.after)
    .where('events.seq', '<=', span.upTo)
    .orderBy('events.seq')
    .limit(span.limit)
    .execute();
}

/** Where an entry stands in a list that shows the newest first. */
export interface EventPosition {
  readonly seq: number;
  readonly occurredAt: number;
}

function newestFirst(db: Pick<Database, 'read' | 'engine'>, selection: EventSelection, after: EventPosition | null) {
  const query = selected(db, selection)
    .select(QUALIFIED)
    .orderBy('events.occurred_at', 'desc')
    .orderBy('events.seq', 'desc');
  return after === null
    ? query
    : query.where(sql<boolean>`(events.occurred_at, events.seq) < (${after.occurredAt}, ${after.seq})`);
}

/** Lists in one statement: SQLite allows 500 terms of a compound select, and a plan grows with each. */
const LISTS_PER_QUERY = 50;

/**
 * The same page of many devices at once, each a short walk along its own index.
 *
 * @returns by device id; devices without events are absent
 */
export async function pageEventsOfDevices(
  db: Pick<Database, 'read' | 'engine'>,
  deviceIds: readonly string[],
  selection: EventSelection,
  after: EventPosition | null,
  limit: number,
): Promise<ReadonlyMap<string, readonly LoggedEvent[]>> {
  const byDevice = new Map<string, readonly LoggedEvent[]>();
  for (let start = 0; start < deviceIds.length; start += LISTS_PER_QUERY) {
    const lists = deviceIds
      .slice(start, start + LISTS_PER_QUERY)
      .map((id) => newestFirst(db, selection, after).where('events.device_id', '=', id).limit(limit).as('list'))
      .map((list) => db.read.selectFrom(list).selectAll());
    const [first, ...rest] = lists;
    if (first === undefined) continue;
    const rows = await rest.reduce((query, list) => query.unionAll(list), first).execute();
    for (const [id, list] of Map.groupBy(rows, (row) => row.device_id ?? '')) {
      byDevice.set(
        id,
        list.toSorted((a, b) => b.occurred_at - a.occurred_at || b.seq - a.seq),
      );
    }
  }
  return byDevice;
}

/** Events by number, newest first by the source's clock, of which the caller knows that they may be seen. */
export async function readEvents(db: Pick<Database, 'read'>, seqs: readonly number[]): Promise<readonly LoggedEvent[]> {
  if (seqs.length === 0) return [];
  return db.read
    .selectFrom('events')
    .select(QUALIFIED)
    .where('events.seq', 'in', seqs)
    .orderBy('events.occurred_at', 'desc')
    .orderBy('events.seq', 'desc')
    .execute();
}

/** Events by key, without those that the scope may not see. */
export async function getEvents(
  db: Pick<Database, 'read'>,
  access: AccessScope,
  keys: readonly Uint8Array[],
): Promise<readonly LoggedEvent[]> {
  if (keys.length === 0) return [];
  return db.read
    .selectFrom('events')
    .select(QUALIFIED)
    .where('events.key', 'in', keys)
    .where(visibleEvent(access))
    .execute();
}

/** The platform's own records, as JSON text, of events that the caller has seen. @returns by number */
export async function readRaw(
  db: Pick<Database, 'read'>,
  seqs: readonly number[],
): Promise<ReadonlyMap<number, string | null>> {
  if (seqs.length === 0) return new Map();
  const rows = await db.read.selectFrom('events').select(['seq', 'raw']).where('seq', 'in', seqs).execute();
  return new Map(rows.map(({ seq, raw }) => [seq, raw]));
}

/** How far back the log is complete: everything behind this number is there. */
export async function readTail(db: Pick<Database, 'read'>): Promise<number> {
  const row = await db.read.selectFrom('meta').select('value').where('key', '=', TAIL).executeTakeFirst();
  return row === undefined ? 0 : Number(row.value);
}

/**
 * Forgets the oldest events, up to `limit` of those received before an instant, and remembers that it did.
 *
 * @param before milliseconds since the epoch @returns how many
 */
export async function trimEvents(tx: Tx, before: number, limit: number): Promise<number> {
  // Numbers and receipt go up together but for moments, so the oldest numbers are the oldest receipts.
  const oldest = await tx.selectFrom('events').select(['seq', 'received_at']).orderBy('seq').limit(limit).execute();
  const kept = oldest.findIndex(({ received_at }) => received_at >= before);
  const count = kept === -1 ? oldest.length : kept;
  const last = oldest[count - 1];
  if (last === undefined) return 0;
  await tx.deleteFrom('events').where('seq', '<=', last.seq).execute();
  await tx
    .insertInto('meta')
    .values({ key: TAIL, value: String(last.seq) })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: String(last.seq) }))
    .execute();
  return count;
}
