import { GraphQLError, getIntrospectionQuery } from 'graphql';
import { describe, expect, it } from 'vitest';
import type { Subgraph, SubgraphRequest } from '../../schema/subgraph.ts';
import { createFederationEngine, type FederationEngineOptions, type GraphRequest } from './engine.ts';
import { testPrincipal } from './test-support/principal.ts';
import { composed, gate, tinySubgraph } from './test-support/tiny-graph.ts';
import { type SubgraphFetch, type SubgraphResult, type SubgraphTransport, TransportError } from './transport.ts';
import { createLocalTransport } from './transport-local.ts';

type Refs = { readonly __typename: string; readonly id: string };

const DEVICES = `
  type Query { devices(first: Int = 4): [Device]! device(id: ID!): Device viewer: Viewer! now: Int }
  type Mutation { rename(id: ID!, name: String!): Device! fail: Device }
  type Viewer { name: String! ticket: Int! left: Int }
  type Device @key(fields: "id") { id: ID! name: String! site: Site source: Source }
  type Site @key(fields: "id", resolvable: false) { id: ID! }
  interface Source { id: ID! }
  type AcmeSource implements Source @key(fields: "id", resolvable: false) { id: ID! }
  type ZetaSource implements Source @key(fields: "id", resolvable: false) { id: ID! }
`;
const SITES =
  'type Query { sites: [Site!]! } type Mutation { createSite(name: String!): Site! } type Site @key(fields: "id") { id: ID! name: String! note: String }';
const vendor = (name: string): string => `
  type Query { ${name.toLowerCase()}: Int }
  interface Source { id: ID! state: State! detail: String }
  enum State { ONLINE OFFLINE }
  type ${name}Source implements Source @key(fields: "id") { id: ID! state: State! detail: String }
`;

/** Devices 0 to 3: sites 0 and 1 in turn, sources at Acme and Zeta in turn. */
function device(number: number) {
  const typeName = number % 2 === 0 ? 'AcmeSource' : 'ZetaSource';
  return {
    id: `d${number}`,
    name: `device ${number}`,
    site: { id: `s${number % 2}` },
    source: { __typename: typeName, id: `n${number}` },
  };
}

function createWorld(
  options: Partial<FederationEngineOptions> = {},
  intercept: (name: string, fetch: SubgraphFetch) => Promise<SubgraphResult> | null = () => null,
) {
  const calls: { readonly service: string; readonly fetch: SubgraphFetch }[] = [];
  const order: string[] = [];
  let tickets = 0;
  const faults: unknown[] = [];
  const source = async ({ id }: Refs) => {
    await Promise.resolve();
    if (id === 'n2') throw new GraphQLError('platform is down', { extensions: { code: 'PLATFORM_UNREACHABLE' } });
    return { id, state: id === 'n3' ? 'ON FIRE' : 'ONLINE', detail: id === 'n1' ? null : `detail of ${id}` };
  };
  const subgraphs: Subgraph<SubgraphRequest>[] = [
    tinySubgraph('devices', DEVICES, {
      Query: {
        devices: (_: unknown, { first }: { first: number }) =>
          Array.from({ length: first }, (__, index) => device(index)),
        device: (_: unknown, { id }: { id: string }) => (id === 'none' ? null : device(Number(id.slice(1)))),
        viewer: (_: unknown, __: unknown, { principal, budget }: SubgraphRequest) => ({
          name: principal.id,
          ticket: (tickets += 1),
          left: budget?.remaining ?? null,
        }),
      },
      Mutation: {
        rename: (_: unknown, { id, name }: { id: string; name: string }) => (
          order.push(`rename ${name}`), { ...device(0), id, name }
        ),
        fail: () => {
          order.push('fail');
          throw new GraphQLError('cannot');
        },
      },
    }),
    tinySubgraph('sites', SITES, {
      Query: { sites: () => [{ id: 's0', name: 'site s0' }] },
      Mutation: {
        createSite: (_: unknown, { name }: { name: string }) => (order.push(`site ${name}`), { id: 's9', name }),
      },
      Site: { __resolveReference: ({ id }: Refs) => (id === 's1' ? null : { id, name: `site ${id}` }) },
    }),
    tinySubgraph('acme', vendor('Acme'), { AcmeSource: { __resolveReference: source } }),
    tinySubgraph('zeta', vendor('Zeta'), { ZetaSource: { __resolveReference: source } }),
  ];
  const transports = new Map<string, SubgraphTransport>(
    subgraphs.map((subgraph) => {
      const local = createLocalTransport(subgraph as Subgraph, () => undefined);
      return [
        subgraph.name,
        {
          execute: (fetch) => {
            calls.push({ service: subgraph.name, fetch });
            return intercept(subgraph.name, fetch) ?? local.execute(fetch);
          },
          subscribe: (fetch) => local.subscribe(fetch),
        },
      ];
    }),
  );
  const engine = createFederationEngine({
    supergraphSdl: composed(subgraphs as Subgraph[]),
    transports,
    onError: (error) => faults.push(error),
    ...options,
  });
  const send = (document: string, changes: Partial<GraphRequest> = {}) =>
    engine.execute({
      document,
      principal: testPrincipal(),
      requestId: 'req',
      signal: new AbortController().signal,
      ...changes,
    });
  const ask = async (
    document: string,
    changes: Partial<GraphRequest> = {},
  ): Promise<{
    data?: unknown;
    errors?: { message: string; path?: unknown; extensions?: Record<string, unknown> }[];
  }> => JSON.parse((await send(document, changes)).text);
  return { engine, calls, order, faults, send, ask };
}

