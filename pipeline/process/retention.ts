import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Database, Tx } from '../../storage/database.ts';
import { trimEvents } from '../../storage/event-log.ts';
import { trimCounters, trimDedupe, trimInbox } from '../../storage/event-log-retention.ts';
import { type History, trimHistory } from '../../storage/history-retention.ts';
import { pruneInventoryChanges } from '../../storage/inventory-store-changes.ts';
import { sealNextSegment, trimSeals } from '../../storage/log-chain.ts';
import { DEDUPE_DAYS } from './event-key.ts';
import { trimMediaLinks } from '../../storage/media-links.ts';
import { createPace } from './pace.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

const RUN_EVERY_MS = 60_000;
/** What is looked for by walking a table, and grows slowly, is looked for this often. */
const HISTORY_EVERY_MS = 3_600_000;
/** Seals made in one run; the rest waits for the next. At 1,000 events each this is far more than arrives in a minute. */
const MAX_SEALS = 1_000;

const HISTORIES: readonly History[] = ['status_segments', 'incidents', 'source_outages', 'rhythms', 'unknown_codes'];

/** How long things are kept, in days. */
export interface RetentionDays {
  /** Events of the log; streams tell a gap beyond it. Default 90. */
  readonly events?: number;
  /** Dead letters, replayable or not. Default 30. */
  readonly deadLetters?: number;
  /** Deliveries that became events, verbatim. Default 7. */
  readonly deliveries?: number;
  /** Changes of the inventory; a cursor from before then is told to start over. Default 400. */
  readonly inventoryChanges?: number;
  /** How devices were; incidents and outages that are over; planned work; what was learned and not confirmed. Default 400. */
  readonly history?: number;
  /** What syncs did. Default 90. */
  readonly syncRuns?: number;
}

export interface Retention {
  /** Forgets what is old once a minute. */
  start(): void;
  stop(): Promise<void>;
  /** Seals what is new in the log, and forgets what is old. @returns how many rows went */
  run(): Promise<number>;
}

export interface RetentionDeps {
  readonly db: Database;
  readonly logger: Logger;
  /** Milliseconds since the epoch; default the system's clock. */
  readonly now?: () => number;
  readonly days?: RetentionDays;
  /** Deliveries wait to be stored: forgetting takes its time then. Default: never. */
  readonly isBusy?: () => boolean;
  /** Pauses between portions; default real time. */
  readonly rest?: (ms: number) => Promise<unknown>;
}

/**
 * Keeps the store from growing for ever, and seals the log. Several processes may run one; what is gone is gone once.
 *
 * Rows are deleted in portions and not by dropping a partition, because the key that makes an event one in the log for as
 * long as it is kept cannot be unique over partitions (see docs/operators.md for what that costs).
 */
export function createRetention(deps: RetentionDeps): Retention {
  const { db, logger, now = Date.now, days = {}, isBusy } = deps;
  const { events = 90, deadLetters = 30, deliveries = 7, inventoryChanges = 400, history = 400, syncRuns = 90 } = days;
  const rest = deps.rest ?? ((ms: number) => delay(ms));
  const pace = createPace({ db, rest, ...(isBusy === undefined ? {} : { isBusy }) });
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<unknown> | null = null;
  let isStopped = false;
  let historyAt = Number.NEGATIVE_INFINITY;

  async function seal(): Promise<void> {
    for (let count = 0; count < MAX_SEALS && !isStopped; count++) {
      const startedAt = performance.now();
      if ((await sealNextSegment(db, now())) === 0) return;
      await rest(performance.now() - startedAt);
    }
  }

  async function run(): Promise<number> {
    const at = now();
    const before = (count: number): number => at - count * DAY_MS;
    const jobs: ((tx: Tx, limit: number) => Promise<number>)[] = [
      // A key is looked for under every day of the window, today's included.
      (tx, limit) => trimDedupe(tx, before(DEDUPE_DAYS + 1), limit),
      (tx, limit) => trimInbox(tx, 'DONE', before(deliveries), limit),
      (tx, limit) => trimInbox(tx, 'DEAD', before(deadLetters), limit),
      (tx, limit) => trimInbox(tx, 'REFUSED', before(deadLetters), limit),
      (tx, limit) => trimEvents(tx, before(events), limit),
      (tx, limit) => trimSeals(tx, limit),
      // Another process may have a slower clock.
      (tx, limit) => trimMediaLinks(tx, at - HOUR_MS, limit),
    ];
    if (at - historyAt >= HISTORY_EVERY_MS) {
      historyAt = at;
      jobs.push((tx, limit) => trimHistory(tx, 'sync_runs', before(syncRuns), limit));
      for (const kind of HISTORIES) jobs.push((tx, limit) => trimHistory(tx, kind, before(history), limit));
    }
    await seal();
    let total = 0;
    for (const job of jobs) total += (await pace.repeat(job)).rows;
    total += await pruneInventoryChanges(db, before(inventoryChanges));
    return total + (await db.write((tx) => trimCounters(tx, Math.floor(before(events) / HOUR_MS))));
  }

  function tick(): void {
    if (running !== null) return;
    running = run()
      .then((count) => {
        if (count > 0) logger.info({ rows: count }, 'Old rows were forgotten');
      })
      .catch((error: unknown) => logger.warn({ err: error }, 'Old rows could not be forgotten'))
      .finally(() => {
        running = null;
      });
  }

  return {
    start() {
      timer ??= setInterval(tick, RUN_EVERY_MS).unref();
    },
    async stop() {
      isStopped = true;
      pace.stop();
      if (timer !== null) clearInterval(timer);
      await running;
    },
    run,
  };
}
