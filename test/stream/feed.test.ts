import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { StreamParameters } from '../../gateway/http/plain-stream.ts';
import { trimEvents } from '../../storage/event-log.ts';
import { eachEngine } from '../../storage/testing.ts';
import { operation } from '../e2e/rig.ts';
import { EventSourceSubscriber, overWebSocket, TRANSPORTS } from './clients.ts';
import { type Happening, type House, openHouse } from './house.ts';

// What the health feed promises, and the same stream for those who speak no GraphQL.

/** Ten minutes of fifty events a second. */
const MISSED = 30_000;
const AT_ONCE = 2_000;

interface Delivered {
  readonly cursor: string;
  readonly replayed: boolean;
  readonly number: number;
  readonly device: string;
}

function itemsOf(items: readonly unknown[]): { readonly __typename: string; readonly [name: string]: unknown }[] {
  return items.map((item) => Object(item).data.events);
}

function delivered(items: readonly unknown[]): Delivered[] {
  return itemsOf(items)
    .filter(({ __typename }) => __typename === 'EventDelivered')
    .map((item) => {
      const event = Object(item['event']);
      const { cursor, replayed } = Object(item);
      return { cursor, replayed, number: Number(event.summary.replace('event ', '')), device: event.device.id };
    });
}

eachEngine('health feed', (open, engine) => {
  let house: House;
  beforeEach(async () => {
    house = await openHouse(await open());
    onTestFinished(() => house.close());
  });

  async function happenALot(count: number): Promise<void> {
    for (let from = 0; from < count; from += AT_ONCE) {
      const batch = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, at): Happening => {
        const number = from + at;
        return {
          device: number % 3 === 0 ? 'cam-1' : 'cam-2',
          family: number % 2 === 0 ? 'HEALTH' : 'ALARM',
          org: number % 10 === 0 ? 'b' : 'a',
        };
      });
      await house.happen(...batch);
    }
  }

  // The other engine differs in how a page is read.
  it.each(engine === 'sqlite' ? TRANSPORTS : TRANSPORTS.slice(0, 1))(
    `gives what ten minutes have brought, over %s: all, once, in order of each device, then ReplayComplete, then live`,
    async (_, subscribe) => {
      // Once in full is proof of the length; transports and engines differ in other things.
      const count = engine === 'sqlite' && subscribe === overWebSocket ? MISSED : 3_000;
      await house.happen({});
      const after = house.cursorAt(1);
      await happenALot(count);
      const variables = { org: 'org_a', after };
      const query = operation('07-health-feed');
      const feed = subscribe({ url: house.url, token: await house.token(), query, variables });
      const types = (): string[] => itemsOf(feed.items.slice(-1)).map(({ __typename }) => __typename);
      await feed.until(() => types()[0] === 'ReplayComplete');
      const expected = Array.from({ length: count }, (_, at) => at)
        .filter((number) => number % 10 !== 0)
        .map((number) => number + 2);
      const got = delivered(feed.items);
      expect(got.map(({ number }) => number)).toEqual(expected);
      expect(got.every(({ replayed }) => replayed)).toBe(true);
      expect(itemsOf(feed.items).at(-1)).toMatchObject({ replayedCount: expected.length });
      const [live] = await house.happen({ family: 'ALARM' });
      await feed.until(() => delivered(feed.items).length > expected.length);
      expect(delivered(feed.items).at(-1)).toMatchObject({ number: live, replayed: false });
      feed.cut();
    },
  );

  it('tells a gap for a cursor that is older than what is kept, and goes on after it', async () => {
    await house.happen({}, {}, {});
    await house.db.write((tx) => trimEvents(tx, Number.MAX_SAFE_INTEGER, 2));
    const variables = { org: 'org_a', after: house.cursorAt(0) };
    const feed = overWebSocket({
      url: house.url,
      token: await house.token(),
      query: operation('07-health-feed'),
      variables,
    });
    await feed.until(() => feed.items.length === 3);
    expect(itemsOf(feed.items)).toMatchObject([
      { __typename: 'StreamGap', reason: 'RETENTION', toCursor: house.cursorAt(2) },
      { __typename: 'EventDelivered', event: { summary: 'event 3' } },
      { __typename: 'ReplayComplete', replayedCount: 1 },
    ]);
    feed.cut();
  });

  it('never shows a principal the events of a site that it may not see, replayed or live', async () => {
    await house.happen({}, { site_id: 'site_a2' }, { site_id: null });
    const token = await house.token({ orgIds: ['org_a'], siteIds: ['site_a'] });
    const variables = { org: 'org_a', after: house.cursorAt(0) };
    const feed = overWebSocket({ url: house.url, token, query: operation('07-health-feed'), variables });
    await feed.until(() => feed.items.length === 2);
    await house.happen({ site_id: 'site_a2' }, { site_id: null }, { org: 'b' }, {});
    await feed.until(() => feed.items.length === 3);
    expect(delivered(feed.items).map(({ number }) => number)).toEqual([1, 7]);
    feed.cut();
  });

  it('shows a heartbeat with a cursor when nothing happens', async () => {
    await house.happen({});
    const feed = overWebSocket({
      url: house.url,
      token: await house.token(),
      query: 'subscription { events(heartbeatSeconds: 1) { __typename ... on StreamHeartbeat { cursor at } } }',
    });
    await feed.until(() => feed.items.length === 1);
    expect(itemsOf(feed.items)).toMatchObject([{ __typename: 'StreamHeartbeat', cursor: house.cursorAt(1) }]);
    feed.cut();
  });
});

eachEngine('plain event stream', (open, engine) => {
  let house: House;
  beforeEach(async () => {
    house = await openHouse(await open());
    onTestFinished(() => house.close());
  });

  async function listen(query: string, headers: Record<string, string> = {}, token?: string) {
    const options = { url: house.url, token: token ?? (await house.token()), headers };
    return new EventSourceSubscriber(options, `/events/stream?${query}`, null, ({ event }) => event);
  }

  it('sends events as JSON with their cursor as the id, and goes on after the last id', async () => {
    await house.happen({}, {});
    const first = await listen(`after=${house.cursorAt(0)}`);
    await first.until(() => first.items.length === 3);
    expect(first.items).toEqual(['message', 'message', 'replay-complete']);
    expect(JSON.parse(first.events[0]?.data ?? '')).toMatchObject({ family: 'HEALTH', summary: 'event 1' });
    first.cut();
    await house.happen({});
    const second = await listen(`after=${house.cursorAt(0)}`, { 'last-event-id': first.events[1]?.id ?? '' });
    await second.until(() => second.items.length === 2);
    expect(JSON.parse(second.events[0]?.data ?? '')).toMatchObject({ summary: 'event 3' });
    expect(second.events[1]).toMatchObject({ event: 'replay-complete', data: '{"replayedCount":1}' });
    second.cut();
  });

  it('takes the words of the filter', async () => {
    await house.happen(
      { family: 'ALARM', severity: 3 },
      { family: 'ALARM', severity: 1 },
      { family: 'ACCESS', severity: 3 },
      { family: 'HEALTH', severity: 3 },
      { family: 'ALARM', severity: 3, org: 'b' },
      { family: 'ALARM', severity: 3, suppressed: 1 },
    );
    const words = 'orgId=org_a&families=ALARM,ACCESS&minSeverity=WARNING&includeSuppressed=true&heartbeatSeconds=5';
    const feed = await listen(`${words}&after=${house.cursorAt(0)}&format=CLOUDEVENTS`);
    await feed.until(() => feed.items.at(-1) === 'replay-complete');
    const events = feed.events.filter(({ event }) => event === 'message').map(({ data }) => JSON.parse(data));
    expect(events.map(({ data }) => data.summary)).toEqual(['event 1', 'event 3', 'event 6']);
    expect(events[0]).toMatchObject({ specversion: '1.0' });
    feed.cut();
  });

  it('tells heartbeats and gaps by name', async () => {
    await house.happen({}, {});
    await house.db.write((tx) => trimEvents(tx, Number.MAX_SAFE_INTEGER, 2));
    const feed = await listen(`after=${house.cursorAt(0)}&heartbeatSeconds=1`);
    await feed.until(() => feed.items.length === 3);
    expect(feed.items).toEqual(['gap', 'replay-complete', 'heartbeat']);
    expect(feed.events.map(({ id }) => id)).toEqual([2, 2, 2].map((seq) => house.cursorAt(seq)));
    feed.cut();
  });

  it.each([
    ['an unknown word', 'colour=red', 400, 'colour'],
    ['an unknown family', 'families=PARTY', 400, 'families'],
    ['two orgs', 'orgId=a&orgId=b', 400, 'orgId'],
    ['no token', '', 401, 'bearer'],
  ])('refuses %s', async (_, query, status, hint) => {
    const feed = await listen(query, {}, status === 401 ? 'nope' : undefined);
    expect((await feed.untilEnded()).reason).toContain(hint);
    expect(feed.status).toBe(status);
  });

  it('says why a cursor is none', async () => {
    const feed = await listen('after=nonsense');
    await feed.untilEnded();
    expect(feed.events).toMatchObject([{ event: 'error', data: expect.stringContaining('BAD_CURSOR') }]);
  });

  it.runIf(engine === 'sqlite')('knows every word of the filter of the graph', () => {
    const type = house.engine.publicSchema.getType('EventFilter');
    const words = type !== undefined && 'getFields' in type ? Object.keys(type.getFields()) : [];
    const known = Object.keys(StreamParameters.shape).map((name) => name.split('.', 1)[0]);
    expect(known).toEqual(expect.arrayContaining(words));
  });
});
