import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  getVariableValues,
  type GraphQLError,
  type GraphQLObjectType,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
} from 'graphql';
import { compilePlan, compileSubscriptionPlan, type ExecutableNode, type SubscriptionPlan } from './compile-plan.ts';
import type { Generation } from './generation.ts';
import { introspectionFields } from './introspection.ts';
import type { ObjectShape } from './object-shape.ts';
import { type Conditions, conditionNames, plannerText } from './planner-document.ts';
import { resumable, type Resumption } from './resumption.ts';
import { collectFields, objectShape, type ShapeSource } from './shapes.ts';
import { sharingOf } from './sharing.ts';
import { type SourceKeys, sourceKeysOf } from './source-keys.ts';
import { variablesOfItems } from './shared-items.ts';
import type { Tree } from './tree.ts';

/** Variants kept for one operation; a client with more than four conditions makes the rest anew each time. */
const MAX_VARIANTS = 16;

/** Reading more errors about variables than this helps nobody. */
const MAX_VARIABLE_ERRORS = 20;

/** One valid operation of a client: everything that is the same for all of its requests. */
export class Operation {
  readonly document: DocumentNode;
  readonly definition: OperationDefinitionNode;
  readonly rootType: GraphQLObjectType;
  /** What is asked for depends on who asks, not only on what they may see. */
  readonly isPersonal: boolean;
  /** Something of it is made for one request alone. */
  readonly isSingle: boolean;
  /** Where a field's value stands in the tree. */
  readonly sourceKey: SourceKeys;
  /** How a subscription goes on after an interruption; null when its root field cannot, and for other operations. */
  readonly resumption: Resumption | null;
  /** Variables on which it depends what is made of an item of the stream; null when nothing can be said of them. */
  readonly variablesOfItems: ReadonlySet<string> | null;
  readonly generation: Generation;
  readonly #conditionNames: readonly string[];
  readonly #variants = new Map<string, Variant>();

  constructor(generation: Generation, document: DocumentNode, definition: OperationDefinitionNode) {
    const rootType = generation.schema.getRootType(definition.operation);
    if (rootType === undefined || rootType === null) throw new Error(`the schema has no ${definition.operation} type`);
    this.generation = generation;
    this.document = document;
    this.definition = definition;
    this.rootType = rootType;
    const { isPersonal, isSingle } = sharingOf(document, generation);
    this.isPersonal = isPersonal;
    this.isSingle = isSingle;
    this.sourceKey = sourceKeysOf(document, generation.machinery);
    this.#conditionNames = conditionNames(document);
    this.resumption = definition.operation === OperationTypeNode.SUBSCRIPTION ? resumable(this) : null;
    this.variablesOfItems =
      this.resumption === null ? null : variablesOfItems(document, definition.name?.value ?? null);
  }

  get schema(): GraphQLSchema {
    return this.generation.schema;
  }

  /** Variables as the spec coerces them, or what is wrong with them. */
  coerce(
    variables: Readonly<Record<string, unknown>>,
  ): { readonly coerced: Tree } | { readonly errors: readonly GraphQLError[] } {
    const definitions = this.definition.variableDefinitions ?? [];
    if (definitions.length === 0) return { coerced: {} };
    const { coerced, errors } = getVariableValues(this.schema, definitions, variables, {
      maxErrors: MAX_VARIABLE_ERRORS,
    });
    return coerced === undefined ? { errors: errors ?? [] } : { coerced };
  }

  /** What the operation comes to under these variables. */
  variant(variables: Readonly<Record<string, unknown>>): Variant {
    let key = '';
    for (const name of this.#conditionNames) key += variables[name] === true ? '1' : '0';
    let variant = this.#variants.get(key);
    if (variant === undefined) {
      variant = new Variant(this, Object.fromEntries(this.#conditionNames.map((name) => [name, variables[name]])));
      if (this.#variants.size < MAX_VARIANTS) this.#variants.set(key, variant);
    }
    return variant;
  }
}

/** An operation under one combination of its @skip and @include conditions: what it fetches, and how it is answered. */
export class Variant {
  /** How the answer is written. */
  readonly shape: ObjectShape;
  readonly #operation: Operation;
  readonly #conditions: Conditions;
  readonly #rootFields: ReadonlyMap<string, readonly FieldNode[]>;
  readonly #fragments: readonly FragmentDefinitionNode[];
  #plan: Promise<ExecutableNode | null> | null = null;
  #subscriptionPlan: Promise<SubscriptionPlan> | null = null;

  constructor(operation: Operation, conditions: Conditions) {
    const { schema, sourceKey, document, rootType, definition } = operation;
    this.#operation = operation;
    this.#conditions = conditions;
    this.#fragments = document.definitions.filter((each) => each.kind === Kind.FRAGMENT_DEFINITION);
    const fragments = new Map(this.#fragments.map((each) => [each.name.value, each]));
    const source: ShapeSource = { schema, sourceKey, conditions, fragments };
    this.shape = objectShape(source, rootType, [definition.selectionSet]);
    this.#rootFields = collectFields(source, rootType, [definition.selectionSet]);
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
    const { schema, definition, sourceKey } = this.#operation;
    return introspectionFields(schema, this.#rootFields, this.#fragments, definition, variables, sourceKey);
  }

  async #makePlan(): Promise<ExecutableNode | null> {
    const { generation, document, definition, sourceKey } = this.#operation;
    const text = plannerText(generation.schema, document, definition, this.#conditions, sourceKey);
    if (text === null) return null;
    const plan = await generation.planner.plan(text);
    return plan === null ? null : compilePlan(plan, generation);
  }

  async #makeSubscriptionPlan(): Promise<SubscriptionPlan> {
    const { generation, document, definition, sourceKey, resumption } = this.#operation;
    const adapt = (each: DocumentNode): DocumentNode => resumption?.document(each) ?? each;
    const text = plannerText(generation.schema, document, definition, this.#conditions, sourceKey, adapt);
    const plan = text === null ? null : await generation.planner.plan(text);
    if (plan === null) throw new Error('the subscription has nothing to subscribe to');
    return compileSubscriptionPlan(plan, generation);
  }
}
