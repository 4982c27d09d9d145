import { connect } from 'node:net';
import { createClient } from 'graphql-ws';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { MAX_BUFFERED_BYTES } from '../../gateway/ws/server.ts';
import { eachEngine } from '../../storage/testing.ts';
import { overServerSentEvents, overWebSocket, TRANSPORTS } from './clients.ts';
import { type House, openHouse } from './house.ts';

// How streams end that their clients did not want to end, and what the clients can do about it; and who shares what.

const FEED = `subscription ($after: String, $filter: EventFilter) { events(after: $after, filter: $filter, heartbeatSeconds: 1) {
  __typename ... on EventDelivered { cursor event { vendorEventId device { name } } } ... on ReplayComplete { cursor } ... on StreamHeartbeat { cursor } } }`;
const LARGE = `subscription ($after: String) { events(after: $after) {
  __typename ... on EventDelivered { cursor event { vendorEventId summary } } } }`;

function idsOf(items: readonly unknown[]): string[] {
  return items.flatMap((item) => Object(item).data?.events?.event?.vendorEventId ?? []);
}

eachEngine('streams', (open, engine) => {
  let house: House;
  async function start(options: Parameters<typeof openHouse>[1] = {}): Promise<void> {
    house = await openHouse(await open(), options);
    onTestFinished(() => house.close());
  }

  describe.runIf(engine === 'sqlite')('whose token ends', () => {
    it('close their socket with 4403 and a reason, and miss nothing with a new token', async () => {
      await start();
      await house.happen({});
      const variables = { after: house.cursorAt(0) };
      const first = overWebSocket({
        url: house.url,
        token: await house.token({}, { ttlSeconds: 2 }),
        query: FEED,
        variables,
      });
      const ending = await first.untilEnded();
      expect(ending).toEqual({
        code: 4403,
        reason: 'Token expired: come back with a new one, resume with your last cursor',
      });
      expect(idsOf(first.items)).toEqual(['e1']);
      await house.happen({});
      const { cursor } = Object(first.items.at(-1)).data.events;
      const second = overWebSocket({
        url: house.url,
        token: await house.token(),
        query: FEED,
        variables: { after: cursor },
      });
      await second.until(() => idsOf(second.items).length === 1);
      expect(idsOf(second.items)).toEqual(['e2']);
      second.cut();
    });

    it('end server-sent events with TOKEN_EXPIRED and the cursor to go on after', async () => {
      await start();
      await house.happen({});
      const variables = { after: house.cursorAt(0) };
      const feed = overServerSentEvents({
        url: house.url,
        token: await house.token({}, { ttlSeconds: 2 }),
        query: FEED,
        variables,
      });
      await feed.untilEnded();
      const { extensions } = Object(feed.items.at(-1)).errors[0];
      expect(extensions.code).toBe('TOKEN_EXPIRED');
      expect(house.placeOf(extensions.cursor).seq).toBe(1);
    });

    it('are taken up by the graphql-ws client by itself, with the last cursor and a new token', async () => {
      await start();
      const tokens = [await house.token({}, { ttlSeconds: 2 }), await house.token()];
      let after = house.cursorAt(0);
      const got: string[] = [];
      let opened = 0;
      const client = createClient({
        url: `${house.url.replace('http', 'ws')}/graphql`,
        webSocketImpl: WebSocket,
        connectionParams: () => ({ authorization: `Bearer ${tokens[Math.min(opened++, 1)]}` }),
        shouldRetry: () => true,
        retryWait: async () => undefined,
      });
      onTestFinished(() => client.dispose());
      const done = Promise.withResolvers<void>();
      const payload = {
        query: FEED,
        // Read anew for each attempt.
        get variables() {
          return { after };
        },
      };
      client.subscribe(payload, {
        next(item) {
          const { cursor, event } = Object(item).data.events;
          if (cursor !== undefined) after = cursor;
          if (event !== undefined) got.push(event.vendorEventId);
          if (opened === 1) void house.happen({});
          if (got.length >= 3 && opened === 2) done.resolve();
        },
        error: done.reject,
        complete: () => undefined,
      });
      await house.happen({});
      await done.promise;
      expect(got).toEqual(got.map((_, at) => `e${at + 1}`));
    });
  });

  describe.runIf(engine === 'sqlite')('of clients that read nothing', () => {
    const large = { summary: 'x'.repeat(32_000) };

    it('share with others: the others go on, the close says why, nothing is lost', { timeout: 30_000 }, async () => {
      // No stream ends because it waits: whoever is cut is cut by his own bound, and whoever waits for him hangs.
      await start({ streamStallMs: 3_600_000 });
      const token = await house.token();
      const variables = { after: house.cursorAt(0) };
      const [fast, stalled] = [0, 1].map(() => overWebSocket({ url: house.url, token, query: LARGE, variables }));
      if (fast === undefined || stalled === undefined) throw new Error('two were opened');
      // A stream that is open need not have found its place yet; one that tells the end of its replay has.
      await Promise.all([fast, stalled].map((each) => each.until(() => each.items.length > 0)));
      await expect.poll(() => house.engine.streams()).toMatchObject({ groups: 1, subscribers: 2 });
      stalled.pause();
      let sent = 0;
      while (house.engine.streams().subscribers === 2) {
        sent = (await house.happen(...Array.from({ length: 20 }, () => large))).at(-1) ?? 0;
        await fast.until(() => idsOf(fast.items).length === sent);
      }
      // The kernel's buffers on both sides take some megabytes of it; ours takes one.
      expect(sent * 32_000).toBeLessThan(64 * MAX_BUFFERED_BYTES);
      stalled.resume();
      expect(await stalled.untilEnded()).toEqual({ code: 4413, reason: 'Too slow: resume with your last cursor' });
      const known = idsOf(stalled.items).length;
      const { cursor } = Object(stalled.items.at(-1)).data.events;
      const again = overWebSocket({ url: house.url, token, query: LARGE, variables: { after: cursor } });
      await again.until(() => idsOf(again.items).length === sent - known);
      expect([...idsOf(stalled.items), ...idsOf(again.items)]).toEqual(idsOf(fast.items));
      again.cut();
      fast.cut();
    });

    it.each(TRANSPORTS)('are given a replay at the pace at which they read, over %s', async (_, subscribe) => {
      await start();
      const count = 600;
      await house.happen(...Array.from({ length: count }, () => large));
      const variables = { after: house.cursorAt(0) };
      const slow = subscribe({ url: house.url, token: await house.token(), query: LARGE, variables });
      // 20 MB wait in the log, and not in the socket: it is paused again and again, and never cut.
      for (let seen = 0; seen < count; seen = idsOf(slow.items).length) {
        slow.pause();
        const { items } = house.engine.streams();
        await expect.poll(() => house.engine.streams().items).toBeGreaterThanOrEqual(items);
        slow.resume();
        await slow.until(() => idsOf(slow.items).length > seen);
      }
      expect(idsOf(slow.items).length).toBe(count);
      slow.cut();
    });

    it('are cut when their stream has waited long enough for them', async () => {
      await start({ streamStallMs: 300 });
      await house.happen(...Array.from({ length: 600 }, () => large));
      const variables = { after: house.cursorAt(0) };
      const stalled = overWebSocket({ url: house.url, token: await house.token(), query: LARGE, variables });
      await stalled.until(() => stalled.items.length > 0);
      stalled.pause();
      await expect.poll(() => house.engine.streams().subscribers, { timeout: 20_000 }).toBe(0);
      expect(house.engine.streams().items).toBeLessThan(600);
      stalled.resume();
      expect(await stalled.untilEnded()).toMatchObject({ code: 4413 });
    });

    it('are told why over server-sent events', async () => {
      await start({ streamStallMs: 300 });
      await house.happen(...Array.from({ length: 600 }, () => large));
      const variables = { after: house.cursorAt(0) };
      const stalled = overServerSentEvents({ url: house.url, token: await house.token(), query: LARGE, variables });
      await stalled.until(() => stalled.items.length > 0);
      stalled.pause();
      await expect.poll(() => house.engine.streams().subscribers, { timeout: 20_000 }).toBe(0);
      stalled.resume();
      await stalled.untilEnded();
      expect(Object(stalled.items.at(-1)).errors).toMatchObject([{ extensions: { code: 'TOO_SLOW' } }]);
    });
  });

  it('of one principal are bounded in number, on sockets and as events together', async () => {
    await start({ limits: { connectionsPerPrincipal: 2 } });
    const token = await house.token({}, { sub: 'many' });
    const options = { url: house.url, token, query: FEED };
    const first = overWebSocket(options);
    const second = overServerSentEvents(options);
    await first.until(() => first.items.length > 0);
    await second.until(() => second.items.length > 0);
    expect(await overWebSocket(options).untilEnded()).toEqual({
      code: 4420,
      reason: 'Too many connections of this principal',
    });
    const refused = overServerSentEvents(options);
    await refused.untilEnded();
    expect(refused.status).toBe(429);
    const other = overWebSocket({ ...options, token: await house.token({}, { sub: 'other' }) });
    await other.until(() => other.items.length > 0);
    first.cut();
    await expect
      .poll(
        async () => {
          const again = overServerSentEvents(options);
          await Promise.race([again.untilEnded(), again.until(() => again.items.length > 0)]);
          again.cut();
          return again.status;
        },
        { timeout: 20_000 },
      )
      .toBe(200);
    second.cut();
    other.cut();
  });

  it('of everybody are bounded in number before a byte is read', async () => {
    await start({ limits: { connections: 3 } });
    const sockets = Array.from({ length: 6 }, () => connect(Number(new URL(house.url).port), '127.0.0.1'));
    const closed = sockets.map(
      (socket) => new Promise<boolean>((resolve) => socket.once('close', () => resolve(true))),
    );
    let count = 0;
    for (const each of closed) void each.then(() => (count += 1));
    await expect.poll(() => count).toBe(3);
    for (const socket of sockets) socket.destroy();
  });
});

