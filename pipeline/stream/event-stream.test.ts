import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import type { AccessScope } from '../../schema/principal.ts';
import { createCursorCodec } from '../../storage/cursor.ts';
import type { Database } from '../../storage/database.ts';
import { createEventCursors } from '../../storage/event-cursor.ts';
import { trimEvents } from '../../storage/event-log.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createEventWriter, ringForEvents } from '../process/event-writer.ts';
import { acme, acmeBody, type AcmeEvent, createTestTiming, NOON, quiet, seed, type Seeded, until } from '../testing.ts';
import { createEventStream, type StreamItem, type StreamRequest } from './event-stream.ts';
import { createLogTail } from './log-tail.ts';
import { createIntegrationChanges } from './integration-changes.ts';
import { subscribeStatusChanges } from './status-changes.ts';
import { ALWAYS, equals } from '../../storage/sql-conditions.ts';

const ALL: AccessScope = { orgIds: 'all', siteIds: null };
const codec = createCursorCodec(Buffer.alloc(32, 3));

/** @param read as the stream sees the store, where that differs from what the tail sees */
function streamOn(db: Database, read = db) {
  const cursors = createEventCursors(codec, db.epoch);
  const tail = createLogTail({ db, logger: quiet });
  onTestFinished(() => tail.stop());
  const timing = createTestTiming();
  const stream = createEventStream({ db: read, tail, cursors, now: () => NOON, timing });
  return { stream, tail, cursors, timing };
}

function writerOn(db: Database, { integration }: Seeded) {
  const writer = createEventWriter({ db });
  let next = 0;
  return async (...events: readonly Omit<AcmeEvent, 'id'>[]) => {
    const numbered = events.map((event) => ({ id: `${integration.id}-${next++}`, ...event }));
    const headers = {};
    const message = { body: acmeBody(...numbered), headers, source: 'WEBHOOK', receivedAt: new Date(NOON) } as const;
    const drafts = acme.decode(message, { settings: {}, onlySite: null, profile: null });
    await db.write((tx) => writer.writeEvents(tx, integration, drafts, 'WEBHOOK', NOON));
    ringForEvents(db, integration);
    return numbered.map(({ id }) => id);
  };
}

async function subscribe(stream: ReturnType<typeof streamOn>['stream'], request: Partial<StreamRequest> = {}) {
  const stop = new AbortController();
  const items = await stream.subscribe({ access: ALL, filter: {}, after: null, signal: stop.signal, ...request });
  onTestFinished(() => stop.abort());
  return { items, stop: () => stop.abort() };
}

type Items = AsyncIterableIterator<StreamItem, void, void>;

async function take(items: Items, count: number): Promise<StreamItem[]> {
  const taken: StreamItem[] = [];
  while (taken.length < count) {
    const { done, value } = await items.next();
    if (done === true) break;
    taken.push(value);
  }
  return taken;
}

function idOf(item: StreamItem): string {
  return item.__typename === 'EventDelivered' ? (item.event.vendor_event_id ?? '?') : item.__typename;
}

