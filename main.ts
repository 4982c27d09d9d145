import { statfs } from 'node:fs/promises';
import type { Vendor } from './adapter-kit/define-vendor.ts';
import { createHttpClientFactory } from './adapter-kit/http/create-http-client.ts';
import { createVendorSubgraph } from './adapter-kit/vendor-subgraph.ts';
import { type Config, ConfigError, loadConfig } from './config.ts';
import { createAuthenticator } from './gateway/auth/authenticator.ts';
import { createGateway } from './gateway/create-gateway.ts';
import { createFederationEngine } from './gateway/federation/engine.ts';
import { createPlannerProcess } from './gateway/federation/planner-process.ts';
import { createLocalTransport } from './gateway/federation/transport-local.ts';
import { ListenError } from './gateway/listen-error.ts';
import { createMetrics } from './gateway/metrics.ts';
import type { PlaygroundDemo } from './gateway/playground/playground.ts';
import { createLogger, type Logger } from './logger.ts';
import { createCustomEventDispatcher } from './pipeline/custom-events/dispatcher.ts';
import { createDeadLetters } from './pipeline/dead-letters/dead-letters.ts';
import { createInboxWriter } from './pipeline/inbox/inbox-writer.ts';
import { createIntake } from './pipeline/intake/intake.ts';
import { systemClock } from './pipeline/integrations/clock.ts';
import { createQuotas } from './pipeline/integrations/quota.ts';
import { createIntegrationRuntime } from './pipeline/integrations/runtime.ts';
import { createIntegrationService } from './pipeline/integrations/service.ts';
import { registerWebhook } from './pipeline/integrations/webhook-registration.ts';
import { createIntegrationWorkers } from './pipeline/integrations/workers.ts';
import { createVendorHost } from './pipeline/live/vendor-host.ts';
import { createMediaLinks } from './pipeline/media/media-links.ts';
import { createOneTimeMedia } from './pipeline/media/one-time-media.ts';
import { createProcessor } from './pipeline/process/processor.ts';
import { createProcessorThread } from './pipeline/process/processor-thread.ts';
import { createRetention } from './pipeline/process/retention.ts';
import { createMaintenance } from './pipeline/status/maintenance.ts';
import { createSimulation } from './pipeline/simulation/simulate.ts';
import { createLogTail } from './pipeline/stream/log-tail.ts';
import { createSyncEngine } from './pipeline/sync/engine.ts';
import { createSyncService } from './pipeline/sync/service.ts';
import { createEventParts, createKeeper, PROCESSING_THREAD } from './processing.ts';
import type { DeadLetterStage } from './schema/words.ts';
import { createCursorCodec } from './storage/cursor.ts';
import { countWaitingCustomEvents } from './storage/custom-events.ts';
import { findOldestPending } from './storage/inbox.ts';
import { createLeases } from './storage/leases.ts';
import { loadMasterKey } from './storage/master-key.ts';
import { createOnSiteExport } from './storage/on-site-export.ts';
import { openDatabase } from './storage/open-database.ts';
import { createTurnMemory, forgetThread } from './storage/sqlite/write-turn.ts';
import { markSandboxOrgs } from './storage/sandbox-orgs.ts';
import { StorageError } from './storage/storage-error.ts';
import { createVault } from './storage/vault.ts';
import { watchWrites } from './storage/write-health.ts';
import { compose } from './subgraphs/compose.ts';
import { createDirectorySubgraph } from './subgraphs/directory/index.ts';
import { createEventsSubgraph } from './subgraphs/events/index.ts';
import { vendors as deployedVendors } from './subgraphs/index.ts';
import { createInventorySubgraph } from './subgraphs/inventory/index.ts';

export interface AppOptions {
  readonly config: Config;
  readonly vendors: readonly Vendor[];
  readonly logger: Logger;
  /** Orgs are of a sandbox, where events may be made up. Only code can say so: no setting does. Default false. */
  readonly isSandbox?: boolean;
  /**
   * The module of a thread that makes events of deliveries, see processing.ts; it must have the same vendors. Default: this
   * thread does it, which is what few events and tests need.
   */
  readonly processingThread?: URL | undefined;
  /** The sandbox's token and values for the playground. */
  readonly demo?: PlaygroundDemo;
}

export interface App {
  /** Base address, without a trailing slash. */
  readonly url: string;
  readonly port: number;
  /** Answers what is under way, tells subscribers to come back, then stops everything behind the front door. */
  close(): Promise<void>;
}

/** Makes events of the deliveries of every deployed vendor. */
export const PROCESSING_ENTRY = new URL('./processing-thread.ts', import.meta.url);

/** A delivery to ourselves is on disk within milliseconds. */
const SELF_TEST_MS = 5_000;

/**
 * Wires every part together and starts it. What was started is stopped again when a later part fails.
 *
 * @throws StorageError, ListenError, CompositionError
 */
export async function startApp(options: AppOptions): Promise<App> {
  const { config, vendors, logger, demo, isSandbox = false, processingThread } = options;
  // Stops in the opposite order of what is written down here.
  await using parts = new AsyncDisposableStack();
  const clock = systemClock;
  const now = clock.now;

  const masterKey = loadMasterKey({ value: config.masterKey ?? undefined, dataDirectory: config.dataDir });
  const vault = createVault({ masterKey });
  const cursors = createCursorCodec(masterKey);
  const turns = createTurnMemory();
  const store = watchWrites({
    db: await openDatabase({
      url: config.databaseUrl,
      logger,
      checkMaxBytes: config.limits.startCheckBytes,
      thread: processingThread === undefined ? undefined : { memory: turns, number: 0 },
    }),
    logger,
  });
  const { db } = store;
  parts.defer(() => db.close());
  if (isSandbox) await markSandboxOrgs(db);
  const leases = createLeases({ db, now });

  // Where we listen; known once we do.
  let ownUrl = '';
  // Where platforms reach us; with port 0 it is known once we listen.
  const publicUrl = new URL(
    config.publicUrl ?? `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${config.port}`,
  );

  const network = { allow: config.outboundAllowCidrs, allowHttp: config.outboundAllowCidrs.length > 0 };
  const http = createHttpClientFactory({ network, logger, now: () => new Date(now()), random: Math.random });
  const quotas = createQuotas(now);
  const runtime = createIntegrationRuntime({ db, vault, vendors, http, logger, now, quotas });
  parts.defer(() => runtime.close());

  const { rhythms, events } = createEventParts({ db, vendors, logger });
  parts.defer(() => rhythms.stop());
  const inbox = createInboxWriter({ db, logger });
  parts.defer(() => inbox.close());
  const gzipVendors = new Set(vendors.filter(({ ingest }) => ingest.acceptsGzip === true).map(({ slug }) => slug));
  const largeBodies = new Map(
    vendors.flatMap(({ slug, ingest }) =>
      ingest.maxDeliveryBytes === undefined ? [] : [[slug, ingest.maxDeliveryBytes] as const],
    ),
  );
  const intake = createIntake({ db, vault, inbox, logger, now, vendors, gzipVendors, largeBodies });
  parts.defer(() => intake.close());
  const onDevicesAdded = (integrationId: string): void => {
    deadLetters.replay(integrationId, { stages: ['MAPPING'] }).catch((error: unknown) => {
      logger.error({ err: error, integrationId }, 'What waited for new devices could not be replayed');
    });
  };
  const processor =
    processingThread === undefined
      ? createProcessor({
          db,
          vendors,
          logger,
          writer: events,
          now,
          isIntakeBusy: () => inbox.waiting > 0,
          onDevicesAdded,
        })
      : createProcessorThread({
          entry: processingThread,
          data: { databaseUrl: config.databaseUrl, logLevel: config.logLevel, turns },
          doorbell: db.doorbell,
          logger,
          onDevicesAdded,
          onEnd: () => forgetThread(turns, PROCESSING_THREAD),
        });
  const deadLetters = createDeadLetters({ db, processor });
  const tail = createLogTail({ db, logger });
  parts.defer(() => tail.stop());
  const retention = createRetention({ db, logger, now, isBusy: () => inbox.waiting > 0 });
  parts.defer(() => retention.stop());
  parts.defer(() => processor.stop());

  const sync = createSyncEngine({
    db,
    events,
    runtime,
    leases,
    logger,
    clock,
    onDevicesAdded: async (integrationId) => {
      await deadLetters.replay(integrationId, { stages: ['MAPPING'] });
    },
  });
  parts.defer(() => sync.close());
  const syncs = createSyncService({ db, engine: sync });
  const integrationDeps = {
    db,
    vault,
    runtime,
    events,
    clock,
    logger,
    webhookUrl: (integrationId: string) => new URL(`/webhooks/${integrationId}`, publicUrl).href,
    selfTest: {
      async post(path: string, headers: Readonly<Record<string, string>>, body: Uint8Array) {
        const signal = AbortSignal.timeout(SELF_TEST_MS);
        const answer = await fetch(`${ownUrl}${path}`, { method: 'POST', headers, body: Buffer.from(body), signal });
        return { status: answer.status, text: await answer.text() };
      },
      process: (integrationId: string) => processor.process(integrationId),
    },
    replay: (integrationId: string, stages: readonly DeadLetterStage[]) =>
      deadLetters.replay(integrationId, { stages }),
  };
  const integrations = createIntegrationService(integrationDeps);
  const workers = createIntegrationWorkers({
    db,
    runtime,
    sync,
    events,
    inbox,
    clock,
    logger,
    leases,
    random: Math.random,
    registerWebhook: (integrationId) => registerWebhook(integrationDeps, integrationId),
  });
  parts.defer(() => workers.close());

  const maintenance = createMaintenance({ db, now, writer: () => events });
  const keeper =
    processingThread === undefined
      ? createKeeper({ db, events, maintenanceJob: maintenance.job, leases, logger })
      : null;
  parts.defer(async () => keeper?.stop());

  const customEvents = createCustomEventDispatcher({ db, runtime, events, clock, logger });
  parts.defer(() => customEvents.stop());

  const links = createMediaLinks({ masterKey, publicUrl, now });
  const simulation = createSimulation({ db, inbox, now });
  const host = createVendorHost({ db, runtime, events, clock, logger });
  const subgraphs = [
    createDirectorySubgraph(
      { db, cursors, integrations, quotaOf: (id) => quotas.of(id), maintenance, publicUrl, now, isSandbox },
      vendors,
    ),
    createInventorySubgraph({ db, cursors, sync: syncs, now }, vendors),
    createEventsSubgraph({ db, cursors, tail, deadLetters, simulation, media: links, now }, vendors),
    ...vendors.map((vendor) => createVendorSubgraph(vendor, vendors, host)),
  ];
  const metrics = createMetrics();
  metrics.watch('convergraph_inbox_lag_seconds', 'Age of the oldest delivery that waits to be processed.', async () => {
    const waiting = [await findOldestPending(db), db.arrivals?.oldest() ?? null].filter((at) => at !== null);
    return waiting.length === 0 ? 0 : (now() - Math.min(...waiting)) / 1_000;
  });
  metrics.watch('convergraph_store_writable', '1 while the last write to the database worked.', () =>
    Number(store.isWritable),
  );
  if (db.engine === 'sqlite') {
    metrics.watch('convergraph_data_directory_free_bytes', 'Room on the disk of the data directory.', async () => {
      const { bavail, bsize } = await statfs(config.dataDir);
      return bavail * bsize;
    });
  }
  metrics.watch('convergraph_custom_events_waiting', 'Events that wait to be created at other platforms.', () =>
    countWaitingCustomEvents(db),
  );
  const engine = createFederationEngine({
    supergraphSdl: compose(vendors),
    transports: new Map(
      subgraphs.map((subgraph) => [
        subgraph.name,
        createLocalTransport(subgraph, (error) =>
          logger.error({ err: error, service: subgraph.name }, 'A resolver failed'),
        ),
      ]),
    ),
    planner: createPlannerProcess((error) => logger.error({ err: error }, 'The query planner ended')),
    onError: (error, context) => logger.error({ err: error, ...context }, 'An operation failed'),
    onFetch: metrics.subgraphFetched,
  });
  parts.defer(() => engine.close());

  const gateway = createGateway({
    config,
    logger,
    engine,
    authenticator: createAuthenticator({ ...config.auth, logger, now }),
    intake,
    syncs,
    exports: createOnSiteExport(db),
    media: createOneTimeMedia({ db, links, runtime, http, logger, now }),
    readiness: { database: () => store.check() },
    metrics,
    ...(demo === undefined ? {} : { demo }),
    now,
  });
  parts.defer(() => gateway.close());
  const { url, port } = await gateway.listen();
  ownUrl = url;
  if (config.publicUrl === null) publicUrl.port = String(port);
  await tail.start();
  await rhythms.start();
  processor.start();
  workers.start();
  customEvents.start();
  keeper?.start();
  retention.start();
  logger.info(
    { url, engine: db.engine, durability: 'fsync', vendors: vendors.map(({ slug }) => slug) },
    'Convergraph is up',
  );

  const running = parts.move();
  let closing: Promise<void> | null = null;
  return { url, port, close: () => (closing ??= running.disposeAsync()) };
}

/** Stops once on SIGINT or SIGTERM; a second signal ends the process at once. */
export function stopOnSignal(stop: () => Promise<void>, logger: Logger): void {
  let isStopping = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(1);
      isStopping = true;
      logger.info({ signal }, 'Stopping');
      stop().then(
        () => process.exit(0),
        (error: unknown) => {
          logger.fatal({ err: error }, 'Could not stop in order');
          process.exit(1);
        },
      );
    });
  }
}

/** Faults of the start that a person can mend: one line or a list, no stack. */
export function isStartFault(error: unknown): error is Error {
  return error instanceof ConfigError || error instanceof StorageError || error instanceof ListenError;
}

if (import.meta.main) {
  try {
    const config = loadConfig();
    const logger = createLogger(config.logLevel);
    const app = await startApp({ config, vendors: deployedVendors, logger, processingThread: PROCESSING_ENTRY });
    stopOnSignal(() => app.close(), logger);
  } catch (error) {
    if (!isStartFault(error)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
