import { type Client, createClient } from 'graphql-ws';
import { Agent, request } from 'undici';
import WebSocket from 'ws';
import { z } from 'zod';
import { accessKey } from '../../schema/principal.ts';
import {
  BUDGET_HEADER,
  type InternalTokens,
  PLACES_PARAMETER,
  PRINCIPAL_HEADER,
  REQUEST_ID_HEADER,
} from './internal-token.ts';
import {
  type AnswerError,
  type SubgraphFetch,
  type SubgraphResult,
  type SubgraphTransport,
  SubscriptionRefused,
  TransportError,
} from './transport.ts';

/** More than any page of 500 devices with everything about them. */
const MAX_ANSWER_BYTES = 32 * 1_024 * 1_024;
/** Connections to one subgraph. HTTP/1.1 has one request on each at a time. */
const MAX_CONNECTIONS = 64;
const CONNECT_TIMEOUT_MS = 2_000;
/** A dead peer is noticed after two of these. */
const KEEP_ALIVE_MS = 10_000;
/** Items that have come and are not taken yet; a subgraph that is faster than this for long is cut, and resumed. */
const MAX_BUFFERED_ITEMS = 1_000;

const Path = z.array(z.union([z.string(), z.int()]));
const GraphError = z.object({
  message: z.string(),
  path: Path.optional(),
  extensions: z.record(z.string(), z.unknown()).optional(),
});
const Result = z.object({
  data: z.record(z.string(), z.unknown()).nullish(),
  errors: z.array(GraphError).min(1).optional(),
  extensions: z.looseObject({ place: z.string().optional() }).optional(),
});

export interface RemoteTransportOptions {
  /** The subgraph's name: the audience of its tokens. */
  readonly name: string;
  /** `http://host:port/graphql` */
  readonly url: URL;
  readonly tokens: InternalTokens;
}

export interface RemoteTransport extends SubgraphTransport {
  close(): Promise<void>;
}

/** The way to a subgraph in another process, as `serveSubgraph` serves it. */
export function createRemoteTransport({ name, url, tokens }: RemoteTransportOptions): RemoteTransport {
  const agent = new Agent({
    connections: MAX_CONNECTIONS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxResponseSize: MAX_ANSWER_BYTES,
  });
  const socketUrl = new URL(url);
  socketUrl.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  /** One socket for each access: a socket speaks for one principal. */
  const clients = new Map<string, { readonly client: Client; streams: number }>();

  async function execute(fetch: SubgraphFetch): Promise<SubgraphResult> {
    const { operation, variables, principal, requestId, signal, budget } = fetch;
    try {
      const response = await request(url, {
        method: 'POST',
        dispatcher: agent,
        signal,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          [PRINCIPAL_HEADER]: await tokens.issue(principal, name),
          [REQUEST_ID_HEADER]: requestId,
          ...(budget === undefined ? {} : { [BUDGET_HEADER]: JSON.stringify(budget) }),
        },
        body: JSON.stringify({ query: operation, variables }),
      });
      const body: unknown = await response.body.json();
      // 401 and 413 are answers of the server, not of the graph; a client must not be told that it was refused.
      if (response.statusCode === 401 || response.statusCode === 413)
        throw new Error(`the subgraph answered ${response.statusCode}`);
      return resultOf(Result.parse(body));
    } catch (cause) {
      throw new TransportError('SUBGRAPH_UNAVAILABLE', 'The data could not be fetched.', { cause });
    }
  }

  function clientFor({ principal, requestId }: SubgraphFetch): {
    readonly client: Client;
    readonly release: () => void;
  } {
    const key = `${principal.id}\n${accessKey(principal)}`;
    const known = clients.get(key) ?? {
      streams: 0,
      client: createClient({
        url: socketUrl.href,
        webSocketImpl: WebSocket,
        lazy: true,
        keepAlive: KEEP_ALIVE_MS,
        // Whoever subscribed comes back by itself, with the cursor of the last item.
        retryAttempts: 0,
        connectionParams: async () => ({
          [PRINCIPAL_HEADER]: await tokens.issue(principal, name),
          [REQUEST_ID_HEADER]: requestId,
          [PLACES_PARAMETER]: true,
        }),
        // Errors reach the one who subscribed.
        onNonLazyError: () => undefined,
      }),
    };
    clients.set(key, known);
    known.streams++;
    return {
      client: known.client,
      release: () => {
        known.streams--;
        if (known.streams > 0) return;
        if (clients.get(key) === known) clients.delete(key);
        void known.client.dispose();
      },
    };
  }

  return {
    execute,
    subscribe: (fetch) => new RemoteStream(fetch, clientFor(fetch)),
    async close() {
      for (const { client } of clients.values()) await client.dispose();
      clients.clear();
      await agent.close();
    },
  };
}

