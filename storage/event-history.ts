import { type RawBuilder, type SqlBool, sql } from 'kysely';
import { fault } from '../schema/errors.ts';
import type { AccessScope } from '../schema/principal.ts';
import type { Database } from './database.ts';
import { type EventPosition, type EventSelection, type LoggedEvent, readEvents } from './event-log.ts';
import { type EventFilter, matchesEventFilter, visibleEvent } from './event-log-filter.ts';
import { ALWAYS, all, type Condition, equals, isGiven, matchesInstant } from './sql-conditions.ts';

// The log as a list, the newest first by the source's clock. However many events there are and however few of them
// match, a page looks at a bounded number of them: it walks along the index of a device, a site, an org or the whole log,
// and says where it got to when that was not enough.

/** Events that one page looks at: some ten milliseconds. */
export const MAX_LOOKED_AT = 5_000;
/** Events that a count looks at. */
export const MAX_COUNTED = 10_000;
/** Walks at once: the sites of a principal, the devices of a filter. What has more of them is walked as a whole. */
const MAX_WALKS = 50;
/** Of each of many walks at least; a place that has hardly any events must not end the page. */
const MIN_PER_WALK = 100;

export interface HistoryPage {
  /** At most as many as asked for. */
  readonly rows: readonly LoggedEvent[];
  /** Set when fewer were found although there may be more: everything newer than this was looked at. */
  readonly lookedUpTo: EventPosition | null;
}

/** The narrowest index that has all that is asked for: one walk for each value. */
function walksOf(access: AccessScope, filter: EventFilter): readonly Condition[] {
  const choices: readonly (readonly [string, readonly string[] | null])[] = [
    ['events.device_id', isGiven(filter.deviceIds) ? filter.deviceIds : null],
    ['events.site_id', both(filter.siteIds, access.siteIds)],
    [
      'events.org_id',
      both(isGiven(filter.orgId) ? [filter.orgId] : null, access.orgIds === 'all' ? null : access.orgIds),
    ],
  ];
  for (const [column, values] of choices) {
    if (values === null) continue;
    const distinct = [...new Set(values)];
    if (distinct.length <= MAX_WALKS) return distinct.map((value) => equals(column, value));
  }
  return [ALWAYS];
}

function both(
  asked: readonly string[] | null | undefined,
  allowed: readonly string[] | null,
): readonly string[] | null {
  if (!isGiven(asked)) return allowed;
  return allowed === null ? asked : asked.filter((id) => allowed.includes(id));
}

/**
 * One walk, newest first. What is outside of the scope is not counted among what was looked at: how many events others
 * have is not to be told from where a page ends.
 */
function walk(
  db: Pick<Database, 'engine'>,
  { access, filter, changesOnly, also }: EventSelection,
  along: Condition,
  after: EventPosition | null,
  limit: number,
): RawBuilder<{ seq: number; at: number; hit: number }> {
  const where = all([
    along,
    // As a value, so that no other index seems to fit better than the one to walk along.
    sql<SqlBool>`case when ${visibleEvent(access)} then 1 else 0 end = 1`,
    isGiven(filter.occurredAt) ? matchesInstant('events.occurred_at', filter.occurredAt) : ALWAYS,
    after === null ? ALWAYS : sql<SqlBool>`(events.occurred_at, events.seq) < (${after.occurredAt}, ${after.seq})`,
  ]);
  const hit = all([
    matchesEventFilter(db.engine, filter),
    changesOnly === true ? sql<SqlBool>`events.changed = 1` : ALWAYS,
    also ?? ALWAYS,
  ]);
  return sql`select events.seq as seq, events.occurred_at as at, case when ${hit} then 1 else 0 end as hit
    from events where ${where} order by events.occurred_at desc, events.seq desc limit ${limit}`;
}

function union<Row>(arms: readonly RawBuilder<Row>[]): RawBuilder<Row> {
  return sql`${sql.join(
    arms.map((arm) => sql`select * from (${arm}) as arm`),
    sql` union all `,
  )}`;
}

function perWalkOf(lookedAt: number, walks: number): number {
  return walks === 1 ? lookedAt : Math.max(Math.floor(lookedAt / walks), Math.min(MIN_PER_WALK, lookedAt));
}

/**
 * @param limit how many at most; one more than a page tells whether more follow
 * @param lookedAt events to look at, default MAX_LOOKED_AT
 */
