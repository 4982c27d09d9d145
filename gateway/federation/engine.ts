import type { DocumentNode, GraphQLError, GraphQLSchema } from 'graphql';
import type { Principal } from '../../schema/principal.ts';
import { accessKey } from '../../schema/principal.ts';
import type { CostBudget } from '../../schema/subgraph.ts';
import { ErrorLog } from './answer-errors.ts';
import { answerText, refusalText } from './answer-text.ts';
import type { ExecutableNode } from './compile-plan.ts';
import { executePlan, type PlanRun } from './execute-plan.ts';
import { Generation } from './generation.ts';
import { Hub, type StreamCounts, type StreamSink } from './hub.ts';
import { InFlight } from './in-flight.ts';
import { Operation } from './operation.ts';
import { createPlanner, type PlannerFactory } from './planner.ts';
import { RequestScope } from './request-scope.ts';
import { type AnswerError, type SubgraphTransport, TransportError } from './transport.ts';
import type { Tree } from './tree.ts';

/** A subgraph has its own deadlines for platforms (3 s); this one is for a subgraph that hangs. */
const FETCH_TIMEOUT_MS = 5_000;

/** Longer than one fetch, so that a hanging subgraph leaves time for what does not depend on it. */
const QUERY_DEADLINE_MS = 10_000;

/** Mutations may wait for a platform: testing a credential has several steps. */
const MUTATION_DEADLINE_MS = 60_000;

/** Longer than a lift or a tunnel without network takes; what waits meanwhile is bounded by bytes. */
const STREAM_STALL_MS = 30_000;

/** Types of which each principal sees another: never shared between principals, even where their access is equal. */
const PERSONAL_TYPES: ReadonlySet<string> = new Set(['Viewer']);

/** Fields that are made for one request alone: what is left after it, and what can be used once. */
const SINGLE_FIELDS: ReadonlySet<string> = new Set(['Viewer.rateLimit', 'Media.url']);

export interface SupergraphSource {
  readonly supergraphSdl: string;
  /** By the names in the supergraph. They belong to the caller, who closes them. */
  readonly transports: ReadonlyMap<string, SubgraphTransport>;
}

export interface FetchReport {
  readonly service: string;
  readonly kind: 'query' | 'mutation' | 'subscription';
  readonly durationMs: number;
  readonly outcome: 'OK' | 'ERRORS' | 'FAILED';
}

export interface FederationEngineOptions extends SupergraphSource {
  /** Defects, and what clients are not told about them. */
  readonly onError?: (
    error: unknown,
    context: { readonly requestId: string | null; readonly service: string | null },
  ) => void;
  /** Each call to a subgraph, for metrics. A call that several requests share is reported once. */
  readonly onFetch?: (report: FetchReport) => void;
  /** One subgraph call, in milliseconds. Default 5,000. Not for mutations, which have the deadline of the request. */
  readonly fetchTimeoutMs?: number;
  /** Wait before the n-th attempt in a row (from 0) to open a lost stream again, in milliseconds. Default: 100 doubling to 5,000, half of it random. */
  readonly streamRetryDelayMs?: (attempt: number) => number;
  /** A subscriber that takes nothing for so long, while its stream waits for it, is cut. In milliseconds; default 30,000. */
  readonly streamStallMs?: number;
  /** Default: in this process. A process that serves strangers gives `createPlannerProcess`. */
  readonly planner?: PlannerFactory;
  /** Default: see PERSONAL_TYPES. */
  readonly personalTypes?: ReadonlySet<string>;
  /** As `Type.field`. Default: see SINGLE_FIELDS. */
  readonly singleFields?: ReadonlySet<string>;
}

