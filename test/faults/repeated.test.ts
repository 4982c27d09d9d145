import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createRetention } from '../../pipeline/process/retention.ts';
import { acmeBody, NOON, quiet, seed, signed } from '../../pipeline/testing.ts';
import type { Database } from '../../storage/database.ts';
import { openDatabase } from '../../storage/open-database.ts';
import { createTestStore } from '../../storage/testing.ts';
import { post, startIntakeServer } from './intake-server.ts';

// Senders repeat: because an answer was lost, because they are several, because their queue was set back by days.

const HANDLES = 3;
const DAY = 86_400_000;
const SCHEDULES = 6;

/** One moment at which the same event is sent. */
const Attempt = fc.record({
  /** Since the first, within the seven days. */
  at: fc.integer({ min: 0, max: 7 * DAY - 1 }),
  /** By how many senders at once, each to the next process. */
  times: fc.integer({ min: 1, max: 8 }),
  /** The same event in other bytes: a platform that prints its JSON anew for each attempt. */
  padding: fc.constantFrom(0, 0, 0, 1, 2),
});

describe.each(['sqlite', 'postgres'] as const)('an event that is sent again and again, on %s', (engine) => {
  it('is one event, whenever, however often and to whichever process it is sent; every sender is told that it arrived', async () => {
    const store = await createTestStore(engine);
    const clock = { now: NOON };
    const now = () => clock.now;
    const handles: Database[] = [];
    for (let index = 0; index < HANDLES; index++) handles.push(await openDatabase(store.options));
    const [db] = handles;
    if (db === undefined) throw new Error('no handle');
    await seed(db);
    const servers = await Promise.all(handles.map((handle) => startIntakeServer(handle, now)));
    const retention = createRetention({ db, logger: quiet, now, rest: async () => {} });
    onTestFinished(async () => {
      for (const server of servers) await server.close();
      for (const handle of handles) await handle.close();
      await store.remove();
    });

    let schedules = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(Attempt, { minLength: 1, maxLength: 6 }), async (attempts) => {
        const id = `event-${schedules++}`;
        const start = clock.now;
        const body = acmeBody({ id, device: 'cam-1', state: 'OFFLINE', at: start });
        const told = new Map<number, boolean[]>();
        for (const { at, times, padding } of attempts.toSorted((a, b) => a.at - b.at)) {
          clock.now = start + at;
          const bytes = Buffer.concat([body, Buffer.alloc(padding, ' ')]);
          const answers = await Promise.all(
            Array.from({ length: times }, (_, sender) => {
              const server = servers[(sender + times) % HANDLES];
              return post(server?.port ?? 0, signed(bytes, clock.now), bytes);
            }),
          );
          for (const { status, isDuplicate } of answers) expect(status).toBe(isDuplicate ? 200 : 202);
          const sofar = told.get(padding) ?? [];
          told.set(padding, [...sofar, ...answers.map(({ isDuplicate }) => isDuplicate)]);
          await Promise.all(servers.map(({ processor }) => processor.process('int_a')));
          await retention.run();
        }
        // Of equal bytes the first is new, every other one is said to be a duplicate.
        for (const answers of told.values()) expect(answers.filter((isDuplicate) => !isDuplicate)).toHaveLength(1);
        const events = await db.read.selectFrom('events').select('seq').where('vendor_event_id', '=', id).execute();
        expect(events).toHaveLength(1);
        clock.now += DAY;
      }),
      { numRuns: SCHEDULES, seed: 20_261_120 },
    );
    expect(schedules).toBe(SCHEDULES);
  });
});