export async function readHistory(
  db: Pick<Database, 'read' | 'engine'>,
  selection: EventSelection,
  after: EventPosition | null,
  limit: number,
  lookedAt = MAX_LOOKED_AT,
): Promise<HistoryPage> {
  const walks = walksOf(selection.access, selection.filter);
  if (walks.length === 0 || limit === 0) return { rows: [], lookedUpTo: null };
  const perWalk = perWalkOf(lookedAt, walks.length);
  // SQLite hands rows on in the order of the walk, one by one, and stops when it has enough; told to sort them, it would
  // look at all of them first. PostgreSQL sees that they are in order and does neither.
  const inOrder = db.engine === 'postgres' ? sql`order by looked.at desc, looked.seq desc` : sql``;
  const hits = union(
    walks.map((along, number) => {
      const looked = walk(db, selection, along, after, perWalk);
      return sql<{ seq: number; at: number; walk: number }>`
        select looked.seq as seq, looked.at as at, ${sql.lit(number)} as walk from (${looked}) as looked where looked.hit = 1 ${inOrder} limit ${limit}`;
    }),
  );
  const found = (await hits.execute(db.read)).rows;
  const perNumber = new Map<number, number>();
  for (const row of found) perNumber.set(Number(row.walk), (perNumber.get(Number(row.walk)) ?? 0) + 1);
  // A walk that found enough is complete down to its last; of the others it matters how far they came.
  const short = walks.filter((_, number) => (perNumber.get(number) ?? 0) < limit);
  const lookedUpTo = short.length === 0 ? null : await endsOf(db, selection, short, after, perWalk);
  const newest = found
    .filter(({ at, seq }) => lookedUpTo === null || comparePlaces({ at, seq }, lookedUpTo) >= 0)
    .toSorted((a, b) => comparePlaces(b, a))
    .slice(0, limit);
  const rows = await readEvents(
    db,
    newest.map(({ seq }) => seq),
  );
  const isShort = newest.length < limit && lookedUpTo !== null;
  return { rows, lookedUpTo: isShort ? { seq: lookedUpTo.seq, occurredAt: lookedUpTo.at } : null };
}

interface Place {
  readonly at: number;
  readonly seq: number;
}

function comparePlaces(a: Place, b: Place): number {
  return a.at - b.at || a.seq - b.seq;
}

/** The newest place at which one of these walks stopped before its end; null when all came to their end. */
async function endsOf(
  db: Pick<Database, 'read' | 'engine'>,
  selection: EventSelection,
  walks: readonly Condition[],
  after: EventPosition | null,
  perWalk: number,
): Promise<Place | null> {
  const plain: EventSelection = {
    access: selection.access,
    filter: { ...ALL, occurredAt: selection.filter.occurredAt },
  };
  const ends = union(walks.map((along) => sql<Place>`${walk(db, plain, along, after, 1)} offset ${perWalk - 1}`));
  const { rows } = await ends.execute(db.read);
  return rows.reduce<Place | null>(
    (newest, end) => (newest === null || comparePlaces(end, newest) > 0 ? end : newest),
    null,
  );
}

const ALL: EventFilter = { includeMaintenance: true, includeSuppressed: true };

/** Exact, or null when more than MAX_COUNTED events would have to be looked at. */
export async function countHistory(
  db: Pick<Database, 'read' | 'engine'>,
  selection: EventSelection,
  lookedAt = MAX_COUNTED,
): Promise<number | null> {
  const walks = walksOf(selection.access, selection.filter);
  if (walks.length === 0) return 0;
  const perWalk = perWalkOf(lookedAt, walks.length);
  const counts = union(
    walks.map(
      (along) => sql<{ looked: number; hits: number }>`
        select count(*) as looked, coalesce(sum(looked.hit), 0) as hits
        from (${walk(db, selection, along, null, perWalk + 1)}) as looked`,
    ),
  );
  const { rows } = await counts.execute(db.read);
  if (rows.some(({ looked }) => Number(looked) > perWalk)) return null;
  return rows.reduce((sum, { hits }) => sum + Number(hits), 0);
}

/** Spans of one answer: as many as a chart has points. */
export const MAX_BUCKETS = 1_000;

/** How many events were in a span of time. Instants are milliseconds since the epoch. */
export interface EventBucket {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/**
 * Counts by span, oldest first, without those in which there was nothing; null where `countHistory` is. Spans are counted
 * from the epoch: days, and what divides them, begin at midnight in UTC.
 *
 * @throws GraphQLError BAD_USER_INPUT when more than MAX_BUCKETS spans have events
 */
export async function bucketHistory(
  db: Pick<Database, 'read' | 'engine'>,
  selection: EventSelection,
  sizeMs: number,
  lookedAt = MAX_COUNTED,
): Promise<readonly EventBucket[] | null> {
  const walks = walksOf(selection.access, selection.filter);
  if (walks.length === 0) return [];
  const perWalk = perWalkOf(lookedAt, walks.length);
  const size = sql.lit(Math.round(sizeMs));
  const counts = union(
    walks.map(
      (along, number) => sql<{ walk: number; start: number; looked: number; hits: number }>`
        select ${sql.lit(number)} as walk, looked.at - ((looked.at % ${size}) + ${size}) % ${size} as start,
          count(*) as looked, coalesce(sum(looked.hit), 0) as hits
        from (${walk(db, selection, along, null, perWalk + 1)}) as looked group by 1, 2`,
    ),
  );
  const { rows } = await counts.execute(db.read);
  const looked = new Map<number, number>();
  const hits = new Map<number, number>();
  for (const row of rows) {
    looked.set(row.walk, (looked.get(row.walk) ?? 0) + Number(row.looked));
    if (Number(row.hits) > 0) hits.set(Number(row.start), (hits.get(Number(row.start)) ?? 0) + Number(row.hits));
  }
  if ([...looked.values()].some((count) => count > perWalk)) return null;
  if (hits.size > MAX_BUCKETS) {
    throw fault('BAD_USER_INPUT', `More than ${MAX_BUCKETS} spans of this size have events.`, { limit: MAX_BUCKETS });
  }
  return [...hits]
    .toSorted(([a], [b]) => a - b)
    .map(([from, count]) => ({ from, to: from + Math.round(sizeMs), count }));
}
