import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Database, Tx } from './database.ts';
import { openPostgres } from './postgres/open-postgres.ts';
import { openSqlite } from './sqlite/open-sqlite.ts';
import { createTestStore } from './testing.ts';
import type { TransactionsOptions } from './transactions.ts';

type Limits = Omit<TransactionsOptions, 'slots'>;

/** A store in which one transaction runs at a time, so that others have to queue on both engines. */
async function openLimited(engine: Database['engine'], transactions: Limits): Promise<Database> {
  const { options, remove } = await createTestStore(engine);
  const { url, logger, schema } = options;
  const db =
    engine === 'sqlite'
      ? await openSqlite({ file: url.slice('sqlite:'.length), logger, transactions })
      : await openPostgres({ url, logger, schema, maxConnections: 2, transactions });
  onTestFinished(async () => {
    await db.close();
    await remove();
  });
  return db;
}

async function insertTag(tx: Tx, tag: string): Promise<void> {
  await tx.insertInto('device_tags').values({ device_id: 'd', org_id: 'o', tag }).execute();
}

describe.each(['sqlite', 'postgres'] as const)('transactions on %s', (engine) => {
  it('refuse the write that would make the queue too long, and take more once it is shorter', async () => {
    const db = await openLimited(engine, { maxWaiting: 2 });
    const goOn = Promise.withResolvers<void>();
    const running = db.write(() => goOn.promise);
    const waiting = [db.write(async () => 'second'), db.write(async () => 'third')];
    await expect(db.write(async () => 'fourth')).rejects.toMatchObject({ code: 'OVERLOADED', retryable: true });
    goOn.resolve();
    await running;
    expect(await Promise.all(waiting)).toEqual(['second', 'third']);
    expect(await db.write(async () => 'fourth')).toBe('fourth');
  });

  it('run in the order in which they came', async () => {
    const db = await openLimited(engine, {});
    const order: number[] = [];
    await Promise.all(Array.from({ length: 20 }, (_, index) => db.write(async () => order.push(index))));
    expect(order).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  it('are rolled back when their job takes too long, and it can write nothing more', async () => {
    const db = await openLimited(engine, { timeoutMs: 50 });
    const wakeUp = Promise.withResolvers<void>();
    const late = Promise.withResolvers<unknown>();
    const slow = db.write(async (tx) => {
      await insertTag(tx, 'early');
      await wakeUp.promise;
      await insertTag(tx, 'late').then(late.resolve, late.resolve);
    });
    const next = db.write((tx) => insertTag(tx, 'next'));
    await expect(slow).rejects.toMatchObject({ code: 'TIMEOUT' });
    await next;
    wakeUp.resolve();
    expect(String(await late.promise)).toContain('already rolled back');
    const rows = await db.read.selectFrom('device_tags').select('tag').execute();
    expect(rows).toEqual([{ tag: 'next' }]);
  });

  it('leave the event loop room while many of them queue', async () => {
    const db = await openLimited(engine, {});
    let isDone = false;
    let turns = 0;
    const writes = Promise.all(Array.from({ length: 500 }, (_, index) => db.write((tx) => insertTag(tx, `${index}`))));
    const counting = (async () => {
      while (!isDone) {
        await nextTurn();
        turns += 1;
      }
    })();
    await writes;
    isDone = true;
    await counting;
    expect(turns).toBeGreaterThan(3);
  });
});