function resultOf({ data, errors, extensions }: z.infer<typeof Result>): SubgraphResult {
  if (extensions?.place !== undefined) return { place: extensions.place };
  return errors === undefined ? { data: data ?? null } : { data: data ?? null, errors: errors.map(errorOf) };
}

function errorOf({ message, path, extensions }: z.infer<typeof GraphError>): AnswerError {
  return { message, ...(path === undefined ? {} : { path }), ...(extensions === undefined ? {} : { extensions }) };
}

/** Turns what a socket pushes into what a reader pulls, with a bound on what may wait in between. */
class RemoteStream implements AsyncIterableIterator<SubgraphResult> {
  readonly #items: SubgraphResult[] = [];
  readonly #unsubscribe: () => void;
  #end: { readonly error: Error | null } | null = null;
  #wake: (() => void) | null = null;

  constructor(
    { operation, variables, signal }: SubgraphFetch,
    { client, release }: { readonly client: Client; readonly release: () => void },
  ) {
    const unsubscribe = client.subscribe(
      { query: operation, variables: { ...variables } },
      {
        next: (result) => this.#push(result),
        error: (error) => this.#fail(error),
        complete: () => this.#finish(null),
      },
    );
    let isReleased = false;
    this.#unsubscribe = () => {
      if (isReleased) return;
      isReleased = true;
      signal.removeEventListener('abort', stop);
      unsubscribe();
      release();
    };
    const stop = (): void => this.#finish(null);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<SubgraphResult>> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) return { done: false, value: item };
      if (this.#end !== null) {
        const { error } = this.#end;
        this.#end = { error: null };
        if (error !== null) throw error;
        return { done: true, value: undefined };
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  return(): Promise<IteratorResult<SubgraphResult>> {
    this.#finish(null);
    return Promise.resolve({ done: true, value: undefined });
  }

  #push(result: unknown): void {
    if (this.#end !== null) return;
    if (this.#items.length >= MAX_BUFFERED_ITEMS) {
      this.#finish(new TransportError('SUBGRAPH_UNAVAILABLE', 'The stream was faster than it could be read.'));
      return;
    }
    const { success, data: item, error } = Result.safeParse(result);
    if (!success) {
      this.#finish(
        new TransportError('SUBGRAPH_UNAVAILABLE', 'The stream sent what is not an answer.', { cause: error }),
      );
    } else if (item.data === undefined) {
      // An item has data, be it null; the answer to a subscription that did not come about has only errors.
      this.#finish(new SubscriptionRefused((item.errors ?? []).map(errorOf)));
    } else {
      this.#items.push(resultOf(item));
      this.#notify();
    }
  }

  /** GraphQL errors mean that the subgraph refused the subscription; anything else, that the socket was lost. */
  #fail(error: unknown): void {
    const refusal = z.array(GraphError).min(1).safeParse(error);
    if (!refusal.success) {
      this.#finish(new TransportError('SUBGRAPH_UNAVAILABLE', 'The stream was interrupted.', { cause: error }));
      return;
    }
    this.#finish(new SubscriptionRefused(refusal.data.map(errorOf)));
  }

  #finish(error: Error | null): void {
    if (this.#end !== null) return;
    this.#end = { error };
    this.#unsubscribe();
    this.#notify();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = null;
  }
}