export interface GraphRequest {
  /** Parsed or as text; equal documents share one plan. */
  readonly document: DocumentNode | string;
  readonly operationName?: string | null;
  readonly variables?: Readonly<Record<string, unknown>> | null;
  readonly principal: Principal;
  readonly requestId: string;
  /** The caller has gone. */
  readonly signal: AbortSignal;
  /** For the whole answer, in milliseconds. Default 10,000; 60,000 for mutations. What is missing by then is null with an error. */
  readonly deadlineMs?: number;
  /** Of a subscription: goes on after this cursor, whatever its `after` says. */
  readonly resumeAfter?: string | null;
  /** Told to the client as `extensions` of the answer. */
  readonly extensions?: Readonly<Record<string, unknown>>;
  /** What the operation costs; told to subgraphs where a field is made for this request alone. */
  readonly budget?: CostBudget;
}

export interface GraphAnswer {
  /** The GraphQL response as JSON text, ready to be sent. */
  readonly text: string;
  readonly hasErrors: boolean;
  /** False: the request was refused before anything was executed (syntax, validation, variables). */
  readonly isExecuted: boolean;
}

/** Answers operations of clients from the subgraphs. */
export interface FederationEngine {
  /** What clients see: without federation's machinery. Changes with `reload`. */
  readonly publicSchema: GraphQLSchema;
  /**
   * Answers a query or mutation. Whatever goes wrong in the graph is told in the answer.
   *
   * @throws the signal's reason when the caller has gone
   */
  execute(request: GraphRequest): Promise<GraphAnswer>;
  /**
   * Joins the stream that the document asks for. Subscribers with equal documents, variables and access share one.
   *
   * @param sink called in the order of the stream, never before this has returned
   * @returns leaves the stream; the request's signal does the same
   */
  subscribe(request: GraphRequest, sink: StreamSink): () => void;
  /**
   * From now on answers from another supergraph. Requests and streams go on; resolves when no stream uses the old one.
   *
   * @throws Error when it cannot be used; then nothing has changed
   */
  reload(source: SupergraphSource): Promise<void>;
  /** Streams open now, for metrics. */
  streams(): { readonly groups: number; readonly subscribers: number } & Readonly<StreamCounts>;
  /** Completes every stream. Requests under way are answered. */
  close(): void;
}