eachEngine('event stream', (open) => {
  it('delivers what is logged after it began, in order, with a cursor to go on from', async () => {
    const db = await open();
    const write = writerOn(db, await seed(db));
    const { stream } = streamOn(db);
    await write({ device: 'cam-1' });
    const { items } = await subscribe(stream);
    const ids = await write({ device: 'cam-1', state: 'OFFLINE' }, { device: 'cam-2' });
    const delivered = await take(items, 2);
    expect(delivered.map(idOf)).toEqual(ids);
    expect(delivered.every((item) => item.__typename === 'EventDelivered' && !item.replayed)).toBe(true);
  });

  it('replays everything since the cursor, says so, and goes on live', async () => {
    const db = await open();
    const write = writerOn(db, await seed(db));
    const { stream } = streamOn(db);
    const first = await subscribe(stream);
    await write({ device: 'cam-1' });
    const [last] = await take(first.items, 1);
    first.stop();
    const missed = await write(...Array.from({ length: 450 }, () => ({ device: 'cam-1' })));
    const after = last?.__typename === 'EventDelivered' ? last.cursor : null;
    const second = await subscribe(stream, { after });
    const replayed = await take(second.items, 451);
    expect(replayed.map(idOf)).toEqual([...missed, 'ReplayComplete']);
    expect(replayed.at(-1)).toMatchObject({ replayedCount: 450 });
    const live = await write({ device: 'cam-2' });
    const [item] = await take(second.items, 1);
    expect(item).toMatchObject({ __typename: 'EventDelivered', replayed: false, event: { vendor_event_id: live[0] } });
  });

  it('says at once that a replay is complete when nothing was missed', async () => {
    const db = await open();
    const { stream, cursors } = streamOn(db);
    const { items } = await subscribe(stream, { after: cursors.encode(0, null) });
    expect(await take(items, 1)).toMatchObject([{ __typename: 'ReplayComplete', replayedCount: 0 }]);
  });

  it('equals the log whenever and however often it is cut and resumed', async () => {
    const db = await open();
    const write = writerOn(db, await seed(db));
    const { stream, cursors } = streamOn(db);
    let after = cursors.encode(await db.head(), null);
    const logged: string[] = [];
    const delivered: string[] = [];
    const steps = fc.sample(
      fc.array(fc.record({ write: fc.nat({ max: 30 }), take: fc.nat({ max: 40 }) }), { minLength: 25, maxLength: 25 }),
      { numRuns: 2, seed: 20 },
    );
    for (const step of steps.flat()) {
      const { items, stop } = await subscribe(stream, { after });
      logged.push(...(await write(...Array.from({ length: step.write }, () => ({ device: 'cam-1' })))));
      for (let i = 0; i < step.take && delivered.length < logged.length; i++) {
        const { value } = await items.next();
        if (value?.__typename === 'EventDelivered') delivered.push(idOf(value));
        if (value !== undefined && 'cursor' in value) after = value.cursor;
      }
      stop();
    }
    const { items } = await subscribe(stream, { after });
    while (delivered.length < logged.length) {
      const { value } = await items.next();
      if (value?.__typename === 'EventDelivered') delivered.push(idOf(value));
    }
    expect(delivered).toEqual(logged);
  });

  it('misses nothing and doubles nothing while several writers commit beside each other', async () => {
    const db = await open();
    const writers = [];
    for (const name of ['a', 'b', 'c']) writers.push(writerOn(db, await seed(db, { name })));
    const { stream } = streamOn(db);
    const { items } = await subscribe(stream);
    const writing = Promise.all(
      writers.map(async (write) => {
        for (let i = 0; i < 30; i++) await write({ device: 'cam-1' }, { device: 'cam-2' });
      }),
    );
    const delivered = await take(items, 180);
    await writing;
    const log = await db.read.selectFrom('events').select('vendor_event_id').orderBy('seq').execute();
    expect(delivered.map(idOf)).toEqual(log.map(({ vendor_event_id }) => vendor_event_id));
  });

  it('serves a subscriber that fell behind the memory from the log', async () => {
    const db = await open();
    const write = writerOn(db, await seed(db));
    const { stream, tail } = streamOn(db);
    const { items } = await subscribe(stream);
    const ids: string[] = [];
    for (let i = 0; i < 12; i++)
      ids.push(...(await write(...Array.from({ length: 250 }, () => ({ device: 'cam-1' })))));
    const head = await db.head();
    await until(() => tail.head === head);
    expect(tail.floor).toBeGreaterThan(0);
    expect((await take(items, 3_000)).map(idOf)).toEqual(ids);
  });

  it('tells a gap when the cursor is older than what is kept, then goes on from there', async () => {
    const db = await open();
    const write = writerOn(db, await seed(db));
    const old = createEventCursors(codec, db.epoch).encode(0, null);
    const ids = await write({ device: 'cam-1' }, { device: 'cam-1' }, { device: 'cam-1' });
    expect(await db.write((tx) => trimEvents(tx, NOON + 1, 2))).toBe(2);
    const { stream, cursors } = streamOn(db);
    const { items } = await subscribe(stream, { after: old });
    const [gap, event, complete] = await take(items, 3);
    expect(gap).toMatchObject({ __typename: 'StreamGap', reason: 'RETENTION', toCursor: cursors.encode(2, null) });
    expect(event).toMatchObject({ replayed: true, event: { vendor_event_id: ids[2] } });
    expect(complete).toMatchObject({ __typename: 'ReplayComplete', replayedCount: 1 });
  });

  it('tells a gap when the log is trimmed while a page of the replay is read', async () => {
    const db = await open();
    const write = writerOn(db, await seed(db));
    const old = createEventCursors(codec, db.epoch).encode(0, null);
    const ids = await write({ device: 'cam-1' }, { device: 'cam-1' }, { device: 'cam-1' });
    let heads = 0;
    const trimming: Database = {
      ...db,
      head: async () => {
        heads += 1;
        // The first asks where the stream begins, the second belongs to the page.
        if (heads === 2) await db.write((tx) => trimEvents(tx, NOON + 1, 2));
        return db.head();
      },
    };
    const { stream } = streamOn(db, trimming);
    const { items } = await subscribe(stream, { after: old });
    const delivered = await take(items, 3);
    expect(delivered.map(idOf)).toEqual(['StreamGap', ids[2], 'ReplayComplete']);
  });

  it('tells a gap when events were trimmed before the tail had read them', async () => {
    const db = await open();
    const write = writerOn(db, await seed(db));
    let isDeaf = false;
    const deaf: Database = {
      ...db,
      head: () => (isDeaf ? Promise.reject(new Error('the disk is away')) : db.head()),
    };
    const { stream, tail, cursors } = streamOn(deaf);
    const { items } = await subscribe(stream);
    const first = await write({ device: 'cam-1' });
    expect((await take(items, 1)).map(idOf)).toEqual(first);
    isDeaf = true;
    const ids = await write({ device: 'cam-1' }, { device: 'cam-1' }, { device: 'cam-1' });
    await db.write((tx) => trimEvents(tx, NOON + 1, 3));
    isDeaf = false;
    db.doorbell.ring('log');
    await until(() => tail.head === 4);
    const [gap, event] = await take(items, 2);
    expect(gap).toMatchObject({ __typename: 'StreamGap', reason: 'RETENTION', toCursor: cursors.encode(3, null) });
    expect(event).toMatchObject({ event: { vendor_event_id: ids[2] } });
  });

  it('begins a live stream with its place, for those who ask', async () => {
    const db = await open();
    const write = writerOn(db, await seed(db));
    await write({ device: 'cam-1' });
    const { stream, cursors } = streamOn(db);
    const { items } = await subscribe(stream, { tellsPlaces: true });
    expect(await take(items, 1)).toEqual([{ __typename: 'Place', cursor: cursors.encode(1, null) }]);
    const ids = await write({ device: 'cam-1' });
    expect((await take(items, 1)).map(idOf)).toEqual(ids);
  });

  it.each([
    ['of another life of the store', 'other', 1],
    ['ahead of the log, as after a restored backup', null, 1_000],
  ])('tells a gap when the cursor is %s', async (_, epoch, seq) => {
    const db = await open();
    const write = writerOn(db, await seed(db));
    await write({ device: 'cam-1' });
    const { stream } = streamOn(db);
    const after = createEventCursors(codec, epoch ?? db.epoch).encode(seq, null);
    const { items } = await subscribe(stream, { after });
    expect(await take(items, 2)).toMatchObject([
      { __typename: 'StreamGap', reason: 'EPOCH', fromCursor: after },
      { __typename: 'ReplayComplete', replayedCount: 0 },
    ]);
    const live = await write({ device: 'cam-1' });
    expect((await take(items, 1)).map(idOf)).toEqual(live);
  });

  it.each(['', 'garbage', 'AAAA'.repeat(1_000)])('refuses a cursor that is none', async (after) => {
    const { stream } = streamOn(await open());
    await expect(subscribe(stream, { after })).rejects.toMatchObject({ extensions: { code: 'BAD_CURSOR' } });
  });

  it('sends a heartbeat with the head when nothing happens', async () => {
    const db = await open();
    const write = writerOn(db, await seed(db));
    await write({ device: 'cam-1' });
    const { stream, cursors, timing, tail } = streamOn(db);
    const { items } = await subscribe(stream, { heartbeatSeconds: 20, filter: { families: [] } });
    await write({ device: 'cam-1' });
    await until(() => tail.head === 2);
    timing.advance(19_999);
    const waiting = items.next();
    timing.advance(1);
    expect((await waiting).value).toMatchObject({ __typename: 'StreamHeartbeat' });
    timing.advance(20_000);
    expect(await take(items, 1)).toEqual([
      { __typename: 'StreamHeartbeat', cursor: cursors.encode(2, null), at: NOON },
    ]);
  });

  it.each([0, 301])('refuses a heartbeat of %i seconds', async (heartbeatSeconds) => {
    const { stream } = streamOn(await open());
    await expect(subscribe(stream, { heartbeatSeconds })).rejects.toMatchObject({
      extensions: { code: 'BAD_USER_INPUT' },
    });
  });

  it.each([
    ['another org', { orgIds: ['org_b'], siteIds: null }, 0],
    ['no org', { orgIds: [], siteIds: null }, 0],
    ['the org', { orgIds: ['org_a'], siteIds: null }, 3],
    ['one site of it', { orgIds: ['org_a'], siteIds: ['site_a'] }, 1],
    ['no site of it', { orgIds: ['org_a'], siteIds: [] }, 0],
  ])('shows a principal of %s its events only, in the replay as in the live part', async (_, access, count) => {
    const db = await open();
    const write = writerOn(db, await seed(db));
    const { stream, cursors, timing, tail } = streamOn(db);
    const three = [{ device: 'cam-1' }, { device: 'cam-1', site: 'roof' }, { family: 'SYSTEM' as const }];
    const before = await write(...three);
    const { items } = await subscribe(stream, { access, after: cursors.encode(0, null) });
    const visible = (ids: readonly string[]) =>
      ids.slice(0, count).map((id, at) => (count === 3 ? (ids[at] ?? id) : id));
    expect((await take(items, count + 1)).map(idOf)).toEqual([...visible(before), 'ReplayComplete']);
    const live = await write(...three);
    await until(() => tail.head === 6);
    expect((await take(items, count)).map(idOf)).toEqual(visible(live));
    timing.advance(15_000);
    expect((await take(items, 1)).map(idOf)).toEqual(['StreamHeartbeat']);
  });

  it('ends at once when its consumer goes, and when the request is over', async () => {
    const { stream } = streamOn(await open());
    const first = await subscribe(stream);
    const waiting = first.items.next();
    await first.items.return?.();
    expect(await waiting).toMatchObject({ done: true });
    const second = await subscribe(stream);
    const alsoWaiting = second.items.next();
    second.stop();
    expect(await alsoWaiting).toMatchObject({ done: true });
  });
});

