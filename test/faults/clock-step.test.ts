import { expect, it, onTestFinished } from 'vitest';
import { acmeBody, seed, signed } from '../../pipeline/testing.ts';
import type { Database } from '../../storage/database.ts';
import { openDatabase } from '../../storage/open-database.ts';
import { createTestStore } from '../../storage/testing.ts';
import { post, startIntakeServer } from './intake-server.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;
/** Half an hour before midnight: the steps go over it, and back. */
const LATE = Date.UTC(2026, 10, 20, 23, 30);
const ROUNDS = 12;
const AT_ONCE = 8;

it.each(['sqlite', 'postgres'] as const)(
  'a clock that is set an hour forward and back under load loses nothing and doubles nothing, on %s',
  async (engine) => {
    const store = await createTestStore(engine);
    const clock = { now: LATE };
    const now = () => clock.now;
    const handles: Database[] = [];
    for (let index = 0; index < 2; index++) handles.push(await openDatabase(store.options));
    const [db] = handles;
    if (db === undefined) throw new Error('no handle');
    await seed(db);
    const servers = await Promise.all(handles.map((handle) => startIntakeServer(handle, now)));
    onTestFinished(async () => {
      for (const server of servers) await server.close();
      for (const handle of handles) await handle.close();
      await store.remove();
    });

    const acknowledged = new Set<string>();
    const send = async (number: number, attempt: number): Promise<void> => {
      const id = `event-${number}`;
      // Another text and another instant each time: it is the id that tells that it is the same.
      const body = acmeBody({ id, device: number % 2 === 0 ? 'cam-1' : 'cam-2', at: LATE - HOUR + attempt * MINUTE });
      const { status } = await post(servers[attempt % 2]?.port ?? 0, signed(body, clock.now), body);
      expect([200, 202]).toContain(status);
      acknowledged.add(id);
    };
    for (let round = 0; round < ROUNDS; round++) {
      clock.now += [HOUR, -HOUR, MINUTE][round % 3] ?? 0;
      const fresh = Array.from({ length: AT_ONCE }, (_, at) => round * AT_ONCE + at);
      // What was sent before comes again.
      const again = fresh.flatMap((number) => (number < AT_ONCE ? [] : [number - AT_ONCE]));
      await Promise.all([...fresh.map((number) => send(number, round)), ...again.map((number) => send(number, round))]);
      await Promise.all(servers.map(({ processor }) => processor.process('int_a')));
    }
    clock.now += 2 * HOUR;
    await Promise.all(servers.map(({ processor }) => processor.process('int_a')));
    const events = await db.read.selectFrom('events').select('vendor_event_id').execute();
    const ids = events.flatMap(({ vendor_event_id: id }) => (id?.startsWith('event-') === true ? [id] : []));
    expect(ids.toSorted()).toEqual([...acknowledged].toSorted());
  },
  60_000,
);
