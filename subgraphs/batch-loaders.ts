import DataLoader from 'dataloader';

/** Ids in one statement: below the parameter limits of both engines, above any page. */
const MAX_BATCH_SIZE = 500;

/**
 * Rows by id, for the length of one request. The store answers in any order and leaves out what the principal may not
 * see; the loader owes one value per id, in order.
 */
export function createRowLoader<Row extends { readonly id: string }>(
  load: (ids: readonly string[]) => Promise<readonly Row[]>,
): DataLoader<string, Row | null> {
  return createValueLoader(async (ids) => new Map((await load(ids)).map((row) => [row.id, row])), null);
}

/** One value per id, `absent` where there is none. */
export function createValueLoader<Value, Absent>(
  load: (ids: readonly string[]) => Promise<ReadonlyMap<string, Value>>,
  absent: Absent,
): DataLoader<string, Value | Absent> {
  return new DataLoader<string, Value | Absent>(
    async (ids) => {
      const found = await load(ids);
      return ids.map((id) => found.get(id) ?? absent);
    },
    { maxBatchSize: MAX_BATCH_SIZE },
  );
}

/** Lists by the id that each row belongs to; empty where there is none. */
export function createGroupLoader<Row>(
  load: (ids: readonly string[]) => Promise<readonly Row[]>,
  ownerOf: (row: Row) => string,
): DataLoader<string, Row[]> {
  return new DataLoader<string, Row[]>(
    async (ids) => {
      const groups = Map.groupBy(await load(ids), ownerOf);
      return ids.map((id) => groups.get(id) ?? []);
    },
    { maxBatchSize: MAX_BATCH_SIZE },
  );
}

/** Values by id and arguments: what is asked with equal arguments for many ids is loaded at once. */
export interface ArgsLoader<Args, Value> {
  load(id: string, args: Args): Promise<Value>;
}

/** @param load owes a value for every id */
export function createArgsLoader<Args, Value>(
  load: (ids: readonly string[], args: Args) => Promise<ReadonlyMap<string, Value>>,
): ArgsLoader<Args, Value> {
  const loaders = new Map<string, DataLoader<string, Value>>();
  return {
    load(id, args) {
      // One request has as many different arguments as its document says: the map stays small and dies with it.
      const key = JSON.stringify(args);
      let loader = loaders.get(key);
      if (loader === undefined) {
        loader = new DataLoader<string, Value>(
          async (ids) => {
            const found = await load(ids, args);
            return ids.map((each) => found.get(each) ?? new RangeError('a batch left out a value'));
          },
          { maxBatchSize: MAX_BATCH_SIZE },
        );
        loaders.set(key, loader);
      }
      return loader.load(id);
    },
  };
}
