import { type SqlBool, sql } from 'kysely';
import type { Database } from './database.ts';
import { isKeyIn } from './key-list.ts';
import type { InboxRow } from './rows.ts';
import { any, type Condition } from './sql-conditions.ts';

// What became of deliveries and events, for the sender who asks. Nothing here has an index of its own: writing goes first.

/** What is remembered of an event or a delivery for seven days. */
export interface Remembered {
  readonly key: Uint8Array;
  readonly kind: string;
  /** Its number in the log, of an event. */
  readonly ref: number;
  readonly duplicates: number;
  /** When it arrived, in milliseconds since the epoch. */
  readonly seen_at: number;
}

export async function readRemembered(
  db: Pick<Database, 'read' | 'engine'>,
  keys: readonly Uint8Array[],
): Promise<readonly Remembered[]> {
  if (keys.length === 0) return [];
  return db.read
    .selectFrom('dedupe')
    .select(['key', 'kind', 'ref', 'duplicates', 'seen_at'])
    .where(isKeyIn(db.engine, 'dedupe.key', keys))
    .execute();
}

export interface ReceiptEvent {
  readonly seq: number;
  readonly key: Uint8Array;
  readonly type: string;
  readonly late: number;
  readonly received_at: number;
  readonly inbox_id: number | null;
}

/** Events of the log by number, those of one integration only. */
export async function readReceiptEvents(
  db: Pick<Database, 'read'>,
  integrationId: string,
  seqs: readonly number[],
): Promise<readonly ReceiptEvent[]> {
  if (seqs.length === 0) return [];
  return db.read
    .selectFrom('events')
    .select(['seq', 'key', 'type', 'late', 'received_at', 'inbox_id'])
    .where('seq', 'in', seqs)
    .where('integration_id', '=', integrationId)
    .execute();
}

export type ReceiptDelivery = Pick<
  InboxRow,
  | 'id'
  | 'delivery_key'
  | 'status'
  | 'stage'
  | 'reason'
  | 'headers'
  | 'received_at'
  | 'diagnosis'
  | 'replays'
  | 'source'
  | 'body'
>;

const DELIVERY_COLUMNS = [
  'id',
  'delivery_key',
  'status',
  'stage',
  'reason',
  'headers',
  'received_at',
  'diagnosis',
  'replays',
  'source',
  'body',
] as const;

/** How deliveries that brought events were processed. @returns by inbox id */
export async function readProcessing(
  db: Pick<Database, 'read'>,
  ids: readonly number[],
): Promise<ReadonlyMap<number, Pick<InboxRow, 'delivery_key' | 'replays'>>> {
  if (ids.length === 0) return new Map();
  const rows = await db.read
    .selectFrom('inbox')
    .select(['id', 'delivery_key', 'replays'])
    .where('id', 'in', ids)
    .execute();
  return new Map(rows.map(({ id, ...row }) => [id, row]));
}

/** Deliveries that wait or failed, of which bodies are searched: the newest. */
const MAX_SEARCHED = 2_000;
/** Longer bodies are lists of devices, not events. */
const MAX_SEARCHED_BYTES = 64 * 1_024;
/** Found in a search: more of them than ids were asked for are repetitions. */
const MAX_FOUND = 100;

function contains(engine: Database['engine'], text: string): Condition {
  const bytes = Buffer.from(text, 'utf8');
  return engine === 'sqlite'
    ? sql<SqlBool>`instr(body, ${bytes}) > 0`
    : sql<SqlBool>`position(cast(${bytes} as bytea) in body) > 0`;
}

/** Deliveries of the integration that wait or failed and hold one of these texts, newest first; among the newest 2,000 of each. */
export async function searchUnsettled(
  db: Pick<Database, 'read' | 'engine'>,
  integrationId: string,
  texts: readonly string[],
): Promise<readonly ReceiptDelivery[]> {
  if (texts.length === 0) return [];
  const found: ReceiptDelivery[] = [];
  for (const status of ['PENDING', 'DEAD']) {
    const newest = db.read
      .selectFrom('inbox')
      .select('id')
      .where('integration_id', '=', integrationId)
      .where('status', '=', status)
      .orderBy('id', 'desc')
      .limit(MAX_SEARCHED);
    const rows = await db.read
      .selectFrom('inbox')
      .select(DELIVERY_COLUMNS)
      .where('id', 'in', newest)
      .where(sql<SqlBool>`length(body) <= ${MAX_SEARCHED_BYTES}`)
      .where(any(texts.map((text) => contains(db.engine, text))))
      .orderBy('id', 'desc')
      .limit(MAX_FOUND)
      .execute();
    found.push(...rows);
  }
  return found;
}

/** Rows of the inbox come in the order of arrival but for what shares a flush, and clocks of several processes. */
const DISORDER_MS = 1_000;
/** Rows that are looked at around an instant. */
const MAX_NEAR = 20_000;

/** The first inbox id that arrived at or after an instant, as far as ids are in the order of arrival. */
async function firstIdSince(db: Pick<Database, 'read'>, at: number): Promise<number> {
  const range = await db.read
    .selectFrom('inbox')
    .select(({ fn }) => [fn.min('id').as('low'), fn.max('id').as('high')])
    .executeTakeFirst();
  let low = Number(range?.low ?? 0);
  let high = Number(range?.high ?? 0) + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const row = await db.read
      .selectFrom('inbox')
      .select(['id', 'received_at'])
      .where('id', '>=', middle)
      .orderBy('id')
      .limit(1)
      .executeTakeFirst();
    if (row === undefined || row.received_at >= at) high = middle;
    else low = row.id + 1;
  }
  return low;
}

/**
 * A delivery by its key, found by when it arrived: some twenty probes of the primary key. Null when it is forgotten, or
 * when our clock was set back around that time.
 */
export async function findDelivery(
  db: Pick<Database, 'read'>,
  integrationId: string,
  key: Uint8Array,
  receivedAt: number,
): Promise<ReceiptDelivery | null> {
  const from = await firstIdSince(db, receivedAt - DISORDER_MS);
  const row = await db.read
    .selectFrom('inbox')
    .select(DELIVERY_COLUMNS)
    .where('id', '>=', from)
    .where('id', '<', from + MAX_NEAR)
    .where('received_at', '=', receivedAt)
    .where('delivery_key', '=', key)
    .where('integration_id', '=', integrationId)
    .limit(1)
    .executeTakeFirst();
  return row ?? null;
}