eachEngine('subscribers of the same', (open) => {
  let house: House;
  beforeEach(async () => {
    house = await openHouse(await open());
    onTestFinished(() => house.close());
  });

  it('share one execution and one text: 200 subscribers in 3 scopes cost what 3 cost', async () => {
    const scopes = [{ orgIds: 'all' as const }, { orgIds: ['org_a'] }, { orgIds: ['org_a'], siteIds: ['site_a'] }];
    const subscribers = await Promise.all(
      Array.from({ length: 200 }, async (_, at) => {
        const token = await house.token(scopes[at % 3], { sub: `person ${at}` });
        const subscribe = at % 2 === 0 ? overWebSocket : overServerSentEvents;
        const query = 'subscription { events { ... on EventDelivered { event { vendorEventId device { name } } } } }';
        return subscribe({ url: house.url, token, query });
      }),
    );
    await expect.poll(() => house.engine.streams(), { timeout: 20_000 }).toMatchObject({ groups: 3, subscribers: 200 });
    const before = { ...house.engine.streams() };
    const fetched = (name: string): number => house.fetches.get(name)?.length ?? 0;
    const [inventory, streams] = [fetched('inventory'), fetched('events')];
    const events = 10;
    for (let at = 1; at <= events; at++) {
      await house.happen({});
      await Promise.all(subscribers.map((each) => each.until(() => idsOf(each.items).length === at)));
    }
    const after = house.engine.streams();
    expect(after.items - before.items).toBe(3 * events);
    expect(after.deliveries - before.deliveries).toBe(200 * events);
    expect(fetched('inventory') - inventory).toBe(3 * events);
    // The sources of the three groups, opened before.
    expect([streams, fetched('events')]).toEqual([3, 3]);
    for (const each of subscribers) each.cut();
  });

  it('but for their filters share what is made of an event, with those who may see the same and nobody else', async () => {
    const query = `subscription ($filter: EventFilter, $withSite: Boolean!) { events(filter: $filter) { __typename
      ... on EventDelivered { event { vendorEventId device { name site @include(if: $withSite) { name } } } } } }`;
    const scopes = [{ orgIds: 'all' as const }, { orgIds: ['org_a'] }, { orgIds: ['org_b'] }];
    const subscribers = await Promise.all(
      Array.from({ length: 36 }, async (_, at) => {
        const types = ['health.reported', `other.${at}`];
        const variables = { filter: { types }, withSite: at % 2 === 0 };
        const token = await house.token(scopes[at % 3], { sub: `person ${at}` });
        return overWebSocket({ url: house.url, token, query, variables });
      }),
    );
    const expected = (org: string) => subscribers.filter((_, at) => (org === 'a' ? at % 3 !== 2 : at % 3 !== 1));
    // An open stream need not have found its place yet: those that have are told of what happens.
    for (const org of ['a', 'b']) {
      await expect
        .poll(async () => {
          await house.happen({ org });
          return expected(org).every((each) => idsOf(each.items).length > 0);
        })
        .toBe(true);
    }
    const last = async (org: string): Promise<void> => {
      const [seq] = await house.happen({ org });
      await Promise.all(expected(org).map((each) => each.until(() => idsOf(each.items).at(-1) === `e${seq}`)));
    };
    await last('a');
    await last('b');
    const before = { ...house.engine.streams() };
    expect(before).toMatchObject({ groups: 36, subscribers: 36 });
    const fetched = (): number => house.fetches.get('inventory')?.length ?? 0;
    const fetchedBefore = fetched();
    await last('a');
    await last('b');
    const after = house.engine.streams();
    expect(after.items - before.items).toBe(48);
    // Two scopes see each of them, and each asks for two things: with the site, and without. Who comes late on a machine
    // that is busy is told what is true by then, which is made for him.
    expect(after.executed - before.executed).toBeGreaterThanOrEqual(8);
    expect(after.executed - before.executed).toBeLessThan(24);
    expect(fetched() - fetchedBefore).toBeGreaterThanOrEqual(8);
    expect(fetched() - fetchedBefore).toBeLessThan(24);
    for (const [at, each] of subscribers.entries()) {
      const { event } = Object(each.items.at(-1)).data.events;
      expect('site' in event.device).toBe(at % 2 === 0);
      each.cut();
    }
  });
});
