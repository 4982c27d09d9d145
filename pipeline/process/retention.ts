import type { Logger } from 'pino';
import type { Database, Tx } from '../../storage/database.ts';
import { trimEvents } from '../../storage/event-log.ts';
import { trimCounters, trimDedupe, trimInbox } from '../../storage/event-log-retention.ts';
import { pruneInventoryChanges } from '../../storage/inventory-store-changes.ts';
import { DEDUPE_DAYS } from './event-key.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** Rows in one transaction: some 20 ms. */
const CHUNK = 1_000;
/** Chunks of one table in one run: more than arrives in a minute, and an end to it. */
const MAX_CHUNKS = 200;
const RUN_EVERY_MS = 60_000;

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
}

export interface Retention {
  /** Forgets what is old once a minute. */
  start(): void;
  stop(): Promise<void>;
  /** Forgets what is old now. @returns how many rows went */
  run(): Promise<number>;
}

export interface RetentionDeps {
  readonly db: Database;
  readonly logger: Logger;
  /** Milliseconds since the epoch; default the system's clock. */
  readonly now?: () => number;
  readonly days?: RetentionDays;
}

/** Keeps the store from growing for ever. Several processes may run one; what is gone is gone once. */
export function createRetention({ db, logger, now = Date.now, days = {} }: RetentionDeps): Retention {
  const { events = 90, deadLetters = 30, deliveries = 7, inventoryChanges = 400 } = days;
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<unknown> | null = null;
  let isStopped = false;

  async function repeat(trim: (tx: Tx) => Promise<number>): Promise<number> {
    let total = 0;
    for (let chunk = 0; chunk < MAX_CHUNKS && !isStopped; chunk++) {
      const count = await db.write(trim);
      total += count;
      if (count < CHUNK) break;
      // Whoever waits to write has its turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return total;
  }

  async function run(): Promise<number> {
    const at = now();
    const before = (count: number): number => at - count * DAY_MS;
    // A key is looked for under every day of the window, today's included.
    const counts = [
      await repeat((tx) => trimDedupe(tx, before(DEDUPE_DAYS + 1), CHUNK)),
      await repeat((tx) => trimInbox(tx, 'DONE', before(deliveries), CHUNK)),
      await repeat((tx) => trimInbox(tx, 'DEAD', before(deadLetters), CHUNK)),
      await repeat((tx) => trimInbox(tx, 'REFUSED', before(deadLetters), CHUNK)),
      await repeat((tx) => trimEvents(tx, before(events), CHUNK)),
      await pruneInventoryChanges(db, before(inventoryChanges)),
      await db.write((tx) => trimCounters(tx, Math.floor(before(events) / HOUR_MS))),
    ];
    return counts.reduce((sum, count) => sum + count, 0);
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
      if (timer !== null) clearInterval(timer);
      await running;
    },
    run,
  };
}