/** What graphql-js makes of a list of entities that may not be null and is. */
function brokenBatch(): Promise<SubgraphResult> {
  return Promise.resolve({ data: null, errors: [{ message: 'broken', path: ['_e1'] }] });
}

describe('federation engine, answering', () => {
  it('puts an answer together from several subgraphs, in the order of the document', async () => {
    const { send } = createWorld();
    const { text, hasErrors, isExecuted } = await send(
      '{ d: device(id: "d0") { site { name } __typename label: name source { ... on AcmeSource { detail } state } } }',
    );
    expect(text).toBe(
      '{"data":{"d":{"site":{"name":"site s0"},"__typename":"Device","label":"device 0","source":{"detail":"detail of n0","state":"ONLINE"}}}}',
    );
    expect({ hasErrors, isExecuted }).toEqual({ hasErrors: false, isExecuted: true });
  });

  it('asks each subgraph once for a list, and for each entity once', async () => {
    const { ask, calls } = createWorld();
    await ask('{ devices(first: 40) { site { name } source { detail } } }');
    const asked = calls.map(({ service, fetch }) => [
      service,
      (fetch.variables['representations'] as unknown[] | undefined)?.length,
    ]);
    expect(new Map(asked as [string, number | undefined][])).toEqual(
      new Map([
        ['devices', undefined],
        ['sites', 2],
        ['acme', 20],
        ['zeta', 20],
      ]),
    );
    expect(calls).toHaveLength(4);
  });

  it('places every error exactly, and lets a fault cost nothing but its own place', async () => {
    const { ask } = createWorld();
    const { data, errors } = await ask('{ devices { name site { name } source { state detail } } }');
    expect(data).toEqual({
      devices: [
        { name: 'device 0', site: { name: 'site s0' }, source: { state: 'ONLINE', detail: 'detail of n0' } },
        { name: 'device 1', site: null, source: { state: 'ONLINE', detail: null } },
        { name: 'device 2', site: { name: 'site s0' }, source: null },
        { name: 'device 3', site: null, source: null },
      ],
    });
    expect(errors?.map(({ path, extensions }) => [path, extensions?.['code']]).toSorted()).toEqual([
      [['devices', 1, 'site', 'name'], 'INTERNAL_SERVER_ERROR'],
      [['devices', 2, 'source'], 'PLATFORM_UNREACHABLE'],
      [['devices', 3, 'site', 'name'], 'INTERNAL_SERVER_ERROR'],
      [['devices', 3, 'source', 'state'], 'INTERNAL_SERVER_ERROR'],
    ]);
  });

  it('tells an error of a shared entity at every place of it', async () => {
    const { ask } = createWorld();
    const { errors } = await ask(
      '{ a: device(id: "d2") { source { detail } } b: devices { source { detail } } c: device(id: "d2") { s: source { state } } }',
    );
    const down = errors?.filter(({ extensions }) => extensions?.['code'] === 'PLATFORM_UNREACHABLE');
    expect(down?.map(({ path }) => JSON.stringify(path)).toSorted()).toEqual([
      '["a","source","detail"]',
      '["b",2,"source","detail"]',
      '["c","s"]',
    ]);
  });

  it('tells an error at every place, when it takes the answers of a whole subgraph along', async () => {
    const { ask } = createWorld({}, (name) => (name === 'acme' ? brokenBatch() : null));
    const { data, errors } = await ask(
      '{ a: device(id: "d0") { source { detail } } b: device(id: "d2") { source { state } } }',
    );
    expect(data).toEqual({ a: { source: { detail: null } }, b: { source: null } });
    expect(errors?.map(({ path }) => JSON.stringify(path)).toSorted()).toEqual([
      '["a","source","detail"]',
      '["b","source"]',
    ]);
  });

  it('keeps two places of one entity apart when they are asked for different things', async () => {
    const { ask } = createWorld();
    const { data } = await ask(
      '{ a: device(id: "d0") { site { id x: name } } b: device(id: "d0") { site { id x: note y: name } } }',
    );
    expect(data).toEqual({ a: { site: { id: 's0', x: 'site s0' } }, b: { site: { id: 's0', x: null, y: 'site s0' } } });
  });

  it('answers about the schema by itself', async () => {
    const { ask, calls } = createWorld();
    const introspection = await ask(getIntrospectionQuery());
    expect(introspection.errors).toBeUndefined();
    expect(JSON.stringify(introspection)).not.toMatch(/_entities|join__|_Any/);
    expect(
      await ask(
        'query ($t: String!) { __typename t: __type(name: $t) { kind } ...F } fragment F on Query { __schema { queryType { name } } }',
        { variables: { t: 'Site' } },
      ),
    ).toEqual({
      data: { __typename: 'Query', t: { kind: 'OBJECT' }, __schema: { queryType: { name: 'Query' } } },
    });
    expect(calls).toEqual([]);
    expect((await ask('{ __type(name: "Site") { name } device(id: "d0") { name } }')).data).toEqual({
      __type: { name: 'Site' },
      device: { name: 'device 0' },
    });
  });

  it('fetches nothing that @skip and @include leave out', async () => {
    const { ask, calls } = createWorld();
    const document =
      'query ($no: Boolean!) { devices(first: 1) { name site @include(if: $no) { name } ... @skip(if: true) { source { detail } } } }';
    expect((await ask(document, { variables: { no: false } })).data).toEqual({ devices: [{ name: 'device 0' }] });
    expect(calls.map(({ service }) => service)).toEqual(['devices']);
    expect((await ask(document, { variables: { no: true } })).data).toEqual({
      devices: [{ name: 'device 0', site: { name: 'site s0' } }],
    });
    expect((await ask('{ devices @skip(if: true) { name } }')).data).toEqual({});
  });

  it('gives variables their defaults', async () => {
    const { ask } = createWorld();
    expect((await ask('query ($first: Int = 2) { devices(first: $first) { id } }')).data).toEqual({
      devices: [{ id: 'd0' }, { id: 'd1' }],
    });
    expect((await ask('{ devices { id } }')).data).toMatchObject({ devices: { length: 4 } });
  });

  it('runs mutations one after the other', async () => {
    const { ask, order } = createWorld();
    const { data, errors } = await ask(
      'mutation { a: rename(id: "d0", name: "one") { name site { name } } createSite(name: "two") { name } b: fail { name } c: rename(id: "d0", name: "three") { name } }',
    );
    expect(order).toEqual(['rename one', 'site two', 'fail', 'rename three']);
    expect(data).toEqual({
      a: { name: 'one', site: { name: 'site s0' } },
      createSite: { name: 'two' },
      b: null,
      c: { name: 'three' },
    });
    expect(errors).toMatchObject([{ message: 'cannot', path: ['b'] }]);
  });

  it('adds the extensions it is given', async () => {
    const { send } = createWorld();
    expect((await send('{ now }', { extensions: { cost: 1 } })).text).toBe(
      '{"data":{"now":null},"extensions":{"cost":1}}',
    );
  });
});

