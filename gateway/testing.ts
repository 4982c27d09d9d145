import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSchema, execute, type GraphQLSchema, parse, specifiedRules, validate } from 'graphql';
import { DEFAULT_LIMITS } from '../config.ts';
import { createLogger } from '../logger.ts';
import { createAuthenticator } from './auth/authenticator.ts';
import { createTokenIssuer, type TokenIssuer, type TokenRequest } from './auth/issuer.ts';
import { createGateway, type Gateway, type GatewayOptions } from './create-gateway.ts';
import type { GraphQLEngine } from './engine.ts';
import type { StreamSink } from './federation/hub.ts';
import type { PlaygroundDemo } from './playground/playground.ts';

// For tests of the front door: everything real but what is behind it.

const schema = buildSchema(`
  scalar JSON
  type Query { hello(name: String = "world"): String! secret: String slow: String broken: String settings(value: JSON): String org(id: ID!): Org devices(first: Int = 50): DeviceConnection! }
  type Org { id: ID! parent: Org }
  type DeviceConnection { nodes: [Device!]! }
  type Device { id: ID! }
  type Mutation { rename(to: String!): String slow: String }
  type Subscription { ticks(org: ID): Int }
`);

/** An engine without a federation: answers in process, and lets the test push items into streams. */
export interface FakeEngine extends GraphQLEngine {
  /** Sinks of open subscriptions, in the order in which they came. */
  readonly sinks: Set<StreamSink>;
  /** Sends an item to all of them. */
  push(text: string): void;
  /** Lets everything that waits in `slow` go on. */
  release(): void;
  /** Operations that reached `slow`. */
  readonly waiting: number;
  /** What `execute` was asked, newest last. */
  readonly requests: Parameters<GraphQLEngine['execute']>[0][];
}

export function createFakeEngine(publicSchema: GraphQLSchema = schema): FakeEngine {
  const sinks = new Set<StreamSink>();
  const requests: FakeEngine['requests'] = [];
  const waiting: (() => void)[] = [];
  const slow = (): Promise<string> => new Promise((resolve) => waiting.push(() => resolve('done')));
  return {
    publicSchema,
    sinks,
    requests,
    get waiting() {
      return waiting.length;
    },
    release() {
      for (const go of waiting.splice(0)) go();
    },
    push(text) {
      for (const sink of sinks) sink.next(text, null);
    },
    async execute(request) {
      requests.push(request);
      const document = typeof request.document === 'string' ? parse(request.document) : request.document;
      const errors = validate(publicSchema, document, specifiedRules);
      if (errors.length > 0) {
        return { text: JSON.stringify({ errors, extensions: request.extensions }), hasErrors: true, isExecuted: false };
      }
      const result = await execute({
        schema: publicSchema,
        document,
        operationName: request.operationName ?? null,
        variableValues: request.variables ?? {},
        rootValue: {
          hello: ({ name }: { name: string }) => `hello ${name}`,
          secret: () => request.principal.id,
          rename: ({ to }: { to: string }) => to,
          settings: ({ value }: { value: unknown }) => JSON.stringify(value),
          slow,
          broken: () => {
            throw new Error('a field failed');
          },
          devices: () => ({ nodes: [] }),
        },
      });
      request.signal.throwIfAborted();
      return {
        text: JSON.stringify({ ...result, extensions: request.extensions }),
        hasErrors: result.errors !== undefined,
        isExecuted: true,
      };
    },
    subscribe({ document }, sink) {
      if (typeof document === 'string' && document.includes('refuseMe')) {
        queueMicrotask(() => sink.error([{ message: 'refused', extensions: { code: 'BAD_USER_INPUT' } }]));
        return () => undefined;
      }
      sinks.add(sink);
      return () => void sinks.delete(sink);
    },
    streams: () => ({
      groups: sinks.size === 0 ? 0 : 1,
      subscribers: sinks.size,
      items: 0,
      executed: 0,
      deliveries: 0,
    }),
  };
}

export interface TestGateway {
  readonly gateway: Gateway;
  /** Where no other engine was given. */
  readonly engine: FakeEngine;
  readonly issuer: TokenIssuer;
  readonly url: string;
  readonly port: number;
  /** A bearer header for a principal that may read everything, unless told otherwise. */
  authorization(request?: Partial<TokenRequest>): Promise<string>;
  close(): Promise<void>;
}

export interface TestGatewayOptions extends Partial<Omit<GatewayOptions, 'demo'>> {
  /** @param token of a principal that may do everything */
  readonly demo?: (token: string) => PlaygroundDemo;
}

/** A listening gateway on a free port of this machine. */
export async function startTestGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-'));
  const issuer = await createTokenIssuer({ keyFile: join(directory, 'key.json') });
  const logger = options.logger ?? createLogger('silent');
  const engine = createFakeEngine();
  const now = options.now ?? Date.now;
  const { demo, ...rest } = options;
  const token = await issuer.issue({ sub: 'demo', scopes: ['admin'], orgIds: 'all', ttlSeconds: 3_600 });
  const gateway = createGateway({
    config: {
      host: '127.0.0.1',
      port: 0,
      corsOrigins: ['https://app.example'],
      metricsToken: null,
      limits: DEFAULT_LIMITS,
    },
    logger,
    authenticator: createAuthenticator({
      issuer: issuer.issuer,
      audience: issuer.audience,
      keys: { keys: issuer.jwks() },
      logger,
      now,
    }),
    intake: {
      async handle(request, response, integrationId, rest) {
        response.writeHead(202).end(JSON.stringify({ integrationId, rest, method: request.method }));
      },
      async ask(request, response, integrationId, rest) {
        response.writeHead(200).end(JSON.stringify({ asked: integrationId, rest, method: request.method }));
      },
    },
    syncs: { syncIntegration: () => Promise.reject(new Error('not part of this test')) },
    readiness: {},
    engine,
    ...rest,
    ...(demo === undefined ? {} : { demo: demo(token) }),
  });
  const { url, port } = await gateway.listen();
  return {
    gateway,
    engine,
    issuer,
    url,
    port,
    async authorization(request = {}) {
      const token = await issuer.issue({
        sub: 'alice',
        scopes: ['admin'],
        orgIds: 'all',
        ttlSeconds: 3_600,
        ...request,
      });
      return `Bearer ${token}`;
    },
    async close() {
      engine.release();
      await gateway.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
