import { type CompiledQuery, sql } from 'kysely';
import type { AccessScope } from '../schema/principal.ts';
import { accessText } from './access-conditions.ts';
import type { Database } from './database.ts';
import { isOneOf } from './sql-conditions.ts';

/** In rows: about 1 KB each, so that a full cache holds some 50 MB. */
const MAX_WEIGHT = 50_000;
/** Keys cost memory too, when answers are small. */
const MAX_ENTRIES = 5_000;
/** Scopes whose prepared question is kept. */
const MAX_SCOPES = 1_000;

/** Answers that stay good until an org that they speak of moves on. */
export interface RevisionCache {
  /**
   * The answer for this key, from memory when no org of the scope has changed since it was read: never older than the
   * moment of the call. Concurrent readers share one `load`; what fails is not kept.
   *
   * @param access whose orgs the answer depends on, and what may be seen of them
   * @param key everything else that the answer depends on
   * @param load must not depend on the clock
   * @param weigh how many rows the answer holds
   */
  read<T>(access: AccessScope, key: string, load: () => Promise<T>, weigh: (answer: T) => number): Promise<T>;
}

interface Entry {
  readonly stamp: string;
  readonly answer: Promise<unknown>;
  weight: number;
}

export function createRevisionCache(db: Database): RevisionCache {
  const entries = new Map<string, Entry>();
  const questions = new Map<string, CompiledQuery<{ stamp: number }>>();
  const pending = new Map<string, Promise<string>>();
  let weight = 0;

  function question(scope: string, access: AccessScope): CompiledQuery<{ stamp: number }> {
    const known = questions.get(scope);
    if (known !== undefined) return known;
    // Revisions only grow and orgs are not deleted: equal sums over the same orgs mean that nothing changed.
    const orgs = db.read
      .selectFrom('orgs')
      .select(sql<number>`cast(coalesce(sum(revision), 0) + count(*) as bigint)`.as('stamp'));
    const compiled = (access.orgIds === 'all' ? orgs : orgs.where(isOneOf('orgs.id', access.orgIds))).compile();
    if (questions.size >= MAX_SCOPES) questions.clear();
    questions.set(scope, compiled);
    return compiled;
  }

  /** Asked anew for every caller, except that those of one tick share a question that was not sent yet. */
  function currentStamp(access: AccessScope): Promise<string> {
    const scope = access.orgIds === 'all' ? '*' : access.orgIds.join();
    let stamp = pending.get(scope);
    if (stamp === undefined) {
      stamp = Promise.resolve().then(async () => {
        pending.delete(scope);
        const { rows } = await db.read.executeQuery(question(scope, access));
        return String(rows[0]?.stamp);
      });
      pending.set(scope, stamp);
    }
    return stamp;
  }

  function drop(key: string): void {
    weight -= entries.get(key)?.weight ?? 0;
    entries.delete(key);
  }

  function shrink(): void {
    // A Map iterates in order of insertion, and hits are inserted again: the first is the least recently used.
    for (const key of entries.keys()) {
      if (weight <= MAX_WEIGHT && entries.size <= MAX_ENTRIES) return;
      drop(key);
    }
  }

  return {
    async read<T>(access: AccessScope, key: string, load: () => Promise<T>, weigh: (answer: T) => number): Promise<T> {
      const stamp = await currentStamp(access);
      const fullKey = `${accessText(access)} ${key}`;
      const known = entries.get(fullKey);
      if (known?.stamp === stamp) {
        entries.delete(fullKey);
        entries.set(fullKey, known);
        return known.answer as Promise<T>;
      }
      drop(fullKey);
      // The stamp was read before the rows: they can be newer than it says, which costs one read, but never older.
      const answer = load();
      const entry: Entry = { stamp, answer, weight: 1 };
      entries.set(fullKey, entry);
      weight += 1;
      try {
        const loaded = await answer;
        if (entries.get(fullKey) === entry) {
          entry.weight += weigh(loaded);
          weight += entry.weight - 1;
          shrink();
        }
        return loaded;
      } catch (error) {
        if (entries.get(fullKey) === entry) drop(fullKey);
        throw error;
      }
    },
  };
}