describe('federation engine, refusing', () => {
  it.each([
    ['what is no document', '{', {}],
    ['unknown fields', '{ nope }', {}],
    ['fields of the machinery', '{ _entities(representations: []) { __typename } }', {}],
    ['a missing variable', 'query ($id: ID!) { device(id: $id) { id } }', {}],
    [
      'a variable of another type',
      'query ($first: Int) { devices(first: $first) { id } }',
      { variables: { first: 'x' } },
    ],
    ['an operation that is not there', 'query A { now }', { operationName: 'B' }],
    ['a choice between operations', 'query A { now } query B { now }', {}],
    ['a document of 10,001 tokens', `{ ${'now '.repeat(10_000)} }`, {}],
  ])('refuses %s before anything is fetched', async (_, document, changes) => {
    const { send, calls } = createWorld();
    const answer = await send(document, changes);
    expect(answer).toMatchObject({ hasErrors: true, isExecuted: false });
    expect(Object.keys(JSON.parse(answer.text) as object)).toEqual(['errors']);
    expect(calls).toEqual([]);
  });
});

describe('federation engine, when a subgraph does not answer', () => {
  const never = (): Promise<never> => new Promise(() => undefined);
  const document = '{ devices { name site { name } source { detail } } }';

  it('loses the fields of that subgraph only, and names no cause', async () => {
    const { ask, faults } = createWorld({}, (name) =>
      name === 'acme' ? Promise.reject(new Error('ECONNREFUSED 10.0.0.7')) : null,
    );
    const { data, errors } = await ask(document);
    expect(data).toMatchObject({
      devices: [
        { name: 'device 0', source: { detail: null } },
        { source: { detail: null } },
        { source: { detail: null } },
        { source: { detail: 'detail of n3' } },
      ],
    });
    const lost = errors?.filter(({ extensions }) => extensions?.['service'] === 'acme');
    expect(lost?.map(({ path }) => path)).toEqual([
      ['devices', 0, 'source', 'detail'],
      ['devices', 2, 'source', 'detail'],
    ]);
    expect(lost?.[0]?.extensions?.['code']).toBe('SUBGRAPH_UNAVAILABLE');
    expect(JSON.stringify(errors)).not.toContain('10.0.0.7');
    expect(String(faults[0])).toContain('10.0.0.7');
  });

  it('gives up a subgraph that hangs, tells it so, and answers with the rest', async () => {
    let signal: AbortSignal | undefined;
    const { ask } = createWorld({ fetchTimeoutMs: 20 }, (name, fetch) => {
      if (name !== 'sites') return null;
      signal = fetch.signal;
      return never();
    });
    const { data, errors } = await ask('{ devices(first: 1) { name site { name } } sites { id } }');
    expect(data).toBeNull();
    expect(errors?.map(({ path, extensions }) => [path, extensions?.['code'], extensions?.['service']])).toEqual([
      [['sites'], 'TIMEOUT', 'sites'],
      [['devices', 0, 'site'], 'TIMEOUT', 'sites'],
    ]);
    expect(signal?.aborted).toBe(true);
  });

  it('answers at the deadline with what there is', async () => {
    const { ask } = createWorld({}, (name) => (name === 'zeta' ? never() : null));
    const { data, errors } = await ask('{ devices(first: 2) { name source { detail } } }', { deadlineMs: 20 });
    expect(data).toEqual({
      devices: [
        { name: 'device 0', source: { detail: 'detail of n0' } },
        { name: 'device 1', source: { detail: null } },
      ],
    });
    expect(errors).toMatchObject([
      { path: ['devices', 1, 'source', 'detail'], extensions: { code: 'TIMEOUT', service: 'zeta' } },
    ]);
  });

  it('survives a subgraph that it has no way to', async () => {
    const lonely = createWorld({ transports: new Map() });
    expect((await lonely.ask('{ now }')).errors).toMatchObject([
      { path: ['now'], extensions: { code: 'SUBGRAPH_UNAVAILABLE', service: 'devices' } },
    ]);
  });

  it('tells a transport error by its own code', async () => {
    const { ask } = createWorld({}, (name) =>
      name === 'devices' ? Promise.reject(new TransportError('TIMEOUT', 'too slow')) : null,
    );
    expect((await ask('{ now viewer { name } }')).errors).toMatchObject([
      { message: 'too slow', path: ['now'], extensions: { code: 'TIMEOUT' } },
      { path: ['viewer'], extensions: { code: 'TIMEOUT' } },
    ]);
  });
});

