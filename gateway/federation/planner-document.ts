import {
  type ASTNode,
  type DocumentNode,
  type FieldNode,
  getNamedType,
  type GraphQLSchema,
  isAbstractType,
  Kind,
  type OperationDefinitionNode,
  print,
  type SelectionNode,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import { type SourceKeys, withSourceKeys } from './source-keys.ts';

/** Values of the variables that @skip and @include use. */
export type Conditions = Readonly<Record<string, unknown>>;

/**
 * The text of an operation as it is planned:
 * - what these conditions leave out is left out, and no condition remains. The planner loses some of them where they are
 *   nested, and then fetches what nobody asked for, whose errors would damage the answer;
 * - what is answered here gives way (`__schema` and `__type`);
 * - values of abstract types tell their type even where the client does not ask;
 * - keys are those of the tree.
 *
 * @param adapt last changes
 * @returns null when there is nothing to fetch
 */
export function plannerText(
  schema: GraphQLSchema,
  document: DocumentNode,
  definition: OperationDefinitionNode,
  conditions: Conditions,
  sourceKey: SourceKeys,
  adapt: (document: DocumentNode) => DocumentNode = (adapted) => adapted,
): string | null {
  const definitions = document.definitions.filter(
    (each) => each === definition || each.kind === Kind.FRAGMENT_DEFINITION,
  );
  const types = new TypeInfo(schema);
  const included = visit(
    { kind: Kind.DOCUMENT, definitions },
    {
      Field(node) {
        if (isLeftOut(node, conditions)) return null;
        return node.name.value === '__schema' || node.name.value === '__type' ? TYPENAME : undefined;
      },
      InlineFragment: (node) => (isLeftOut(node, conditions) ? null : undefined),
      FragmentSpread: (node) => (isLeftOut(node, conditions) ? null : undefined),
      Directive: (node) => (isCondition(node.name.value) ? null : undefined),
      SelectionSet: {
        leave: (node) => (node.selections.length === 0 ? { ...node, selections: [TYPENAME] } : undefined),
      },
    },
  );
  const needed = withoutUnusedFragments(included);
  if (!needsFetch(needed)) return null;
  const typed = visit(
    needed,
    visitWithTypeInfo(types, {
      Field: {
        leave(node) {
          if (node.selectionSet === undefined || !isAbstractType(getNamedType(types.getType()))) return undefined;
          return {
            ...node,
            selectionSet: { ...node.selectionSet, selections: [TYPENAME, ...node.selectionSet.selections] },
          };
        },
      },
    }),
  );
  return print(adapt(withSourceKeys(typed, sourceKey)));
}

/** Variables on which it depends which fields the answer has. */
export function conditionNames(document: DocumentNode): readonly string[] {
  const names = new Set<string>();
  visit(document, {
    Directive(node) {
      if (!isCondition(node.name.value)) return;
      for (const { value } of node.arguments ?? []) if (value.kind === Kind.VARIABLE) names.add(value.name.value);
    },
  });
  return [...names];
}

/** Do these conditions leave a selection out? */
export function isLeftOut(node: SelectionNode, conditions: Conditions): boolean {
  return (node.directives ?? []).some(({ name, arguments: [argument] = [] }) => {
    if (argument === undefined || !isCondition(name.value)) return false;
    const { value } = argument;
    const isTrue =
      value.kind === Kind.VARIABLE ? conditions[value.name.value] === true : value.kind === Kind.BOOLEAN && value.value;
    return isTrue === (name.value === 'skip');
  });
}

function isCondition(directive: string): boolean {
  return directive === 'skip' || directive === 'include';
}

/** Fragments that only introspection used are of types which the planner does not know. */
function withoutUnusedFragments(document: DocumentNode): DocumentNode {
  const fragments = new Map(
    document.definitions.flatMap((each) => (each.kind === Kind.FRAGMENT_DEFINITION ? [[each.name.value, each]] : [])),
  );
  const used = new Set<string>();
  const use = (node: ASTNode): void => {
    visit(node, {
      FragmentSpread({ name }) {
        const fragment = fragments.get(name.value);
        if (fragment === undefined || used.has(name.value)) return;
        used.add(name.value);
        use(fragment);
      },
    });
  };
  for (const each of document.definitions) if (each.kind === Kind.OPERATION_DEFINITION) use(each);
  const definitions = document.definitions.filter(
    (each) => each.kind !== Kind.FRAGMENT_DEFINITION || used.has(each.name.value),
  );
  return { ...document, definitions };
}

function needsFetch(document: DocumentNode): boolean {
  let isNeeded = false;
  visit(document, {
    Field(node) {
      if (node.name.value !== '__typename') isNeeded = true;
    },
  });
  return isNeeded;
}

const TYPENAME: FieldNode = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } };
