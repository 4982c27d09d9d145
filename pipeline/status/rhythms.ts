import type { Logger } from 'pino';
import { z } from 'zod';
import type { Vendor } from '../../adapter-kit/define-vendor.ts';
import type { Database } from '../../storage/database.ts';
import type { Clock } from '../integrations/clock.ts';
import { classOf, EMPTY_HISTOGRAM, type Histogram, mergeHistograms, samplesOf, silenceLimit } from './rhythm.ts';

/** How often what was heard is kept, and what others learned is read. A crash costs no more than this. */
const FLUSH_MS = 30_000;
/** Kinds of devices, of all integrations, that may wait to be kept: more than any installation has. */
const MAX_WAITING = 20_000;

const Counts = z.array(z.int().nonnegative());

/**
 * What is usual silence, learned from the signs of life of each kind of device at each integration. Only for platforms
 * whose listings say no state: where listings confirm a device, nobody waits for it to speak.
 */
export interface Rhythms {
  /**
   * From memory: how long silence is normal, in milliseconds; null: nobody waits for such a device.
   *
   * @param ownMs what a policy says instead of what was learned
   */
  silenceLimitOf(integrationId: string, type: string, ownMs?: number | null): number | null;
  /** A device was heard this long after it was heard before. */
  note(integrationId: string, type: string, intervalMs: number): void;
  /** Reads what was learned before, then keeps learning. @throws StorageError */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Keeps what was heard and reads what others learned. @throws StorageError */
  flush(): Promise<void>;
}

export interface RhythmsDeps {
  readonly db: Database;
  readonly vendors: readonly Pick<Vendor, 'slug' | 'ingest'>[];
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Waiting {
  readonly integrationId: string;
  readonly type: string;
  readonly counts: number[];
}

function keyOf(integrationId: string, type: string): string {
  return `${integrationId} ${type}`;
}

function parse(text: string): Histogram {
  const counts = Counts.safeParse(JSON.parse(text));
  // Made by a release with other classes: it is learned anew.
  return counts.success && counts.data.length === EMPTY_HISTOGRAM.length ? counts.data : EMPTY_HISTOGRAM;
}

/** One per process that processes deliveries; what they learn adds up in the store. */
export function createRhythms({ db, vendors, clock, logger }: RhythmsDeps): Rhythms {
  const learned = new Set(vendors.filter(({ ingest }) => ingest.staleAfterMs !== undefined).map(({ slug }) => slug));
  let listened = new Set<string>();
  let limits = new Map<string, number>();
  let waiting = new Map<string, Waiting>();
  let cancel = (): void => {};
  let working: Promise<void> | null = null;
  let isStopped = false;
  let isFailing = false;

  async function keep(entry: Waiting): Promise<void> {
    const { integrationId, type, counts } = entry;
    await db.write(async (tx) => {
      const before = await tx
        .selectFrom('rhythms')
        .select('histogram')
        .where('integration_id', '=', integrationId)
        .where('type', '=', type)
        .executeTakeFirst();
      const histogram = mergeHistograms(before === undefined ? EMPTY_HISTOGRAM : parse(before.histogram), counts);
      const row = {
        samples: samplesOf(histogram),
        histogram: JSON.stringify(histogram),
        limit_ms: silenceLimit(histogram),
        updated_at: clock.now(),
      };
      await tx
        .insertInto('rhythms')
        .values({ integration_id: integrationId, type, ...row })
        .onConflict((conflict) => conflict.columns(['integration_id', 'type']).doUpdateSet(row))
        .execute();
    });
  }

  async function refresh(): Promise<void> {
    const rows = await db.read.selectFrom('integrations').select(['id', 'vendor']).execute();
    listened = new Set(rows.filter(({ vendor }) => learned.has(vendor)).map(({ id }) => id));
    const known = await db.read
      .selectFrom('rhythms')
      .select(['integration_id', 'type', 'limit_ms'])
      .where('limit_ms', 'is not', null)
      .execute();
    limits = new Map(
      known.flatMap((row) =>
        row.limit_ms === null ? [] : [[keyOf(row.integration_id, row.type), row.limit_ms] as const],
      ),
    );
  }

  async function flush(): Promise<void> {
    const entries = [...waiting.values()];
    waiting = new Map();
    for (const entry of entries) await keep(entry);
    await refresh();
  }

  function schedule(): void {
    if (isStopped) return;
    cancel = clock.after(FLUSH_MS, () => {
      working = flush()
        .then(
          () => {
            isFailing = false;
          },
          (error: unknown) => {
            if (!isFailing) logger.warn({ err: error }, 'The rhythm of signs of life could not be kept');
            isFailing = true;
          },
        )
        .finally(() => {
          working = null;
          schedule();
        });
    });
  }

  return {
    silenceLimitOf: (integrationId, type, ownMs = null) =>
      listened.has(integrationId) ? (ownMs ?? limits.get(keyOf(integrationId, type)) ?? null) : null,
    note(integrationId, type, intervalMs) {
      if (intervalMs <= 0 || !listened.has(integrationId)) return;
      const key = keyOf(integrationId, type);
      let entry = waiting.get(key);
      if (entry === undefined) {
        if (waiting.size >= MAX_WAITING) return;
        entry = { integrationId, type, counts: [...EMPTY_HISTOGRAM] };
        waiting.set(key, entry);
      }
      const index = classOf(intervalMs);
      entry.counts[index] = (entry.counts[index] ?? 0) + 1;
    },
    async start() {
      await refresh();
      schedule();
    },
    async stop() {
      isStopped = true;
      cancel();
      await working;
      await flush().catch((error: unknown) => logger.warn({ err: error }, 'The last signs of life were not kept'));
    },
    flush,
  };
}
