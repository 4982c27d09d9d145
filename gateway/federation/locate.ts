import type { PathSegment } from './planner.ts';
import type { ResponsePath } from './transport.ts';
import { isTree, type Tree } from './tree.ts';

/** An object that a path leads to, and where it stands. */
export interface Place {
  readonly target: Tree;
  readonly path: ResponsePath;
}

/** Every object that a path of the plan leads to, in the order of the tree. Lists are entered wherever they stand. */
export function locate(root: Tree, path: readonly PathSegment[]): Tree[] {
  const found: Tree[] = [];
  descend(root, path, 0, found);
  return found;
}

function descend(value: unknown, path: readonly PathSegment[], at: number, found: Tree[]): void {
  if (Array.isArray(value)) {
    const next = path[at] === '@' ? at + 1 : at;
    for (const entry of value) descend(entry, path, next, found);
    return;
  }
  if (!isTree(value)) return;
  const segment = path[at];
  if (segment === undefined) found.push(value);
  else if (segment === '@') descend(value, path, at + 1, found);
  else if ('Field' in segment) descend(value[segment.Field], path, at + 1, found);
  else if (isOneOf(value, segment.TypeCondition)) descend(value, path, at + 1, found);
}

/** As `locate`, with the place of each. Only errors need places, so that answers without errors do not pay for them. */
export function locatePlaces(root: Tree, path: readonly PathSegment[]): Place[] {
  const places: Place[] = [];
  descendWithPath(root, path, 0, [], places);
  return places;
}

function descendWithPath(
  value: unknown,
  path: readonly PathSegment[],
  at: number,
  here: ResponsePath,
  places: Place[],
): void {
  if (Array.isArray(value)) {
    const next = path[at] === '@' ? at + 1 : at;
    for (const [index, entry] of value.entries()) descendWithPath(entry, path, next, [...here, index], places);
    return;
  }
  if (!isTree(value)) return;
  const segment = path[at];
  if (segment === undefined) places.push({ target: value, path: here });
  else if (segment === '@') descendWithPath(value, path, at + 1, here, places);
  else if ('Field' in segment) descendWithPath(value[segment.Field], path, at + 1, [...here, segment.Field], places);
  else if (isOneOf(value, segment.TypeCondition)) descendWithPath(value, path, at + 1, here, places);
}

/** Only values of abstract types carry `__typename` for certain: without it the type is the one that the plan names. */
export function isOneOf(value: Tree, typeNames: readonly string[]): boolean {
  const typeName = value['__typename'];
  return typeof typeName !== 'string' || typeNames.includes(typeName);
}
