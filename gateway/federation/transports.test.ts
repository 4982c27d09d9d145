import { randomBytes } from 'node:crypto';
import { GraphQLError } from 'graphql';
import { afterEach, describe, expect, it } from 'vitest';
import { type Subgraph, type SubgraphRequest, StreamPlace } from '../../schema/subgraph.ts';
import { createInternalTokens } from './internal-token.ts';
import { serveSubgraph } from './subgraph-server.ts';
import { testPrincipal } from './test-support/principal.ts';
import { gate, TestTopic, tinySubgraph } from './test-support/tiny-graph.ts';
import { type SubgraphFetch, type SubgraphTransport, SubscriptionRefused, TransportError } from './transport.ts';
import { createLocalTransport } from './transport-local.ts';
import { createRemoteTransport } from './transport-remote.ts';

const SDL = `
  type Query { who: String! scopes: [String!]! echo(text: String!): String broken: String refused: String slow: String }
  type Mutation { add(amount: Int!): Int! }
  type Subscription { ticks: Int! refused: Int! broken: Int! }
`;

interface World {
  readonly transport: SubgraphTransport;
  readonly topic: TestTopic<{ ticks: number } | StreamPlace>;
  readonly masked: unknown[];
  readonly reached: SubgraphRequest[];
  /** Opens when the slow field is asked for; `aborted` when its signal has fired. */
  readonly slow: { readonly asked: ReturnType<typeof gate>; readonly aborted: ReturnType<typeof gate> };
}

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function subgraphOf(world: Omit<World, 'transport'>): Subgraph<SubgraphRequest> {
  const subgraph = tinySubgraph('tiny', SDL, {
    Query: {
      who: (_: unknown, __: unknown, { principal }: SubgraphRequest) => principal.id,
      scopes: (_: unknown, __: unknown, { principal }: SubgraphRequest) => [...principal.scopes],
      echo: (_: unknown, { text }: { text: string }) => text,
      broken: () => {
        throw new Error('password=hunter2');
      },
      refused: () => {
        throw new GraphQLError('not for you', { extensions: { code: 'FORBIDDEN' } });
      },
      slow: async (_: unknown, __: unknown, { signal }: SubgraphRequest) => {
        world.slow.asked.open();
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        world.slow.aborted.open();
        return 'late';
      },
    },
    Mutation: { add: (_: unknown, { amount }: { amount: number }) => amount + 1 },
    Subscription: {
      ticks: { subscribe: () => world.topic.open() },
      refused: {
        subscribe: () => {
          throw new GraphQLError('not for you', { extensions: { code: 'FORBIDDEN' } });
        },
      },
      broken: {
        subscribe: () => {
          throw new Error('password=hunter2');
        },
      },
    },
  });
  return { ...subgraph, createContext: (request) => (world.reached.push(request), request) };
}

function emptyWorld(): Omit<World, 'transport'> {
  return { topic: new TestTopic(), masked: [], reached: [], slow: { asked: gate(), aborted: gate() } };
}

const TRANSPORTS: readonly { readonly name: string; readonly create: () => Promise<World> }[] = [
  {
    name: 'in process',
    create: () => {
      const world = emptyWorld();
      return Promise.resolve({
        ...world,
        transport: createLocalTransport(subgraphOf(world), (error) => world.masked.push(error)),
      });
    },
  },
  {
    name: 'over HTTP and WebSocket',
    create: async () => {
      const world = emptyWorld();
      const tokens = createInternalTokens(randomBytes(32));
      const server = await serveSubgraph(subgraphOf(world), {
        tokens,
        host: '127.0.0.1',
        port: 0,
        onError: (error) => world.masked.push(error),
      });
      const transport = createRemoteTransport({ name: 'tiny', url: new URL(server.url), tokens });
      cleanups.push(
        () => server.close(),
        () => transport.close(),
      );
      return { ...world, transport };
    },
  },
];

function fetchOf(operation: string, changes: Partial<SubgraphFetch> = {}): SubgraphFetch {
  return {
    operation,
    kind: 'query',
    variables: {},
    principal: testPrincipal(),
    requestId: 'req_1',
    signal: new AbortController().signal,
    ...changes,
  };
}

