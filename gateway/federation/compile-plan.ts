import {
  type DocumentNode,
  type GraphQLSchema,
  isInterfaceType,
  isNonNullType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
} from 'graphql';
import type { BatchAlias, FetchBody, PathSegment, PlanNode, RequiresSelection, Rewrite } from './planner.ts';
import { renamedKeys } from './rewrites.ts';
import { sharingOf } from './sharing.ts';

/** A field that a fetch brings: what is lost when it fails. */
export interface FetchedField {
  /** Type condition it stands under; null at the root. */
  readonly typeName: string | null;
  readonly key: string;
  readonly nonNull: boolean;
}

interface Fetch {
  readonly service: string;
  readonly operation: string;
  readonly kind: 'query' | 'mutation' | 'subscription';
  readonly variables: readonly string[];
  /** Its answer depends on who asks, not only on what they may see. */
  readonly isPersonal: boolean;
  /** Its answer is made for one request alone. */
  readonly isSingle: boolean;
}

export interface RootFetch extends Fetch {
  readonly node: 'root';
  readonly fields: readonly FetchedField[];
  readonly outputRewrites: readonly Rewrite[];
  readonly renamed: ReadonlyMap<string, string>;
}

/** One `_entities` field of an operation. */
export interface EntityBatch {
  readonly key: string;
  readonly variable: string;
  readonly paths: readonly (readonly PathSegment[])[];
  readonly requires: readonly RequiresSelection[];
  readonly inputRewrites: readonly Rewrite[];
  readonly outputRewrites: readonly Rewrite[];
  readonly renamed: ReadonlyMap<string, string>;
  readonly fields: readonly FetchedField[];
}

export interface EntityFetch extends Fetch {
  readonly node: 'entities';
  readonly batches: readonly EntityBatch[];
}

/** A plan ready to run: everything that can be known before a request comes. */
export type ExecutableNode =
  | RootFetch
  | EntityFetch
  | { readonly node: 'sequence' | 'parallel'; readonly nodes: readonly ExecutableNode[] }
  | {
      readonly node: 'condition';
      readonly variable: string;
      readonly then: ExecutableNode | null;
      readonly otherwise: ExecutableNode | null;
    };

/** A plan of a subscription: where the items come from, and what each needs besides. */
export interface SubscriptionPlan {
  readonly source: RootFetch;
  readonly rest: ExecutableNode | null;
}

/** What the compiler must know of the public schema. */
export interface PlanContext {
  readonly schema: GraphQLSchema;
  /** Types whose fields tell about the caller, see `Fetch.isPersonal`. */
  readonly personalTypes: ReadonlySet<string>;
  /** Fields of which each request has another, as `Type.field`, see `Fetch.isSingle`. */
  readonly singleFields: ReadonlySet<string>;
}

/** @throws Error on a node that cannot stand there, which would be a fault of the planner */
export function compilePlan(plan: PlanNode, context: PlanContext): ExecutableNode {
  switch (plan.kind) {
    case 'Fetch':
      return rootFetch(plan, context);
    case 'Flatten':
      if (plan.node.kind !== 'Fetch') throw new Error(`the plan flattens a ${plan.node.kind}`);
      return flattenFetch(plan.path, plan.node, context);
    case 'BatchFetch':
      return batchFetch(plan, plan.entityBatch.aliases, context);
    case 'Sequence':
      return { node: 'sequence', nodes: plan.nodes.map((node) => compilePlan(node, context)) };
    case 'Parallel':
      return { node: 'parallel', nodes: plan.nodes.map((node) => compilePlan(node, context)) };
    case 'Condition':
      return {
        node: 'condition',
        variable: plan.condition,
        then: plan.ifClause ? compilePlan(plan.ifClause, context) : null,
        otherwise: plan.elseClause ? compilePlan(plan.elseClause, context) : null,
      };
    case 'Subscription':
      throw new Error('the plan subscribes where it should fetch');
    case 'Defer':
      throw new Error('@defer is not supported');
  }
}

