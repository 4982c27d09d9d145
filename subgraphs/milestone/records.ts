// Configuration records by id, in as few calls as the platform allows: it cannot be asked for a list of ids.
import { mapConcurrent } from '../../adapter-kit/map-concurrent.ts';
import type { MilestoneClient, Patience, WirePage } from './client.ts';
import { nameOf } from './normalize.ts';
import { CHANNEL_COLLECTIONS, type Collection, type WireRecord } from './wire.ts';

/** Single calls are quicker than pages up to so many, whatever the size of the system. */
const ALWAYS_SINGLE = 10;
/** A page of five hundred takes a real system about as long as so many single calls beside each other. */
const SINGLES_PER_PAGE = 25;
const CONCURRENT = 8;
/** What stands above a device changes with the configuration only; a live read may be so far behind. */
const PARENTS_FOR_MS = 30_000;
/** Beyond it, ids are forgotten and have to be looked up in lists again. */
const MAX_INDEXED = 500_000;
const MAX_PARENTS = 50_000;
/** Records that serve reads again, at about half a kilobyte each; a dashboard looks at the same few hundred. */
const MAX_HELD = 20_000;
/** However sure we are that nothing was configured since. */
const HELD_FOR_MS = 60_000;
/** After looking through every list, an id that was in none is nobody's for so long. */
const COMPLETE_FOR_MS = 30_000;

interface Indexed {
  readonly collection: Collection;
  readonly parentId: string | null;
  readonly name: string;
}

