/** An object of the answer while it is being put together: what the subgraphs sent, by the keys they sent it under. */
export type Tree = Record<string, unknown>;

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A deep copy of JSON-like data. Instances of classes (dates) are values and stay shared. */
export function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (!isPlain(value)) return value;
  const copy: Tree = {};
  for (const key in value) setOwn(copy, key, copyOf(value[key]));
  return copy;
}

// JSON from a vendor may have a key `__proto__`; assigned plainly it would change the object's prototype.
function setOwn(target: Tree, key: string, value: unknown): void {
  if (key !== '__proto__') target[key] = value;
  else Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

/**
 * Adds what `source` knows to `target`, key by key. Objects and lists of equal length merge; anything else: the newer
 * value wins, except that null never replaces what another subgraph knew.
 */
export function mergeInto(target: Tree, source: Tree): void {
  for (const key in source) {
    const incoming = source[key];
    if (key === '__proto__') {
      setOwn(target, key, incoming);
      continue;
    }
    const present = target[key];
    if (present === undefined || present === null) target[key] = incoming;
    else if (incoming !== null && incoming !== undefined) target[key] = merged(present, incoming);
  }
}

function merged(present: unknown, incoming: unknown): unknown {
  if (Array.isArray(present) && Array.isArray(incoming)) return mergedLists(present, incoming);
  if (!isPlain(present) || !isPlain(incoming)) return incoming;
  mergeInto(present, incoming);
  return present;
}

function mergedLists(present: unknown[], incoming: unknown[]): unknown[] {
  // Two subgraphs that disagree on the length of one list disagree on its entries too: index by index would mix them.
  if (present.length !== incoming.length) return incoming;
  for (const [index, value] of incoming.entries()) {
    const before = present[index];
    if (before === undefined || before === null) present[index] = value;
    else if (value !== null && value !== undefined) present[index] = merged(before, value);
  }
  return present;
}

function isPlain(value: unknown): value is Tree {
  if (!isTree(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
