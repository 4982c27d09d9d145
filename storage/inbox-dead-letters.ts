import { type SqlBool, sql } from 'kysely';
import type { AccessScope } from '../schema/principal.ts';
import { visibleInOrg } from './access-conditions.ts';
import type { Database, Tx } from './database.ts';
import type { InboxRow } from './rows.ts';
import { all, type Condition, type InstantFilter, isOneOf, matchesInstant, NEVER } from './sql-conditions.ts';

/** A delivery that could not be used, without the rest of a body that can be large. */
export type DeadLetterRow = Omit<InboxRow, 'body'> & {
  /** The beginning of the body. */
  readonly head: Uint8Array;
};

/** Enough bytes for a preview of 1 KiB after it was made readable. */
const HEAD_BYTES = 1_024;

export interface DeadLetterSelection {
  readonly stages?: readonly string[] | null | undefined;
  readonly receivedAt?: InstantFilter | null | undefined;
  /** Ids as `deadLetterId` makes them. */
  readonly ids?: readonly string[] | null | undefined;
}

const DEAD_LETTER_ID = /^dead_([0-9a-f]{32})$/;

/** Opaque, and the same for as long as the letter is kept. */
export function deadLetterId(row: Pick<InboxRow, 'delivery_key'>): string {
  return `dead_${Buffer.from(row.delivery_key).toString('hex')}`;
}

/** Said in the words of the partial indexes, which the engines recognise by its text. */
export const IS_DEAD_LETTER: Condition = sql<SqlBool>`inbox.status in ('DEAD', 'REFUSED')`;

function matchesSelection({ stages, receivedAt, ids }: DeadLetterSelection): Condition {
  const conditions: Condition[] = [IS_DEAD_LETTER];
  if (stages !== null && stages !== undefined) conditions.push(isOneOf('inbox.stage', [...new Set(stages)]));
  if (receivedAt !== null && receivedAt !== undefined) conditions.push(matchesInstant('inbox.received_at', receivedAt));
  if (ids !== null && ids !== undefined) {
    const keys = ids.flatMap((id) => DEAD_LETTER_ID.exec(id)?.[1] ?? []).map((key) => Buffer.from(key, 'hex'));
    conditions.push(keys.length === 0 ? NEVER : sql<SqlBool>`inbox.delivery_key in (${sql.join(keys)})`);
  }
  return all(conditions);
}

/** Deliveries belong to an org and to no site of it: who sees some of its sites only sees none of them. */
function visibleDelivery(access: AccessScope): Condition {
  return access.siteIds === null ? visibleInOrg(access, 'inbox') : NEVER;
}

const LETTER_COLUMNS = [
  'inbox.id',
  'inbox.org_id',
  'inbox.integration_id',
  'inbox.received_at',
  'inbox.source',
  'inbox.delivery_key',
  'inbox.headers',
  'inbox.status',
  'inbox.attempts',
  'inbox.next_attempt_at',
  'inbox.stage',
  'inbox.reason',
  'inbox.settled_at',
  'inbox.diagnosis',
  'inbox.replays',
] as const;

function letters(db: Pick<Database, 'read'>, access: AccessScope, selection: DeadLetterSelection) {
  return db.read.selectFrom('inbox').where(visibleDelivery(access)).where(matchesSelection(selection));
}

/** An integration's dead letters, newest first. @param before inbox id of the last one read; null: from the newest */
export async function pageDeadLetters(
  db: Pick<Database, 'read'>,
  access: AccessScope,
  integrationId: string,
  selection: DeadLetterSelection,
  before: number | null,
  limit: number,
): Promise<readonly DeadLetterRow[]> {
  let query = letters(db, access, selection)
    .select(LETTER_COLUMNS)
    .select(sql<Uint8Array>`substr(inbox.body, 1, ${HEAD_BYTES})`.as('head'))
    .where('inbox.integration_id', '=', integrationId);
  if (before !== null) query = query.where('inbox.id', '<', before);
  return query.orderBy('inbox.id', 'desc').limit(limit).execute();
}

/** Exact. */
export async function countDeadLetters(
  db: Pick<Database, 'read'>,
  access: AccessScope,
  integrationId: string,
  selection: DeadLetterSelection,
): Promise<number> {
  const row = await letters(db, access, selection)
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('inbox.integration_id', '=', integrationId)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** Dead letters by id, without those that the scope may not see. */
export async function getDeadLetters(
  db: Pick<Database, 'read'>,
  access: AccessScope,
  ids: readonly string[],
): Promise<readonly DeadLetterRow[]> {
  return letters(db, access, { ids })
    .select(LETTER_COLUMNS)
    .select(sql<Uint8Array>`substr(inbox.body, 1, ${HEAD_BYTES})`.as('head'))
    .execute();
}

/** The oldest dead letters of a selection that can be replayed: those that were refused never can. */
export async function findReplayable(
  db: Pick<Database, 'read'>,
  integrationId: string,
  selection: DeadLetterSelection,
  after: number,
  limit: number,
): Promise<readonly number[]> {
  const rows = await db.read
    .selectFrom('inbox')
    .select('inbox.id')
    .where('inbox.integration_id', '=', integrationId)
    .where('inbox.status', '=', 'DEAD')
    .where('inbox.id', '>', after)
    .where(matchesSelection(selection))
    .orderBy('inbox.id')
    .limit(limit)
    .execute();
  return rows.map(({ id }) => id);
}

/** Gives dead letters back to the processor. Their stage stays, as the mark of a replay. */
export async function reviveDeadLetters(tx: Tx, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  await tx
    .updateTable('inbox')
    .set({
      status: 'PENDING',
      attempts: 0,
      next_attempt_at: null,
      settled_at: null,
      replays: sql<number>`replays + 1`,
    })
    .where('id', 'in', ids)
    .where('status', '=', 'DEAD')
    .execute();
}

/** Which of these still cannot be used. */
export async function stillUnusable(
  db: Pick<Database, 'read'>,
  ids: readonly number[],
): Promise<readonly DeadLetterRow[]> {
  if (ids.length === 0) return [];
  return db.read
    .selectFrom('inbox')
    .select(LETTER_COLUMNS)
    .select(sql<Uint8Array>`substr(inbox.body, 1, ${HEAD_BYTES})`.as('head'))
    .where('inbox.id', 'in', ids)
    .where('inbox.status', '!=', 'DONE')
    .orderBy('inbox.id')
    .execute();
}
