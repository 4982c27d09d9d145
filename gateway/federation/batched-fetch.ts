import type { EntityFetch } from './compile-plan.ts';
import type { PlanRun } from './execute-plan.ts';
import type { SubgraphResult } from './transport.ts';
import { copyOf, isTree, type Tree } from './tree.ts';

// Items of a stream that are made at the same time ask the same subgraphs for the same kinds of entities. Asked for in one
// fetch, a replay of thousands of events costs a fetch for each few dozen of them.

interface Waiter {
  readonly fetch: PlanRun['fetch'];
  readonly variables: Tree;
  readonly shareKey: string;
  readonly resolve: (result: SubgraphResult) => void;
  readonly reject: (reason: unknown) => void;
}

/** Where the entities of one waiter stand in the common list, by batch. */
type Indexes = ReadonlyMap<string, readonly number[]>;

/** @param own how the run fetches alone; of those who ask together, one does it for all */
export type BatchedFetch = (own: PlanRun['fetch']) => PlanRun['fetch'];

/**
 * Lets runs of one plan share their fetches of entities; all of them must be of streams with equal access, and with equal
 * variables as far as entities are concerned. What is asked for until the event loop has turned goes together.
 */
export function createBatchedFetch(): BatchedFetch {
  const waiting = new Map<EntityFetch, Waiter[]>();

  function flush(node: EntityFetch): void {
    const waiters = waiting.get(node) ?? [];
    waiting.delete(node);
    const [first] = waiters;
    if (first === undefined) return;
    if (waiters.length === 1) {
      first.fetch(node, first.variables, first.shareKey).then(first.resolve, first.reject);
      return;
    }
    const { variables, shareKey, indexes } = together(node, waiters);
    first.fetch(node, variables, shareKey).then(
      (result) => {
        const taken = new Set<string>();
        for (const [at, waiter] of waiters.entries()) {
          waiter.resolve(partOf(node, result, indexes[at] ?? new Map<string, number[]>(), taken));
        }
      },
      (error: unknown) => {
        for (const { reject } of waiters) reject(error);
      },
    );
  }

  return (fetch) => (node, variables, shareKey) => {
    if (node.node !== 'entities') return fetch(node, variables, shareKey);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { fetch, variables, shareKey, resolve, reject };
      const others = waiting.get(node);
      if (others !== undefined) {
        others.push(waiter);
        return;
      }
      waiting.set(node, [waiter]);
      setImmediate(() => flush(node));
    });
  };
}

/** One fetch for all: each entity once, however many wait for it. */
function together(
  node: EntityFetch,
  waiters: readonly Waiter[],
): { readonly variables: Tree; readonly shareKey: string; readonly indexes: readonly Indexes[] } {
  const variables: Tree = { ...waiters[0]?.variables };
  const indexes = waiters.map(() => new Map<string, readonly number[]>());
  for (const { variable, key } of node.batches) {
    const places = new Map<string, number>();
    const list: unknown[] = [];
    for (const [at, waiter] of waiters.entries()) {
      const own = waiter.variables[variable];
      const found = (Array.isArray(own) ? own : []).map((representation: unknown) => {
        const text = JSON.stringify(representation);
        const known = places.get(text);
        if (known !== undefined) return known;
        places.set(text, list.length);
        return list.push(representation) - 1;
      });
      indexes[at]?.set(key, found);
    }
    variables[variable] = list;
  }
  return { variables, shareKey: JSON.stringify(variables), indexes };
}

/** What one waiter would have been answered alone. @param taken entities that somebody has already, who may change them */
function partOf(
  node: EntityFetch,
  { data, errors }: SubgraphResult,
  indexes: Indexes,
  taken: Set<string>,
): SubgraphResult {
  const own: Tree = {};
  for (const { key } of node.batches) {
    const entities = data?.[key];
    if (!Array.isArray(entities)) continue;
    own[key] = (indexes.get(key) ?? []).map((index) => {
      const entity: unknown = entities[index];
      const name = `${key} ${index}`;
      if (!taken.has(name)) {
        taken.add(name);
        return entity;
      }
      return copyOf(entity);
    });
  }
  const ownErrors = errors?.flatMap((error) => {
    const [key, index, ...rest] = error.path ?? [];
    if (typeof key !== 'string' || typeof index !== 'number') return [error];
    return (indexes.get(key) ?? []).flatMap((each, at) =>
      each === index ? [{ ...error, path: [key, at, ...rest] }] : [],
    );
  });
  const result: SubgraphResult = { data: isTree(data) ? own : null };
  return ownErrors === undefined || ownErrors.length === 0 ? result : { ...result, errors: ownErrors };
}
