import { GraphQLError } from 'graphql';
import { createClient } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { SubgraphRequest } from '../schema/subgraph.ts';
import { createFederationEngine, type FederationEngine } from './federation/engine.ts';
import { composed, TestTopic, tinySubgraph } from './federation/test-support/tiny-graph.ts';
import { createLocalTransport } from './federation/transport-local.ts';
import { createMetrics } from './metrics.ts';
import { startTestGateway, type TestGateway } from './testing.ts';

// The front door before the real engine, with a graph of two small subgraphs behind it.

const topic = new TestTopic<{ ticks: object }>();
const people = tinySubgraph(
  'people',
  'type Query { me: String! devices(first: Int = 50, after: String): [Device!] } type Device @key(fields: "id") { id: ID! name: String }',
  {
    Query: {
      me: (_: unknown, __: unknown, { principal }: SubgraphRequest) => principal.id,
      devices: (_: unknown, { after }: { after?: string }) => {
        if (after === undefined) return [{ id: '1', name: 'one' }];
        throw new GraphQLError('The cursor is not one of ours.', { extensions: { code: 'BAD_CURSOR' } });
      },
    },
    Device: { __resolveReference: ({ id }: { id: string }) => ({ id, name: `device ${id}` }) },
  },
);
const ticks = tinySubgraph(
  'ticks',
  'type Query { now: Int } type Subscription { ticks(after: String): Tick! } type Tick { number: Int! device: Device! } type Device @key(fields: "id", resolvable: false) { id: ID! }',
  {
    Subscription: {
      ticks: {
        subscribe: (_: unknown, { after }: { after?: string }) => {
          if (after !== undefined) throw new GraphQLError('No such cursor.', { extensions: { code: 'BAD_CURSOR' } });
          return topic.open();
        },
      },
    },
  },
);

let engine: FederationEngine;
let test: TestGateway;
const leaving: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const subgraphs = [people, ticks];
  const metrics = createMetrics();
  engine = createFederationEngine({
    supergraphSdl: composed(subgraphs),
    transports: new Map(subgraphs.map((subgraph) => [subgraph.name, createLocalTransport(subgraph, () => undefined)])),
    onFetch: metrics.subgraphFetched,
  });
  test = await startTestGateway({ engine, metrics });
});
afterEach(async () => {
  await Promise.all(leaving.splice(0).map((leave) => leave()));
});
afterAll(async () => {
  await test.close();
  engine.close();
});

async function ask(query: string, authorization?: string): Promise<{ status: number; body: object }> {
  const response = await fetch(`${test.url}/graphql`, {
    method: 'POST',
    headers: { authorization: authorization ?? (await test.authorization()), 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  });
  return { status: response.status, body: await response.json() };
}

function client(authorization: string) {
  const made = createClient({
    url: `${test.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization },
    retryAttempts: 0,
  });
  leaving.push(async () => made.dispose());
  return made;
}

describe('gateway with the federation engine', () => {
  it('answers as the principal whose token it was given', async () => {
    const bob = await test.authorization({ sub: 'bob' });
    expect(await ask('{ me devices { id name } }', bob)).toMatchObject({
      status: 200,
      body: { data: { me: 'bob', devices: [{ id: '1', name: 'one' }] }, extensions: { cost: { maximum: 20_000 } } },
    });
  });

  it('tells a bad cursor beside the rest of the answer', async () => {
    expect(await ask('{ me devices(after: "x") { id } }')).toMatchObject({
      status: 200,
      body: {
        data: { me: 'alice', devices: null },
        errors: [{ path: ['devices'], extensions: { code: 'BAD_CURSOR' } }],
      },
    });
  });

  it.each(['{ nobody }', '{ devices { nothing } }', 'query ($n: Int!) { devices(first: $n) { id } }'])(
    'refuses %s with a code',
    async (query) => {
      const { status, body } = await ask(query);
      expect(status).toBe(400);
      expect(body).toMatchObject({
        errors: [{ extensions: { code: expect.any(String), requestId: expect.any(String) } }],
      });
      expect(body).not.toHaveProperty('data');
    },
  );

  it('shares one stream among WebSocket and server-sent events, and none between scopes', async () => {
    const query = 'subscription { ticks { number device { name } } }';
    const all = await test.authorization();
    const one = await test.authorization({ orgIds: ['org_1'] });
    const streams = [client(all), client(all), client(one)].map((each) => each.iterate({ query }));
    const firsts = streams.map((stream) => stream.next());
    const controller = new AbortController();
    const events = await fetch(`${test.url}/graphql`, {
      method: 'POST',
      headers: { authorization: all, 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ query }),
      signal: controller.signal,
    });
    await vi.waitUntil(() => engine.streams().subscribers === 4);
    await topic.opened(2);
    expect(engine.streams().groups).toBe(2);

    topic.publish({ ticks: { number: 7, device: { __typename: 'Device', id: '3' } } });
    const data = { ticks: { number: 7, device: { name: 'device 3' } } };
    for (const first of firsts) expect((await first).value).toEqual({ data });
    let text = '';
    for await (const chunk of events.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.includes('"number":7')) break;
    }
    expect(text).toContain(`event: next\ndata: ${JSON.stringify({ data })}\n\n`);

    controller.abort();
    for (const stream of streams) await stream.return?.();
    await topic.opened(0);
    expect(engine.streams()).toMatchObject({ groups: 0, subscribers: 0 });
  });

  it('tells a subscriber that its cursor is bad', async () => {
    const stream = client(await test.authorization()).iterate({
      query: 'subscription { ticks(after: "x") { number } }',
    });
    await expect(stream.next()).rejects.toMatchObject([{ extensions: { code: 'BAD_CURSOR' } }]);
  });

  it('counts what it fetched and from whom', async () => {
    await ask('{ me }');
    const metrics = await (await fetch(`${test.url}/metrics`)).text();
    expect(metrics).toMatch(
      /convergraph_subgraph_fetch_seconds_count\{subgraph="people",kind="query",outcome="ok"\} \d+/,
    );
    expect(metrics).toMatch(/convergraph_graphql_operation_seconds_count\{type="query",outcome="ok"\} \d+/);
  });
});
