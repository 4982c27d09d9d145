import { OperationTypeNode } from 'graphql';
import { z } from 'zod';
import type { Logger } from '../logger.ts';
import type { Principal } from '../schema/principal.ts';
import type { GraphQLEngine } from './engine.ts';
import type { CostBudget } from '../schema/subgraph.ts';
import type { StreamSink } from './federation/hub.ts';
import type { CostBudgets } from './limits/budgets.ts';
import { type AdmittedOperation, createOperationLimits } from './limits/operations.ts';
import type { Metrics, OperationOutcome } from './metrics.ts';
import type { OperationParams } from './operation-params.ts';
import { internalError, Refusal } from './refusal.ts';

/** Queries and mutations that may run at once; a fast one takes about 1 ms, so more only wait for each other. */
const MAX_IN_FLIGHT = 1_000;

/** Who asks. */
export interface Caller {
  readonly principal: Principal;
  readonly requestId: string;
  /** Fires when the caller is gone. */
  readonly signal: AbortSignal;
}

export interface OperationAnswer {
  /** The GraphQL response as JSON text. */
  readonly text: string;
  /** False: nothing was executed, and the response has no data. */
  readonly isExecuted: boolean;
}

/** Runs operations for every transport, so that the limits are the same on all of them. */
export interface Operations {
  /** @throws Refusal when the operation may not run */
  admit(params: OperationParams): AdmittedOperation;
  /** For queries and mutations. @throws Refusal, or the signal's reason when the caller is gone */
  execute(params: OperationParams, admitted: AdmittedOperation, caller: Caller): Promise<OperationAnswer>;
  /**
   * For subscriptions.
   *
   * @param resumeAfter a cursor to go on after, whatever the operation says @returns how to leave
   */
  subscribe(
    params: OperationParams,
    admitted: AdmittedOperation,
    caller: Caller,
    sink: StreamSink,
    resumeAfter?: string | null,
  ): () => void;
  /** Operations that run now. */
  inFlight(): number;
}

const RefusedAnswer = z.looseObject({
  errors: z.array(z.looseObject({ extensions: z.record(z.string(), z.unknown()).default({}) })),
});

/** Errors of validation have no code of their own yet; clients decide by codes. */
function withCodes(text: string, requestId: string): string {
  const answer = RefusedAnswer.parse(JSON.parse(text));
  const errors = answer.errors.map((error) => ({
    ...error,
    extensions: { code: 'GRAPHQL_VALIDATION_FAILED', ...error.extensions, requestId },
  }));
  return JSON.stringify({ ...answer, errors });
}

/**
 * @param maxCost highest cost of one operation
 * @param queryMs milliseconds until a query's missing parts are given up; mutations have the engine's own, longer bound
 */
export function createOperations({
  engine,
  maxCost,
  queryMs,
  budgets,
  metrics,
  logger,
}: {
  readonly engine: GraphQLEngine;
  readonly maxCost: number;
  readonly queryMs: number;
  readonly budgets: CostBudgets;
  readonly metrics: Metrics;
  readonly logger: Logger;
}): Operations {
  const limits = createOperationLimits({ schema: () => engine.publicSchema, maxCost });
  let inFlight = 0;

  function requestOf(
    { query, operationName, variables }: OperationParams,
    admitted: AdmittedOperation,
    caller: Caller,
    budget: CostBudget,
  ) {
    return {
      document: query,
      operationName,
      variables,
      ...caller,
      budget,
      extensions: { requestId: caller.requestId, cost: { requested: admitted.cost, maximum: maxCost } },
    };
  }

  async function run(
    params: OperationParams,
    admitted: AdmittedOperation,
    caller: Caller,
    budget: CostBudget,
  ): Promise<OperationAnswer> {
    const startedAt = performance.now();
    let outcome: OperationOutcome = 'errors';
    try {
      const request = requestOf(params, admitted, caller, budget);
      const isQuery = admitted.type === OperationTypeNode.QUERY;
      const { text, hasErrors, isExecuted } = await engine.execute(
        isQuery ? { ...request, deadlineMs: queryMs } : request,
      );
      outcome = hasErrors ? (isExecuted ? 'errors' : 'refused') : 'ok';
      return { text: isExecuted ? text : withCodes(text, caller.requestId), isExecuted };
    } catch (error) {
      if (caller.signal.aborted) throw error;
      logger.error({ err: error, requestId: caller.requestId, operation: admitted.name }, 'An operation failed');
      throw internalError();
    } finally {
      metrics.operationEnded(admitted.type, outcome, (performance.now() - startedAt) / 1_000);
    }
  }

  /** @throws Refusal `RATE_LIMITED` */
  function charge({ type, cost }: AdmittedOperation, { principal }: Caller): CostBudget {
    try {
      return budgets.charge(principal, cost);
    } catch (error) {
      if (error instanceof Refusal) metrics.operationEnded(type, 'refused', 0);
      throw error;
    }
  }

  /** Tells it after this has returned, as everything that goes into a sink. */
  function refuseStream(refusal: Refusal, { requestId }: Caller, sink: StreamSink): () => void {
    let isGone = false;
    queueMicrotask(() => {
      if (!isGone) sink.error([refusal.toGraphQLError(requestId)]);
    });
    return () => {
      isGone = true;
    };
  }

  return {
    admit(params) {
      try {
        return limits.admit(params.query, params.operationName, params.variables);
      } catch (error) {
        if (error instanceof Refusal) metrics.operationEnded('unknown', 'refused', 0);
        throw error;
      }
    },
    async execute(params, admitted, caller) {
      if (inFlight >= MAX_IN_FLIGHT) {
        throw new Refusal(503, 'OVERLOADED', 'Too many operations are running. Try again in a moment.', {
          headers: { 'retry-after': '1' },
        });
      }
      const budget = charge(admitted, caller);
      inFlight += 1;
      try {
        return await run(params, admitted, caller, budget);
      } finally {
        inFlight -= 1;
      }
    },
    subscribe(params, admitted, caller, sink, resumeAfter = null) {
      let budget: CostBudget;
      try {
        budget = charge(admitted, caller);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return refuseStream(error, caller, sink);
      }
      metrics.operationEnded(admitted.type, 'ok', 0);
      return engine.subscribe({ ...requestOf(params, admitted, caller, budget), resumeAfter }, sink);
    },
    inFlight: () => inFlight,
  };
}