describe('federation engine, when the caller goes', () => {
  it('stops, and tells the subgraph', async () => {
    const asked = gate();
    let signal: AbortSignal | undefined;
    const { send } = createWorld({}, (name, fetch) => {
      if (name !== 'sites') return null;
      signal = fetch.signal;
      asked.open();
      return new Promise(() => undefined);
    });
    const caller = new AbortController();
    const answer = send('{ devices { site { name } } }', { signal: caller.signal });
    await asked.opened;
    caller.abort(new Error('client is gone'));
    await expect(answer).rejects.toThrow('client is gone');
    expect(signal?.aborted).toBe(true);
  });

  it('does not begin for one who has gone already', async () => {
    const { send, calls } = createWorld();
    await expect(send('{ now }', { signal: AbortSignal.abort(new Error('client is gone')) })).rejects.toThrow(
      'client is gone',
    );
    expect(calls).toEqual([]);
  });
});

describe('federation engine, sharing fetches', () => {
  /** Holds every call to `devices` until it is released. */
  function held() {
    const release = gate();
    const arrived = gate();
    let first = true;
    const world = createWorld({}, (name) => {
      if (name !== 'devices' || !first) return null;
      first = false;
      arrived.open();
      return release.opened.then(() => Promise.reject(new TransportError('SUBGRAPH_UNAVAILABLE', 'held')));
    });
    return { ...world, release, arrived };
  }

  it('asks once for what several callers with equal access want at the same time', async () => {
    const { ask, calls } = createWorld();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        ask('{ devices { name site { name } } }', { principal: testPrincipal({ id: `u${index}` }) }),
      ),
    );
    expect(calls.map(({ service }) => service)).toEqual(['devices', 'sites']);
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  });

  it('does not share across accesses, scopes or variables', async () => {
    const { ask, calls } = createWorld();
    const document = 'query ($first: Int) { devices(first: $first) { name } }';
    await Promise.all([
      ask(document),
      ask(document, { variables: { first: 1 } }),
      ask(document, { principal: testPrincipal({ access: { orgIds: ['org_1'], siteIds: null } }) }),
      ask(document, { principal: testPrincipal({ scopes: new Set(['inventory:read'] as const) }) }),
    ]);
    expect(calls).toHaveLength(4);
  });

  it('does not share what is about the caller', async () => {
    const { ask } = createWorld();
    const answers = await Promise.all(
      ['ann', 'bob'].map((id) =>
        ask('{ v: viewer { ...V } } fragment V on Viewer { name }', { principal: testPrincipal({ id }) }),
      ),
    );
    expect(answers.map(({ data }) => data)).toEqual([{ v: { name: 'ann' } }, { v: { name: 'bob' } }]);
  });

  it('makes what is for one request alone anew for each, and tells it what that request costs', async () => {
    const { ask } = createWorld({ singleFields: new Set(['Viewer.ticket']) });
    const document = '{ viewer { ...V } } fragment V on Viewer { ticket left }';
    const budget = (remaining: number) => ({ cost: 1, limit: 9, remaining, resetAt: 0 });
    const answers = await Promise.all([8, 7].map((left) => ask(document, { budget: budget(left) })));
    expect(answers.map(({ data }) => data)).toEqual([
      { viewer: { ticket: 1, left: 8 } },
      { viewer: { ticket: 2, left: 7 } },
    ]);
    // Others may wait for the same answer: it says nothing of one request.
    expect((await ask('{ viewer { left } }', { budget: budget(6) })).data).toEqual({ viewer: { left: null } });
  });

  it('never shares mutations', async () => {
    const { ask, order } = createWorld();
    const document = 'mutation { rename(id: "d0", name: "x") { name } }';
    await Promise.all([ask(document), ask(document)]);
    expect(order).toEqual(['rename x', 'rename x']);
  });

  it('goes on for the others when one caller goes', async () => {
    const { send, ask, calls, arrived, release } = held();
    const caller = new AbortController();
    const gone = send('{ now }', { signal: caller.signal });
    const stays = ask('{ now }');
    await arrived.opened;
    caller.abort(new Error('client is gone'));
    await expect(gone).rejects.toThrow('client is gone');
    expect(calls[0]?.fetch.signal.aborted).toBe(false);
    release.open();
    expect((await stays).errors).toMatchObject([{ message: 'held' }]);
    expect(calls).toHaveLength(1);
  });
});

