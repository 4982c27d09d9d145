import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bucketHistory, countHistory, readHistory } from './event-history.ts';
import type { EventPosition } from './event-log.ts';
import { eventPredicate } from './event-log-filter.ts';
import { anyAccess, anyFilter, storeSampleEvents } from './fixtures/event-samples.ts';
import { eachEngine } from './testing.ts';

eachEngine('event history', (open) => {
  it('gives each matching event once and in order, however little a page may look at', async () => {
    const db = await open();
    const rows = await storeSampleEvents(db, 300);
    let [chosen, short] = [0, 0];
    await fc.assert(
      fc.asyncProperty(anyAccess, anyFilter, fc.constantFrom(7, 40, 5_000), async (access, filter, lookedAt) => {
        const expected = rows
          .filter(eventPredicate(access, filter))
          .toSorted((a, b) => b.occurred_at - a.occurred_at || b.seq - a.seq);
        chosen += expected.length;
        const found: number[] = [];
        let after: EventPosition | null = null;
        for (let page = 0; page < 400; page++) {
          const { rows: seen, lookedUpTo } = await readHistory(db, { access, filter }, after, 20, lookedAt);
          found.push(...seen.map(({ seq }) => seq));
          const last = seen.at(-1);
          if (seen.length === 20 && last !== undefined) after = { seq: last.seq, occurredAt: last.occurred_at };
          else if (lookedUpTo === null) break;
          else {
            short += 1;
            after = lookedUpTo;
          }
        }
        expect(found).toEqual(expected.map(({ seq }) => seq));
      }),
      { numRuns: 60 },
    );
    expect(chosen).toBeGreaterThan(300);
    expect(short).toBeGreaterThan(100);
  });

  it('counts exactly what it can count quickly, and says when it cannot', async () => {
    const db = await open();
    const rows = await storeSampleEvents(db, 300);
    let unknown = 0;
    await fc.assert(
      fc.asyncProperty(anyAccess, anyFilter, fc.constantFrom(50, 10_000), async (access, filter, lookedAt) => {
        const count = await countHistory(db, { access, filter }, lookedAt);
        const isUnknown = count === null && lookedAt === 50;
        if (isUnknown) unknown += 1;
        expect(count).toBe(isUnknown ? null : rows.filter(eventPredicate(access, filter)).length);
      }),
      { numRuns: 80 },
    );
    expect(unknown).toBeGreaterThan(5);
  });

  it('counts by span of time what it can count quickly, and says when it cannot', async () => {
    const db = await open();
    const rows = await storeSampleEvents(db, 300);
    let [unknown, spans] = [0, 0];
    await fc.assert(
      fc.asyncProperty(
        anyAccess,
        anyFilter,
        fc.constantFrom(1, 7, 60_000),
        fc.constantFrom(50, 10_000),
        async (access, filter, size, lookedAt) => {
          const buckets = await bucketHistory(db, { access, filter }, size, lookedAt);
          const isUnknown = (await countHistory(db, { access, filter }, lookedAt)) === null;
          if (isUnknown) unknown += 1;
          const matching = rows.filter(eventPredicate(access, filter));
          const counts = Map.groupBy(matching, ({ occurred_at: at }) => Math.floor(at / size) * size);
          const expected = [...counts].map(([from, own]) => ({ from, to: from + size, count: own.length }));
          expect(buckets).toEqual(isUnknown ? null : expected.toSorted((a, b) => a.from - b.from));
          spans += buckets?.length ?? 0;
        },
      ),
      { numRuns: 80 },
    );
    expect(unknown).toBeGreaterThan(3);
    expect(spans).toBeGreaterThan(20);
  });

  it('ends a page for nobody because of events that he may not see', async () => {
    const db = await open();
    const rows = await storeSampleEvents(db, 300);
    const access = { orgIds: ['org_a'], siteIds: ['site_1'] };
    const filter = { deviceIds: ['dev_1'], types: ['none'] };
    const own = rows.filter(
      eventPredicate(access, { deviceIds: ['dev_1'], includeMaintenance: true, includeSuppressed: true }),
    );
    expect(rows.filter((row) => row.device_id === 'dev_1').length).toBeGreaterThan(own.length + 1);
    expect(await readHistory(db, { access, filter }, null, 20, own.length + 1)).toEqual({ rows: [], lookedUpTo: null });
    expect(await countHistory(db, { access, filter }, own.length)).toBe(0);
  });
});
