import { QueryPlanner } from '@graphql-hive/router-query-planner';

// The plan as the addon emits it. Its own typings omit that a subscription's primary fetch has no `kind`, and that
// absent branches of a condition are null.

export type PathSegment = { readonly Field: string } | { readonly TypeCondition: readonly string[] } | '@';

export type RewriteSegment = { readonly TypenameEquals: readonly string[] } | { readonly Key: string };

export type Rewrite =
  | { readonly ValueSetter: { readonly path: readonly RewriteSegment[]; readonly setValueTo: string } }
  | { readonly KeyRenamer: { readonly path: readonly RewriteSegment[]; readonly renameKeyTo: string } }
  | { readonly kind: 'ValueSetter'; readonly path: readonly RewriteSegment[]; readonly setValueTo: string };

export type RequiresSelection =
  | {
      readonly kind: 'InlineFragment';
      readonly typeCondition: string;
      readonly selections: readonly RequiresSelection[];
      readonly skipIf?: string;
      readonly includeIf?: string;
    }
  | {
      readonly kind: 'Field';
      readonly name: string;
      readonly alias?: string;
      readonly selections?: readonly RequiresSelection[];
    }
  | { readonly kind: 'FragmentSpread'; readonly value: string };

export interface FetchBody {
  readonly serviceName: string;
  readonly variableUsages?: readonly string[];
  readonly operationKind?: 'query' | 'mutation' | 'subscription';
  readonly operation: string;
  readonly requires?: readonly RequiresSelection[];
  readonly inputRewrites?: readonly Rewrite[];
  readonly outputRewrites?: readonly Rewrite[];
}

export interface BatchAlias {
  readonly alias: string;
  readonly representationsVariableName: string;
  readonly paths: readonly (readonly PathSegment[])[];
  readonly requires: readonly RequiresSelection[];
  readonly inputRewrites?: readonly Rewrite[];
  readonly outputRewrites?: readonly Rewrite[];
}

export type PlanNode =
  | ({ readonly kind: 'Fetch' } & FetchBody)
  | ({ readonly kind: 'BatchFetch'; readonly entityBatch: { readonly aliases: readonly BatchAlias[] } } & FetchBody)
  | { readonly kind: 'Sequence'; readonly nodes: readonly PlanNode[] }
  | { readonly kind: 'Parallel'; readonly nodes: readonly PlanNode[] }
  | { readonly kind: 'Flatten'; readonly path: readonly PathSegment[]; readonly node: PlanNode }
  | {
      readonly kind: 'Condition';
      readonly condition: string;
      readonly ifClause?: PlanNode | null;
      readonly elseClause?: PlanNode | null;
    }
  | { readonly kind: 'Subscription'; readonly primary: FetchBody }
  | { readonly kind: 'Defer' };

export interface Planner {
  /** Resolves when the supergraph has been read. Rejects when it cannot be. */
  readonly ready: Promise<void>;
  /**
   * @param operation text with exactly one operation, valid against the public schema
   * @returns null when there is nothing to fetch
   * @throws Error when it cannot be planned in time
   */
  plan(operation: string): Promise<PlanNode | null>;
  close(): void;
}

export type PlannerFactory = (supergraphSdl: string) => Planner;

/** Longer planning than this means an operation made to be hard to plan. A plan takes 0.2 ms as a rule. */
export const PLANNING_TIMEOUT_MS = 2_000;

/**
 * A planner in this process. The addon answers a defect of its own with the end of the process (0.0.38 aborts on some
 * valid operations); documents are prepared so that the known ones cannot occur, see `source-keys.ts`. A process that
 * serves strangers keeps the planner in a process of its own: `createPlannerProcess`.
 *
 * @throws Error when the supergraph cannot be read
 */
export function createPlanner(supergraphSdl: string): Planner {
  const planner = new QueryPlanner(supergraphSdl);
  return {
    ready: Promise.resolve(),
    async plan(operation) {
      // Off the event loop, which the rare long one must not hold up.
      const plan = await planner.planAsync(operation, null, new Set(), 0, AbortSignal.timeout(PLANNING_TIMEOUT_MS));
      return plan.node ?? null;
    },
    close: () => undefined,
  };
}
