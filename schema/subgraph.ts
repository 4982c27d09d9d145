import type { GraphQLSchema } from 'graphql';
import type { Principal } from './principal.ts';

/** What the client's operation costs, and what its principal has left: numbers of the front door. */
export interface CostBudget {
  /** Points of this operation. */
  readonly cost: number;
  /** Points that a principal has at most: what comes back in a minute. */
  readonly limit: number;
  /** Points that are left after this operation. */
  readonly remaining: number;
  /** When all of them are back if nothing else is asked; milliseconds since the epoch. */
  readonly resetAt: number;
}

/** What a subgraph knows about the request that reached it. */
export interface SubgraphRequest {
  readonly principal: Principal;
  /** Follows the request through logs, answers and platforms. */
  readonly requestId: string;
  /** Fires when the client is gone or the deadline has passed. */
  readonly signal: AbortSignal;
  /** The caller understands `StreamPlace` among the items of a subscription. Default: it does not. */
  readonly tellsPlaces?: boolean;
  /** Absent: nobody counts, or the answer is for others too. */
  readonly budget?: CostBudget;
}

/**
 * Among the items of a subscription's source: everything up to this cursor was sent. It is no item and reaches no client;
 * with it the gateway goes on without a gap when a stream breaks that has had nothing to say for long, or ever.
 */
export class StreamPlace {
  readonly cursor: string;

  constructor(cursor: string) {
    this.cursor = cursor;
  }
}

/**
 * A federated subgraph, ready to be executed here or served over HTTP. `createContext` is called once per request to
 * the subgraph, and for each item of a subscription, and returns what its resolvers get as context (loaders live and die
 * with it).
 */
export interface Subgraph<Context = unknown> {
  /** As in the supergraph, kebab-case. */
  readonly name: string;
  /** Its own SDL, federation directives included: what the composer reads. */
  readonly sdl: string;
  /** Executable, with resolvers, `_service` and `_entities`. */
  readonly schema: GraphQLSchema;
  createContext(request: SubgraphRequest): Context;
}
