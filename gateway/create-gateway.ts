import type { Config } from '../config.ts';
import type { Logger } from '../logger.ts';
import type { OneTimeMedia } from '../pipeline/media/one-time-media.ts';
import type { OnSiteExport } from '../storage/on-site-export.ts';
import type { SyncService } from '../pipeline/sync/service.ts';
import type { Authenticator } from './auth/authenticator.ts';
import type { GraphQLEngine } from './engine.ts';
import { createCors } from './http/cors.ts';
import { createGraphQLHandler } from './http/graphql-handler.ts';
import type { ReadinessChecks } from './http/health.ts';
import { createPlainStream } from './http/plain-stream.ts';
import { createRouter, type WebhookIntake } from './http/router.ts';
import { createHttpServer, listenOn, type SendTimeouts } from './http/server.ts';
import { createSubscriptions } from './http/subscriptions.ts';
import { createCostBudgets } from './limits/budgets.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { createOperations } from './operations.ts';
import { createPlayground, type PlaygroundDemo } from './playground/playground.ts';
import { createPrincipalCaps } from './principal-caps.ts';
import { serveGraphQLSockets } from './ws/server.ts';

/** What is under way may take this long after we were told to stop. */
const STOP_MS = 10_000;
const LOOK_AT_IDLE_MS = 50;

export interface GatewayOptions {
  readonly config: Pick<Config, 'host' | 'port' | 'corsOrigins' | 'metricsToken' | 'limits'>;
  readonly logger: Logger;
  readonly engine: GraphQLEngine;
  readonly authenticator: Authenticator;
  readonly intake: WebhookIntake;
  readonly syncs: SyncService;
  /** Default: none, and nothing at its paths. */
  readonly exports?: OnSiteExport;
  /** Default: none, and nothing at its path. */
  readonly media?: OneTimeMedia;
  readonly readiness: ReadinessChecks;
  /** Made by the caller when others count too, for example the engine's fetches. */
  readonly metrics?: Metrics;
  /** The sandbox's token and values for the playground. Never in the product. */
  readonly demo?: PlaygroundDemo;
  /** Default: SEND_TIMEOUTS. */
  readonly timeouts?: SendTimeouts;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export interface Gateway {
  /** @returns base address, without a trailing slash @throws ListenError `PORT_TAKEN` and others */
  listen(): Promise<{ readonly url: string; readonly port: number }>;
  /**
   * Stops: takes no new connections, tells subscribers to come back, lets requests finish for up to 10 seconds.
   * Everything behind the gateway must still work until this resolves.
   */
  close(): Promise<void>;
}

/** The front door: HTTP, server-sent events, WebSocket, webhooks, health, metrics and playground on one port. */
export function createGateway(options: GatewayOptions): Gateway {
  const { config, logger, engine, authenticator, metrics = createMetrics(), now = Date.now } = options;
  const { limits } = config;
  let isStopping = false;

  const operations = createOperations({
    engine,
    maxCost: limits.operationCost,
    queryMs: limits.operationMs,
    budgets: createCostBudgets(limits.costPerMinute, now),
    metrics,
    logger,
  });
  const caps = createPrincipalCaps(limits.connectionsPerPrincipal);
  const subscriptions = createSubscriptions({ caps, now });
  const graphql = createGraphQLHandler({ operations, authenticator, subscriptions });
  const cors = createCors(config.corsOrigins);
  const router = createRouter({
    graphql,
    plainStream: createPlainStream({ operations, authenticator, subscriptions }),
    intake: options.intake,
    syncs: options.syncs,
    exports: options.exports ?? null,
    media: options.media ?? null,
    authenticator,
    playground: createPlayground(options.demo ?? null),
    cors,
    metrics,
    metricsToken: config.metricsToken,
    readiness: options.readiness,
    isStopping: () => isStopping,
    logger,
  });
  const server = createHttpServer(router, limits, options.timeouts);
  const sockets = serveGraphQLSockets(server, { operations, authenticator, caps, cors, logger, now });

  metrics.watch('convergraph_graphql_in_flight', 'Queries and mutations that run now.', () => operations.inFlight());
  metrics.watch('convergraph_websocket_connections', 'Open WebSocket connections.', () => sockets.connections());
  metrics.watch('convergraph_websocket_operations', 'Operations open on them.', () => sockets.operations());
  metrics.watch('convergraph_sse_streams', 'Open server-sent event streams.', () => subscriptions.count());
  metrics.watch('convergraph_stream_groups', 'Streams that subscribers share.', () => engine.streams().groups);
  metrics.watch('convergraph_stream_subscribers', 'Subscribers of streams.', () => engine.streams().subscribers);
  const streams = (): ReturnType<GraphQLEngine['streams']> => engine.streams();
  metrics.watchTotal(
    'convergraph_stream_items_total',
    'Items made, each once for all who share it.',
    () => streams().items,
  );
  metrics.watchTotal('convergraph_stream_deliveries_total', 'Items handed to subscribers.', () => streams().deliveries);
  metrics.watchTotal(
    'convergraph_subscribers_too_slow_total',
    'Subscribers that were cut because too much waited for them.',
    () => sockets.cut().tooSlow + subscriptions.cut().tooSlow,
  );
  metrics.watchTotal(
    'convergraph_subscribers_expired_total',
    'Subscribers whose token ended.',
    () => sockets.cut().tokenExpired + subscriptions.cut().tokenExpired,
  );
  metrics.watchTotal('convergraph_websocket_deliveries_total', 'Items sent over WebSocket.', () => sockets.delivered());

  return {
    async listen() {
      const port = await listenOn(server, config.host, config.port);
      const host = config.host.includes(':') ? `[${config.host}]` : config.host;
      return { url: `http://${host}:${port}`, port };
    },
    async close() {
      if (isStopping) return;
      isStopping = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      subscriptions.close();
      // A connection whose last request has been answered would wait for the next one.
      const idle = setInterval(() => server.closeIdleConnections(), LOOK_AT_IDLE_MS);
      const force = setTimeout(() => server.closeAllConnections(), STOP_MS);
      await Promise.all([sockets.close(), closed]);
      clearInterval(idle);
      clearTimeout(force);
    },
  };
}
