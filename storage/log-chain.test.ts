import { expect, it } from 'vitest';
import type { Database, Tx } from './database.ts';
import { insertEvents, trimEvents } from './event-log.ts';
import { eventRow } from './fixtures/event-rows.ts';
import { SEGMENT_EVENTS, sealNextSegment, trimSeals, verifyChain } from './log-chain.ts';
import { eachEngine } from './testing.ts';

const NOON = Date.UTC(2026, 10, 20, 12);
const HOUR = 3_600_000;

/** So many events, a millisecond apart. */
async function append(db: Database, count: number): Promise<void> {
  await db.write(async (tx) => {
    const first = await db.takeSequence(tx, count);
    const rows = Array.from({ length: count }, (_, at) =>
      eventRow(first + at, { received_at: NOON + first + at, occurred_at: NOON + first + at }),
    );
    await insertEvents(db, tx, rows);
  });
}

async function sealAll(db: Database, now = NOON + HOUR): Promise<number> {
  const sealed = await sealNextSegment(db, now);
  return sealed === 0 ? 0 : sealed + (await sealAll(db, now));
}

eachEngine('seals over the log', (open) => {
  it('cover a segment when it is full, and what waited for an hour', async () => {
    const db = await open();
    await append(db, 2 * SEGMENT_EVENTS + 5);
    expect(await sealAll(db)).toBe(2 * SEGMENT_EVENTS);
    expect(await verifyChain(db)).toMatchObject({ segments: 2, events: 2_000, unsealed: 5, broken: [] });
    expect(await sealAll(db, NOON + 2 * HOUR)).toBe(5);
    const verdict = await verifyChain(db);
    expect(verdict).toMatchObject({ segments: 3, events: 2_005, unsealed: 0, broken: [] });
    expect(verdict.head).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each<[string, (tx: Tx, db: Database) => Promise<unknown>]>([
    ['an altered value', (tx) => tx.updateTable('events').set({ summary: 'x' }).where('seq', '=', 1_500).execute()],
    ['a row that went', (tx) => tx.deleteFrom('events').where('seq', '=', 1_500).execute()],
    [
      'a row that came',
      (tx, db) => insertEvents(db, tx, [eventRow(1_500, { key: Buffer.alloc(16, 9), summary: 'x' })]),
    ],
  ])('show %s', async (what, tamper) => {
    const db = await open();
    await append(db, 3 * SEGMENT_EVENTS);
    // A number that no event has: an inventory change took it.
    if (what === 'a row that came') await db.write((tx) => tx.deleteFrom('events').where('seq', '=', 1_500).execute());
    await sealAll(db, NOON + 2 * HOUR);
    expect((await verifyChain(db)).broken).toEqual([]);
    await db.write((tx) => tamper(tx, db));
    expect((await verifyChain(db)).broken).toMatchObject([{ afterSeq: 1_000, reason: 'CONTENT' }]);
  });

  it('show a segment that was sealed anew alone', async () => {
    const db = await open();
    await append(db, 3 * SEGMENT_EVENTS);
    await sealAll(db);
    const forged = Buffer.alloc(32, 1);
    await db.write((tx) => tx.updateTable('log_chain').set({ hash: forged }).where('to_seq', '=', 2_000).execute());
    expect((await verifyChain(db)).broken).toMatchObject([
      { toSeq: 2_000, reason: 'CONTENT' },
      { toSeq: 3_000, reason: 'ORDER' },
    ]);
    await db.write((tx) => tx.deleteFrom('log_chain').where('to_seq', '=', 2_000).execute());
    expect((await verifyChain(db)).broken).toMatchObject([{ toSeq: 3_000, reason: 'ORDER' }]);
  });

  it('hold while the log forgets its beginning, sealed or not', async () => {
    const db = await open();
    await append(db, 3 * SEGMENT_EVENTS);
    await sealAll(db);
    await db.write((tx) => trimEvents(tx, NOON + 1_501, 5_000));
    await db.write((tx) => trimSeals(tx, 100));
    expect(await verifyChain(db)).toMatchObject({ segments: 2, events: 1_000, broken: [] });
    await append(db, 400);
    await db.write((tx) => trimEvents(tx, NOON + 3_201, 5_000));
    await db.write((tx) => trimSeals(tx, 100));
    await sealAll(db, NOON + 2 * HOUR);
    expect(await verifyChain(db)).toMatchObject({ segments: 2, events: 200, unsealed: 0, broken: [] });
  });

  it('are made once by processes that seal at the same time', async () => {
    const db = await open();
    await append(db, SEGMENT_EVENTS);
    await Promise.all(Array.from({ length: 4 }, () => sealNextSegment(db, NOON)));
    expect(await verifyChain(db)).toMatchObject({ segments: 1, broken: [] });
  });
});
