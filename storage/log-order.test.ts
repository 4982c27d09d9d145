import { setImmediate as nextTurn } from 'node:timers/promises';
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import type { Database, Tx } from './database.ts';
import { openDatabase } from './open-database.ts';
import { createTestStore, eachEngine } from './testing.ts';

const WRITERS = 8;
const ROUNDS = 40;

type Numbering = (db: Database, tx: Tx, rows: number) => Promise<readonly number[]>;

/** The product's way: numbers from the row whose lock ends with the transaction. */
const fromHead: Numbering = async (db, tx, rows) => {
  const first = await db.takeSequence(tx, rows);
  return Array.from({ length: rows }, (_, index) => first + index);
};

/** What everybody tries first: PostgreSQL's own sequence, which gives numbers at once and forgets who commits when. */
const fromSequence: Numbering = async (_, tx, rows) => {
  const { rows: taken } = await sql<{ seq: number }>`
    select nextval('naive') as seq from generate_series(1, cast(${rows} as integer))`.execute(tx);
  return taken.map(({ seq }) => seq);
};

/** Writers that overlap as they would under load, with a tailer beside them that remembers one number. */
async function tailUnderLoad(db: Database, numbering: Numbering) {
  const written: number[] = [];
  const seen: number[] = [];
  const holes: number[] = [];
  let last = 0;
  const poll = async (): Promise<void> => {
    const query = db.read.selectFrom('inventory_changes').select('seq').where('seq', '>', last).orderBy('seq');
    for (const { seq } of await query.execute()) {
      if (seq !== last + 1) holes.push(seq);
      seen.push(seq);
      last = seq;
    }
  };
  const writer = async (id: number): Promise<void> => {
    for (let round = 0; round < ROUNDS; round += 1) {
      await db
        .write(async (tx) => {
          const numbers = await numbering(db, tx, 1 + ((id + round) % 3));
          await db.bulkInsert(tx, {
            table: 'inventory_changes',
            columns: ['seq', 'org_id', 'site_id', 'device_id', 'kind', 'at', 'fields'],
            rows: numbers.map((seq) => [seq, 'org_1', null, `dev_${id}`, 'ADDED', 0, '[]']),
          });
          // Some transactions take longer than others after they have their numbers.
          for (let turn = 0; turn < (id * round) % 7; turn += 1) await tx.selectFrom('meta').selectAll().execute();
          if (round % 10 === 9) throw new RollBack();
          written.push(...numbers);
        })
        .catch((error: unknown) => {
          if (!(error instanceof RollBack)) throw error;
        });
    }
  };
  let isWriting = true;
  const tail = async (): Promise<void> => {
    while (isWriting) {
      await poll();
      await nextTurn();
    }
  };
  const tailing = tail();
  await Promise.all(Array.from({ length: WRITERS }, (_, id) => writer(id)));
  isWriting = false;
  await tailing;
  await poll();
  return { written: written.toSorted((a, b) => a - b), seen, holes };
}

class RollBack extends Error {}

eachEngine('the log under concurrent writers', (open, engine) => {
  it('shows a tailer that remembers one number every row, in order and without a hole', async () => {
    const db = await open();
    const { written, seen, holes } = await tailUnderLoad(db, fromHead);
    expect(written.length).toBeGreaterThan(WRITERS * ROUNDS);
    expect(seen).toEqual(written);
    expect(holes).toEqual([]);
    expect(await db.head()).toBe(written.length);
  });

  it.runIf(engine === 'postgres')('would lose rows with a plain sequence', async () => {
    const db = await open();
    await db.write((tx) => sql`create sequence naive`.execute(tx));
    const { written, seen } = await tailUnderLoad(db, fromSequence);
    await db.write((tx) => sql`drop sequence naive`.execute(tx));
    expect(seen.length).toBeLessThan(written.length);
  });

  it('makes a second writer of the log wait for the first', async () => {
    const db = await open();
    const order: string[] = [];
    const taken = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const first = db.write(async (tx) => {
      await db.takeSequence(tx, 1);
      taken.resolve();
      await goOn.promise;
      order.push('first');
    });
    await taken.promise;
    const second = db.write(async (tx) => {
      expect(await db.takeSequence(tx, 1)).toBe(2);
      order.push('second');
    });
    expect(await db.head()).toBe(0);
    goOn.resolve();
    await Promise.all([first, second]);
    expect(order).toEqual(['first', 'second']);
  });
});

it.each(['sqlite', 'postgres'] as const)('the epoch and the head outlive a restart on %s', async (engine) => {
  const store = await createTestStore(engine);
  try {
    const first = await openDatabase(store.options);
    await first.write((tx) => first.takeSequence(tx, 5));
    await first.close();
    const second = await openDatabase(store.options);
    expect(second.epoch).toBe(first.epoch);
    expect(second.epoch).toMatch(/^[\w-]{12}$/);
    expect(await second.head()).toBe(5);
    await second.close();
  } finally {
    await store.remove();
  }
});

it.each(['sqlite', 'postgres'] as const)('starts at the same time agree on one epoch on %s', async (engine) => {
  const store = await createTestStore(engine);
  try {
    const opened = await Promise.all([1, 2, 3].map(() => openDatabase(store.options)));
    expect(new Set(opened.map((db) => db.epoch)).size).toBe(1);
    const firsts = await Promise.all(opened.map((db) => db.write((tx) => db.takeSequence(tx, 1))));
    expect(firsts.toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
    await Promise.all(opened.map((db) => db.close()));
  } finally {
    await store.remove();
  }
});
