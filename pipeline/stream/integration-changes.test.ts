import { expect, it, onTestFinished } from 'vitest';
import type { AccessScope } from '../../schema/principal.ts';
import type { Database } from '../../storage/database.ts';
import { openDatabase } from '../../storage/open-database.ts';
import { createTestStore } from '../../storage/testing.ts';
import { createTestTiming, NOON, seed, until } from '../testing.ts';
import { createIntegrationChanges } from './integration-changes.ts';

const ALL: AccessScope = { orgIds: 'all', siteIds: null };
const SECOND = 1_000;

/** A database that counts how often integrations were looked up. */
function counted(db: Database) {
  let looks = 0;
  const read = new Proxy(db.read, {
    get(target, key) {
      if (key === 'selectFrom') looks += 1;
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { db: { ...db, read, doorbell: db.doorbell }, looks: () => looks };
}

it.each(['sqlite', 'postgres'] as const)('tells of changes that another process made, on %s', async (engine) => {
  const store = await createTestStore(engine);
  const [here, there] = [await openDatabase(store.options), await openDatabase(store.options)];
  const stop = new AbortController();
  onTestFinished(async () => {
    stop.abort();
    await here.close();
    await there.close();
    await store.remove();
  });
  const { integration } = await seed(here);
  await seed(here, { name: 'b' });
  const timing = createTestTiming();
  const { db, looks } = counted(here);
  const source = createIntegrationChanges({ db, timing });
  const changes = source.subscribe({ access: ALL, orgId: 'org_a', signal: stop.signal });
  const others = source.subscribe({ access: ALL, orgId: 'org_a', signal: stop.signal });
  await until(() => looks() === 1);
  let told = 0;
  const first = changes.next().finally(() => (told += 1));
  const second = others.next();
  /** A second passes, and what is looked up in it is found. */
  const pass = async () => {
    const before = looks();
    await here.head();
    // The next look is arranged when the one before has ended, which the head of a pool may overtake.
    await until(() => {
      timing.advance(SECOND);
      return looks() > before;
    });
    await here.head();
  };
  await pass();
  expect(told).toBe(0);

  // No bell of ours rings for it.
  await there.write((tx) =>
    tx.updateTable('integrations').set({ last_event_at: NOON }).where('id', '=', integration.id).execute(),
  );
  await there.write((tx) =>
    tx.updateTable('integrations').set({ last_event_at: NOON }).where('id', '=', 'int_b').execute(),
  );
  for (let passed = 0; passed < 5 && told === 0; passed += 1) await pass();
  expect(told).toBe(1);
  expect(await first).toEqual({ done: false, value: integration.id });
  expect(await second).toEqual({ done: false, value: integration.id });

  // What was rung for and told is not told again by the look that follows.
  await here.write((tx) =>
    tx
      .updateTable('integrations')
      .set({ last_event_at: NOON + 1 })
      .where('id', '=', integration.id)
      .execute(),
  );
  here.doorbell.ring(`integration:${integration.id}`);
  timing.advance(SECOND);
  expect(await changes.next()).toEqual({ done: false, value: integration.id });
  let isToldAgain = false;
  void changes.next().then(() => (isToldAgain = true));
  await pass();
  await pass();
  expect(isToldAgain).toBe(false);

  // Nobody listens any more: nobody is asked any more.
  stop.abort();
  await until(() => isToldAgain);
  timing.advance(SECOND);
  await here.head();
  const asked = looks();
  for (let seconds = 0; seconds < 3; seconds += 1) timing.advance(SECOND);
  await here.head();
  expect(looks()).toBe(asked);
});
