import type { Logger } from 'pino';
import type { EvidenceSource } from '../../schema/words.ts';
import type { Database } from '../../storage/database.ts';
import type { Delivery } from '../../storage/delivery.ts';
import { insertDeliveries } from '../../storage/inbox.ts';
import { deliveryKey } from './delivery-key.ts';

/** Deliveries in one transaction: beyond this a flush takes longer than the wait that it saves. */
const MAX_BATCH = 500;
/** Deliveries, and bytes of bodies, that may wait for a flush: what comes on top is refused, never dropped. */
const MAX_WAITING = 10_000;
const MAX_WAITING_BYTES = 64 * 1_024 * 1_024;

/** The store cannot keep up; the sender is to come again. */
export class InboxFullError extends Error {
  override readonly name = 'InboxFullError';
}

export interface Arrival {
  readonly orgId: string;
  readonly integrationId: string;
  readonly source: EvidenceSource;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  /** As `storedHeaders` makes them: JSON, nothing secret. */
  readonly headers: string;
  readonly body: Uint8Array;
}

export interface Receipt {
  /** The same for every repetition of the delivery. */
  readonly deliveryId: string;
  /** It was seen before, within seven days. */
  readonly isDuplicate: boolean;
}

/** Where everything that arrives becomes durable: webhooks, frames of listeners, records of receivers. */
export interface InboxWriter {
  /**
   * Resolves when the delivery is on disk, not before.
   *
   * @throws InboxFullError when too much waits already, StorageError when it could not be stored
   */
  append(arrival: Arrival): Promise<Receipt>;
  /** Deliveries that are not yet on disk. */
  readonly waiting: number;
  /** Stores what waits; later appends are refused. */
  close(): Promise<void>;
}

interface Waiting {
  readonly delivery: Delivery;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: deliveries that come while a flush is under way share the next transaction, so that one sync to disk
 * serves hundreds. The first of a quiet moment waits for the end of the event loop's turn and no longer.
 */
export function createInboxWriter({ db, logger }: { readonly db: Database; readonly logger: Logger }): InboxWriter {
  let queue: Waiting[] = [];
  let queuedBytes = 0;
  let underWay = 0;
  let flushing: Promise<void> | null = null;
  let isClosed = false;
  let isFailing = false;

  const store = (deliveries: readonly Delivery[]): Promise<readonly boolean[]> =>
    db.arrivals?.append(deliveries) ?? db.write((tx) => insertDeliveries(db, tx, deliveries));

  async function flush(batch: readonly Waiting[]): Promise<void> {
    const deliveries = batch.map(({ delivery }) => delivery);
    try {
      const isNew = await store(deliveries);
      if (isFailing) logger.info('The inbox stores deliveries again');
      isFailing = false;
      batch.forEach(({ delivery, resolve }, at) => {
        resolve({
          deliveryId: `dlv_${Buffer.from(delivery.key).toString('hex')}`,
          isDuplicate: isNew[at] !== true,
        });
      });
      if (isNew.includes(true)) db.doorbell.ring('inbox');
    } catch (error) {
      if (!isFailing) logger.error({ err: error }, 'The inbox cannot store deliveries');
      isFailing = true;
      for (const { reject } of batch) reject(error);
    }
  }

  async function drain(): Promise<void> {
    // One turn of the event loop: every socket that is readable now gets into the same transaction.
    await new Promise((resolve) => setImmediate(resolve));
    while (queue.length > 0) {
      const batch = queue.slice(0, MAX_BATCH);
      queue = queue.slice(MAX_BATCH);
      queuedBytes -= batch.reduce((sum, { delivery }) => sum + delivery.body.byteLength, 0);
      underWay = batch.length;
      await flush(batch);
      underWay = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
    // In the same turn as the last look at the queue: whoever appends after it starts the next drain.
    flushing = null;
  }

  return {
    append({ orgId, integrationId, source, receivedAt, headers, body }) {
      if (isClosed || queue.length >= MAX_WAITING || queuedBytes + body.byteLength > MAX_WAITING_BYTES) {
        return Promise.reject(new InboxFullError(isClosed ? 'the inbox is closed' : 'too many deliveries wait'));
      }
      const key = deliveryKey(integrationId, body);
      return new Promise((resolve, reject) => {
        queue.push({ delivery: { orgId, integrationId, source, receivedAt, key, headers, body }, resolve, reject });
        queuedBytes += body.byteLength;
        flushing ??= drain();
      });
    },
    get waiting() {
      return queue.length + underWay;
    },
    async close() {
      isClosed = true;
      await flushing;
    },
  };
}
