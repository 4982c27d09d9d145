import {
  executeSync,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
} from 'graphql';
import type { SourceKeys } from './source-keys.ts';
import type { Tree } from './tree.ts';

/** Answers `__schema` and `__type` among the root fields of an operation from the public schema. */
export function introspectionFields(
  schema: GraphQLSchema,
  rootFields: ReadonlyMap<string, readonly FieldNode[]>,
  fragments: readonly FragmentDefinitionNode[],
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
  sourceKey: SourceKeys,
): Tree {
  const fields = [...rootFields.values()]
    .flat()
    .filter(({ name }) => name.value === '__schema' || name.value === '__type');
  if (fields.length === 0) return {};
  const definition: OperationDefinitionNode = {
    ...operation,
    selectionSet: { kind: Kind.SELECTION_SET, selections: fields },
  };
  const result = executeSync({
    schema,
    document: { kind: Kind.DOCUMENT, definitions: [definition, ...fragments] },
    variableValues: variables,
  });
  const answer: Tree = {};
  for (const field of fields) answer[sourceKey(field)] = result.data?.[field.alias?.value ?? field.name.value];
  return answer;
}
