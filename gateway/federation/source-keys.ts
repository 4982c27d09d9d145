import { type DocumentNode, type FieldNode, Kind, print, visit } from 'graphql';

// Under which key a field's value stands in the tree that holds what subgraphs sent. Mostly the client's own, but
// - a client may write `id: name`. In the tree `id` must stay the id: planner and executor read keys from there.
// - a client may write `... on A { x: a } ... on B { x: b }`, or the same field with different arguments under two type
//   conditions. The planner merges selections by key and aborts the process where they differ (0.0.38, safe_merge.rs).
// So before planning such keys are replaced, and put back when the answer is written.

const PREFIX = '_alias_';
const REPLACED = /^_alias_\d+_/;

/** Objects inherit these, so a key that is absent would look present. */
const INHERITED: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype));

export type SourceKeys = (node: FieldNode) => string;

/** @param machinery names of fields that planner and executor read, which no alias may hide */
export function sourceKeysOf(document: DocumentNode, machinery: ReadonlySet<string>): SourceKeys {
  const identities = new Map<string, Map<string, number>>();
  visit(document, {
    Field(node) {
      const known = identities.get(keyOf(node)) ?? new Map<string, number>();
      identities.set(keyOf(node), known);
      const identity = identityOf(node);
      if (!known.has(identity)) known.set(identity, known.size);
    },
  });
  return (node) => {
    const key = keyOf(node);
    const known = identities.get(key);
    const isOwnName = key === node.name.value;
    if (isOwnName && machinery.has(key)) return key;
    const isHiding = !isOwnName && (machinery.has(key) || INHERITED.has(key) || key.startsWith('_'));
    if (!isHiding && (known === undefined || known.size === 1)) return key;
    return `${PREFIX}${known?.get(identityOf(node)) ?? 0}_${key}`;
  };
}

/** The client's key for a key of the tree. */
export function clientKey(key: string): string {
  return key.replace(REPLACED, '');
}

/** The document with every key as it stands in the tree. */
export function withSourceKeys(document: DocumentNode, sourceKey: SourceKeys): DocumentNode {
  return visit(document, {
    Field(node) {
      const key = sourceKey(node);
      return key === keyOf(node) ? undefined : { ...node, alias: { kind: Kind.NAME, value: key } };
    },
  });
}

function keyOf(node: FieldNode): string {
  return node.alias?.value ?? node.name.value;
}

/** Fields that may merge have equal names and arguments; the order of arguments does not matter. */
function identityOf({ name, arguments: args = [] }: FieldNode): string {
  return `${name.value}(${args.map(print).toSorted().join()})`;
}
