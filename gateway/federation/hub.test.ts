import { GraphQLError } from 'graphql';
import { describe, expect, it } from 'vitest';
import { StreamPlace, type SubgraphRequest } from '../../schema/subgraph.ts';
import { createFederationEngine, type FederationEngine, type SupergraphSource } from './engine.ts';
import { testPrincipal } from './test-support/principal.ts';
import { composed, gate, TestSink, TestTopic, tinySubgraph } from './test-support/tiny-graph.ts';
import { MAX_WAITING_BYTES } from './stream-group.ts';
import { type SubgraphTransport, TransportError } from './transport.ts';
import { createLocalTransport } from './transport-local.ts';

interface Item {
  readonly __typename: string;
  readonly cursor: string;
  readonly device?: { readonly id: string };
}

const EVENTS = `
  type Query { events: Int }
  type Subscription { stream(filter: String, after: String): StreamItem! plain: Int! me: Viewer! }
  union StreamItem = Delivered | Heartbeat | ReplayComplete
  type Delivered { cursor: String! device: Device! }
  type Heartbeat { cursor: String! }
  type ReplayComplete { cursor: String! }
  type Viewer { name: String! }
  type Device @key(fields: "id", resolvable: false) { id: ID! }
`;

/** Events 1 to n have happened; a stream after a cursor begins with those that follow. */
class EventLog {
  readonly topic = new TestTopic<{ stream: Item } | StreamPlace>();
  readonly asked: Record<string, unknown>[] = [];
  readonly #log: Item[] = [];

  append(count = 1): void {
    for (let index = 0; index < count; index++) {
      const number = this.#log.length + 1;
      const item: Item = { __typename: 'Delivered', cursor: `c${number}`, device: { id: `d${number}` } };
      this.#log.push(item);
      this.topic.publish({ stream: item });
    }
  }

  heartbeat(): void {
    this.topic.publish({ stream: { __typename: 'Heartbeat', cursor: `c${this.#log.length}` } });
  }

  place(): void {
    this.topic.publish(new StreamPlace(`c${this.#log.length}`));
  }

  open(args: Record<string, unknown>): AsyncIterableIterator<{ stream: Item } | StreamPlace> {
    this.asked.push({ ...args });
    const after = args['after'];
    if (after === 'bad') throw new GraphQLError('no such cursor', { extensions: { code: 'BAD_CURSOR' } });
    if (typeof after !== 'string') return this.topic.open();
    const replayed = this.#log.slice(Number(after.slice(1))).map((stream) => ({ stream }));
    return this.topic.open([...replayed, { stream: { __typename: 'ReplayComplete', cursor: `c${this.#log.length}` } }]);
  }
}

interface World {
  readonly engine: FederationEngine;
  readonly log: EventLog;
  /** Names of devices that were asked for, one list for each call. */
  readonly fetched: string[][];
  readonly source: (changes?: { readonly field?: string; readonly events?: SubgraphTransport }) => SupergraphSource;
  readonly subscribe: (
    document: string,
    options?: {
      variables?: Record<string, unknown>;
      principal?: ReturnType<typeof testPrincipal>;
      resumeAfter?: string;
      sink?: TestSink;
    },
  ) => { sink: TestSink; leave: () => void };
}

