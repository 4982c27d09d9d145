import type { Principal } from '../../schema/principal.ts';
import type { CostBudget } from '../../schema/subgraph.ts';

/** Where a value stands in an answer: response keys and list indexes. */
export type ResponsePath = readonly (string | number)[];

/** An entry of `errors`, as plain data. */
export interface AnswerError {
  readonly message: string;
  readonly path?: ResponsePath;
  readonly extensions?: Readonly<Record<string, unknown>>;
}

/** One operation for one subgraph. */
export interface SubgraphFetch {
  /** GraphQL text with one operation. */
  readonly operation: string;
  readonly kind: 'query' | 'mutation' | 'subscription';
  readonly variables: Readonly<Record<string, unknown>>;
  readonly principal: Principal;
  readonly requestId: string;
  /** Fires when nobody waits any more. */
  readonly signal: AbortSignal;
  /** Of a stream: those whose keys are equal may see the same, and may be given one and the same item. */
  readonly shareKey?: string | undefined;
  /** What the client's operation costs; only with what is made for one request alone. */
  readonly budget?: CostBudget;
}

/** What a subgraph answered. `data` belongs to the receiver, who may change it. */
export interface SubgraphResult {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly AnswerError[];
  /** Of a stream: this is no item, but tells up to which cursor everything was sent. */
  readonly place?: string;
  /** Of a stream: others are given this very object too, and nobody may change it. */
  readonly isShared?: true;
}

/** The way to one subgraph: in this process or over the network. Transports belong to whoever made them. */
export interface SubgraphTransport {
  /** @throws TransportError when there is no answer to be had */
  execute(fetch: SubgraphFetch): Promise<SubgraphResult>;
  /**
   * Opens a stream. It ends when the subgraph completes it. It throws `SubscriptionRefused` when the subgraph does not
   * want to serve it, and `TransportError` when it was lost or cannot be reached: the transport does not resume by
   * itself, since only the caller knows after which item.
   */
  subscribe(fetch: SubgraphFetch): AsyncIterable<SubgraphResult>;
}

export type TransportErrorCode = 'SUBGRAPH_UNAVAILABLE' | 'TIMEOUT';

/** A subgraph did not answer. The message may be shown to clients: it names no host, port or cause. */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  readonly code: TransportErrorCode;

  constructor(code: TransportErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A subgraph answered a subscription with errors instead of a stream. */
export class SubscriptionRefused extends Error {
  override readonly name = 'SubscriptionRefused';
  readonly errors: readonly AnswerError[];

  constructor(errors: readonly AnswerError[]) {
    super('the subgraph refused the subscription');
    this.errors = errors;
  }
}
