import { pino } from 'pino';
import { expect, it } from 'vitest';
import { addToCounters } from '../../storage/integration-counters.ts';
import { eachEngine } from '../../storage/testing.ts';
import { NOON, seed } from '../testing.ts';
import { createHourlyReport } from './hourly-report.ts';

const HOUR_MS = 3_600_000;

eachEngine('hourly report', (open) => {
  it('tells each integration in use once: last sync, counts of the hour that ended, what fails', async () => {
    const db = await open();
    const lines: Record<string, unknown>[] = [];
    const logger = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    const { integration } = await seed(db);
    await seed(db, { name: 'b' });
    await seed(db, { name: 'off' });
    await db.write(async (tx) => {
      await tx.updateTable('integrations').set({ enabled: 0 }).where('id', '=', 'int_off').execute();
      await tx
        .updateTable('integrations')
        .set({ last_sync_at: NOON, last_sync_state: 'PARTIAL', error_code: 'TIMEOUT', state: 'DEGRADED' })
        .where('id', '=', integration.id)
        .execute();
      await addToCounters(tx, integration.id, NOON, { events: 5, rejected: 2, duplicates: 1 });
      await addToCounters(tx, integration.id, NOON + HOUR_MS, { events: 70 });
    });
    const job = createHourlyReport({ db, logger, now: NOON });
    await job.run(NOON + HOUR_MS - 1);
    expect(lines).toEqual([]);
    while (await job.run(NOON + HOUR_MS)) continue;
    await job.run(NOON + HOUR_MS + 1_000);
    expect(lines).toMatchObject([
      {
        msg: 'Integration in the last hour',
        integrationId: 'int_a',
        vendor: 'acme',
        state: 'DEGRADED',
        hour: new Date(NOON).toISOString(),
        lastSyncAt: new Date(NOON).toISOString(),
        lastSyncState: 'PARTIAL',
        lastEventAt: null,
        events: 5,
        rejected: 2,
        duplicates: 1,
        error: 'TIMEOUT',
      },
      { integrationId: 'int_b', events: 0, error: null, lastSyncAt: null },
    ]);
    await job.run(NOON + 2 * HOUR_MS);
    expect(lines.slice(2)).toMatchObject([{ integrationId: 'int_a', events: 70 }, { integrationId: 'int_b' }]);
  });

  it('tells all of many, and of a long absence the last hour only', async () => {
    const db = await open();
    const lines: Record<string, unknown>[] = [];
    const logger = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    const { integration } = await seed(db);
    const many = Array.from({ length: 450 }, (_, i) => ({
      ...integration,
      id: `int_many_${String(i).padStart(3, '0')}`,
    }));
    await db.write(async (tx) => {
      for (let from = 0; from < many.length; from += 50)
        await tx
          .insertInto('integrations')
          .values(many.slice(from, from + 50))
          .execute();
    });
    const job = createHourlyReport({ db, logger, now: NOON });
    const late = NOON + 9 * HOUR_MS;
    while (await job.run(late)) continue;
    expect(new Set(lines.map(({ integrationId }) => integrationId)).size).toBe(451);
    expect(new Set(lines.map(({ hour }) => hour))).toEqual(new Set([new Date(late - HOUR_MS).toISOString()]));
    expect(await job.run(late)).toBe(false);
    expect(lines).toHaveLength(451);
  });
});
