import { GraphQLError } from 'graphql';
import { StreamPlace, type SubgraphRequest } from '../../../schema/subgraph.ts';
import {
  createFederationEngine,
  type FederationEngine,
  type FederationEngineOptions,
  type SupergraphSource,
} from '../engine.ts';
import type { SubgraphTransport } from '../transport.ts';
import { createLocalTransport } from '../transport-local.ts';
import { testPrincipal } from './principal.ts';
import { composed, TestSink, TestTopic, tinySubgraph } from './tiny-graph.ts';

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

/** An engine over a subgraph of events and one of devices that the events are of. */
export interface StreamWorld {
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

export function createStreamWorld(options: Partial<FederationEngineOptions> = {}): StreamWorld {
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
  const engine = createFederationEngine({ ...source(), streamRetryDelayMs: () => 0, streamStallMs: 100, ...options });
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

/** Asks for what another subgraph has to add. */
export const DEEP =
  'subscription ($after: String, $filter: String) { stream(after: $after, filter: $filter) { __typename ... on Delivered { device { name } } } }';

/** What was delivered, by the name of its device; what is no event, by its type. */
export function names(sink: TestSink): string[] {
  return sink.items.map((data) => {
    const { stream } = data as { stream: { __typename: string; device?: { name: string } } };
    return stream.device?.name ?? stream.__typename;
  });
}