/** @throws Error when the supergraph cannot be used */
export function createFederationEngine(options: FederationEngineOptions): FederationEngine {
  const onError = options.onError ?? (() => undefined);
  const fetchTimeoutMs = options.fetchTimeoutMs ?? FETCH_TIMEOUT_MS;
  const sharing = {
    personalTypes: options.personalTypes ?? PERSONAL_TYPES,
    singleFields: options.singleFields ?? SINGLE_FIELDS,
  };
  const inFlight = new InFlight();
  const accessKeys = new WeakMap<Principal, string>();
  const planner = options.planner ?? createPlanner;
  let generation = new Generation(options.supergraphSdl, options.transports, sharing, planner);

  function accessOf(principal: Principal): string {
    let key = accessKeys.get(principal);
    if (key === undefined) {
      key = accessKey(principal);
      accessKeys.set(principal, key);
    }
    return key;
  }

  type Caller = Pick<GraphRequest, 'principal' | 'requestId' | 'budget'>;

  /** How a run reaches the subgraphs. */
  function fetcher(from: Generation, { principal, requestId, budget }: Caller, scope: RequestScope): PlanRun['fetch'] {
    return (node, variables, shareKey) => {
      const { service, operation, kind } = node;
      const transport = from.transports.get(service);
      if (transport === undefined)
        return Promise.reject(new TransportError('SUBGRAPH_UNAVAILABLE', 'The data is not available here.'));
      const who = node.isPersonal ? `${principal.kind} ${principal.id}\n${accessOf(principal)}` : accessOf(principal);
      const key = kind === 'query' && !node.isSingle ? `${service}\n${operation}\n${who}\n${shareKey}` : null;
      const timeoutMs = kind === 'query' ? fetchTimeoutMs : MUTATION_DEADLINE_MS;
      return inFlight.run(key, scope, timeoutMs, async (signal) => {
        const startedAt = performance.now();
        let outcome: FetchReport['outcome'] = 'FAILED';
        try {
          const fetch = { operation, kind, variables, principal, requestId, signal };
          const own = node.isSingle && budget !== undefined ? { ...fetch, budget } : fetch;
          const result = await transport.execute(own);
          outcome = result.errors === undefined ? 'OK' : 'ERRORS';
          return result;
        } catch (error) {
          if (!signal.aborted) onError(error, { requestId, service });
          throw error;
        } finally {
          options.onFetch?.({ service, kind, outcome, durationMs: performance.now() - startedAt });
        }
      });
    };
  }

  function runOf(from: Generation, caller: Caller, scope: RequestScope, variables: Tree, root: Tree): PlanRun {
    return {
      root,
      variables,
      errors: new ErrorLog(),
      isSubType: from.isSubType,
      fetch: fetcher(from, caller, scope),
      throwIfAbandoned: () => {
        if (scope.isAbandoned && scope.ended !== null) throw scope.ended.reason;
      },
    };
  }

  function refused(errors: readonly (GraphQLError | AnswerError)[], request: GraphRequest): GraphAnswer {
    return { text: refusalText(errors, request.extensions), hasErrors: true, isExecuted: false };
  }

  async function execute(request: GraphRequest): Promise<GraphAnswer> {
    request.signal.throwIfAborted();
    const from = generation;
    const operation = from.prepare(request.document, request.operationName ?? null);
    if (!(operation instanceof Operation)) return refused(operation, request);
    const kind = operation.definition.operation;
    if (kind === 'subscription')
      return refused([{ message: 'A subscription needs a stream: WebSocket or server-sent events.' }], request);
    const variables = operation.coerce(request.variables ?? {});
    if ('errors' in variables) return refused(variables.errors, request);

    const variant = operation.variant(variables.coerced);
    const scope = new RequestScope(
      request.signal,
      request.deadlineMs ?? (kind === 'mutation' ? MUTATION_DEADLINE_MS : QUERY_DEADLINE_MS),
    );
    try {
      const run = runOf(from, request, scope, variables.coerced, variant.introspect(variables.coerced));
      let plan: ExecutableNode | null;
      try {
        plan = await variant.plan();
      } catch (error) {
        onError(error, { requestId: request.requestId, service: null });
        return refused([NOT_PLANNED], request);
      }
      if (plan !== null) await executePlan(plan, run);
      const text = answerText(variant.shape, run.root, run.errors, request.extensions);
      return { text, hasErrors: !run.errors.isEmpty, isExecuted: true };
    } finally {
      scope.close();
    }
  }

  const hub = new Hub({
    onError,
    runOf,
    accessOf,
    generation: () => generation,
    retryDelayMs: options.streamRetryDelayMs ?? retryDelayMs,
    stallMs: options.streamStallMs ?? STREAM_STALL_MS,
    counts: { items: 0, executed: 0, deliveries: 0 },
  });

  return {
    get publicSchema() {
      return generation.schema;
    },
    execute,
    subscribe: (request, sink) => hub.subscribe(request, sink),
    async reload({ supergraphSdl, transports }) {
      const next = new Generation(supergraphSdl, transports, sharing, planner);
      try {
        await next.planner.ready;
      } catch (error) {
        next.planner.close();
        throw error;
      }
      const previous = generation;
      generation = next;
      await hub.reload();
      previous.planner.close();
    },
    streams: () => hub.size,
    close() {
      hub.close();
      generation.planner.close();
    },
  };
}

function retryDelayMs(attempt: number): number {
  const longest = Math.min(100 * 2 ** attempt, 5_000);
  return longest / 2 + (longest / 2) * Math.random();
}

const NOT_PLANNED: AnswerError = {
  message: 'The operation could not be planned.',
  extensions: { code: 'INTERNAL_SERVER_ERROR' },
};
