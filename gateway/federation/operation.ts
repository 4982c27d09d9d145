import {
  type DocumentNode,
  type FragmentDefinitionNode,
  getNamedType,
  getVariableValues,
  isAbstractType,
  TypeInfo,
  type SelectionNode,
  visitWithTypeInfo,
  type GraphQLError,
  type FieldNode,
  type GraphQLObjectType,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  print,
  visit,
} from 'graphql';

import {
  compilePlan,
  compileSubscriptionPlan,
  type ExecutableNode,
  isPersonal,
  type SubscriptionPlan,
} from './compile-plan.ts';
import type { Generation } from './generation.ts';
import { introspectionFields } from './introspection.ts';
import type { ObjectShape } from './object-shape.ts';
import { resumable, type Resumption } from './resumption.ts';
import { type SourceKeys, sourceKeysOf, withSourceKeys } from './source-keys.ts';
import { collectFields, objectShape, type ShapeSource } from './shapes.ts';
import type { Tree } from './tree.ts';

/** Shapes kept for one operation. Each combination of its @skip and @include conditions has its own. */
const MAX_SHAPES = 16;

/** One valid operation of a client: everything that is the same for all of its requests. */
export class Operation {
  readonly definition: OperationDefinitionNode;
  /** What is asked for depends on who asks, not only on what they may see. */
  readonly isPersonal: boolean;
  /** Where a field's value stands in the tree. */
  readonly sourceKey: SourceKeys;
  readonly rootType: GraphQLObjectType;
  /** How a subscription goes on after an interruption; null when its root field cannot, and for other operations. */
  readonly resumption: Resumption | null;
  readonly #generation: Generation;
  readonly document: DocumentNode;
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly #conditionNames: readonly string[];
  readonly #shapes = new Map<string, ObjectShape>();
  #plan: Promise<ExecutableNode | null> | null = null;
  #subscriptionPlan: Promise<SubscriptionPlan> | null = null;

  constructor(generation: Generation, document: DocumentNode, definition: OperationDefinitionNode) {
    this.#generation = generation;
    this.definition = definition;
    this.document = document;
    const rootType = generation.schema.getRootType(definition.operation);
    if (rootType === undefined || rootType === null) throw new Error(`the schema has no ${definition.operation} type`);
    this.rootType = rootType;
    this.sourceKey = sourceKeysOf(document, generation.machinery);
    this.#fragments = new Map(
      document.definitions.flatMap((each) => (each.kind === Kind.FRAGMENT_DEFINITION ? [[each.name.value, each]] : [])),
    );
    this.isPersonal = isPersonal(document, generation);
    this.#conditionNames = conditionNames(document);
    this.resumption = definition.operation === OperationTypeNode.SUBSCRIPTION ? resumable(this) : null;
  }

  get schema(): GraphQLSchema {
    return this.#generation.schema;
  }

  /** Variables as the spec coerces them, or what is wrong with them. */
  coerce(
    variables: Readonly<Record<string, unknown>>,
  ): { readonly coerced: Tree } | { readonly errors: readonly GraphQLError[] } {
    const definitions = this.definition.variableDefinitions ?? [];
    if (definitions.length === 0) return { coerced: {} };
    const { coerced, errors } = getVariableValues(this.#generation.schema, definitions, variables, { maxErrors: 20 });
    return coerced === undefined ? { errors: errors ?? [] } : { coerced };
  }

  /** How the answer is written under these variables. */
  shape(variables: Readonly<Record<string, unknown>>): ObjectShape {
    let key = '';
    for (const name of this.#conditionNames) key += variables[name] === true ? '1' : '0';
    let shape = this.#shapes.get(key);
    if (shape === undefined) {
      shape = objectShape(this.#shapeSource(variables), this.rootType, [this.definition.selectionSet]);
      if (this.#shapes.size < MAX_SHAPES) this.#shapes.set(key, shape);
    }
    return shape;
  }

  /** The plan of a query or mutation; null when nothing is to be fetched. @throws Error when it cannot be planned */
  plan(): Promise<ExecutableNode | null> {
    this.#plan ??= this.#makePlan().catch((error: unknown) => {
      // The next request tries again: planning may have run out of time on a busy machine.
      this.#plan = null;
      throw error;
    });
    return this.#plan;
  }

  /** @throws Error when it cannot be planned */
  subscriptionPlan(): Promise<SubscriptionPlan> {
    this.#subscriptionPlan ??= this.#makeSubscriptionPlan().catch((error: unknown) => {
      this.#subscriptionPlan = null;
      throw error;
    });
    return this.#subscriptionPlan;
  }

  /** What the schema itself answers: values of `__schema` and `__type` by their keys in the tree. */
  introspect(variables: Readonly<Record<string, unknown>>): Tree {
    return introspectionFields(
      this.#generation.schema,
      this.#rootFields(variables),
      [...this.#fragments.values()],
      this.definition,
      variables,
      this.sourceKey,
    );
  }

  /** The root fields for a client's key, whatever the conditions say of those below. */
  #rootFields(variables: Readonly<Record<string, unknown>>) {
    return collectFields(this.#shapeSource(variables), this.rootType, [this.definition.selectionSet]);
  }

  #shapeSource(conditions: Readonly<Record<string, unknown>>): ShapeSource {
    return {
      schema: this.#generation.schema,
      sourceKey: this.sourceKey,
      conditions: { ...conditions },
      fragments: this.#fragments,
    };
  }

  async #makePlan(): Promise<ExecutableNode | null> {
    const text = printForPlanner(this.#generation.schema, this.document, this.definition, this.sourceKey);
    if (text === null) return null;
    const plan = await this.#generation.planner.plan(text);
    return plan === null ? null : compilePlan(plan, this.#generation);
  }

  async #makeSubscriptionPlan(): Promise<SubscriptionPlan> {
    const text = printForPlanner(
      this.#generation.schema,
      this.document,
      this.definition,
      this.sourceKey,
      (each) => this.resumption?.document(each) ?? each,
    );
    const plan = text === null ? null : await this.#generation.planner.plan(text);
    if (plan === null) throw new Error('the subscription has nothing to subscribe to');
    return compileSubscriptionPlan(plan, this.#generation);
  }
}

