import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { type Client, createClient } from 'graphql-ws';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { startTestGateway, type TestGateway } from '../testing.ts';
import { SUBPROTOCOL } from './protocol.ts';
import { MAX_BUFFERED_BYTES } from './server.ts';

let test: TestGateway;
let authorization: string;
const clients: (Client | WebSocket)[] = [];

beforeEach(async () => {
  test = await startTestGateway();
  authorization = await test.authorization();
});
afterEach(async () => {
  for (const client of clients.splice(0)) {
    if (client instanceof WebSocket) client.terminate();
    else await client.dispose();
  }
  await test.close();
});

/** The client that most dashboards use. */
function graphqlWs(params: Record<string, unknown> = { authorization }): Client {
  const client = createClient({
    url: `${test.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: params,
    retryAttempts: 0,
  });
  clients.push(client);
  return client;
}

interface Message {
  readonly type: string;
  readonly id?: string;
  readonly payload?: unknown;
}

/** A client that says what the test tells it to, right or wrong. */
class RawClient {
  readonly socket: WebSocket;
  readonly messages: Message[] = [];
  readonly texts: string[] = [];
  closed: { code: number; reason: string } | null = null;
  readonly opened: Promise<void>;

  constructor(options: { origin?: string; headers?: Record<string, string>; protocol?: string; path?: string } = {}) {
    const url = `${test.url.replace('http', 'ws')}${options.path ?? '/graphql'}`;
    this.socket = new WebSocket(url, options.protocol ?? SUBPROTOCOL, {
      headers: options.headers ?? {},
      ...(options.origin === undefined ? {} : { origin: options.origin }),
    });
    clients.push(this.socket);
    this.socket.on('message', (data) => {
      const text = Buffer.isBuffer(data) ? data.toString() : '';
      this.texts.push(text);
      this.messages.push(JSON.parse(text));
    });
    this.socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) };
    });
    this.opened = new Promise((resolve, reject) => {
      this.socket.on('open', resolve);
      this.socket.on('error', reject);
    });
  }

  say(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  async ready(): Promise<this> {
    await this.opened;
    this.say({ type: 'connection_init', payload: { authorization } });
    await vi.waitUntil(() => this.messages[0]?.type === 'connection_ack');
    return this;
  }

  /** Code and reason. */
  async end(): Promise<string> {
    const closed = await vi.waitUntil(() => this.closed, { timeout: 5_000 });
    return `${closed.code} ${closed.reason}`;
  }
}

describe('GraphQL over WebSocket', () => {
  describe('with the graphql-ws client', () => {
    it('answers queries and mutations', async () => {
      const client = graphqlWs();
      const answers: unknown[] = [];
      for await (const answer of client.iterate({ query: '{ hello }' })) answers.push(answer);
      for await (const answer of client.iterate({
        query: 'mutation ($to: String!) { rename(to: $to) }',
        variables: { to: 'b' },
      })) {
        answers.push(answer);
      }
      expect(answers).toMatchObject([{ data: { hello: 'hello world' } }, { data: { rename: 'b' } }]);
    });

    it('carries subscriptions until the client leaves', async () => {
      const stream = graphqlWs().iterate({ query: 'subscription { ticks }' });
      const first = stream.next();
      await expect.poll(() => test.engine.sinks.size).toBe(1);
      test.engine.push('{"data":{"ticks":1}}');
      test.engine.push('{"data":{"ticks":2}}');
      expect((await first).value).toEqual({ data: { ticks: 1 } });
      expect((await stream.next()).value).toEqual({ data: { ticks: 2 } });
      await stream.return?.();
      await expect.poll(() => test.engine.sinks.size).toBe(0);
    });

    it('ends a stream that ends', async () => {
      const stream = graphqlWs().iterate({ query: 'subscription { ticks }' });
      const first = stream.next();
      await expect.poll(() => test.engine.sinks.size).toBe(1);
      for (const sink of test.engine.sinks) sink.complete();
      expect((await first).done).toBe(true);
    });

    it.each([
      ['a syntax error', '{ hello', 'GRAPHQL_PARSE_FAILED'],
      ['an unknown field', '{ nope }', 'GRAPHQL_VALIDATION_FAILED'],
      ['a page of 501', '{ devices(first: 501) { nodes { id } } }', 'PAGE_TOO_LARGE'],
      ['too deep a query', `{ org(id: 1) ${'{ parent '.repeat(12)}{ id }${' }'.repeat(12)} }`, 'QUERY_TOO_COMPLEX'],
      ['a subscription that the engine refuses', 'subscription refuseMe { ticks }', 'BAD_USER_INPUT'],
    ])('tells %s as an error of the operation', async (_, query, code) => {
      const stream = graphqlWs().iterate({ query });
      await expect(stream.next()).rejects.toMatchObject([{ extensions: { code } }]);
    });

    it('closes with 4403 when the token is refused', async () => {
      const stream = graphqlWs({ authorization: 'Bearer nope' }).iterate({ query: '{ hello }' });
      await expect(stream.next()).rejects.toMatchObject({ code: 4403, reason: 'Forbidden' });
    });
  });

  it('takes the token from the header of the handshake too', async () => {
    const client = new RawClient({ headers: { authorization } });
    await client.opened;
    client.say({ type: 'connection_init' });
    await expect.poll(() => client.messages).toEqual([{ type: 'connection_ack' }]);
  });

  it('closes a connection whose token ends, with its streams', async () => {
    authorization = await test.authorization({ ttlSeconds: 2 });
    const client = await new RawClient().ready();
    client.say({ type: 'subscribe', id: 'a', payload: { query: 'subscription { ticks }' } });
    await expect.poll(() => test.engine.sinks.size).toBe(1);
    expect(await client.end()).toMatch(/^4403 Token expired: /);
    expect(test.engine.sinks.size).toBe(0);
  });

  it('wraps an item without writing it anew, for equal ids and others', async () => {
    const one = await new RawClient().ready();
    const two = await new RawClient().ready();
    const three = await new RawClient().ready();
    const subscribe = (client: RawClient, id: string) =>
      client.say({ type: 'subscribe', id, payload: { query: 'subscription { ticks }' } });
    subscribe(one, '1');
    subscribe(two, '1');
    subscribe(three, 'other "id"');
    await expect.poll(() => test.engine.sinks.size).toBe(3);
    // Texts around the lengths at which frames get longer headers.
    const items = [1, 70, 200, 65_400, 65_600, 300_000].map((length) => `{ "data": "${'ü'.repeat(length)}" }`);
    for (const item of items) test.engine.push(item);
    await expect.poll(() => three.texts.length).toBe(1 + items.length);
    await expect.poll(() => two.texts.length).toBe(1 + items.length);
    expect(one.texts.slice(1)).toEqual(items.map((item) => `{"id":"1","type":"next","payload":${item}}`));
    expect(two.texts.slice(1)).toEqual(one.texts.slice(1));
    expect(three.texts.slice(1)).toEqual(
      items.map((item) => `{"id":"other \\"id\\"","type":"next","payload":${item}}`),
    );
  });

  it('answers pings, also before the token', async () => {
    const client = new RawClient();
    await client.opened;
    client.say({ type: 'ping', payload: { a: 1 } });
    client.say({ type: 'ping' });
    client.say({ type: 'pong' });
    await expect.poll(() => client.messages).toEqual([{ type: 'pong', payload: { a: 1 } }, { type: 'pong' }]);
  });

  it('frees the id of a completed operation, and goes on with the others', async () => {
    const client = await new RawClient().ready();
    const payload = { query: 'subscription { ticks }' };
    client.say({ type: 'subscribe', id: 'a', payload });
    client.say({ type: 'subscribe', id: 'b', payload });
    await expect.poll(() => test.engine.sinks.size).toBe(2);
    client.say({ type: 'complete', id: 'a' });
    client.say({ type: 'complete', id: 'never' });
    await expect.poll(() => test.engine.sinks.size).toBe(1);
    client.say({ type: 'subscribe', id: 'a', payload });
    await expect.poll(() => test.engine.sinks.size).toBe(2);
  });

  it.each<[string, number, (client: RawClient) => void]>([
    ['a message that is no JSON', 4400, (client) => client.say('hello')],
    ['an unknown message', 4400, (client) => client.say({ type: 'start', id: '1' })],
    ['a binary message', 4400, (client) => client.socket.send(randomBytes(8))],
    [
      'a subscription without an id',
      4400,
      (client) => client.say({ type: 'subscribe', payload: { query: '{ hello }' } }),
    ],
    ['a second init', 4429, (client) => client.say({ type: 'connection_init' })],
    [
      'a message of more than 64 KiB',
      1009,
      (client) => client.say({ type: 'ping', payload: { a: 'x'.repeat(65_536) } }),
    ],
    [
      'an id that is in use',
      4409,
      (client) => {
        client.say({ type: 'subscribe', id: '1', payload: { query: 'subscription { ticks }' } });
        client.say({ type: 'subscribe', id: '1', payload: { query: 'subscription { ticks }' } });
      },
    ],
  ])('closes after %s with %i', async (_, code, misbehave) => {
    const client = await new RawClient().ready();
    misbehave(client);
    expect(await client.end()).toMatch(new RegExp(`^${code} `));
  });

  it('closes when an operation comes before the acknowledgement', async () => {
    const client = new RawClient();
    await client.opened;
    client.say({ type: 'subscribe', id: '1', payload: { query: '{ hello }' } });
    expect(await client.end()).toBe('4401 Unauthorized');
  });

  it('closes when nobody introduces himself for 3 seconds', async () => {
    const startedAt = performance.now();
    const client = new RawClient();
    await client.opened;
    expect(await client.end()).toBe('4408 Connection initialisation timeout');
    expect(performance.now() - startedAt).toBeGreaterThan(2_900);
  });

  it('closes when the client does not speak the protocol', async () => {
    const client = new RawClient({ protocol: 'graphql-ws' });
    // The ws client itself refuses a handshake without the protocol it asked for.
    await expect(client.opened).rejects.toThrow(/subprotocol/);
  });

  it.each([
    ['of a page elsewhere', { origin: 'https://evil.example' }, /403/],
    ['of no origin worth the name', { origin: 'null' }, /403/],
    ['on another path', { path: '/elsewhere' }, /404/],
  ])('refuses a connection %s', async (_, options, expected) => {
    await expect(new RawClient(options).opened).rejects.toThrow(expected);
  });

  it('takes pages of listed origins and of our own', async () => {
    for (const origin of ['https://app.example', test.url]) {
      const client = await new RawClient({ origin }).ready();
      expect(client.messages).toEqual([{ type: 'connection_ack' }]);
    }
  });

  it('bounds the operations of a connection', async () => {
    const client = await new RawClient().ready();
    for (let id = 0; id <= 50; id++) {
      client.say({ type: 'subscribe', id: String(id), payload: { query: 'subscription { ticks }' } });
    }
    await expect
      .poll(() => client.messages.at(-1))
      .toMatchObject({
        id: '50',
        type: 'error',
        payload: [{ extensions: { code: 'TOO_MANY_OPERATIONS' } }],
      });
    expect(test.engine.sinks.size).toBe(50);
    client.socket.terminate();
    await expect.poll(() => test.engine.sinks.size).toBe(0);
  });

  it('cuts off a client that does not read, with a reason, while others go on', async () => {
    const fast = await new RawClient().ready();
    fast.say({ type: 'subscribe', id: 'fast', payload: { query: 'subscription { ticks }' } });
    const stalled = await new RawClient().ready();
    stalled.say({ type: 'subscribe', id: 'slow', payload: { query: 'subscription { ticks }' } });
    await expect.poll(() => test.engine.sinks.size).toBe(2);
    stalled.socket.pause();
    const item = JSON.stringify({ data: 'x'.repeat(65_536) });
    let pushed = 0;
    let most = 0;
    await expect
      .poll(
        () => {
          for (let count = 0; count < 8; count++) {
            test.engine.push(item);
            for (const { backlog } of test.engine.sinks) most = Math.max(most, backlog?.bytes() ?? 0);
          }
          pushed += 8;
          return test.engine.sinks.size;
        },
        { interval: 5, timeout: 5_000 },
      )
      .toBe(1);
    // What waits for a client is bounded, up to the item that was one too many.
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(MAX_BUFFERED_BYTES);
    stalled.socket.resume();
    expect(await stalled.end()).toBe('4413 Too slow: resume with your last cursor');
    await expect.poll(() => fast.messages.length).toBe(1 + pushed);
  });

  it('tells clients to come back when it stops', async () => {
    const client = await new RawClient().ready();
    client.say({ type: 'subscribe', id: '1', payload: { query: 'subscription { ticks }' } });
    await expect.poll(() => test.engine.sinks.size).toBe(1);
    const stopped = test.gateway.close();
    expect(await client.end()).toBe('1001 Restarting: resume with your last cursor');
    await stopped;
    expect(test.engine.sinks.size).toBe(0);
  });

  it('ends a connection that breaks off in the middle of a frame', async () => {
    const socket = connect(test.port, '127.0.0.1');
    socket.write(
      `GET /graphql HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n` +
        `sec-websocket-key: ${randomBytes(16).toString('base64')}\r\nsec-websocket-protocol: ${SUBPROTOCOL}\r\n\r\n`,
    );
    await new Promise((resolve) => socket.once('data', resolve));
    socket.write(Buffer.from([0x81, 0xfe, 0x01]));
    socket.destroy();
    const other = await new RawClient().ready();
    expect(other.messages).toEqual([{ type: 'connection_ack' }]);
  });
});