/** @throws Error when the plan does not begin with a subscription */
export function compileSubscriptionPlan(plan: PlanNode, context: PlanContext): SubscriptionPlan {
  if (plan.kind === 'Subscription') return { source: rootFetch(plan.primary, context), rest: null };
  const [first, ...others] = plan.kind === 'Sequence' ? plan.nodes : [];
  if (first?.kind !== 'Subscription') throw new Error('the plan of a subscription does not begin with one');
  const rest = others.map((node) => compilePlan(node, context));
  return { source: rootFetch(first.primary, context), rest: { node: 'sequence', nodes: rest } };
}

function fetchOf(body: FetchBody, document: DocumentNode, context: PlanContext): Fetch {
  return {
    service: body.serviceName,
    operation: body.operation,
    kind: body.operationKind ?? 'query',
    variables: body.variableUsages ?? [],
    ...sharingOf(document, context),
  };
}

function rootFetch(body: FetchBody, context: PlanContext): RootFetch {
  const document = parse(body.operation, { noLocation: true });
  const outputRewrites = body.outputRewrites ?? [];
  const { selectionSet, operation } = operationOf(document);
  const root = context.schema.getRootType(operation)?.name ?? null;
  return {
    node: 'root',
    ...fetchOf(body, document, context),
    fields: fieldsOf(selectionSet, document, root, context).map((field) => ({ ...field, typeName: null })),
    outputRewrites,
    renamed: renamedKeys(outputRewrites),
  };
}

function flattenFetch(path: readonly PathSegment[], body: FetchBody, context: PlanContext): EntityFetch {
  const alias: BatchAlias = {
    alias: '_entities',
    representationsVariableName: 'representations',
    paths: [path],
    requires: body.requires ?? [],
    inputRewrites: body.inputRewrites ?? [],
    outputRewrites: body.outputRewrites ?? [],
  };
  return batchFetch(body, [alias], context);
}

function batchFetch(body: FetchBody, aliases: readonly BatchAlias[], context: PlanContext): EntityFetch {
  const document = parse(body.operation, { noLocation: true });
  const roots = operationOf(document).selectionSet.selections;
  return {
    node: 'entities',
    ...fetchOf(body, document, context),
    batches: aliases.map(
      ({ alias, representationsVariableName, paths, requires, inputRewrites = [], outputRewrites = [] }) => {
        const root = roots.find((node) => node.kind === Kind.FIELD && (node.alias?.value ?? node.name.value) === alias);
        if (root?.kind !== Kind.FIELD || root.selectionSet === undefined)
          throw new Error(`the plan's operation lacks ${alias}`);
        return {
          key: alias,
          variable: representationsVariableName,
          paths,
          requires,
          inputRewrites,
          outputRewrites,
          renamed: renamedKeys(outputRewrites),
          fields: fieldsOf(root.selectionSet, document, null, context),
        };
      },
    ),
  };
}

function operationOf(document: DocumentNode): OperationDefinitionNode {
  const operation = document.definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  if (operation === undefined) throw new Error('the plan has a fetch without an operation');
  return operation;
}

function fieldsOf(
  { selections }: SelectionSetNode,
  document: DocumentNode,
  typeName: string | null,
  context: PlanContext,
): FetchedField[] {
  return selections.flatMap((node): FetchedField[] => {
    if (node.kind === Kind.INLINE_FRAGMENT) {
      return fieldsOf(node.selectionSet, document, node.typeCondition?.name.value ?? typeName, context);
    }
    if (node.kind === Kind.FRAGMENT_SPREAD) {
      const fragment = document.definitions.find(
        (definition) => definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === node.name.value,
      );
      return fragment?.kind === Kind.FRAGMENT_DEFINITION
        ? fieldsOf(fragment.selectionSet, document, fragment.typeCondition.name.value, context)
        : [];
    }
    const key = node.alias?.value ?? node.name.value;
    // Fetched for the machinery alone.
    if (key === '__typename') return [];
    const type = typeName === null ? undefined : context.schema.getType(typeName);
    const field = isObjectType(type) || isInterfaceType(type) ? type.getFields()[node.name.value] : undefined;
    return [{ typeName, key, nonNull: isNonNullType(field?.type) }];
  });
}
