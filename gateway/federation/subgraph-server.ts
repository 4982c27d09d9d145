import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ApolloServer, HeaderMap } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
} from '@apollo/server/plugin/disabled';
import { type ExecutionArgs, type ExecutionResult, GraphQLError, type GraphQLFormattedError } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { z } from 'zod';
import type { Principal } from '../../schema/principal.ts';
import { type CostBudget, type Subgraph, type SubgraphRequest, StreamPlace } from '../../schema/subgraph.ts';
import {
  BUDGET_HEADER,
  type InternalTokens,
  PLACES_PARAMETER,
  PRINCIPAL_HEADER,
  REQUEST_ID_HEADER,
} from './internal-token.ts';
import { formatMasked, maskError, type OnMasked } from './mask-error.ts';
import { subscribeToItems } from './subscribe-source.ts';

/** A batch of 500 entities with long keys has 100 KB; plans ask for no more than an answer holds. */
const MAX_BODY_BYTES = 4 * 1_024 * 1_024;
/** Sockets that say nothing are closed. */
const INIT_TIMEOUT_MS = 3_000;
const CLOSE_TIMEOUT_MS = 5_000;
const MAX_REQUEST_ID = 128;

export interface SubgraphServerOptions {
  readonly tokens: InternalTokens;
  /** Where to listen. Port 0: any free one. */
  readonly host: string;
  readonly port: number;
  /** What clients are not told. */
  readonly onError: OnMasked;
}

export interface SubgraphServer {
  /** `http://host:port/graphql`; the same with `ws:` for subscriptions. */
  readonly url: string;
  /** Stops: streams are told to come back, requests under way are answered. */
  close(): Promise<void>;
}

