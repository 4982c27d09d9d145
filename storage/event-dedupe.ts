import { sql } from 'kysely';
import type { Database, Tx } from './database.ts';
import { isKeyIn } from './key-list.ts';

// The memory of what was seen, for events. Deliveries have theirs in inbox.ts.

export interface Candidate {
  /** What all its keys end in: 12 bytes, in hex. */
  readonly identity: string;
  /** What they may begin with where it is remembered: 4 bytes as a number. */
  readonly prefixes: readonly number[];
  /** Its key in the log, which keeps events for longer than the memory lasts. */
  readonly eventKey: Uint8Array;
}

const PREFIX_BYTES = 4;
const IDENTITY_HEX = 24;

function hex(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex');
}

function identityIn(key: Uint8Array): string {
  return hex(key.subarray(PREFIX_BYTES));
}

function prefixHex(prefix: number): string {
  return prefix.toString(16).padStart(2 * PREFIX_BYTES, '0');
}

/**
 * Which of these were seen before.
 *
 * @returns by identity, the key under which its repetitions are counted; null when only the log still knows it
 */
export async function findRemembered(
  { engine }: Pick<Database, 'engine'>,
  tx: Tx,
  candidates: readonly Candidate[],
): Promise<ReadonlyMap<string, Buffer | null>> {
  const found = new Map<string, Buffer | null>();
  // Candidates of one batch were received on one day, or two.
  for (const [prefixes, group] of Map.groupBy(candidates, (each) => each.prefixes.map(prefixHex).join(' '))) {
    for (const { key } of await readKeys(engine, tx, prefixes.split(' '), group)) {
      found.set(identityIn(key), Buffer.from(key));
    }
  }
  const unseen = candidates.filter(({ identity }) => !found.has(identity));
  if (unseen.length === 0) return found;
  const keys = unseen.map(({ eventKey }) => eventKey);
  const logged = await tx
    .selectFrom('events')
    .select('key')
    .where(isKeyIn(engine, 'events.key', keys))
    .execute();
  for (const { key } of logged) found.set(identityIn(key), null);
  return found;
}

/**
 * Keys that begin with one of the prefixes and end in one of the identities: put together by the database, each of them
 * an index probe, and in order, so that neighbours are on one page. Prefixes that nothing begins with cost one probe.
 */
async function readKeys(
  engine: Database['engine'],
  tx: Tx,
  prefixes: readonly string[],
  candidates: readonly Candidate[],
): Promise<readonly { readonly key: Uint8Array }[]> {
  const [starts, ends] = [JSON.stringify(prefixes), JSON.stringify(candidates.map((each) => each.identity).toSorted())];
  const [lowest, highest] = ['0'.repeat(IDENTITY_HEX), 'f'.repeat(IDENTITY_HEX)];
  // With a limit the prefixes are settled first; without it SQLite asks for each identity again whether there are any.
  const { rows } =
    engine === 'sqlite'
      ? await sql<{ key: Uint8Array }>`
          select dedupe.key from (
            select value from json_each(${starts}) as each_start where exists (
              select 1 from dedupe as any_of where any_of.key >= unhex(each_start.value || ${lowest})
                and any_of.key <= unhex(each_start.value || ${highest})) limit ${prefixes.length}) as start
          cross join json_each(${ends}) as ending cross join dedupe
          where dedupe.key = unhex(start.value || ending.value)`.execute(tx)
      : await sql<{ key: Uint8Array }>`
          select dedupe.key from dedupe where dedupe.key in (
            select decode(start || ending, 'hex') from json_array_elements_text(cast(${starts} as json)) as start
            cross join json_array_elements_text(cast(${ends} as json)) as ending)`.execute(tx);
  return rows;
}

/** One more delivery for each key; a key that is listed n times is counted n times. */
export async function countDuplicates(
  { engine }: Pick<Database, 'engine'>,
  tx: Tx,
  keys: readonly Uint8Array[],
): Promise<void> {
  const times = new Map<string, number>();
  for (const key of keys) times.set(hex(key), (times.get(hex(key)) ?? 0) + 1);
  const byTimes = Map.groupBy(times.entries(), ([, count]) => count);
  for (const [count, group] of byTimes) {
    await tx
      .updateTable('dedupe')
      .set({ duplicates: sql<number>`duplicates + ${count}` })
      .where(
        isKeyIn(
          engine,
          'dedupe.key',
          group.map(([key]) => Buffer.from(key, 'hex')),
        ),
      )
      .execute();
  }
}

/** Remembers events that were logged just now. */
export async function rememberEvents(
  db: Database,
  tx: Tx,
  events: readonly {
    readonly key: Uint8Array;
    readonly seq: number;
    readonly duplicates: number;
    readonly seenAt: number;
  }[],
): Promise<void> {
  await db.bulkInsert(tx, {
    table: 'dedupe',
    columns: ['key', 'kind', 'ref', 'duplicates', 'seen_at'],
    rows: events.map(({ key, seq, duplicates, seenAt }) => [key, 'event', seq, duplicates, seenAt]),
  });
}

/** How often each key was repeated; keys that are not remembered are left out. @returns by hex of the key */
export async function readDuplicateCounts(
  db: Pick<Database, 'read' | 'engine'>,
  keys: readonly Uint8Array[],
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  if (keys.length === 0) return counts;
  const rows = await db.read
    .selectFrom('dedupe')
    .select(['key', 'duplicates'])
    .where(isKeyIn(db.engine, 'dedupe.key', keys))
    .execute();
  for (const { key, duplicates } of rows) counts.set(hex(key), duplicates);
  return counts;
}