describe('federation engine, reloading', () => {
  it('answers from the new supergraph, and finishes what has begun in the old one', async () => {
    const begun = gate();
    const go = gate();
    const old = tinySubgraph('only', 'type Query { a: String }', {
      Query: {
        a: async () => {
          begun.open();
          await go.opened;
          return 'old';
        },
      },
    });
    const next = tinySubgraph('only', 'type Query { b: String }', { Query: { b: () => 'new' } });
    const source = (subgraph: Subgraph) => ({
      supergraphSdl: composed([subgraph]),
      transports: new Map([['only', createLocalTransport(subgraph, () => undefined)]]),
    });
    const engine = createFederationEngine(source(old as Subgraph));
    const ask = (document: string) =>
      engine.execute({ document, principal: testPrincipal(), requestId: 'r', signal: new AbortController().signal });
    const underWay = ask('{ a }');
    await begun.opened;
    await engine.reload(source(next as Subgraph));
    expect((await ask('{ b }')).text).toBe('{"data":{"b":"new"}}');
    expect((await ask('{ a }')).isExecuted).toBe(false);
    go.open();
    expect((await underWay).text).toBe('{"data":{"a":"old"}}');
    expect(Object.keys(engine.publicSchema.getQueryType()?.getFields() ?? {})).toEqual(['b']);
  });
});