function createWorld(): World {
  const log = new EventLog();
  const fetched: string[][] = [];
  const plain = new TestTopic<{ plain: number }>();
  const events = tinySubgraph('events', EVENTS, {
    Subscription: {
      stream: { subscribe: (_: unknown, args: Record<string, unknown>) => log.open(args) },
      plain: { subscribe: () => plain.open([{ plain: 1 }]) },
      me: {
        subscribe: () => new TestTopic<unknown>().open([{}]),
        resolve: (_: unknown, __: unknown, { principal }: SubgraphRequest) => ({ name: principal.id }),
      },
    },
  });
  const eventsTransport = createLocalTransport(events, () => undefined);
  const source = ({
    field = 'serial',
    events: transport = eventsTransport,
  }: {
    field?: string;
    events?: SubgraphTransport;
  } = {}): SupergraphSource => {
    const inventory = tinySubgraph(
      'inventory',
      `type Query { devices: Int } type Device @key(fields: "id") { id: ID! name: String! ${field}: String }`,
      {
        Device: {
          __resolveReference: ({ id }: { id: string }) => ({ id, name: `name of ${id}`, [field]: `${field} of ${id}` }),
        },
      },
    );
    const local = createLocalTransport(inventory, () => undefined);
    const counting: SubgraphTransport = {
      execute: (fetch) => {
        const { representations } = fetch.variables as { representations: { id: string }[] };
        fetched.push(representations.map(({ id }) => id));
        return local.execute(fetch);
      },
      subscribe: (fetch) => local.subscribe(fetch),
    };
    return {
      supergraphSdl: composed([events, inventory]),
      transports: new Map([
        ['events', transport],
        ['inventory', counting],
      ]),
    };
  };
  const engine = createFederationEngine({ ...source(), streamRetryDelayMs: () => 0, streamStallMs: 100 });
  return {
    engine,
    log,
    fetched,
    source,
    subscribe: (document, { variables = {}, principal = testPrincipal(), resumeAfter, sink = new TestSink() } = {}) => {
      const { signal } = new AbortController();
      const request = { document, variables, principal, requestId: 'stream', signal, resumeAfter: resumeAfter ?? null };
      const leave = engine.subscribe(request, sink);
      return { sink, leave };
    },
  };
}

