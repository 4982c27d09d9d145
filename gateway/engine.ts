import type { GraphQLSchema } from 'graphql';
import type { Principal } from '../schema/principal.ts';

/** One operation of one client: its document has passed the front door's limits, nothing else is known about it. */
export interface GraphQLRequest {
  /** The document as the client sent it: what the engine's caches are keyed by. */
  readonly document: string;
  /** Null: the only operation of the document. */
  readonly operationName: string | null;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly principal: Principal;
  readonly requestId: string;
  /** Fires when the client is gone. */
  readonly signal: AbortSignal;
  /** Milliseconds until what has not answered is given up; the engine's own default when absent. */
  readonly deadlineMs?: number;
}

/** An answer as JSON text, `{"data":…}`, `{"errors":[…],"data":…}` or, when it was refused, `{"errors":[…]}`. */
export interface GraphQLAnswer {
  readonly text: string;
  readonly hasErrors: boolean;
}

/** Where the items of a subscription go. Called in order; nothing is called after `error` or `complete`. */
export interface SubscriptionSink {
  /** @param text the answer as JSON text; members of one group get the same string */
  next(text: string): void;
  /** The subscription was refused or broke. @param errors JSON text of an array of GraphQL errors */
  error(errors: string): void;
  complete(): void;
}

/** What the front door needs of the federation engine. */
export interface GraphQLEngine {
  /** What clients see. It changes when the supergraph is reloaded: read it again for every operation. */
  readonly publicSchema: GraphQLSchema;
  /** Never rejects for what a client or a subgraph did wrong. */
  execute(request: GraphQLRequest): Promise<GraphQLAnswer>;
  /** @returns how to leave; safe to call more than once, and after the end */
  subscribe(request: GraphQLRequest, sink: SubscriptionSink): () => void;
}
