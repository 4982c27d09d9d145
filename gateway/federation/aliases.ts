import { type DocumentNode, type FieldNode, Kind, visit } from 'graphql';

// A client may write `id: name`. In the tree that holds what subgraphs sent, `id` must stay the id: planner and executor
// read keys from there for the next fetch. So aliases that would hide a field the machinery reads are replaced before
// planning, and put back when the answer is written.

const PREFIX = '_alias_';

/** Objects inherit these, so a key that is absent would look present. */
const INHERITED: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype));

/** The key under which a field's value stands in the tree. Fields that may merge have equal keys, as their aliases are. */
export function sourceKey(node: FieldNode, machinery: ReadonlySet<string>): string {
  const alias = node.alias?.value;
  if (alias === undefined || alias === node.name.value) return node.name.value;
  return machinery.has(alias) || INHERITED.has(alias) || alias.startsWith('_') ? PREFIX + alias : alias;
}

/** The client's name for a key of the tree. */
export function clientKey(key: string): string {
  return key.startsWith(PREFIX) ? key.slice(PREFIX.length) : key;
}

/** The document with such aliases replaced. */
export function replaceAliases(document: DocumentNode, machinery: ReadonlySet<string>): DocumentNode {
  return visit(document, {
    Field(node) {
      const key = sourceKey(node, machinery);
      const name = node.alias?.value ?? node.name.value;
      return key === name ? undefined : { ...node, alias: { kind: Kind.NAME, value: key } };
    },
  });
}
