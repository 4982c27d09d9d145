import type { Logger } from 'pino';
import type { Vendor } from '../../adapter-kit/define-vendor.ts';
import type { Database } from '../../storage/database.ts';
import { findIntegrationsWithWork, readDue } from '../../storage/inbox.ts';
import { type EventWriter, createEventWriter } from './event-writer.ts';
import { createMissingIds } from './missing-ids.ts';
import { createBatchSize } from './batch-size.ts';
import { processBatch } from './process-batch.ts';
import { createSourceClocks } from './source-clock.ts';

/** Integrations at the same time: each holds one batch in memory and, on PostgreSQL, one connection. */
const MAX_CONCURRENT = 4;
/** Batches of one integration before the others have their turn. */
const BATCHES_PER_TURN = 5;
/** Rings can be lost, and attempts become due without one. */
const POLL_MS = 1_000;
/**
 * Pause after a batch that was not full, while a started processor works. A transaction costs a millisecond whatever is
 * in it: under load this makes batches of hundreds out of batches of ten, and the first event of a quiet moment has
 * nothing to wait for.
 */
const GATHER_MS = 20;
/** Deliveries of a batch while none come in. */
const MAX_BATCH = 200;
/** How long a batch keeps the one writer while deliveries come in: who is to be acknowledged waits for it. */
const HOLD_MS = 8;
/** How long a busy inbox may hold up the next batch: acknowledging goes first, but not for ever. */
const MAX_GIVE_WAY_MS = 50;

export interface ProcessorDeps {
  readonly db: Database;
  readonly vendors: readonly Vendor[];
  readonly logger: Logger;
  /** Default: one of its own. */
  readonly writer?: EventWriter;
  /** Milliseconds since the epoch; default the system's clock. */
  readonly now?: () => number;
  /** True while deliveries wait for their acknowledgement: the next batch gives way for up to 50 ms. */
  readonly isIntakeBusy?: () => boolean;
  /** Pause after a batch that was not full, in milliseconds; default 20. */
  readonly gatherMs?: number | undefined;
  /** Deliveries of a batch while none come in; default 200. */
  readonly maxBatch?: number | undefined;
  /** How long a batch may take while deliveries come in, in milliseconds; default 8. */
  readonly holdMs?: number | undefined;
  /** The same while deliveries come faster than they are processed; default as long. */
  readonly maxHoldMs?: number | undefined;
  /** Called after a pushed inventory added devices; not to be waited for, as what it does may wait for us. */
  readonly onDevicesAdded?: (integrationId: string) => void;
}

/**
 * Turns what is in the inbox into events: in order of arrival per integration, several integrations beside each other.
 * Any number of processes may run one; each delivery is processed once.
 */
export interface Processor {
  /** Processes everything that waits, also from before a crash, and from then on whatever arrives. */
  start(): void;
  /** Finishes the batches under way. */
  stop(): Promise<void>;
  /** Processes what is due for one integration; resolves when nothing is. Works without `start`. */
  process(integrationId: string): Promise<void>;
}

