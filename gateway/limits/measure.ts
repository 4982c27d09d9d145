import {
  type ArgumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  getNamedType,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLSchema,
  isCompositeType,
  isInterfaceType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import { Refusal } from '../refusal.ts';
import { DEFAULT_PAGE_SIZE, fieldCost } from './cost-model.ts';

/** Entries of one page. */
export const MAX_PAGE_SIZE = 500;

/** What a selection set asks for, fragments expanded. */
export interface Measure {
  /** Fields inside one another. */
  readonly depth: number;
  /** The same below `__schema` and `__type`, whose usual query is deep and harmless. */
  readonly introspectionDepth: number;
  readonly aliases: number;
  readonly directives: number;
  /** Fields directly here. */
  readonly fields: number;
  readonly cost: number;
  /** What one entry of the enclosing page costs. */
  readonly costPerItem: number;
}

type MutableMeasure = { -readonly [K in keyof Measure]: Measure[K] };

function nothing(): MutableMeasure {
  return { depth: 0, introspectionDepth: 0, aliases: 0, directives: 0, fields: 0, cost: 0, costPerItem: 0 };
}

export interface MeasureInput {
  readonly schema: GraphQLSchema;
  readonly operation: OperationDefinitionNode;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly variables: Readonly<Record<string, unknown>>;
}

/**
 * Measures an operation before it is validated, so unknown fields and types count as leaves: validation refuses them.
 * Each fragment is measured once however often it is spread, which keeps fragment bombs cheap. `@skip` and `@include`
 * are ignored: what may run counts.
 *
 * @returns the measure, and the variables that it depends on
 * @throws Refusal `PAGE_TOO_LARGE`, or `QUERY_TOO_COMPLEX` for fragments that contain themselves
 */
export function measureOperation(input: MeasureInput): { measure: Measure; dependsOn: readonly string[] } {
  const { schema, operation, fragments, variables } = input;
  const measured = new Map<string, Measure | 'under way'>();
  const dependsOn = new Set<string>();

  function pageSize(node: FieldNode, field: GraphQLField<unknown, unknown>): number {
    const argument = field.args.find(({ name }) => name === 'first');
    if (argument === undefined) return DEFAULT_PAGE_SIZE;
    const given = node.arguments?.find(({ name }) => name.value === 'first');
    const size = (given === undefined ? undefined : valueOf(given)) ?? argument.defaultValue ?? DEFAULT_PAGE_SIZE;
    // What is no number is refused by validation; here it counts as the most it could be.
    if (typeof size !== 'number' || !(size >= 0)) return MAX_PAGE_SIZE;
    if (size > MAX_PAGE_SIZE) {
      throw new Refusal(400, 'PAGE_TOO_LARGE', `A page has at most ${MAX_PAGE_SIZE} entries; ${size} were asked for.`, {
        details: { field: node.name.value, value: size, maximum: MAX_PAGE_SIZE },
      });
    }
    return size;
  }

  function valueOf({ value }: ArgumentNode): unknown {
    if (value.kind === Kind.INT) return Number(value.value);
    if (value.kind === Kind.NULL) return undefined;
    if (value.kind !== Kind.VARIABLE) return Number.NaN;
    const name = value.name.value;
    dependsOn.add(name);
    if (Object.hasOwn(variables, name)) return variables[name] ?? undefined;
    const declared = operation.variableDefinitions?.find(({ variable }) => variable.name.value === name);
    return declared?.defaultValue?.kind === Kind.INT ? Number(declared.defaultValue.value) : undefined;
  }

  function typeNamed(name: string): GraphQLCompositeType | undefined {
    const type = schema.getType(name);
    return isCompositeType(type) ? type : undefined;
  }

  function fragment(name: string): Measure {
    const known = measured.get(name);
    if (known === 'under way') {
      throw new Refusal(400, 'QUERY_TOO_COMPLEX', 'A fragment contains itself.', { details: { limit: 'recursion' } });
    }
    if (known !== undefined) return known;
    const definition = fragments.get(name);
    if (definition === undefined) return nothing();
    measured.set(name, 'under way');
    const measure = selection(definition.selectionSet, typeNamed(definition.typeCondition.name.value));
    measure.directives += definition.directives?.length ?? 0;
    measured.set(name, measure);
    return measure;
  }

  function selection(set: SelectionSetNode, type: GraphQLCompositeType | undefined): MutableMeasure {
    const sum = nothing();
    for (const node of set.selections) {
      sum.directives += node.directives?.length ?? 0;
      if (node.kind === Kind.FIELD) {
        addField(sum, node, type);
      } else if (node.kind === Kind.FRAGMENT_SPREAD) {
        add(sum, fragment(node.name.value));
      } else {
        const narrowed = node.typeCondition === undefined ? type : typeNamed(node.typeCondition.name.value);
        add(sum, selection(node.selectionSet, narrowed));
      }
    }
    return sum;
  }

  function addField(sum: MutableMeasure, node: FieldNode, type: GraphQLCompositeType | undefined): void {
    const name = node.name.value;
    sum.fields += 1;
    sum.aliases += node.alias === undefined ? 0 : 1;
    if (name === '__schema' || name === '__type') {
      const inner = node.selectionSet === undefined ? nothing() : selection(node.selectionSet, undefined);
      sum.introspectionDepth = Math.max(sum.introspectionDepth, inner.depth + 1);
      sum.aliases += inner.aliases;
      sum.directives += inner.directives;
      return;
    }
    const field = isObjectType(type) || isInterfaceType(type) ? type.getFields()[name] : undefined;
    const result = field === undefined ? undefined : getNamedType(field.type);
    const inner =
      node.selectionSet === undefined
        ? nothing()
        : selection(node.selectionSet, isCompositeType(result) ? result : undefined);
    sum.depth = Math.max(sum.depth, inner.depth + 1);
    sum.introspectionDepth = Math.max(sum.introspectionDepth, inner.introspectionDepth);
    sum.aliases += inner.aliases;
    sum.directives += inner.directives;
    if (field === undefined || type === undefined) return;
    const { weight, size } = fieldCost(type, field);
    const below = inner.cost + (inner.costPerItem === 0 ? 0 : inner.costPerItem * pageSize(node, field));
    // Asked here too, so that a page without entries (only `pageInfo`) is refused by the same rule.
    if (inner.costPerItem === 0) pageSize(node, field);
    if (size === 'items') sum.costPerItem += weight + below;
    else sum.cost += (isCompositeType(result) ? size : 1) * (weight + below);
  }

  function add(sum: MutableMeasure, part: Measure): void {
    sum.depth = Math.max(sum.depth, part.depth);
    sum.introspectionDepth = Math.max(sum.introspectionDepth, part.introspectionDepth);
    sum.aliases += part.aliases;
    sum.directives += part.directives;
    sum.fields += part.fields;
    sum.cost += part.cost;
    sum.costPerItem += part.costPerItem;
  }

  const measure = selection(operation.selectionSet, schema.getRootType(operation.operation) ?? undefined);
  measure.directives += operation.directives?.length ?? 0;
  return { measure, dependsOn: [...dependsOn] };
}
