import {
  type ArgumentNode,
  type DocumentNode,
  type FieldNode,
  getArgumentValues,
  getNamedType,
  type GraphQLObjectType,
  isAbstractType,
  isObjectType,
  Kind,
  type NameNode,
  type OperationDefinitionNode,
  parseType,
  type SelectionNode,
  visit,
} from 'graphql';
import type { Operation } from './operation.ts';
import { isTree, type Tree } from './tree.ts';

// How a stream goes on where it was interrupted. A subscription field with an argument `after` whose items have a field
// `cursor` (of a gap: `toCursor`) can be asked for what follows an item. So the operation is planned with `after` in a variable of our own,
// and with the cursor of every item under an alias of our own: no client has to ask for it, and none sees it.

const VARIABLE = '__after';
const CURSOR = '__cursor';

/** The item which tells that everything older has been replayed. */
const REPLAY_COMPLETE = 'ReplayComplete';

export interface Resumption {
  /** The document, with `after` and `cursor` in our hands. */
  document(document: DocumentNode): DocumentNode;
  /** Where the client wants to begin; null: now. */
  initial(variables: Readonly<Record<string, unknown>>): string | null;
  /** What tells streams apart that differ in more than where they begin. */
  withoutAfter(variables: Readonly<Record<string, unknown>>): Tree;
  /** The variables for going on after a cursor; null: from now on. */
  variables(variables: Readonly<Record<string, unknown>>, after: string | null): Tree;
  /** The cursor of an item; null when it carries none. */
  cursorOf(data: unknown): string | null;
  /** This item says that the replay is over and everything from now on is live. */
  isReplayComplete(data: unknown): boolean;
  /** The stream tells when a replay is over. */
  readonly tellsReplay: boolean;
}

/** @returns null when the operation's root field has no `after`, or its items no `cursor` */
export function resumable(operation: Operation): Resumption | null {
  const { definition, rootType, schema } = operation;
  const root = definition.selectionSet.selections.find((node): node is FieldNode => node.kind === Kind.FIELD);
  // A root field inside a fragment is valid and never seen; such a stream just cannot be resumed.
  const field = root === undefined ? undefined : rootType.getFields()[root.name.value];
  if (root === undefined || field === undefined || definition.selectionSet.selections.length > 1) return null;
  if (!field.args.some(({ name }) => name === 'after')) return null;
  const itemType = getNamedType(field.type);
  const itemTypes = isAbstractType(itemType)
    ? schema.getPossibleTypes(itemType)
    : isObjectType(itemType)
      ? [itemType]
      : [];
  const withCursor = itemTypes.flatMap((type) => {
    const field = ['cursor', 'toCursor'].find((name) => name in type.getFields());
    return field === undefined ? [] : [{ type, field }];
  });
  if (withCursor.length === 0) return null;
  const afterType = parseType(String(field.args.find(({ name }) => name === 'after')?.type));
  const item = (data: unknown): Tree | null => {
    const value = isTree(data) ? data[operation.sourceKey(root)] : null;
    return isTree(value) ? value : null;
  };
  const afterVariable = variableOnlyUsedFor(root, operation);
  return {
    tellsReplay: itemTypes.some(({ name }) => name === REPLAY_COMPLETE),
    document: (document) =>
      visit(document, {
        OperationDefinition: (node) =>
          node.name?.value === definition.name?.value ? withOwnCursor(node, withCursor, afterType) : undefined,
      }),
    initial: (variables) => {
      const after = getArgumentValues(field, root, variables)['after'];
      return typeof after === 'string' ? after : null;
    },
    withoutAfter: (variables) => {
      const { [afterVariable ?? '']: _, ...others } = variables;
      return others;
    },
    variables: (variables, after) => ({ ...variables, [VARIABLE]: after }),
    cursorOf: (data) => {
      const cursor = item(data)?.[CURSOR];
      return typeof cursor === 'string' ? cursor : null;
    },
    isReplayComplete: (data) => item(data)?.['__typename'] === REPLAY_COMPLETE,
  };
}

/** The client's variable that holds `after`; null when there is none, or it is used elsewhere too. */
function variableOnlyUsedFor(root: FieldNode, operation: Operation): string | null {
  const value = root.arguments?.find((argument) => argument.name.value === 'after')?.value;
  if (value?.kind !== Kind.VARIABLE) return null;
  let uses = 0;
  visit(operation.document, {
    VariableDefinition: () => false,
    Variable(node) {
      if (node.name.value === value.name.value) uses++;
    },
  });
  return uses === 1 ? value.name.value : null;
}

function name(value: string): NameNode {
  return { kind: Kind.NAME, value };
}

function withOwnCursor(
  node: OperationDefinitionNode,
  places: readonly { readonly type: GraphQLObjectType; readonly field: string }[],
  afterType: ReturnType<typeof parseType>,
): OperationDefinitionNode {
  const after: ArgumentNode = {
    kind: Kind.ARGUMENT,
    name: name('after'),
    value: { kind: Kind.VARIABLE, name: name(VARIABLE) },
  };
  const cursors = places.map(
    ({ type, field }): SelectionNode => ({
      kind: Kind.INLINE_FRAGMENT,
      typeCondition: { kind: Kind.NAMED_TYPE, name: name(type.name) },
      selectionSet: {
        kind: Kind.SELECTION_SET,
        selections: [{ kind: Kind.FIELD, alias: name(CURSOR), name: name(field) }],
      },
    }),
  );
  const typename: SelectionNode = { kind: Kind.FIELD, name: name('__typename') };
  const selections = node.selectionSet.selections.map((root) =>
    root.kind === Kind.FIELD
      ? {
          ...root,
          arguments: [...(root.arguments ?? []).filter((argument) => argument.name.value !== 'after'), after],
          selectionSet: {
            kind: Kind.SELECTION_SET as const,
            selections: [typename, ...cursors, ...(root.selectionSet?.selections ?? [])],
          },
        }
      : root,
  );
  return {
    ...node,
    variableDefinitions: [
      ...(node.variableDefinitions ?? []),
      { kind: Kind.VARIABLE_DEFINITION, variable: { kind: Kind.VARIABLE, name: name(VARIABLE) }, type: afterType },
    ],
    selectionSet: { kind: Kind.SELECTION_SET, selections },
  };
}