export interface Records {
  /** A page of a list, remembered by id. */
  page(collection: Collection, page: number, patience: Patience, signal: AbortSignal): Promise<WirePage<WireRecord>>;
  walk(collection: Collection, patience: Patience, signal: AbortSignal): AsyncGenerator<WirePage<WireRecord>>;
  /**
   * Records of these ids as they are now, wherever they are. What the platform no longer has is left out.
   *
   * @param watchedSince what was read since then, and not invalidated, has not changed; null: nothing is sure
   */
  fetch(ids: readonly string[], watchedSince: number | null, signal: AbortSignal): Promise<ReadonlyMap<string, Found>>;
  /** Hardware, recording servers and sites by id; may be half a minute old. */
  parents(
    collection: Collection,
    ids: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, WireRecord>>;
  /** Sources of everything behind a recording server, `{collection}/{id}`. Lists everything when it was never listed. */
  behind(recordingServerId: string, signal: AbortSignal): Promise<readonly string[]>;
  nameOf(id: string): string | null;
  /** As far as it was listed before. */
  recordingServerOf(id: string): string | null;
  /** The configuration changed: nothing above devices is known any more, and new devices may be anywhere. */
  invalidate(): void;
}

export interface Found {
  readonly collection: Collection;
  readonly record: WireRecord;
}

export function createRecords(
  client: MilestoneClient,
  { collections, pageSize, now }: { collections: readonly Collection[]; pageSize: number; now: () => Date },
): Records {
  const index = new Map<string, Indexed>();
  const counts = new Map<Collection, number>();
  const parents = new Map<string, { readonly record: WireRecord; readonly at: number }>();
  let completeUntil = Number.NEGATIVE_INFINITY;

  const held = new Map<string, Found & { readonly at: number }>();
  let generation = 0;

  /** @param asked when the platform was asked: what was configured after that, its answer may not have */
  function hold(found: Found, asked: { readonly generation: number; readonly at: number }): void {
    // An answer that was under way when the configuration changed is of before.
    if (asked.generation !== generation) return;
    if (held.size >= MAX_HELD && !held.has(found.record.id)) held.delete(held.keys().next().value ?? '');
    held.set(found.record.id, { ...found, at: asked.at });
  }

  function asking() {
    return { generation, at: now().getTime() };
  }

  function note(collection: Collection, record: WireRecord): void {
    if (index.size >= MAX_INDEXED) index.clear();
    const parentId = record.relations.parent?.id ?? null;
    index.set(record.id, { collection, parentId, name: nameOf(record) });
    if (collection !== 'sites' && collection !== 'recordingServers' && collection !== 'hardware') return;
    if (parents.size >= MAX_PARENTS) parents.clear();
    parents.set(record.id, { record, at: now().getTime() });
  }

  const page: Records['page'] = async (collection, number, patience, signal) => {
    const asked = asking();
    const found = await client.page(collection, number, patience, signal);
    for (const record of found.items) {
      note(collection, record);
      hold({ collection, record }, asked);
    }
    return found;
  };

  async function* walk(
    collection: Collection,
    patience: Patience,
    signal: AbortSignal,
  ): AsyncGenerator<WirePage<WireRecord>> {
    let count = 0;
    let asked = asking();
    for await (const found of client.walk(collection, patience, signal)) {
      count += found.items.length;
      for (const record of found.items) {
        note(collection, record);
        hold({ collection, record }, asked);
      }
      yield found;
      asked = asking();
    }
    counts.set(collection, count);
  }

  async function fromList(collection: Collection, ids: ReadonlySet<string>, signal: AbortSignal): Promise<Found[]> {
    const found: Found[] = [];
    for await (const { items } of walk(collection, 'live', signal))
      for (const record of items) if (ids.has(record.id)) found.push({ collection, record });
    return found;
  }

  /** One call each, a few at a time, or the pages of the whole list: whichever is quicker. */
  async function fromCollection(collection: Collection, ids: readonly string[], signal: AbortSignal): Promise<Found[]> {
    const pages = Math.ceil((counts.get(collection) ?? 0) / pageSize);
    if (ids.length > Math.max(ALWAYS_SINGLE, pages * SINGLES_PER_PAGE))
      return fromList(collection, new Set(ids), signal);
    const asked = asking();
    const records = await mapConcurrent(ids, CONCURRENT, signal, (id, either) => client.record(collection, id, either));
    const found = records.filter((record) => record !== null).map((record) => ({ collection, record }));
    for (const each of found) {
      note(collection, each.record);
      hold(each, asked);
    }
    return found;
  }

  function recordingServerOf(id: string): string | null {
    const entry = index.get(id);
    if (entry === undefined || entry.collection === 'sites' || entry.collection === 'recordingServers') return null;
    return entry.collection === 'hardware' ? entry.parentId : (index.get(entry.parentId ?? '')?.parentId ?? null);
  }

  return {
    page,
    walk,
    async fetch(ids, watchedSince, signal) {
      const sure = watchedSince === null ? null : Math.max(watchedSince, now().getTime() - HELD_FOR_MS);
      const unchanged = [...new Set(ids)].flatMap((id) => {
        const each = held.get(id);
        return each !== undefined && sure !== null && each.at >= sure ? [each] : [];
      });
      const wanted = new Set(ids);
      for (const { record } of unchanged) wanted.delete(record.id);
      const known = Map.groupBy([...wanted], (id) => index.get(id)?.collection ?? null);
      const jobs = [...known].flatMap(([collection, group]) => (collection === null ? [] : [{ collection, group }]));
      const unknown = known.get(null) ?? [];
      // Nobody knows where these are: every list has to be looked through, and that is all there is to ask then.
      const lists = unknown.length === 0 || now().getTime() < completeUntil ? [] : collections;
      const isListed = (collection: Collection): boolean => lists.includes(collection);
      const [single, listed] = await Promise.all([
        mapConcurrent(
          jobs.filter(({ collection }) => !isListed(collection)),
          3,
          signal,
          ({ collection, group }, either) => fromCollection(collection, group, either),
        ),
        mapConcurrent(lists, 3, signal, (collection, either) => fromList(collection, wanted, either)),
      ]);
      if (lists.length > 0) completeUntil = now().getTime() + COMPLETE_FOR_MS;
      return new Map([...unchanged, ...single.flat(), ...listed.flat()].map((found) => [found.record.id, found]));
    },
    async parents(collection, ids, signal) {
      const oldest = now().getTime() - PARENTS_FOR_MS;
      const wanted = new Set(ids);
      const missing = [...wanted].filter((id) => (parents.get(id)?.at ?? Number.NEGATIVE_INFINITY) < oldest);
      if (missing.length > 0) await fromCollection(collection, missing, signal);
      const found = [...wanted].flatMap((id) => parents.get(id)?.record ?? []);
      return new Map(found.map((record) => [record.id, record]));
    },
    async behind(recordingServerId, signal) {
      if (now().getTime() >= completeUntil) {
        for (const collection of ['hardware', ...CHANNEL_COLLECTIONS] as const)
          for await (const _ of walk(collection, 'list', signal)) continue;
        completeUntil = now().getTime() + COMPLETE_FOR_MS;
      }
      const sources: string[] = [];
      for (const [id, { collection }] of index)
        if (recordingServerOf(id) === recordingServerId) sources.push(`${collection}/${id}`);
      return sources;
    },
    nameOf: (id) => index.get(id)?.name ?? null,
    recordingServerOf,
    invalidate() {
      parents.clear();
      held.clear();
      generation += 1;
      completeUntil = Number.NEGATIVE_INFINITY;
    },
  };
}