/** Serves a subgraph over HTTP, and its subscriptions over WebSocket, to a gateway that proves who is asking. */
export async function serveSubgraph(subgraph: Subgraph, options: SubgraphServerOptions): Promise<SubgraphServer> {
  const { tokens, onError } = options;
  const apollo = new ApolloServer<object>({
    schema: subgraph.schema,
    introspection: false,
    includeStacktraceInErrorResponses: false,
    // Both cost up to half of the throughput and say nothing that this gateway would use.
    plugins: [ApolloServerPluginCacheControlDisabled(), ApolloServerPluginInlineTraceDisabled()],
    formatError: (formatted, error) => formatMasked(formatted, error, onError),
    // The process that runs the subgraph decides when to stop.
    stopOnTerminationSignals: false,
  });
  await apollo.start();

  const http = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      onError(error);
      if (!response.headersSent) refuse(response, 500, 'INTERNAL_SERVER_ERROR');
      else response.destroy();
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const principal = await principalOf(request.headers[PRINCIPAL_HEADER]);
    if (principal === null) return refuse(response, 401, 'UNAUTHENTICATED');
    if (request.method !== 'POST') return refuse(response, 405, 'BAD_REQUEST');
    const body = await readBody(request);
    if (body === null) return refuse(response, 413, 'BAD_REQUEST');
    const parsed = parseJson(body);
    if (parsed === undefined) return refuse(response, 400, 'BAD_REQUEST');
    const gone = new AbortController();
    response.on('close', () => {
      if (!response.writableFinished) gone.abort();
    });
    const headers = new HeaderMap();
    headers.set('content-type', 'application/json');
    headers.set('accept', 'application/json');
    const context = contextOf({
      principal,
      requestId: requestIdOf(request.headers[REQUEST_ID_HEADER]),
      signal: gone.signal,
      ...budgetOf(request.headers[BUDGET_HEADER]),
    });
    const answered = await apollo.executeHTTPGraphQLRequest({
      httpGraphQLRequest: { method: 'POST', headers, search: '', body: parsed },
      context: () => Promise.resolve(context),
    });
    response.statusCode = answered.status ?? 200;
    for (const [name, value] of answered.headers) response.setHeader(name, value);
    if (answered.body.kind === 'complete') response.end(answered.body.string);
    else response.destroy(new Error('the subgraph answered in parts'));
  }

  function contextOf(request: SubgraphRequest): object {
    const context = subgraph.createContext(request);
    if (typeof context !== 'object' || context === null)
      throw new TypeError(`the context of ${subgraph.name} is not an object`);
    return context;
  }

  async function principalOf(token: unknown): Promise<Principal | null> {
    if (typeof token !== 'string') return null;
    return tokens.verify(token, subgraph.name).catch(() => null);
  }

  const masked = (error: GraphQLError | GraphQLFormattedError): GraphQLFormattedError =>
    error instanceof GraphQLError ? maskError(error, onError) : error;

  /** Of contexts of streams, to make more of them. */
  const requests = new WeakMap<object, SubgraphRequest>();

  async function subscribe(args: ExecutionArgs): Promise<ExecutionResult | AsyncIterable<ExecutionResult>> {
    const request = requests.get(Object(args.contextValue));
    if (request === undefined) throw new TypeError('a stream was asked for without a context');
    const items = await subscribeToItems(args, () => contextOf(request));
    if (!(Symbol.asyncIterator in items)) return items;
    const results: AsyncIterableIterator<ExecutionResult, void, void> = {
      async next() {
        const { done, value } = await items.next();
        if (done === true) return { done, value: undefined };
        return { done: false, value: value instanceof StreamPlace ? placeMessage(value) : value };
      },
      async return() {
        await items.return();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]: () => results,
    };
    return results;
  }

  const sockets = new WebSocketServer({ server: http, path: '/graphql', maxPayload: MAX_BODY_BYTES });
  interface Extra extends Record<PropertyKey, unknown> {
    principal?: Principal;
    gone?: AbortController;
  }
  const streams = useServer<Record<string, unknown>, Extra>(
    {
      schema: subgraph.schema,
      subscribe,
      connectionInitWaitTimeout: INIT_TIMEOUT_MS,
      onConnect: async ({ connectionParams, extra }) => {
        const principal = await principalOf(connectionParams?.[PRINCIPAL_HEADER]);
        if (principal === null) return false;
        extra.principal = principal;
        extra.gone = new AbortController();
        return true;
      },
      onDisconnect: ({ extra }) => extra.gone?.abort(),
      context: ({ connectionParams, extra: { principal, gone } }) => {
        if (principal === undefined || gone === undefined)
          throw new Error('a stream was asked for before its socket was opened');
        const request: SubgraphRequest = {
          principal,
          requestId: requestIdOf(connectionParams?.[REQUEST_ID_HEADER]),
          signal: gone.signal,
          tellsPlaces: connectionParams?.[PLACES_PARAMETER] === true,
        };
        const context = contextOf(request);
        requests.set(context, request);
        return context;
      },
      onNext: (_context, _id, _payload, _args, { data, errors }) =>
        errors === undefined ? undefined : { ...(data === undefined ? {} : { data }), errors: errors.map(masked) },
      onError: (_context, _id, _payload, errors) => errors.map(masked),
    },
    sockets,
  );

  await listen(http, options);
  const address = http.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  return {
    url: `http://${options.host}:${port}/graphql`,
    async close() {
      // Closes sockets with 1001, upon which the gateway comes back and goes on after the last item.
      await streams.dispose();
      const closed = once(http, 'close');
      http.close();
      http.closeIdleConnections();
      const force = setTimeout(() => http.closeAllConnections(), CLOSE_TIMEOUT_MS);
      await closed;
      clearTimeout(force);
      await apollo.stop();
    },
  };
}

function placeMessage({ cursor }: StreamPlace): ExecutionResult {
  return { data: null, extensions: { place: cursor } };
}

async function listen(server: Server, { host, port }: SubgraphServerOptions): Promise<void> {
  server.listen(port, host);
  await once(server, 'listening');
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ errors: [{ message: 'The request was refused.', extensions: { code } }] }));
}

async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) return null;
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const Budget = z.object({ cost: z.number(), limit: z.number(), remaining: z.number(), resetAt: z.number() });

function budgetOf(header: unknown): { readonly budget?: CostBudget } {
  const parsed = Budget.safeParse(typeof header === 'string' ? parseJson(header) : undefined);
  return parsed.success ? { budget: parsed.data } : {};
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function requestIdOf(value: unknown): string {
  return typeof value === 'string' && value.length <= MAX_REQUEST_ID ? value : 'unknown';
}