export function createProcessor(deps: ProcessorDeps): Processor {
  const { db, logger } = deps;
  const now = deps.now ?? Date.now;
  const writer = deps.writer ?? createEventWriter({ db });
  const batchDeps = {
    db,
    logger,
    now,
    writer,
    clocks: createSourceClocks(writer),
    missingIds: createMissingIds(writer, logger),
    vendors: new Map(deps.vendors.map((vendor) => [vendor.slug, vendor])),
    ...(deps.onDevicesAdded === undefined ? {} : { onDevicesAdded: deps.onDevicesAdded }),
  };
  const running = new Map<string, Promise<void>>();
  /** When each integration had its last turn: who waits longest comes next. */
  const turns = new Map<string, number>();
  let turn = 0;
  let isStarted = false;
  let isStopping = false;
  let looking: Promise<void> | null = null;
  let shouldLookAgain = false;
  let isFailing = false;
  const size = createBatchSize({
    max: deps.maxBatch ?? MAX_BATCH,
    holdMs: deps.holdMs ?? HOLD_MS,
    maxHoldMs: deps.maxHoldMs,
  });
  let stopListening = (): void => {};
  let timer: NodeJS.Timeout | null = null;

  async function giveWay(gatherMs: number): Promise<void> {
    if (gatherMs > 0) await new Promise((resolve) => setTimeout(resolve, gatherMs));
    const since = performance.now();
    do {
      await new Promise((resolve) => setImmediate(resolve));
    } while (deps.isIntakeBusy?.() === true && performance.now() - since < MAX_GIVE_WAY_MS);
  }

  async function drain(integrationId: string, maxBatches: number): Promise<void> {
    const gatherMs = Number.isFinite(maxBatches) ? (deps.gatherMs ?? GATHER_MS) : 0;
    for (let batch = 0; batch < maxBatches && !isStopping; batch++) {
      const limit = size.next(performance.now());
      const rows = await readDue(db, integrationId, now(), limit);
      if (rows.length === 0) return;
      const integration = await db.read
        .selectFrom('integrations')
        .selectAll()
        .where('id', '=', integrationId)
        .executeTakeFirst();
      if (integration === undefined) return;
      const startedAt = performance.now();
      await processBatch(batchDeps, integration, rows);
      size.took(rows.length, performance.now() - startedAt, rows.length === limit);
      // It may have brought deliveries of others.
      if (db.arrivals !== null) look();
      await giveWay(rows.length < limit ? gatherMs : 0);
    }
  }

  /** One drain per integration at a time: that is what keeps its order. */
  function run(integrationId: string, maxBatches = Number.POSITIVE_INFINITY): Promise<void> {
    const before = running.get(integrationId) ?? Promise.resolve();
    const after = before
      .catch(() => {})
      .then(() => drain(integrationId, maxBatches))
      .finally(() => {
        if (running.get(integrationId) === after) running.delete(integrationId);
      });
    running.set(integrationId, after);
    return after;
  }

  async function runLogged(integrationId: string): Promise<void> {
    try {
      await run(integrationId, BATCHES_PER_TURN);
      if (isFailing) logger.info('Deliveries are processed again');
      isFailing = false;
    } catch (error) {
      if (!isFailing) logger.error({ err: error, integrationId }, 'Deliveries cannot be processed');
      isFailing = true;
      // Not at once again: the poll comes within a second.
      return;
    }
    look();
  }

  async function lookOnce(): Promise<void> {
    // Batches under way bring what has arrived along with them.
    if (running.size === 0) await db.arrivals?.move();
    const waiting = await findIntegrationsWithWork(db, now());
    const isWaiting = new Set(waiting);
    for (const integrationId of turns.keys()) if (!isWaiting.has(integrationId)) turns.delete(integrationId);
    const inTurn = waiting.toSorted((a, b) => (turns.get(a) ?? 0) - (turns.get(b) ?? 0));
    for (const integrationId of inTurn) {
      if (isStopping || running.size >= MAX_CONCURRENT) return;
      if (running.has(integrationId)) continue;
      turns.set(integrationId, ++turn);
      void runLogged(integrationId);
    }
  }

  function look(): void {
    if (!isStarted || isStopping) return;
    if (looking !== null) {
      shouldLookAgain = true;
      return;
    }
    looking = lookOnce()
      .catch((error: unknown) => {
        if (!isFailing) logger.error({ err: error }, 'The inbox cannot be read');
        isFailing = true;
      })
      .finally(() => {
        looking = null;
        if (!shouldLookAgain) return;
        shouldLookAgain = false;
        look();
      });
  }

  return {
    start() {
      if (isStarted) return;
      isStarted = true;
      stopListening = db.doorbell.on('inbox', () => {
        size.arrived(performance.now());
        look();
      });
      timer = setInterval(look, POLL_MS).unref();
      look();
    },
    async stop() {
      isStopping = true;
      stopListening();
      if (timer !== null) clearInterval(timer);
      await looking;
      await Promise.allSettled(running.values());
    },
    async process(integrationId) {
      // What was acknowledged before the question is part of it.
      while (((await db.arrivals?.move()) ?? 0) > 0);
      await run(integrationId);
    },
  };
}
