import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { Database } from '../../storage/database.ts';
import { IS_DEAD_LETTER } from '../../storage/inbox-dead-letters.ts';
import { addToCounters } from '../../storage/integration-counters.ts';
import type { Consultation, Evidence } from './consultation.ts';

/** Kept per integration, the newest: enough to see what is wrong, and no way to fill our disk without a secret. */
export const MAX_REFUSED_LETTERS = 50;
/** Of a body that proved nothing. */
const MAX_PREVIEW_BYTES = 1_024;
/** Letters that wait for the next flush, over all integrations. */
const MAX_WAITING_LETTERS = 1_000;
/** Counting each refusal at once would let anybody write to our disk as fast as they can send. */
const FLUSH_MS = 250;
const KEY_BYTES = 16;

export interface RefusedDelivery {
  readonly orgId: string;
  readonly integrationId: string;
  readonly stage: 'SIGNATURE' | 'REPLAY_WINDOW';
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly headers: string;
  readonly body: Uint8Array;
  /** What to examine before it is written; null: it is not examined. */
  readonly evidence: Evidence | null;
}

export interface Refusals {
  note(refused: RefusedDelivery): void;
  /** Writes what waits. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Counts what was refused and keeps the newest as dead letters, in batches: refusing must stay cheaper than sending. */
export function createRefusals({
  db,
  logger,
  consultation,
}: {
  readonly db: Database;
  readonly logger: Logger;
  readonly consultation: Pick<Consultation, 'examine'>;
}): Refusals {
  let counts = new Map<string, { count: number; kept: number; at: number }>();
  let letters: RefusedDelivery[] = [];
  let timer: NodeJS.Timeout | null = null;
  let flushing: Promise<void> = Promise.resolve();

  /** JSON texts, in the order of the letters. One after the other: nobody waits for them. */
  async function examineAll(kept: readonly RefusedDelivery[]): Promise<readonly (string | null)[]> {
    const found: (string | null)[] = [];
    for (const { integrationId, evidence, receivedAt } of kept) {
      const sentences = evidence === null ? null : await consultation.examine(integrationId, evidence, receivedAt);
      found.push(sentences === null ? null : JSON.stringify(sentences));
    }
    return found;
  }

  async function write(counted: typeof counts, kept: readonly RefusedDelivery[]): Promise<void> {
    const diagnoses = await examineAll(kept);
    await db.write(async (tx) => {
      for (const [integrationId, { count, at }] of [...counted].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
        await addToCounters(tx, integrationId, at, { rejected: count });
      }
      if (kept.length === 0) return;
      await db.bulkInsert(tx, {
        table: 'inbox',
        columns: [
          'org_id',
          'integration_id',
          'received_at',
          'source',
          'delivery_key',
          'headers',
          'body',
          'status',
          'attempts',
          'stage',
          'reason',
          'settled_at',
          'diagnosis',
        ],
        rows: kept.map((letter, at) => [
          letter.orgId,
          letter.integrationId,
          letter.receivedAt,
          'WEBHOOK',
          randomBytes(KEY_BYTES),
          letter.headers,
          letter.body.subarray(0, MAX_PREVIEW_BYTES),
          'REFUSED',
          0,
          letter.stage,
          letter.reason,
          letter.receivedAt,
          diagnoses[at] ?? null,
        ]),
      });
      for (const integrationId of new Set(kept.map((letter) => letter.integrationId))) {
        await sql`
          delete from inbox where integration_id = ${integrationId} and status = 'REFUSED' and ${IS_DEAD_LETTER}
            and id <= (
              select id from inbox where integration_id = ${integrationId} and status = 'REFUSED' and ${IS_DEAD_LETTER}
              order by id desc limit 1 offset ${MAX_REFUSED_LETTERS})`.execute(tx);
      }
    });
    for (const integrationId of counted.keys()) db.doorbell.ring(`integration:${integrationId}`);
  }

  function flush(): Promise<void> {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (counts.size === 0) return flushing;
    const [counted, kept] = [counts, letters];
    counts = new Map();
    letters = [];
    flushing = flushing
      .then(() => write(counted, kept))
      .catch((error: unknown) => {
        logger.warn({ err: error, lost: kept.length }, 'Refused deliveries could not be recorded');
      });
    return flushing;
  }

  return {
    note(refused) {
      const counted = counts.get(refused.integrationId) ?? { count: 0, kept: 0, at: 0 };
      counts.set(refused.integrationId, counted);
      counted.count += 1;
      counted.at = refused.receivedAt;
      if (counted.kept < MAX_REFUSED_LETTERS && letters.length < MAX_WAITING_LETTERS) {
        counted.kept += 1;
        // A copy: a preview of a pooled buffer would keep all of it in memory.
        letters.push({ ...refused, body: Buffer.from(refused.body.subarray(0, MAX_PREVIEW_BYTES)) });
      }
      timer ??= setTimeout(() => void flush(), FLUSH_MS).unref();
    },
    flush,
    close: flush,
  };
}
