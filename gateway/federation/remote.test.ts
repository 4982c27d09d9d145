import { randomBytes } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import type { Subgraph } from '../../schema/subgraph.ts';
import { createFederationEngine } from './engine.ts';
import { createInternalTokens } from './internal-token.ts';
import { serveSubgraph, type SubgraphServer } from './subgraph-server.ts';
import { testPrincipal } from './test-support/principal.ts';
import { composed, TestSink, TestTopic, tinySubgraph } from './test-support/tiny-graph.ts';
import { createLocalTransport } from './transport-local.ts';
import { createRemoteTransport } from './transport-remote.ts';

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

it('federation engine keeps a stream through a restart of its subgraph, without gap or duplicate', async () => {
  const topic = new TestTopic<{ events: { cursor: string; device: { id: string } } }>();
  const log: number[] = [];
  const itemOf = (number: number) => ({ events: { cursor: `c${number}`, device: { id: `d${number}` } } });
  const append = (): void => {
    const number = log.push(log.length + 1);
    topic.publish(itemOf(number));
  };
  const events = tinySubgraph(
    'events',
    'type Query { x: Int } type Subscription { events(after: String): Item! } type Item { cursor: String! device: Device! } type Device @key(fields: "id", resolvable: false) { id: ID! }',
    {
      Subscription: {
        events: {
          subscribe: (_: unknown, { after }: { after?: string | null }) =>
            topic.open(after ? log.slice(Number(after.slice(1))).map(itemOf) : []),
        },
      },
    },
  );
  const devices = tinySubgraph(
    'devices',
    'type Query { y: Int } type Device @key(fields: "id") { id: ID! name: String! }',
    {
      Device: { __resolveReference: ({ id }: { id: string }) => ({ id, name: `name of ${id}` }) },
    },
  );
  const tokens = createInternalTokens(randomBytes(32));
  const serve = (port: number): Promise<SubgraphServer> =>
    serveSubgraph(events, { tokens, host: '127.0.0.1', port, onError: () => undefined });
  let server = await serve(0);
  cleanups.push(() => server.close());
  const url = new URL(server.url);
  const transport = createRemoteTransport({ name: 'events', url, tokens });
  cleanups.push(() => transport.close());
  const engine = createFederationEngine({
    supergraphSdl: composed([events, devices] as Subgraph[]),
    transports: new Map([
      ['events', transport],
      ['devices', createLocalTransport(devices as Subgraph, () => undefined)],
    ]),
    streamRetryDelayMs: () => 5,
  });
  cleanups.push(() => engine.close());

  const sinks = [new TestSink(), new TestSink()];
  for (const sink of sinks) {
    engine.subscribe(
      {
        document: 'subscription { events { device { name } } }',
        principal: testPrincipal(),
        requestId: 'r',
        signal: new AbortController().signal,
      },
      sink,
    );
  }
  await topic.opened(1);
  append();
  await Promise.all(sinks.map((sink) => sink.received(1)));
  await server.close();
  await topic.opened(0);
  append();
  append();
  server = await serve(Number(url.port));
  await topic.opened(1);
  append();
  await Promise.all(sinks.map((sink) => sink.received(4)));
  for (const sink of sinks) {
    expect(sink.items).toEqual([1, 2, 3, 4].map((number) => ({ events: { device: { name: `name of d${number}` } } })));
    expect([sink.errors, sink.isComplete]).toEqual([[], false]);
  }
});
