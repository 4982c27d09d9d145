import { type DocumentNode, type FieldNode, Kind, print, visit } from 'graphql';

// Under two type conditions one key may stand for two fields, or for one field with different arguments:
//   nodes { ... on A { org { devices(first: 7) { x } } } ... on B { org { devices(last: 2) { y } } } }
// No object is both A and B, so that is valid. Apollo Gateway 2.14 forgets the conditions where `org` becomes a fetch of
// its own: it fetches `devices(first: 7) { x y }` for either, and so answers for B with the arguments meant for A.

const PREFIX = /"rival_\d+_/g;

/** The same question with a key of its own for each such field; null when there are none. */
export function withDistinctKeys(document: DocumentNode): DocumentNode | null {
  const inlined = withoutFragments(document);
  const rivals = new Map<string, string[]>();
  visitFields(inlined, (node, path) => {
    const identities = rivals.get(path) ?? [];
    rivals.set(path, identities);
    if (!identities.includes(identityOf(node))) identities.push(identityOf(node));
    return undefined;
  });
  if ([...rivals.values()].every(({ length }) => length === 1)) return null;
  return visitFields(inlined, (node, path) => {
    const identities = rivals.get(path) ?? [];
    if (identities.length === 1) return undefined;
    const value = `rival_${identities.indexOf(identityOf(node))}_${keyOf(node)}`;
    return { ...node, alias: { kind: Kind.NAME, value } };
  });
}

/** The answer to a document of `withDistinctKeys` under the client's keys. */
export function withClientKeys<T>(answer: T): T {
  return JSON.parse(JSON.stringify(answer).replaceAll(PREFIX, '"')) as T;
}

/** @param change is told each field with its place by the client's keys */
function visitFields(
  document: DocumentNode,
  change: (node: FieldNode, path: string) => FieldNode | undefined,
): DocumentNode {
  const path: string[] = [];
  return visit(document, {
    Field: {
      enter(node) {
        path.push(keyOf(node));
      },
      leave(node) {
        const changed = change(node, path.join('.'));
        path.pop();
        return changed;
      },
    },
  });
}

function withoutFragments(document: DocumentNode): DocumentNode {
  return visit(document, {
    FragmentSpread({ name, directives = [] }) {
      const fragment = document.definitions.find(
        (each) => each.kind === Kind.FRAGMENT_DEFINITION && each.name.value === name.value,
      );
      if (fragment?.kind !== Kind.FRAGMENT_DEFINITION) throw new Error(`there is no fragment ${name.value}`);
      const { typeCondition, selectionSet } = fragment;
      return { kind: Kind.INLINE_FRAGMENT, typeCondition, directives, selectionSet };
    },
    Document: {
      leave: (node) => ({
        ...node,
        definitions: node.definitions.filter((each) => each.kind === Kind.OPERATION_DEFINITION),
      }),
    },
  });
}

function keyOf({ alias, name }: FieldNode): string {
  return (alias ?? name).value;
}

function identityOf({ name, arguments: args = [] }: FieldNode): string {
  return `${name.value}(${args.map(print).toSorted().join()})`;
}