describe.each(TRANSPORTS)('transport $name', ({ create }) => {
  it('answers with data', async () => {
    const { transport } = await create();
    const result = await transport.execute(
      fetchOf('query($text: String!) { echo(text: $text) }', { variables: { text: 'ü "x"' } }),
    );
    expect(result).toEqual({ data: { echo: 'ü "x"' } });
  });

  it('runs mutations', async () => {
    const { transport } = await create();
    expect(await transport.execute(fetchOf('mutation { add(amount: 1) }', { kind: 'mutation' }))).toEqual({
      data: { add: 2 },
    });
  });

  it('tells the subgraph who asks, and in which request', async () => {
    const { transport, reached } = await create();
    const principal = testPrincipal({
      id: 'eve',
      scopes: new Set(['events:read'] as const),
      access: { orgIds: ['org_1'], siteIds: ['site_1'] },
      expiresAt: new Date(2_000_000_000_000),
    });
    const { data } = await transport.execute(fetchOf('{ who scopes }', { principal }));
    expect(data).toEqual({ who: 'eve', scopes: ['events:read'] });
    expect(reached[0]?.principal).toEqual(principal);
    expect(reached[0]?.requestId).toBe('req_1');
  });

  it('tells the subgraph what the operation costs, when it is told itself', async () => {
    const { transport, reached } = await create();
    const budget = { cost: 3, limit: 100, remaining: 97, resetAt: 1_700_000_000_000 };
    await transport.execute(fetchOf('{ who }', { budget }));
    await transport.execute(fetchOf('{ who }'));
    expect(reached.map((request) => request.budget)).toEqual([budget, undefined]);
  });

  it('passes on errors that were written for clients', async () => {
    const { transport } = await create();
    const { errors } = await transport.execute(fetchOf('{ refused }'));
    expect(errors).toMatchObject([{ message: 'not for you', path: ['refused'], extensions: { code: 'FORBIDDEN' } }]);
  });

  it('hides errors that were not', async () => {
    const { transport, masked } = await create();
    const result = await transport.execute(fetchOf('{ broken }'));
    expect(JSON.stringify(result)).not.toContain('hunter2');
    expect(result.errors).toMatchObject([{ path: ['broken'], extensions: { code: 'INTERNAL_SERVER_ERROR' } }]);
    expect(String(masked[0])).toContain('hunter2');
  });

  it('tells the subgraph when nobody waits any more', async () => {
    const { transport, slow } = await create();
    const caller = new AbortController();
    const answer = transport.execute(fetchOf('{ slow }', { signal: caller.signal })).catch(() => null);
    await slow.asked.opened;
    caller.abort();
    await slow.aborted.opened;
    await answer;
    expect(caller.signal.aborted).toBe(true);
  });

  it('streams, and closes the source when it is left', async () => {
    const { transport, topic } = await create();
    const stream = transport
      .subscribe(fetchOf('subscription { ticks }', { kind: 'subscription' }))
      [Symbol.asyncIterator]();
    const first = stream.next();
    await topic.opened(1);
    topic.publish({ ticks: 1 });
    topic.publish({ ticks: 2 });
    expect([await first, await stream.next()]).toEqual([
      { done: false, value: { data: { ticks: 1 } } },
      { done: false, value: { data: { ticks: 2 } } },
    ]);
    await stream.return?.();
    await topic.opened(0);
  });

  it('passes places on beside the items, and makes a context for each item', async () => {
    const { transport, topic, reached } = await create();
    const stream = transport
      .subscribe(fetchOf('subscription { ticks }', { kind: 'subscription' }))
      [Symbol.asyncIterator]();
    const first = stream.next();
    await topic.opened(1);
    topic.publish(new StreamPlace('c1'));
    topic.publish({ ticks: 1 });
    topic.publish({ ticks: 2 });
    expect([await first, await stream.next(), await stream.next()].map(({ value }) => value)).toEqual([
      { place: 'c1' },
      { data: { ticks: 1 } },
      { data: { ticks: 2 } },
    ]);
    expect(reached.length).toBe(3);
    expect(reached.every(({ tellsPlaces }) => tellsPlaces === true)).toBe(true);
    await stream.return?.();
    await topic.opened(0);
  });

  it('closes the source when the reader goes while it waits', async () => {
    const { transport, topic } = await create();
    const reader = new AbortController();
    const stream = transport
      .subscribe(fetchOf('subscription { ticks }', { kind: 'subscription', signal: reader.signal }))
      [Symbol.asyncIterator]();
    const next = stream.next();
    await topic.opened(1);
    reader.abort();
    expect((await next).done).toBe(true);
    await topic.opened(0);
  });

  it('ends with the source', async () => {
    const { transport, topic } = await create();
    const stream = transport
      .subscribe(fetchOf('subscription { ticks }', { kind: 'subscription' }))
      [Symbol.asyncIterator]();
    const next = stream.next();
    await topic.opened(1);
    topic.end();
    expect((await next).done).toBe(true);
  });

  it('tells why a subscription was refused', async () => {
    const { transport } = await create();
    const next = transport
      .subscribe(fetchOf('subscription { refused }', { kind: 'subscription' }))
      [Symbol.asyncIterator]()
      .next();
    const refusal = await next.then(
      () => null,
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(SubscriptionRefused);
    expect(refusal).toMatchObject({ errors: [{ message: 'not for you', extensions: { code: 'FORBIDDEN' } }] });
  });

  it('hides why a subscription broke', async () => {
    const { transport, masked } = await create();
    const next = transport
      .subscribe(fetchOf('subscription { broken }', { kind: 'subscription' }))
      [Symbol.asyncIterator]()
      .next();
    const refusal = await next.then(
      () => null,
      (error: unknown) => error,
    );
    expect(JSON.stringify(refusal)).not.toContain('hunter2');
    expect(JSON.stringify(masked.map(String))).toContain('hunter2');
  });
});

describe('subgraph server', () => {
  async function served() {
    const world = emptyWorld();
    const tokens = createInternalTokens(randomBytes(32));
    const server = await serveSubgraph(subgraphOf(world), {
      tokens,
      host: '127.0.0.1',
      port: 0,
      onError: () => undefined,
    });
    cleanups.push(() => server.close());
    return { ...world, tokens, server };
  }

  async function post(url: string, headers: Record<string, string>): Promise<number> {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: '{"query":"{ _service { sdl } }"}',
    });
    await response.text();
    return response.status;
  }

  it('answers nobody without a token of the gateway', async () => {
    const { server, tokens } = await served();
    const strange = createInternalTokens(randomBytes(32));
    const late = createInternalTokens(randomBytes(32));
    expect(await post(server.url, {})).toBe(401);
    expect(await post(server.url, { 'x-convergraph-principal': 'nonsense' })).toBe(401);
    expect(await post(server.url, { 'x-convergraph-principal': await strange.issue(testPrincipal(), 'tiny') })).toBe(
      401,
    );
    expect(await post(server.url, { 'x-convergraph-principal': await late.issue(testPrincipal(), 'tiny') })).toBe(401);
    expect(await post(server.url, { 'x-convergraph-principal': await tokens.issue(testPrincipal(), 'other') })).toBe(
      401,
    );
    expect(await post(server.url, { 'x-convergraph-principal': await tokens.issue(testPrincipal(), 'tiny') })).toBe(
      200,
    );
  });

  it('opens no stream without a token of the gateway', async () => {
    const { server, topic } = await served();
    const transport = createRemoteTransport({
      name: 'tiny',
      url: new URL(server.url),
      tokens: createInternalTokens(randomBytes(32)),
    });
    cleanups.push(() => transport.close());
    const stream = transport
      .subscribe(fetchOf('subscription { ticks }', { kind: 'subscription' }))
      [Symbol.asyncIterator]();
    await expect(stream.next()).rejects.toBeInstanceOf(TransportError);
    expect(topic.openStreams).toBe(0);
  });

  it('is missed as a transport error when it is gone', async () => {
    const { server, tokens, topic } = await served();
    const transport = createRemoteTransport({ name: 'tiny', url: new URL(server.url), tokens });
    cleanups.push(() => transport.close());
    const stream = transport
      .subscribe(fetchOf('subscription { ticks }', { kind: 'subscription' }))
      [Symbol.asyncIterator]();
    const next = stream.next().then(
      () => null,
      (error: unknown) => error,
    );
    await topic.opened(1);
    await server.close();
    expect(await next).toMatchObject({ code: 'SUBGRAPH_UNAVAILABLE' });
    await expect(transport.execute(fetchOf('{ who }'))).rejects.toMatchObject({ code: 'SUBGRAPH_UNAVAILABLE' });
    cleanups.splice(0, 1);
  });
});

describe('internal tokens', () => {
  it('expire after a minute, and are renewed before', async () => {
    let now = 1_800_000_000_000;
    const tokens = createInternalTokens(randomBytes(32), () => now);
    const principal = testPrincipal();
    const token = await tokens.issue(principal, 'tiny');
    now += 29_000;
    expect(await tokens.issue(principal, 'tiny')).toBe(token);
    now += 2_000;
    expect(await tokens.issue(principal, 'tiny')).not.toBe(token);
    await expect(tokens.verify(token, 'tiny')).resolves.toEqual(principal);
    now += 30_000;
    await expect(tokens.verify(token, 'tiny')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('need a secret that cannot be guessed', () => {
    expect(() => createInternalTokens(randomBytes(31))).toThrow(RangeError);
  });
});
