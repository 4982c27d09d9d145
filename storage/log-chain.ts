import { createHash, type Hash } from 'node:crypto';
import { sql } from 'kysely';
import type { Database, Tx } from './database.ts';
import { readTail } from './event-log.ts';
import type { EventRow } from './rows.ts';
import type { LogChainTable } from './tables.ts';

// Seals over the log. A flipped bit, a row that went or came, in a file or in a backup of it, changes the hash of its
// segment and with it all that follow. Whoever can write the database can write the seals anew: keep the last hash, which
// every backup's manifest has, elsewhere.

/** Events of one segment: small enough to be read at once, large enough that the seals cost nothing. */
export const SEGMENT_EVENTS = 1_000;
/** A log that grows slowly is sealed all the same, in milliseconds after the receipt of its oldest event. */
const SEAL_AFTER_MS = 3_600_000;
/** What the first segment names as the one before it. */
const GENESIS = new Uint8Array(32);

/** What never changes of an event, in the order in which it is hashed. A new column is not added: old hashes would not hold. */
const SEALED = [
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
  'vendor_event_id',
  'vendor_code',
  'origin',
  'summary',
  'state',
  'state_reason',
  'details',
  'media',
  'raw',
] as const satisfies readonly (keyof EventRow)[];

type Read = Pick<Database, 'read'>;
type Seal = LogChainTable;
type SealedEvent = Pick<EventRow, (typeof SEALED)[number]>;

export interface Segment {
  readonly afterSeq: number;
  readonly toSeq: number;
  readonly events: number;
  /** Hex. */
  readonly hash: string;
}

function readSegment(db: Read, afterSeq: number, toSeq: number | null, limit: number): Promise<readonly SealedEvent[]> {
  let query = db.read.selectFrom('events').select(SEALED).where('seq', '>', afterSeq);
  if (toSeq !== null) query = query.where('seq', '<=', toSeq);
  return query.orderBy('seq').limit(limit).execute();
}

/** JSON, so that no two rows spell the same, and both engines spell them alike. */
function addTo(hash: Hash, event: SealedEvent): void {
  const values = SEALED.map((column) => {
    const value = event[column];
    return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
  });
  hash.update(JSON.stringify(values)).update('\n');
}

function hashOf(previous: Uint8Array, events: readonly SealedEvent[]): Buffer {
  const hash = createHash('sha256').update(previous);
  for (const event of events) addTo(hash, event);
  return hash.digest();
}

async function lastSeal({ read }: Read) {
  return read.selectFrom('log_chain').selectAll().orderBy('to_seq', 'desc').limit(1).executeTakeFirst();
}

/**
 * Seals the next segment when it is full, or when its oldest event waited for an hour. Several processes may do it.
 *
 * @param now milliseconds since the epoch
 * @returns how many events were sealed; 0 when none are due
 */
export async function sealNextSegment(db: Database, now: number): Promise<number> {
  const [last, tail, head] = await Promise.all([lastSeal(db), readTail(db), db.head()]);
  const previous = last?.hash ?? GENESIS;
  // Events that were forgotten before anybody sealed them are behind the tail.
  const afterSeq = Math.max(last?.to_seq ?? 0, tail);
  const events = await readSegment(db, afterSeq, head, SEGMENT_EVENTS);
  const [first, newest] = [events[0], events.at(-1)];
  if (first === undefined || newest === undefined) return 0;
  if (events.length < SEGMENT_EVENTS && now - first.received_at < SEAL_AFTER_MS) return 0;
  const hash = hashOf(previous, events);
  await db.write((tx) =>
    tx
      .insertInto('log_chain')
      .values({ to_seq: newest.seq, after_seq: afterSeq, events: events.length, previous, hash, made_at: now })
      // Another process was faster.
      .onConflict((conflict) => conflict.doNothing())
      .execute(),
  );
  return events.length;
}

/** Seals of which every event is gone; the last one stays, because the next names it. @returns how many rows went */
export async function trimSeals(tx: Tx, limit: number): Promise<number> {
  const result = await sql`delete from log_chain where to_seq in (
    select to_seq from log_chain
    where to_seq <= (select cast(value as bigint) from meta where key = 'events_tail')
      and to_seq < (select max(to_seq) from log_chain)
    order by to_seq limit ${limit})`.execute(tx);
  return Number(result.numAffectedRows ?? 0n);
}

export interface ChainVerdict {
  readonly segments: number;
  readonly events: number;
  /** Events behind the last seal: nothing is known of these. */
  readonly unsealed: number;
  /** Of the last seal, in hex; null when there is none. */
  readonly head: string | null;
  /** Segments that do not hold, and why. */
  readonly broken: readonly (Segment & { readonly reason: 'CONTENT' | 'ORDER' })[];
}

/** Computes every seal again whose events are all there. Reads the whole log: some 15 s for a million events. */
export async function verifyChain(db: Read): Promise<ChainVerdict> {
  const tail = await readTail(db);
  const broken: ChainVerdict['broken'][number][] = [];
  const sum = { segments: 0, events: 0 };
  let before: Seal | undefined;
  for (;;) {
    const seal = await sealBehind(db, before?.to_seq ?? -1);
    if (seal === undefined) break;
    const segment = {
      afterSeq: seal.after_seq,
      toSeq: seal.to_seq,
      events: seal.events,
      hash: Buffer.from(seal.hash).toString('hex'),
    };
    if (before !== undefined && !follows(before, seal, tail)) broken.push({ ...segment, reason: 'ORDER' });
    if (seal.after_seq >= tail) {
      const rows = await readSegment(db, seal.after_seq, seal.to_seq, SEGMENT_EVENTS + 1);
      const isSame = rows.length === seal.events && Buffer.compare(hashOf(seal.previous, rows), seal.hash) === 0;
      if (!isSame) broken.push({ ...segment, reason: 'CONTENT' });
      sum.events += rows.length;
    }
    sum.segments += 1;
    before = seal;
  }
  const { count } = await db.read
    .selectFrom('events')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('seq', '>', before?.to_seq ?? 0)
    .executeTakeFirstOrThrow();
  const head = before === undefined ? null : Buffer.from(before.hash).toString('hex');
  return { ...sum, unsealed: Number(count), head, broken };
}

function sealBehind({ read }: Read, seq: number): Promise<Seal | undefined> {
  return read
    .selectFrom('log_chain')
    .selectAll()
    .where('to_seq', '>', seq)
    .orderBy('to_seq')
    .limit(1)
    .executeTakeFirst();
}

/** Between the end of one segment and the start of the next only what was forgotten unsealed may lie. */
function follows(before: Seal, seal: Seal, tail: number): boolean {
  if (Buffer.compare(seal.previous, before.hash) !== 0) return false;
  return seal.after_seq === before.to_seq || (seal.after_seq > before.to_seq && seal.after_seq <= tail);
}
