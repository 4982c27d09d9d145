import type { Logger } from 'pino';
import type { Database, Tx } from '../database.ts';
import type { Arrivals } from '../delivery.ts';
import { countRepetitions, insertDeliveries } from '../inbox.ts';
import type { Arrived, ArrivalsFile } from './arrivals-file.ts';

/** Deliveries in one transaction. */
const PORTION = 500;
/** Rows that were moved and may stay for a while, under load: to drop many at once would keep senders waiting. */
const MAX_KEPT = 100;
/** Portions before others have their turn. */
const MAX_PORTIONS = 8;
/** Of `meta`: up to which number of which file everything was moved. */
const MOVED = 'arrivals_moved';

export interface ArrivalsDeps {
  /** Written to durably. Null in a thread that only moves. */
  readonly appending: ArrivalsFile | null;
  readonly moving: ArrivalsFile;
  readonly db: Pick<Database, 'engine' | 'write' | 'bulkInsert'>;
  /** Whether the inbox remembers the delivery of this key: asked synchronously, of what is committed now. */
  readonly isKnown: (key: Uint8Array) => boolean;
  readonly logger: Logger;
}

/** See Arrivals. */
export function createArrivals({ appending, moving, db, isKnown, logger }: ArrivalsDeps): Arrivals {
  /** What was moved up to here is gone from the file. */
  let forgottenTo = 0;
  let underWay: Promise<number> | null = null;

  /** @param patience rows that may stay where they are although they were moved: to drop them keeps senders waiting */
  async function movePortion(tx: Tx, patience: number): Promise<number> {
    // As it was committed: what is up to there is in the inbox for good. A crash behind a commit leaves rows here that are
    // passed over by their numbers.
    const behind = await readMoved(tx, moving.epoch);
    if (behind - forgottenTo > patience) {
      await moving.forget(behind);
      forgottenTo = behind;
    }
    const arrived = moving.readBehind(behind, PORTION);
    const last = arrived.at(-1);
    if (last !== undefined) {
      await insert(tx, arrived);
      await writeMoved(tx, moving.epoch, last.id);
    }
    return arrived.length;
  }

  async function insert(tx: Tx, arrived: readonly Arrived[]): Promise<void> {
    const ids = [...new Set(arrived.map(({ delivery }) => delivery.integrationId))];
    const rows = await tx.selectFrom('integrations').select('id').where('id', 'in', ids).execute();
    const present = new Set(rows.map(({ id }) => id));
    const wanted = arrived.filter(({ delivery }) => present.has(delivery.integrationId));
    if (wanted.length < arrived.length) {
      logger.info(
        { count: arrived.length - wanted.length },
        'Deliveries of integrations that were deleted are dropped',
      );
    }
    const { true: repeated = [], false: fresh = [] } = Object.groupBy(wanted, ({ isRepetition }) =>
      isRepetition ? 'true' : 'false',
    );
    await insertDeliveries(
      db,
      tx,
      fresh.map(({ delivery }) => delivery),
    );
    await countRepetitions(
      db,
      tx,
      repeated.map(({ delivery }) => delivery),
    );
  }

  async function move(): Promise<number> {
    let total = 0;
    for (let portion = 0; portion < MAX_PORTIONS && moving.last() > forgottenTo; portion++) {
      const count = await db.write((tx) => movePortion(tx, 0));
      total += count;
      if (count === 0) break;
    }
    return total;
  }

  return {
    async append(deliveries) {
      if (appending === null) throw new TypeError('this thread takes no deliveries');
      return appending.append(deliveries, isKnown);
    },
    // One at a time: a second one would only wait for the same rows.
    move: () =>
      (underWay ??= move().finally(() => {
        underWay = null;
      })),
    async moveWithin(tx) {
      await movePortion(tx, MAX_KEPT);
    },
    probe: async (value) => appending?.probe(value),
    oldest: () => moving.oldest(),
  };
}

async function readMoved(tx: Tx, epoch: string): Promise<number> {
  const row = await tx.selectFrom('meta').select('value').where('key', '=', MOVED).executeTakeFirst();
  const [ofEpoch, id] = (row?.value ?? '').split(' ');
  return ofEpoch === epoch ? Number(id) : 0;
}

async function writeMoved(tx: Tx, epoch: string, id: number): Promise<void> {
  const value = `${epoch} ${id}`;
  await tx
    .insertInto('meta')
    .values({ key: MOVED, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute();
}
