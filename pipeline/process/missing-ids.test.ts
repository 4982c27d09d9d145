import { pino } from 'pino';
import { expect, it } from 'vitest';
import type { Database } from '../../storage/database.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createInboxWriter } from '../inbox/inbox-writer.ts';
import { acme, acmeBody, type AcmeEvent, NOON, quiet, seed } from '../testing.ts';
import { createProcessor } from './processor.ts';

const DAY_MS = 86_400_000;

async function start(db: Database) {
  const { integration } = await seed(db);
  const clock = { now: NOON };
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const process = () => createProcessor({ db, vendors: [acme], logger, now: () => clock.now });
  const inbox = createInboxWriter({ db, logger: quiet });
  let processor = process();
  return {
    clock,
    lines,
    restart: () => {
      processor = process();
    },
    deliver: async (source: 'WEBHOOK' | 'POLL', ...events: AcmeEvent[]) => {
      const body = acmeBody(...events);
      await inbox.append({
        orgId: 'org_a',
        integrationId: 'int_a',
        source,
        receivedAt: clock.now,
        headers: '{}',
        body,
      });
      await processor.process(integration.id);
    },
    told: () =>
      db.read
        .selectFrom('events')
        .select(['severity', 'summary', 'details', 'device_id'])
        .where('type', '=', 'system.event_ids_missing')
        .execute(),
  };
}

eachEngine('events without ids', (open) => {
  it('are told once a day per integration, in the stream and in the log, over restarts', async () => {
    const db = await open();
    const { clock, lines, restart, deliver, told } = await start(db);
    await deliver('WEBHOOK', { id: 'e1', device: 'cam-1' }, { id: null, device: 'cam-1', at: NOON - 1 });
    await deliver('WEBHOOK', { id: null, device: 'cam-1', at: NOON - 2 });
    restart();
    await deliver('WEBHOOK', { id: null, device: 'cam-1', at: NOON - 3 });
    expect(await told()).toMatchObject([
      { summary: expect.stringContaining('no ids'), details: '{"detail":{"events":1,"of":2}}', device_id: null },
    ]);
    expect(lines).toMatchObject([{ integrationId: 'int_a', events: 1, of: 2 }]);
    clock.now += DAY_MS;
    await deliver('WEBHOOK', { id: null, device: 'cam-1', at: NOON - 4 });
    expect(await told()).toHaveLength(2);
    const counters = await db.read.selectFrom('integration_counters').select('duplicates').execute();
    expect(counters.reduce((sum, { duplicates }) => sum + Number(duplicates), 0)).toBe(0);
  });

  it("are nobody's fault when every event has one, or when we asked for them", async () => {
    const db = await open();
    const { deliver, told } = await start(db);
    await deliver('WEBHOOK', { id: 'e1', device: 'cam-1' });
    await deliver('POLL', { id: null, device: 'cam-1', at: NOON - 1 });
    expect(await told()).toEqual([]);
  });
});
