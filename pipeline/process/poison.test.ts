import { expect, it, onTestFinished } from 'vitest';
import { MAX_ATTEMPTS } from './process-batch.ts';
import { createProcessor } from './processor.ts';
import { createInboxWriter } from '../inbox/inbox-writer.ts';
import { acme, acmeBody, type AcmeEvent, NOON, quiet, seed } from '../testing.ts';
import type { Database, Tx } from '../../storage/database.ts';
import { eachEngine } from '../../storage/testing.ts';

// What deliveries that break the processing cost the others, in work and not in time: machines that run tests are busy.

const SECOND = 1_000;
const GOOD = 600;
/** Work for a delivery that breaks the processing, in all its attempts together, in deliveries that do not. */
const MAX_COST = 400;

/** One delivery breaks the decoder; no column takes what the other one says, which breaks the transaction. */
const POISON = {
  decoder: { id: 'poison', device: 'cam-1', poison: true },
  transaction: { id: 'poison', device: 'cam-1', at: -9e15, state: 'ONLINE' },
} as const satisfies Record<string, AcmeEvent>;

/** The same database, which counts what it is asked for: transactions, statements, and rows inserted. */
function counting(db: Database): { readonly db: Database; readonly work: () => number } {
  let work = 0;
  const counted: Database = {
    ...db,
    write: (job) => {
      work += 1;
      return db.write((tx) =>
        job(
          tx.withPlugin({
            transformQuery({ node }) {
              work += 1;
              return node;
            },
            transformResult: ({ result }) => Promise.resolve(result),
          }) as Tx,
        ),
      );
    },
    bulkInsert: (tx, insert) => {
      work += insert.rows.length;
      return db.bulkInsert(tx, insert);
    },
  };
  return { db: counted, work: () => work };
}

eachEngine('a delivery that breaks the processing', (open) => {
  /** @returns work until nothing is left to do */
  async function process(poison: AcmeEvent | null) {
    const original = await open();
    const { integration } = await seed(original);
    const clock = { now: NOON };
    const { db, work } = counting(original);
    const inbox = createInboxWriter({ db: original, logger: quiet });
    const processor = createProcessor({ db, vendors: [acme], logger: quiet, now: () => clock.now });
    onTestFinished(async () => {
      await processor.stop();
      await inbox.close();
    });
    const store = (events: readonly AcmeEvent[]) =>
      Promise.all(
        events.map((event) =>
          inbox.append({
            orgId: integration.org_id,
            integrationId: integration.id,
            source: 'WEBHOOK',
            receivedAt: clock.now,
            headers: '{}',
            body: acmeBody(event),
          }),
        ),
      );
    // The others come in as many parts as there are attempts: each of these meets some of them.
    const part = GOOD / MAX_ATTEMPTS;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const good = Array.from({ length: part }, (_, at): AcmeEvent => {
        const number = attempt * part + at;
        return { id: `good-${number}`, device: `cam-${(number % 2) + 1}`, at: NOON + number };
      });
      await store(attempt === 0 && poison !== null ? good.toSpliced(part / 2, 0, poison) : good);
      await processor.process(integration.id);
      const waiting = await original.read
        .selectFrom('inbox')
        .select('next_attempt_at')
        .where('status', '=', 'PENDING')
        .executeTakeFirst();
      clock.now = waiting?.next_attempt_at ?? clock.now + SECOND;
    }
    const events = await original.read.selectFrom('events').select('vendor_event_id').orderBy('seq').execute();
    const dead = await original.read.selectFrom('inbox').select('attempts').where('status', '=', 'DEAD').execute();
    return { work: work(), ids: events.map(({ vendor_event_id: id }) => id), dead };
  }

  it.each(['decoder', 'transaction'] as const)(
    'costs the others little when it breaks the %s: one in ten thousand takes less than a twentieth',
    async (kind) => {
      const without = await process(null);
      const withIt = await process(POISON[kind]);
      expect(withIt.dead).toEqual([{ attempts: MAX_ATTEMPTS }]);
      expect(withIt.ids).toEqual(Array.from({ length: GOOD }, (_, at) => `good-${at}`));
      const perDelivery = without.work / GOOD;
      expect((withIt.work - without.work) / perDelivery).toBeLessThan(MAX_COST);
    },
  );
});
