import type { EvidenceSource } from '../schema/words.ts';
import type { Tx } from './database.ts';

/** One delivery, authentic and as it came. */
export interface Delivery {
  readonly orgId: string;
  readonly integrationId: string;
  readonly source: EvidenceSource;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  /** 16 bytes: instant, then hash (see pipeline/inbox/delivery-key.ts). */
  readonly key: Uint8Array;
  /** JSON object of lower-case names, without credentials and signatures. */
  readonly headers: string;
  readonly body: Uint8Array;
}

/**
 * A durable place in front of the inbox that nobody else writes to: whoever is to be acknowledged waits for no
 * transaction of the processing. What arrived is moved to the inbox, each delivery exactly once, also over crashes.
 */
export interface Arrivals {
  /**
   * Resolves when the deliveries are on disk.
   *
   * @returns for each whether it is new, here and in the inbox's memory of seven days
   * @throws StorageError, also `OVERLOADED` when too many wait to be moved
   */
  append(deliveries: readonly Delivery[]): Promise<readonly boolean[]>;
  /** Moves what waits, up to some thousands. @returns how many deliveries went, repetitions included */
  move(): Promise<number>;
  /** Moves some of what waits inside a transaction that is under way anyway. */
  moveWithin(tx: Tx): Promise<void>;
  /** Writes something durably and takes it away again, to find out whether that works. @throws StorageError */
  probe(value: string): Promise<void>;
  /** When the delivery arrived that waits longest, in milliseconds since the epoch; null when none waits. */
  oldest(): number | null;
}
