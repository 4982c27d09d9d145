import {
  type FieldNode,
  type FragmentDefinitionNode,
  getNamedType,
  type GraphQLInterfaceType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  type GraphQLUnionType,
  isAbstractType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type SelectionSetNode,
} from 'graphql';
import {
  type Complete,
  completeField,
  completeLeaf,
  completeList,
  completeNonNull,
  completeNullable,
} from './completion.ts';
import { type FieldShape, ObjectShape } from './object-shape.ts';
import { type Conditions, isLeftOut } from './planner-document.ts';
import type { SourceKeys } from './source-keys.ts';
import { isTree } from './tree.ts';

/** What shapes of one operation are made from. */
export interface ShapeSource {
  readonly schema: GraphQLSchema;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  /** Where each field stands in the tree. */
  readonly sourceKey: SourceKeys;
  readonly conditions: Conditions;
}

type CompositeType = GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType;

/** Fields of one object type that a set of selections asks for, by the client's key, in the order of the spec. */
export function collectFields(
  source: ShapeSource,
  type: GraphQLObjectType,
  selections: readonly SelectionSetNode[],
): ReadonlyMap<string, readonly FieldNode[]> {
  const collected = new Map<string, FieldNode[]>();
  const visited = new Set<string>();
  const applies = (typeName: string): boolean => {
    const condition = source.schema.getType(typeName);
    return condition === type || (isAbstractType(condition) && source.schema.isSubType(condition, type));
  };
  const collect = ({ selections: nodes }: SelectionSetNode): void => {
    for (const node of nodes) {
      if (isLeftOut(node, source.conditions)) continue;
      if (node.kind === Kind.FIELD) {
        const key = node.alias?.value ?? node.name.value;
        const present = collected.get(key);
        if (present === undefined) collected.set(key, [node]);
        else present.push(node);
      } else if (node.kind === Kind.INLINE_FRAGMENT) {
        if (node.typeCondition === undefined || applies(node.typeCondition.name.value)) collect(node.selectionSet);
      } else if (!visited.has(node.name.value)) {
        visited.add(node.name.value);
        const fragment = source.fragments.get(node.name.value);
        if (fragment !== undefined && applies(fragment.typeCondition.name.value)) collect(fragment.selectionSet);
      }
    }
  };
  for (const selection of selections) collect(selection);
  return collected;
}

/** How an object of this type is written when these selections are asked of it. */
export function objectShape(
  source: ShapeSource,
  type: GraphQLObjectType,
  selections: readonly SelectionSetNode[],
): ObjectShape {
  const fields: FieldShape[] = [];
  for (const [key, nodes] of collectFields(source, type, selections)) {
    const [node] = nodes;
    if (node === undefined) continue;
    fields.push(fieldShape(source, type, key, node, nodes));
  }
  return new ObjectShape(fields);
}

function fieldShape(
  source: ShapeSource,
  parent: GraphQLObjectType,
  key: string,
  node: FieldNode,
  nodes: readonly FieldNode[],
): FieldShape {
  const name = node.name.value;
  if (name === '__typename')
    return { key, source: '', constant: JSON.stringify(parent.name), complete: completeNullable(() => undefined) };
  // The two meta fields are executed against the public schema and stand complete in the tree.
  if (name === '__schema' || name === '__type')
    return { key, source: source.sourceKey(node), constant: null, complete: completeField };
  const definition = parent.getFields()[name];
  if (definition === undefined) throw new Error(`field ${parent.name}.${name} passed validation and does not exist`);
  const selections = nodes.flatMap((each) => each.selectionSet ?? []);
  return {
    key,
    source: source.sourceKey(node),
    constant: null,
    complete: completeType(source, definition.type, selections, `${parent.name}.${name}`),
  };
}

function completeType(
  source: ShapeSource,
  type: GraphQLOutputType,
  selections: readonly SelectionSetNode[],
  coordinate: string,
): Complete {
  if (isNonNullType(type))
    return completeNonNull(completeValue(source, type.ofType, selections, coordinate), coordinate);
  return completeNullable(completeValue(source, type, selections, coordinate));
}

function completeValue(
  source: ShapeSource,
  type: GraphQLOutputType,
  selections: readonly SelectionSetNode[],
  coordinate: string,
): Complete {
  if (isListType(type)) return completeList(completeType(source, type.ofType, selections, coordinate), coordinate);
  const named = getNamedType(type);
  if (isObjectType(named)) {
    const shape = objectShape(source, named, selections);
    return (value, out) => (isTree(value) ? shape.write(value, out) : out.fail(`${coordinate} is not an object.`));
  }
  if (isAbstractType(named)) return completeAbstract(source, named, selections, coordinate);
  return completeLeaf(named, coordinate);
}

function completeAbstract(
  source: ShapeSource,
  type: Extract<CompositeType, GraphQLInterfaceType | GraphQLUnionType>,
  selections: readonly SelectionSetNode[],
  coordinate: string,
): Complete {
  // Made when a type first shows up: an interface may have many, and an answer has few.
  const shapes = new Map<string, ObjectShape>();
  return (value, out) => {
    const typeName = isTree(value) ? value['__typename'] : undefined;
    if (!isTree(value) || typeof typeName !== 'string') return out.fail(`${coordinate} does not tell its type.`);
    let shape = shapes.get(typeName);
    if (shape === undefined) {
      const concrete = source.schema.getType(typeName);
      if (!isObjectType(concrete) || !source.schema.isSubType(type, concrete))
        return out.fail(`${coordinate} is of a type that is not its own.`);
      shape = objectShape(source, concrete, selections);
      shapes.set(typeName, shape);
    }
    return shape.write(value, out);
  };
}
