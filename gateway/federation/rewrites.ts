import { isOneOf } from './locate.ts';
import type { Rewrite, RewriteSegment } from './planner.ts';
import { isTree, type Tree } from './tree.ts';

/** Applies the plan's corrections to what is sent to, or came from, a subgraph. Changes the value in place. */
export function rewrite(value: unknown, rewrites: readonly Rewrite[]): void {
  for (const each of rewrites) {
    if ('KeyRenamer' in each) {
      const { path, renameKeyTo } = each.KeyRenamer;
      at(value, path, 0, (parent, key) => {
        if (!(key in parent)) return;
        parent[renameKeyTo] = parent[key];
        delete parent[key];
      });
      continue;
    }
    const { path, setValueTo } = 'ValueSetter' in each ? each.ValueSetter : each;
    at(value, path, 0, (parent, key) => {
      parent[key] = setValueTo;
    });
  }
}

/** Under which key the client asked for what the plan fetches under another, so that error paths can be put right. */
export function renamedKeys(rewrites: readonly Rewrite[]): ReadonlyMap<string, string> {
  const renamed = new Map<string, string>();
  for (const each of rewrites) {
    if (!('KeyRenamer' in each)) continue;
    const last = each.KeyRenamer.path.at(-1);
    if (last !== undefined && 'Key' in last) renamed.set(last.Key, each.KeyRenamer.renameKeyTo);
  }
  return renamed;
}

function at(
  value: unknown,
  path: readonly RewriteSegment[],
  depth: number,
  apply: (parent: Tree, key: string) => void,
): void {
  if (Array.isArray(value)) {
    for (const entry of value) at(entry, path, depth, apply);
    return;
  }
  const segment = path[depth];
  if (!isTree(value) || segment === undefined) return;
  if ('TypenameEquals' in segment) {
    if (isOneOf(value, segment.TypenameEquals)) at(value, path, depth + 1, apply);
  } else if (depth === path.length - 1) {
    apply(value, segment.Key);
  } else {
    at(value[segment.Key], path, depth + 1, apply);
  }
}