/** A client on a network that the test slows down. */
class SlowSink extends TestSink {
  waiting = 0;
  isCut = false;
  onCut = (): void => undefined;
  #looks = 0;
  readonly #watching = new Set<() => void>();
  readonly backlog = {
    bytes: () => {
      this.#looks += 1;
      for (const look of [...this.#watching]) look();
      return this.waiting;
    },
    cut: () => {
      this.isCut = true;
      this.onCut();
    },
  };

  /** Resolves when it was looked so often how much waits. */
  async looked(times: number): Promise<void> {
    while (this.#looks < times) {
      await new Promise<void>((resolve) => {
        this.#watching.add(resolve);
      });
    }
  }
}

const DEEP =
  'subscription ($after: String, $filter: String) { stream(after: $after, filter: $filter) { __typename ... on Delivered { device { name } } } }';

function names(sink: TestSink): string[] {
  return sink.items.map((data) => {
    const { stream } = data as { stream: { __typename: string; device?: { name: string } } };
    return stream.device?.name ?? stream.__typename;
  });
}

describe('subscription hub', () => {
  it('sends what the item needs from other subgraphs with it', async () => {
    const { log, subscribe } = createWorld();
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.append();
    await sink.received(1);
    expect(sink.texts).toEqual(['{"data":{"stream":{"__typename":"Delivered","device":{"name":"name of d1"}}}}']);
  });

  it('opens one stream, fetches once and writes one text for equal subscribers', async () => {
    const { engine, log, fetched, subscribe } = createWorld();
    const sinks = Array.from(
      { length: 20 },
      (_, index) => subscribe(DEEP, { principal: testPrincipal({ id: `user ${index}` }) }).sink,
    );
    await log.topic.opened(1);
    log.append();
    await Promise.all(sinks.map((sink) => sink.received(1)));
    expect(fetched).toEqual([['d1']]);
    expect(new Set(sinks.map((sink) => sink.texts[0])).size).toBe(1);
    expect(engine.streams()).toMatchObject({ groups: 1, subscribers: 20 });
  });

  it('never shares between accesses, variables or documents', async () => {
    const { engine, log, subscribe } = createWorld();
    subscribe(DEEP);
    subscribe(DEEP, { principal: testPrincipal({ access: { orgIds: ['org_1'], siteIds: null } }) });
    subscribe(DEEP, { principal: testPrincipal({ access: { orgIds: ['org_1'], siteIds: ['site_1'] } }) });
    subscribe(DEEP, { principal: testPrincipal({ scopes: new Set(['events:read'] as const) }) });
    subscribe(DEEP, { variables: { filter: 'x' } });
    subscribe('subscription { stream { __typename } }');
    await log.topic.opened(6);
    expect(engine.streams()).toMatchObject({ groups: 6, subscribers: 6 });
  });

  it('does not share what is about the caller', async () => {
    const { subscribe } = createWorld();
    const sinks = ['ann', 'bob'].map(
      (id) => subscribe('subscription { me { name } }', { principal: testPrincipal({ id }) }).sink,
    );
    await Promise.all(sinks.map((sink) => sink.received(1)));
    expect(sinks.map((sink) => sink.items)).toEqual([[{ me: { name: 'ann' } }], [{ me: { name: 'bob' } }]]);
  });

  it('closes the stream when the last one leaves', async () => {
    const { engine, log, subscribe } = createWorld();
    const [first, second] = [subscribe(DEEP), subscribe(DEEP)];
    await log.topic.opened(1);
    first.leave();
    log.append();
    await second.sink.received(1);
    second.leave();
    await log.topic.opened(0);
    expect(first.sink.texts).toEqual([]);
    expect(engine.streams()).toMatchObject({ groups: 0, subscribers: 0 });
  });

  it('leaves with the signal of the request', async () => {
    const { engine, log } = createWorld();
    const caller = new AbortController();
    engine.subscribe(
      { document: DEEP, principal: testPrincipal(), requestId: 'r', signal: caller.signal },
      new TestSink(),
    );
    await log.topic.opened(1);
    caller.abort();
    await log.topic.opened(0);
    expect(engine.streams().groups).toBe(0);
  });

  it('goes on after the last item when the stream was lost, without gap or duplicate', async () => {
    const { log, subscribe } = createWorld();
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.append(2);
    await sink.received(2);
    log.topic.end(new Error('connection reset'));
    log.append(2);
    await log.topic.opened(1);
    log.append();
    await sink.received(5);
    expect(names(sink)).toEqual(['name of d1', 'name of d2', 'name of d3', 'name of d4', 'name of d5']);
    expect(log.asked.map(({ after }) => after)).toEqual([null, 'c2']);
  });

  it('tells of the end of a replay once, though the stream was lost in between', async () => {
    const { log, subscribe } = createWorld();
    log.append(2);
    const { sink } = subscribe(DEEP, { variables: { after: 'c0' } });
    await sink.received(3);
    log.topic.end(new Error('connection reset'));
    await log.topic.opened(1);
    log.append();
    await sink.received(4);
    expect(names(sink)).toEqual(['name of d1', 'name of d2', 'ReplayComplete', 'name of d3']);
  });

  it('goes on where it stood when the stream was lost before its first item', async () => {
    const { log, subscribe } = createWorld();
    log.append(2);
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.place();
    log.topic.end(new Error('connection reset'));
    log.append();
    await sink.received(1);
    expect(names(sink)).toEqual(['name of d3']);
    expect(log.asked.map(({ after }) => after)).toEqual([null, 'c2']);
  });

  it('tells nobody of places, and merges streams that stand at the same', async () => {
    const { engine, log, subscribe } = createWorld();
    const live = subscribe(DEEP);
    await log.topic.opened(1);
    log.append();
    await live.sink.received(1);
    const late = subscribe(DEEP, { variables: { after: 'c1' } });
    await late.sink.received(1);
    await log.topic.opened(1);
    expect(engine.streams()).toMatchObject({ groups: 1, subscribers: 2 });
    log.place();
    log.append();
    await Promise.all([live.sink.received(2), late.sink.received(2)]);
    expect(names(live.sink)).toEqual(['name of d1', 'name of d2']);
    expect(names(late.sink)).toEqual(['ReplayComplete', 'name of d2']);
  });

  it('begins after the cursor with which a client comes back, whatever its document says', async () => {
    const { log, subscribe } = createWorld();
    log.append(3);
    const { sink } = subscribe(DEEP, { variables: { after: 'c0' }, resumeAfter: 'c2' });
    await sink.received(2);
    expect(names(sink)).toEqual(['name of d3', 'ReplayComplete']);
  });

  it('hands out the cursor with each item', async () => {
    const { log, subscribe } = createWorld();
    log.append(1);
    const { sink } = subscribe(DEEP, { variables: { after: 'c0' } });
    await sink.received(2);
    log.append();
    await sink.received(3);
    expect(sink.cursors).toEqual(['c1', 'c1', 'c2']);
  });

  it('asks for what many items need at once, and tells them in order', async () => {
    const { log, fetched, subscribe } = createWorld();
    log.append(100);
    const { sink } = subscribe(DEEP, { variables: { after: 'c0' } });
    await sink.received(101);
    expect(names(sink)).toEqual([...Array.from({ length: 100 }, (_, at) => `name of d${at + 1}`), 'ReplayComplete']);
    expect(fetched.length).toBeLessThan(10);
  });

  it('waits when nobody can take more, and goes on when somebody can', async () => {
    const { log, subscribe } = createWorld();
    const slow = new SlowSink();
    slow.waiting = MAX_WAITING_BYTES + 1;
    subscribe(DEEP, { sink: slow });
    await log.topic.opened(1);
    log.append(20);
    await slow.looked(3);
    expect(slow.texts.length).toBe(1);
    slow.waiting = 0;
    await slow.received(20);
    expect(names(slow)).toEqual(Array.from({ length: 20 }, (_, index) => `name of d${index + 1}`));
    expect(slow.isCut).toBe(false);
  });

  it('waits for no subscriber while another keeps up', async () => {
    const { log, subscribe } = createWorld();
    const slow = new SlowSink();
    slow.waiting = MAX_WAITING_BYTES + 1;
    subscribe(DEEP, { sink: slow });
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.append(20);
    await sink.received(20);
    expect([slow.texts.length, slow.isCut]).toEqual([20, false]);
  });

  it('cuts those who take nothing for too long while their stream waits for them', async () => {
    const { log, subscribe } = createWorld();
    const stalled = new SlowSink();
    stalled.waiting = MAX_WAITING_BYTES + 1;
    const { leave } = subscribe(DEEP, { sink: stalled });
    stalled.onCut = leave;
    await log.topic.opened(1);
    log.append(2);
    await log.topic.opened(0);
    expect([stalled.texts.length, stalled.isCut]).toEqual([1, true]);
  });

  it('comes back as often as it takes', async () => {
    const { engine, log, source, subscribe } = createWorld();
    let failures = 3;
    const local = source().transports.get('events');
    if (local === undefined) throw new Error('there is no events subgraph');
    const flaky: SubgraphTransport = {
      execute: (fetch) => local.execute(fetch),
      subscribe: (fetch) => {
        if (failures-- > 0) throw new TransportError('SUBGRAPH_UNAVAILABLE', 'down');
        return local.subscribe(fetch);
      },
    };
    await engine.reload(source({ events: flaky }));
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.append();
    await sink.received(1);
    expect(failures).toBe(-1);
  });

  it('does not let a new subscriber into a replay that has begun', async () => {
    const { log, subscribe } = createWorld();
    log.append(2);
    const first = subscribe(DEEP, { variables: { after: 'c0' } });
    await first.sink.received(3);
    const second = subscribe(DEEP, { variables: { after: 'c0' } });
    await second.sink.received(3);
    expect(names(second.sink)).toEqual(['name of d1', 'name of d2', 'ReplayComplete']);
  });

  it('merges groups that stand at the same item, without gap or duplicate', async () => {
    const { engine, log, fetched, subscribe } = createWorld();
    log.append(3);
    const live = subscribe(DEEP);
    await log.topic.opened(1);
    const late = subscribe(DEEP, { variables: { after: 'c1' } });
    await late.sink.received(3);
    expect(engine.streams().groups).toBe(2);
    log.append();
    await Promise.all([live.sink.received(1), late.sink.received(4)]);
    await log.topic.opened(1);
    fetched.length = 0;
    log.append();
    await Promise.all([live.sink.received(2), late.sink.received(5)]);
    expect(engine.streams()).toMatchObject({ groups: 1, subscribers: 2 });
    expect(fetched).toEqual([['d5']]);
    expect(names(live.sink)).toEqual(['name of d4', 'name of d5']);
    expect(names(late.sink)).toEqual(['name of d2', 'name of d3', 'ReplayComplete', 'name of d4', 'name of d5']);
    late.leave();
    expect(engine.streams()).toMatchObject({ groups: 1, subscribers: 1 });
    live.leave();
    await log.topic.opened(0);
  });

  it('survives a reload: same stream, no item lost, new fields at once', async () => {
    const { engine, log, source, subscribe } = createWorld();
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.append();
    await sink.received(1);
    await engine.reload(source({ field: 'colour' }));
    log.append();
    await sink.received(2);
    expect(names(sink)).toEqual(['name of d1', 'name of d2']);
    expect(log.asked).toHaveLength(1);
    const coloured = subscribe('subscription { stream { ... on Delivered { device { colour } } } }');
    await log.topic.opened(2);
    log.append();
    await coloured.sink.received(1);
    expect(coloured.sink.items).toEqual([{ stream: { device: { colour: 'colour of d3' } } }]);
  });

  it('follows the subgraph to another place, without gap or duplicate', async () => {
    const { engine, log, source, subscribe } = createWorld();
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.append();
    await sink.received(1);
    const elsewhere = source().transports.get('events');
    if (elsewhere === undefined) throw new Error('there is no events subgraph');
    const moved = gate();
    await engine.reload(
      source({
        events: {
          execute: (fetch) => elsewhere.execute(fetch),
          subscribe: (fetch) => {
            moved.open();
            return elsewhere.subscribe(fetch);
          },
        },
      }),
    );
    log.append();
    await moved.opened;
    await sink.received(2);
    log.append();
    await sink.received(3);
    expect(names(sink)).toEqual(['name of d1', 'name of d2', 'name of d3']);
    expect(log.asked.map(({ after }) => after)).toEqual([null, 'c1']);
    expect(log.topic.openStreams).toBe(1);
  });

  it('ends a stream whose fields are gone after a reload, and says so', async () => {
    const { engine, log, source, subscribe } = createWorld();
    await engine.reload(source({ field: 'colour' }));
    const { sink } = subscribe('subscription { stream { ... on Delivered { device { colour } } } }');
    await log.topic.opened(1);
    await engine.reload(source());
    await sink.ended();
    expect(JSON.stringify(sink.errors)).toContain('colour');
    await log.topic.opened(0);
  });

  it('keeps everything as it was when a reload fails', async () => {
    const { engine, log, subscribe } = createWorld();
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    await expect(engine.reload({ supergraphSdl: 'type Query {', transports: new Map() })).rejects.toThrow(
      'Syntax Error',
    );
    log.append();
    await sink.received(1);
    expect(names(sink)).toEqual(['name of d1']);
  });

  it('tells why the subgraph refused', async () => {
    const { engine, subscribe } = createWorld();
    const { sink } = subscribe(DEEP, { variables: { after: 'bad' } });
    await sink.ended();
    expect(sink.errors).toMatchObject([
      { message: 'no such cursor', extensions: { code: 'BAD_CURSOR', service: 'events' } },
    ]);
    expect(engine.streams().groups).toBe(0);
  });

  it.each([
    ['that is not valid', 'subscription { nope }', {}],
    ['with bad variables', DEEP, { after: 7 }],
    ['that is no subscription', '{ devices }', {}],
  ])('refuses a document %s, after subscribe has returned', async (_, document, variables) => {
    const { subscribe } = createWorld();
    const { sink } = subscribe(document, { variables });
    expect(sink.errors).toEqual([]);
    await sink.ended();
    expect(sink.errors).toHaveLength(1);
  });

  it('does not let a sink that throws cost the others theirs', async () => {
    const { engine, log, subscribe } = createWorld();
    const broken = new TestSink();
    broken.next = () => {
      throw new Error('socket is gone');
    };
    engine.subscribe(
      { document: DEEP, principal: testPrincipal(), requestId: 'r', signal: new AbortController().signal },
      broken,
    );
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.append();
    await sink.received(1);
    expect(names(sink)).toEqual(['name of d1']);
  });

  it('completes every stream when it is closed', async () => {
    const { engine, log, subscribe } = createWorld();
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    engine.close();
    await sink.ended();
    await log.topic.opened(0);
    expect(sink.isComplete).toBe(true);
  });

  it('completes with the source', async () => {
    const { log, subscribe } = createWorld();
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.topic.end();
    await sink.ended();
    expect(sink.isComplete).toBe(true);
  });
});
