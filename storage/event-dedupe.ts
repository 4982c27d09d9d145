import { sql } from 'kysely';
import type { Database, Tx } from './database.ts';
import { isKeyIn } from './key-list.ts';

// The memory of what was seen, for events. Deliveries have theirs in inbox.ts.

export interface Candidate {
  readonly identity: string;
  /** Under any of which it may be remembered. */
  readonly dedupeKeys: readonly Uint8Array[];
  /** Its key in the log, which keeps events for longer than the memory lasts. */
  readonly eventKey: Uint8Array;
}

function hex(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex');
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
  const byKey = new Map<string, string>();
  const keys: Uint8Array[] = [];
  for (const { identity, dedupeKeys } of candidates) {
    for (const key of dedupeKeys) {
      byKey.set(hex(key), identity);
      keys.push(key);
    }
  }
  const found = new Map<string, Buffer | null>();
  if (keys.length === 0) return found;
  const rows = await tx
    .selectFrom('dedupe')
    .select('key')
    .where(isKeyIn(engine, 'dedupe.key', keys))
    .execute();
  for (const { key } of rows) {
    const identity = byKey.get(hex(key));
    if (identity !== undefined) found.set(identity, Buffer.from(key));
  }
  const unseen = candidates.filter(({ identity }) => !found.has(identity));
  const byEventKey = new Map(unseen.map(({ eventKey, identity }) => [hex(eventKey), identity]));
  if (unseen.length === 0) return found;
  const logged = await tx
    .selectFrom('events')
    .select('key')
    .where(
      isKeyIn(
        engine,
        'events.key',
        unseen.map(({ eventKey }) => eventKey),
      ),
    )
    .execute();
  for (const { key } of logged) {
    const identity = byEventKey.get(hex(key));
    if (identity !== undefined) found.set(identity, null);
  }
  return found;
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