/** Variables on which it depends which fields the answer has. */
function conditionNames(document: DocumentNode): readonly string[] {
  const names = new Set<string>();
  visit(document, {
    Directive(node) {
      if (!isCondition(node.name.value)) return;
      for (const { value } of node.arguments ?? []) if (value.kind === Kind.VARIABLE) names.add(value.name.value);
    },
  });
  return [...names];
}

/**
 * The operation and the fragments as they are planned. What is answered here gives way (`__schema` and `__type`), and
 * values of abstract types tell their type even where the client does not ask.
 *
 * @returns null when there is nothing to fetch
 */
function printForPlanner(
  schema: GraphQLSchema,
  document: DocumentNode,
  definition: OperationDefinitionNode,
  sourceKey: SourceKeys,
  adapt: (document: DocumentNode) => DocumentNode = (adapted) => adapted,
): string | null {
  const definitions = document.definitions.filter(
    (each) => each === definition || each.kind === Kind.FRAGMENT_DEFINITION,
  );
  let needsFetch = false;
  const types = new TypeInfo(schema);
  const planned = visit(
    { kind: Kind.DOCUMENT, definitions },
    visitWithTypeInfo(types, {
      Field: {
        enter(node) {
          if (isLeftOut(node)) return null;
          if (node.name.value === '__schema' || node.name.value === '__type') return TYPENAME;
          if (node.name.value !== '__typename') needsFetch = true;
          return undefined;
        },
        leave(node) {
          if (node.selectionSet === undefined || !isAbstractType(getNamedType(types.getType()))) return undefined;
          const selections = [TYPENAME, ...node.selectionSet.selections];
          return { ...node, selectionSet: { ...node.selectionSet, selections } };
        },
      },
      InlineFragment: (node) => (isLeftOut(node) ? null : undefined),
      FragmentSpread: (node) => (isLeftOut(node) ? null : undefined),
      SelectionSet: {
        leave: (node) => (node.selections.length === 0 ? { ...node, selections: [TYPENAME] } : undefined),
      },
    }),
  );
  return needsFetch ? print(adapt(withSourceKeys(planned, sourceKey))) : null;
}

/** The planner gives up when nothing is left to plan, so what is left out for good never gets there. */
function isLeftOut(node: SelectionNode): boolean {
  return (node.directives ?? []).some(({ name, arguments: [argument] = [] }) => {
    const value = argument?.value;
    return value?.kind === Kind.BOOLEAN && value.value === (name.value === 'skip') && isCondition(name.value);
  });
}

function isCondition(directive: string): boolean {
  return directive === 'skip' || directive === 'include';
}

const TYPENAME: FieldNode = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } };
