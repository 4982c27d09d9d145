import { parentPort, workerData } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { Vendor } from './adapter-kit/define-vendor.ts';
import { createLogger } from './logger.ts';
import { enqueueCustomEvents } from './pipeline/custom-events/enqueue.ts';
import { systemClock } from './pipeline/integrations/clock.ts';
import { createHourlyReport } from './pipeline/integrations/hourly-report.ts';
import { createEventWriter, type EventWriter } from './pipeline/process/event-writer.ts';
import { createProcessor } from './pipeline/process/processor.ts';
import { createProcessingService } from './pipeline/process/serve-processing.ts';
import { ProcessingThreadData } from './pipeline/process/thread-messages.ts';
import { createDwellJob } from './pipeline/status/dwell.ts';
import { createStatusKeeper, type StatusJob, type StatusKeeper } from './pipeline/status/keeper.ts';
import { createMaintenance } from './pipeline/status/maintenance.ts';
import { createAliveJob } from './pipeline/status/outages.ts';
import { createRhythms, type Rhythms } from './pipeline/status/rhythms.ts';
import { createRootCauseHook } from './pipeline/status/root-cause-hook.ts';
import { createRootCauseJob } from './pipeline/status/root-cause-job.ts';
import { createSilenceJob } from './pipeline/status/silence.ts';
import type { Database } from './storage/database.ts';
import { foldHealthDeltas } from './storage/health-counts.ts';
import { newId } from './storage/ids.ts';
import { createLeases, type Leases } from './storage/leases.ts';
import { openDatabase } from './storage/open-database.ts';
import { giveWayToOtherThreads } from './storage/thread-priority.ts';

// How deliveries become events, wired in one place: the same whether it runs in the main thread or in one of its own.

/** Number of the processing thread among those that write; the main one is 0. */
export const PROCESSING_THREAD = 1;

/** Nobody waits for this thread to be acknowledged: batches are as long as what a subscriber may wait allows. */
const HOLD_MS = 25;
/** Whoever is behind is late anyway, and catches up by longer batches. */
const MAX_HOLD_MS = 100;
const GATHER_MS = 4;
/** A backlog is worked off in portions whose pages are written once. */
const MAX_BATCH = 500;
/** One for each integration that is processed at the same time, and as many for reading. */
const MAX_CONNECTIONS = 8;

export interface EventParts {
  /** Learns from what the writer is given. */
  readonly rhythms: Rhythms;
  /** Writes events, and what follows from them, for everybody who has some. */
  readonly events: EventWriter;
}

export interface EventPartsDeps {
  readonly db: Database;
  readonly vendors: readonly Vendor[];
  readonly logger: Logger;
}

export function createEventParts({ db, vendors, logger }: EventPartsDeps): EventParts {
  const rhythms = createRhythms({ db, vendors, clock: systemClock, logger });
  const events: EventWriter = createEventWriter({
    db,
    silence: rhythms,
    follow: enqueueCustomEvents,
    onTransitions: createRootCauseHook(() => events),
  });
  return { rhythms, events };
}

export interface KeeperDeps extends Pick<EventPartsDeps, 'db' | 'logger'> {
  readonly events: EventWriter;
  readonly leases: Leases;
  /** Opens and closes the windows of planned work. */
  readonly maintenanceJob: StatusJob;
}

/** What becomes due by time alone. */
export function createKeeper({ db, logger, events, leases, maintenanceJob }: KeeperDeps): StatusKeeper {
  const jobs: readonly StatusJob[] = [
    createDwellJob({ db, writer: events }),
    maintenanceJob,
    // Before silence is judged: nobody was silent while we were away.
    createAliveJob({ db }),
    createSilenceJob({ db, writer: () => events }),
    createRootCauseJob({ db, writer: () => events }),
    { name: 'health counts', run: () => foldHealthDeltas(db) },
    createHourlyReport({ db, logger, now: systemClock.now() }),
  ];
  return createStatusKeeper({ jobs, leases, clock: systemClock, logger, owner: newId('keeper') });
}

/** Makes events, and lets time pass for statuses, in this thread, for whoever started it; ends when it is told to. */
export async function serveProcessing(vendors: readonly Vendor[]): Promise<void> {
  if (parentPort === null) throw new Error('this is to be run as a worker thread');
  giveWayToOtherThreads();
  const { databaseUrl, logLevel, turns } = ProcessingThreadData.parse(workerData);
  const logger = createLogger(logLevel);
  const db = await openDatabase({
    url: databaseUrl,
    logger,
    thread: { memory: turns, number: PROCESSING_THREAD },
    maxConnections: MAX_CONNECTIONS,
  });
  const { rhythms, events } = createEventParts({ db, vendors, logger });
  const maintenance = createMaintenance({ db, now: systemClock.now, writer: () => events });
  const leases = createLeases({ db, now: systemClock.now });
  const keeper = createKeeper({ db, events, maintenanceJob: maintenance.job, leases, logger });
  const service = createProcessingService(parentPort, {
    async close() {
      await keeper.stop();
      await rhythms.stop();
      await db.close();
    },
    doorbell: db.doorbell,
  });
  const processor = createProcessor({
    db,
    vendors,
    logger,
    writer: events,
    gatherMs: GATHER_MS,
    holdMs: HOLD_MS,
    maxHoldMs: MAX_HOLD_MS,
    maxBatch: MAX_BATCH,
    onDevicesAdded: (integrationId) => service.devicesAdded(integrationId),
  });
  await rhythms.start();
  keeper.start();
  service.serve(processor);
}