eachEngine('status changes', (open) => {
  it('tells the events that moved a state, of the devices that were asked for', async () => {
    const db = await open();
    const seeded = await seed(db);
    const write = writerOn(db, seeded);
    const { stream, cursors } = streamOn(db);
    await write({ device: 'cam-1', state: 'OFFLINE', at: NOON }, { device: 'cam-2', state: 'OFFLINE', at: NOON });
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    const changes = await subscribeStatusChanges(
      { db, stream },
      {
        access: ALL,
        devices: () => equals('devices.id', seeded.device('cam-1')),
        after: cursors.encode(0, null),
        signal: stop.signal,
      },
    );
    await write(
      { device: 'cam-1', state: 'OFFLINE', at: NOON + 1 },
      { device: 'cam-1', state: 'ONLINE', at: NOON - 1 },
      { device: 'cam-1', state: 'ONLINE', at: NOON + 2 },
    );
    const told = [await changes.next(), await changes.next()].map(({ value }) => value?.event);
    expect(told).toMatchObject([
      { previous_state: 'UNKNOWN', state: 'OFFLINE', occurred_at: NOON },
      { previous_state: 'OFFLINE', state: 'ONLINE', occurred_at: NOON + 2 },
    ]);
  });

  it('tells those who ask where it stands, though nothing changes', async () => {
    const db = await open();
    const seeded = await seed(db);
    const write = writerOn(db, seeded);
    const { stream, cursors, timing, tail } = streamOn(db);
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    const request = { access: ALL, devices: () => ALWAYS, after: null, signal: stop.signal, tellsPlaces: true };
    const changes = await subscribeStatusChanges({ db, stream }, request);
    expect(await changes.next()).toEqual({ done: false, value: { event: null, cursor: cursors.encode(0, null) } });
    await write({ device: 'cam-1' });
    await until(() => tail.head === 1);
    const waiting = changes.next();
    timing.advance(15_000);
    expect(await waiting).toEqual({ done: false, value: { event: null, cursor: cursors.encode(1, null) } });
  });

  it('ends with BAD_CURSOR rather than hiding a gap', async () => {
    const db = await open();
    const { stream } = streamOn(db);
    const stop = new AbortController();
    const after = createEventCursors(codec, 'other').encode(1, null);
    const request = { access: ALL, devices: () => ALWAYS, after, signal: stop.signal };
    const changes = await subscribeStatusChanges({ db, stream }, request);
    await expect(changes.next()).rejects.toMatchObject({ extensions: { code: 'BAD_CURSOR' } });
  });
});

eachEngine('integration changes', (open) => {
  it("tells the org's integrations that were rung, each at most once a second", async () => {
    const db = await open();
    const { integration } = await seed(db);
    await seed(db, { name: 'b' });
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    const timing = createTestTiming();
    const changes = createIntegrationChanges({ db, timing }).subscribe({
      access: ALL,
      orgId: 'org_a',
      signal: stop.signal,
    });
    for (let i = 0; i < 20; i++) {
      db.doorbell.ring(`integration:${integration.id}`);
      db.doorbell.ring('integration:int_b');
    }
    expect(await changes.next()).toEqual({ done: false, value: integration.id });
    db.doorbell.ring(`integration:${integration.id}`);
    let hasCome = false;
    const second = changes.next().finally(() => {
      hasCome = true;
    });
    timing.advance(999);
    await db.head();
    expect(hasCome).toBe(false);
    timing.advance(1);
    expect(await second).toEqual({ done: false, value: integration.id });
    const waiting = changes.next();
    stop.abort();
    expect(await waiting).toMatchObject({ done: true });
  });
});
