import type { RequiresSelection, Rewrite } from './planner.ts';
import { rewrite } from './rewrites.ts';
import { isTree, type Tree } from './tree.ts';

/** Is an object of the first type also of the second? */
export type IsSubType = (typeName: string, condition: string) => boolean;

/** What a subgraph is asked for: each entity once, however often it stands in the answer. */
export interface Representations {
  readonly list: readonly Tree[];
  /** JSON of each, in the same order; equal lists are equal fetches. */
  readonly keys: readonly string[];
  /** For each target the index of its entity in `list`; -1 when the target cannot be looked up. */
  readonly indexes: readonly number[];
}

/**
 * @param targets objects that need more fields
 * @param requires what a representation consists of
 */
export function representationsOf(
  targets: readonly Tree[],
  requires: readonly RequiresSelection[],
  inputRewrites: readonly Rewrite[],
  isSubType: IsSubType,
): Representations {
  const list: Tree[] = [];
  const keys: string[] = [];
  const indexes: number[] = [];
  const known = new Map<string, number>();
  for (const target of targets) {
    const representation = pick(target, requires, isSubType);
    // Without a type, or with only that, nobody could tell which entity is meant.
    if (representation === undefined || typeof representation['__typename'] !== 'string' || !hasKey(representation)) {
      indexes.push(-1);
      continue;
    }
    if (inputRewrites.length > 0) rewrite(representation, inputRewrites);
    const key = JSON.stringify(representation);
    let index = known.get(key);
    if (index === undefined) {
      index = list.length;
      known.set(key, index);
      list.push(representation);
      keys.push(key);
    }
    indexes.push(index);
  }
  return { list, keys, indexes };
}

function hasKey(representation: Tree): boolean {
  for (const name in representation) if (name !== '__typename') return true;
  return false;
}

/** @returns undefined when a required field never arrived: its fetch failed, and so must this one */
function pick(value: Tree, selections: readonly RequiresSelection[], isSubType: IsSubType): Tree | undefined {
  const picked: Tree = {};
  return pickInto(picked, value, selections, isSubType) ? picked : undefined;
}

function pickInto(picked: Tree, value: Tree, selections: readonly RequiresSelection[], isSubType: IsSubType): boolean {
  for (const selection of selections) {
    if (selection.kind === 'Field') {
      const field = pickValue(value[selection.alias ?? selection.name], selection.selections ?? [], isSubType);
      if (field === undefined) return false;
      picked[selection.name] = field;
    } else if (selection.kind === 'InlineFragment') {
      const typeName = value['__typename'];
      if (typeof typeName === 'string' && !isSubType(typeName, selection.typeCondition)) continue;
      if (!pickInto(picked, value, selection.selections, isSubType)) return false;
    } else {
      throw new Error('the plan requires a fragment by name, which the planner expands');
    }
  }
  return true;
}

function pickValue(value: unknown, selections: readonly RequiresSelection[], isSubType: IsSubType): unknown {
  if (selections.length === 0 || value === null || value === undefined) return value;
  if (Array.isArray(value)) {
    const entries = value.map((entry) => pickValue(entry, selections, isSubType));
    return entries.includes(undefined) ? undefined : entries;
  }
  return isTree(value) ? pick(value, selections, isSubType) : undefined;
}
