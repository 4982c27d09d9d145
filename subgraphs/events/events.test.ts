import { graphql, parse, subscribe } from 'graphql';
import { expect, it, onTestFinished } from 'vitest';
import { createDeadLetters } from '../../pipeline/dead-letters/dead-letters.ts';
import { createInboxWriter } from '../../pipeline/inbox/inbox-writer.ts';
import { createProcessor } from '../../pipeline/process/processor.ts';
import { createRefusals } from '../../pipeline/intake/refusals.ts';
import { createLogTail } from '../../pipeline/stream/log-tail.ts';
import {
  acme,
  acmeBody,
  type AcmeEvent,
  addDevice,
  bind,
  NOON,
  quiet,
  seed,
  type Seeded,
} from '../../pipeline/testing.ts';
import type { AccessScope, Principal, Scope } from '../../schema/principal.ts';
import { createCursorCodec } from '../../storage/cursor.ts';
import type { Database } from '../../storage/database.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createEventsSubgraph } from './index.ts';

/** The data of a stream's item, without the prototypes that GraphQL takes away. */
function dataOf(item: unknown) {
  return JSON.parse(JSON.stringify(item)).data;
}

const EVERYTHING: AccessScope = { orgIds: 'all', siteIds: null };

function principal(access: AccessScope = EVERYTHING, scopes: readonly Scope[] = ['events:read']): Principal {
  return { id: 'somebody', kind: 'USER', scopes: new Set(scopes), access, expiresAt: null };
}

function start(db: Database) {
  const inbox = createInboxWriter({ db, logger: quiet });
  const processor = createProcessor({ db, vendors: [acme], logger: quiet, now: () => NOON });
  const tail = createLogTail({ db, logger: quiet });
  onTestFinished(async () => {
    await tail.stop();
    await inbox.close();
  });
  const subgraph = createEventsSubgraph(
    {
      db,
      cursors: createCursorCodec(Buffer.alloc(32, 5)),
      tail,
      deadLetters: createDeadLetters({ db, processor }),
      now: () => NOON,
    },
    [acme],
  );
  const contextOf = (who: Principal, signal: AbortSignal) =>
    subgraph.createContext({ principal: who, requestId: 'test', signal });

  async function run(source: string, variableValues: Record<string, unknown> = {}, who = principal()) {
    const result = await graphql({
      schema: subgraph.schema,
      source,
      variableValues,
      contextValue: contextOf(who, new AbortController().signal),
    });
    // Plain objects, for comparison.
    return JSON.parse(JSON.stringify(result));
  }

  async function listen(source: string, variableValues: Record<string, unknown> = {}, who = principal()) {
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    return subscribe({
      schema: subgraph.schema,
      document: parse(source),
      variableValues,
      contextValue: contextOf(who, stop.signal),
    });
  }

  async function deliver({ integration }: Seeded, ...events: readonly AcmeEvent[]) {
    const body = acmeBody(...events);
    const { id: integrationId, org_id: orgId } = integration;
    const headers = '{"user-agent":"acme","x-note":"token=hidden"}';
    const receipt = await inbox.append({ orgId, integrationId, source: 'WEBHOOK', receivedAt: NOON, headers, body });
    await processor.process(integrationId);
    return receipt;
  }
  return { run, listen, deliver };
}

const PAGE = `query ($first: Int, $after: String, $filter: EventFilter) {
  events(first: $first, after: $after, filter: $filter) {
    totalCount pageInfo { hasNextPage hasPreviousPage endCursor }
    edges { cursor } nodes { id cursor vendorEventId }
  }
}`;

const ENTITIES = `query ($representations: [_Any!]!, $first: Int, $after: String) {
  _entities(representations: $representations) {
    __typename
    ... on Event { id vendorEventId }
    ... on Device { id events(first: $first, after: $after) { totalCount nodes { vendorEventId } pageInfo { hasNextPage endCursor } } }
    ... on Integration { id deadLetters(first: $first, after: $after) { totalCount nodes { id stage reason attempts headers bodyPreview diagnosis receivedAt } pageInfo { hasNextPage endCursor } } }
    ... on DeadLetter { id stage }
  }
}`;

const REPLAY = `mutation ($input: ReplayDeadLettersInput!) {
  replayDeadLetters(input: $input) { replayed stillFailing { id stage reason } userErrors { code path } }
}`;

eachEngine('events subgraph', (open) => {
  it('answers every field of an event', async () => {
    const db = await open();
    const seeded = await seed(db);
    const { run, deliver } = start(db);
    await deliver(seeded, { id: 'e1', device: 'cam-1', site: 'lobby', state: 'OFFLINE', at: NOON - 1_000 });
    await deliver(seeded, { id: 'e1', device: 'cam-1', site: 'lobby', state: 'OFFLINE', at: NOON - 1_000 });
    await deliver(seeded, { id: 'e1', device: 'cam-1', site: 'lobby', state: 'ONLINE', at: NOON - 1_000 });
    const { data, errors } = await run(`{ events { totalCount nodes {
      __typename type family severity occurredAt receivedAt clockSkewMs late vendorEventId duplicateCount origin summary
      org { __typename id } site { __typename id } device { __typename id } integration { __typename id }
      media { id } raw ... on HealthEvent { previousState state reason } } } }`);
    expect(errors).toBeUndefined();
    expect(data.events).toEqual({
      totalCount: 1,
      nodes: [
        {
          __typename: 'HealthEvent',
          type: 'health.reported',
          family: 'HEALTH',
          severity: 'WARNING',
          occurredAt: new Date(NOON - 1_000).toISOString(),
          receivedAt: new Date(NOON).toISOString(),
          clockSkewMs: null,
          late: false,
          vendorEventId: 'e1',
          // Once as a delivery, once as an event in another delivery.
          duplicateCount: 2,
          origin: 'WEBHOOK',
          summary: 'cam-1 is OFFLINE',
          org: { __typename: 'Org', id: 'org_a' },
          site: { __typename: 'Site', id: 'site_a' },
          device: { __typename: 'Device', id: seeded.device('cam-1') },
          integration: { __typename: 'Integration', id: 'int_a' },
          media: [],
          raw: expect.objectContaining({ id: 'e1', device: 'cam-1', state: 'OFFLINE' }),
          previousState: 'UNKNOWN',
          state: 'OFFLINE',
          reason: 'REPORTED',
        },
      ],
    });
  });

  it.each([
    ['HEALTH', 'HealthEvent', '... on HealthEvent { state }'],
    ['ALARM', 'AlarmEvent', '... on AlarmEvent { actors { kind confidence } restoral deepLink zone }'],
    ['ACCESS', 'AccessEvent', '... on AccessEvent { outcome personName }'],
    ['VIDEO', 'VideoEvent', '... on VideoEvent { fault }'],
    ['SENSOR', 'SensorEvent', '... on SensorEvent { metadata }'],
    ['SYSTEM', 'SystemEvent', '... on SystemEvent { detail }'],
    ['SUPERVISION', 'SupervisionEvent', '... on SupervisionEvent { intervalSeconds }'],
    ['COMMAND', 'SystemEvent', '... on SystemEvent { detail }'],
    ['INVENTORY', 'InventoryEvent', '... on InventoryEvent { change }'],
  ] as const)(
    'gives family %s the type %s, also where the platform told nothing but that',
    async (family, type, own) => {
      const db = await open();
      const seeded = await seed(db);
      const { run, deliver } = start(db);
      await deliver(seeded, { id: 'e1', family });
      const { data, errors } = await run(`{ events { nodes { __typename id ${own} } } }`);
      expect(errors).toBeUndefined();
      expect(data.events.nodes).toMatchObject([{ __typename: type }]);
      const { id } = data.events.nodes[0];
      const entity = await run(ENTITIES, { representations: [{ __typename: type, id }] });
      expect(entity.data._entities).toMatchObject([{ __typename: type, id, vendorEventId: 'e1' }]);
    },
  );

  it('pages the newest first by when it happened, each event once', async () => {
    const db = await open();
    const seeded = await seed(db);
    const { run, deliver } = start(db);
    const order = [5, 1, 9, 9, 3, 7, 2];
    for (const [i, at] of order.entries())
      await deliver(seeded, { id: `e${i}`, device: 'cam-1', at: NOON - at * 1_000 });
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { data, errors } = await run(PAGE, { first: 2, after });
      expect(errors).toBeUndefined();
      expect(data.events.totalCount).toBe(7);
      expect(data.events.pageInfo.hasPreviousPage).toBe(after !== null);
      expect(data.events.edges.map((edge: { cursor: string }) => edge.cursor)).toEqual(
        data.events.nodes.map((node: { cursor: string }) => node.cursor),
      );
      seen.push(...data.events.nodes.map((node: { vendorEventId: string }) => node.vendorEventId));
      after = data.events.pageInfo.hasNextPage ? data.events.pageInfo.endCursor : null;
    } while (after !== null);
    expect(seen).toEqual(['e1', 'e6', 'e4', 'e0', 'e5', 'e3', 'e2']);
  });

  it.each([
    [{ first: 501 }, 'PAGE_TOO_LARGE'],
    [{ first: -1 }, 'BAD_USER_INPUT'],
    [{ after: 'nonsense' }, 'BAD_CURSOR'],
    [{ filter: { siteIds: Array<string>(501).fill('site_a') } }, 'BAD_USER_INPUT'],
  ])('refuses the page %j', async (variables, code) => {
    const { run } = start(await open());
    const { errors } = await run(PAGE, variables);
    expect(errors).toMatchObject([{ extensions: { code } }]);
  });

  it('pages the events of many devices in few statements', async () => {
    const db = await open();
    const devices = Array.from({ length: 60 }, (_, i) => `cam-${i}`);
    const seeded = await seed(db, { devices });
    const { run, deliver } = start(db);
    await deliver(
      seeded,
      ...devices.flatMap((device) => [1, 2, 3].map((n) => ({ id: `${device}-${n}`, device, at: NOON + n }))),
    );
    const representations = devices.map((device) => ({ __typename: 'Device', id: seeded.device(device) }));
    const { data, errors } = await run(
      ENTITIES.replace('totalCount nodes { vendorEventId }', 'nodes { vendorEventId }'),
      {
        representations: [...representations, { __typename: 'Device', id: 'dev_unknown' }],
        first: 2,
      },
    );
    expect(errors).toBeUndefined();
    expect(data._entities).toHaveLength(61);
    for (const [i, device] of devices.entries()) {
      expect(data._entities[i].events.nodes.map((node: { vendorEventId: string }) => node.vendorEventId)).toEqual([
        `${device}-3`,
        `${device}-2`,
      ]);
      expect(data._entities[i].events.pageInfo.hasNextPage).toBe(true);
    }
    expect(data._entities[60].events.nodes).toEqual([]);
  });

  it('streams what happens, and resumes after a cursor of a page', async () => {
    const db = await open();
    const seeded = await seed(db);
    const { run, listen, deliver } = start(db);
    await deliver(seeded, { id: 'before', device: 'cam-1', state: 'OFFLINE' });
    const page = await run(PAGE);
    await deliver(seeded, { id: 'missed', device: 'cam-1', state: 'ONLINE', at: NOON + 1 });
    const document = `subscription ($after: String) { events(after: $after, filter: { families: [HEALTH] }) {
      __typename ... on EventDelivered { replayed cursor event { vendorEventId device { id } } } ... on ReplayComplete { replayedCount } } }`;
    const stream = await listen(document, { after: page.data.events.nodes[0].cursor });
    if (!(Symbol.asyncIterator in stream)) throw new Error(JSON.stringify(stream));
    const items = [await stream.next(), await stream.next()];
    await deliver(seeded, { id: 'live', device: 'cam-2', state: 'ONLINE' });
    items.push(await stream.next());
    expect(items.map(({ value }) => dataOf(value).events)).toMatchObject([
      { __typename: 'EventDelivered', replayed: true, event: { vendorEventId: 'missed' } },
      { __typename: 'ReplayComplete', replayedCount: 1 },
      {
        __typename: 'EventDelivered',
        replayed: false,
        event: { vendorEventId: 'live', device: { id: seeded.device('cam-2') } },
      },
    ]);
    await stream.return();
  });

  it('tells changes of status with their cause', async () => {
    const db = await open();
    const seeded = await seed(db);
    const { listen, deliver } = start(db);
    const stream = await listen(`subscription { deviceStatusChanged(filter: { types: [CAMERA] }) {
      cursor previous current at device { id } cause { __typename id vendorEventId } } }`);
    if (!(Symbol.asyncIterator in stream)) throw new Error(JSON.stringify(stream));
    await deliver(seeded, { id: 'e1', device: 'cam-1', state: 'OFFLINE', at: NOON });
    const { value } = await stream.next();
    expect(dataOf(value).deviceStatusChanged).toMatchObject({
      previous: 'UNKNOWN',
      current: 'OFFLINE',
      at: new Date(NOON).toISOString(),
      device: { id: seeded.device('cam-1') },
      cause: { __typename: 'HealthEvent', vendorEventId: 'e1' },
    });
  });

  it('tells that an integration moved', async () => {
    const db = await open();
    const seeded = await seed(db);
    const { listen, deliver } = start(db);
    const document = 'subscription ($org: ID!) { integrationHealthChanged(orgId: $org) { __typename id } }';
    const stream = await listen(document, { org: 'org_a' });
    if (!(Symbol.asyncIterator in stream)) throw new Error(JSON.stringify(stream));
    await deliver(seeded, { id: 'e1', device: 'cam-1' });
    const { value } = await stream.next();
    expect(dataOf(value).integrationHealthChanged).toEqual({
      __typename: 'Integration',
      id: 'int_a',
    });
  });

  it('lists dead letters with what would mend them, and without secrets', async () => {
    const db = await open();
    const seeded = await seed(db);
    const { run, deliver } = start(db);
    await deliver(seeded, { id: 'e1', device: 'cam-1', site: 'attic' });
    const refusals = createRefusals({ db, logger: quiet, consultation: { examine: () => Promise.resolve(null) } });
    refusals.note({
      orgId: 'org_a',
      integrationId: 'int_a',
      stage: 'SIGNATURE',
      reason: 'no current secret made its signature',
      receivedAt: NOON,
      headers: '{}',
      body: Buffer.from('{"password":"hunter2","x":"' + 'y'.repeat(5_000)),
      evidence: null,
    });
    await refusals.close();
    const { data, errors } = await run(ENTITIES, { representations: [{ __typename: 'Integration', id: 'int_a' }] });
    expect(errors).toBeUndefined();
    const [{ deadLetters }] = data._entities;
    expect(deadLetters).toMatchObject({
      totalCount: 2,
      nodes: [
        { stage: 'SIGNATURE', attempts: 0 },
        {
          stage: 'BINDING',
          attempts: 1,
          headers: { 'user-agent': 'acme' },
          diagnosis: [expect.stringContaining('bindSite')],
        },
      ],
    });
    expect(JSON.stringify(deadLetters)).not.toMatch(/hunter2|hidden/);
    expect(deadLetters.nodes[0].bodyPreview.length).toBeLessThanOrEqual(1_025);
    const ids = deadLetters.nodes.map(({ id }: { id: string }) => id);
    const entities = await run(ENTITIES, {
      representations: ids.map((id: string) => ({ __typename: 'DeadLetter', id })),
    });
    expect(entities.data._entities).toMatchObject([{ id: ids[0], stage: 'SIGNATURE' }, { id: ids[1] }]);
  });

  it('pages dead letters, and takes a cursor of one integration for no other', async () => {
    const db = await open();
    const seeded = await seed(db);
    await seed(db, { name: 'b' });
    const { run, deliver } = start(db);
    for (let i = 0; i < 3; i++) await deliver(seeded, { id: `e${i}`, site: 'attic' });
    const of = (id: string, after: string | null) =>
      run(ENTITIES, { representations: [{ __typename: 'Integration', id }], first: 2, after });
    const first = (await of('int_a', null)).data._entities[0].deadLetters;
    expect(first).toMatchObject({ totalCount: 3, pageInfo: { hasNextPage: true } });
    const second = (await of('int_a', first.pageInfo.endCursor)).data._entities[0].deadLetters;
    expect(second.nodes).toHaveLength(1);
    expect(second.pageInfo.hasNextPage).toBe(false);
    const foreign = await of('int_b', first.pageInfo.endCursor);
    expect(foreign.errors).toMatchObject([{ extensions: { code: 'BAD_CURSOR' } }]);
  });

  it('replays dead letters after the repair, by filter and by id, and adds nothing the second time', async () => {
    const db = await open();
    const seeded = await seed(db);
    const { run, deliver } = start(db);
    await deliver(seeded, { id: 'e1', device: 'cam-1', site: 'attic', at: NOON - 9_000 });
    await deliver(seeded, { id: 'e2', device: 'cam-9', site: 'lobby' });
    const who = principal(EVERYTHING, ['events:read', 'integrations:write']);
    const before = await run(REPLAY, { input: { integrationId: 'int_a' } }, who);
    expect(before.data.replayDeadLetters).toMatchObject({
      replayed: 0,
      stillFailing: [{ stage: 'BINDING' }, { stage: 'MAPPING' }],
      userErrors: [],
    });
    await bind(db, seeded.integration, 'attic', seeded.siteId);
    await addDevice(db, seeded.integration, 'cam-9', seeded.siteId);
    const { id } = before.data.replayDeadLetters.stillFailing[1];
    const byId = await run(REPLAY, { input: { integrationId: 'int_a', ids: [id, 'dead_none'] } }, who);
    expect(byId.data.replayDeadLetters).toMatchObject({ replayed: 1, stillFailing: [] });
    const input = { integrationId: 'int_a', filter: { stages: ['BINDING', 'MAPPING'] } };
    expect((await run(REPLAY, { input }, who)).data.replayDeadLetters).toMatchObject({ replayed: 1, stillFailing: [] });
    expect((await run(REPLAY, { input }, who)).data.replayDeadLetters).toMatchObject({ replayed: 0, stillFailing: [] });
    const { data } = await run('{ events { totalCount nodes { vendorEventId occurredAt duplicateCount } } }');
    expect(data.events).toMatchObject({
      totalCount: 2,
      nodes: [{ vendorEventId: 'e2' }, { occurredAt: new Date(NOON - 9_000).toISOString(), duplicateCount: 0 }],
    });
  });

  it.each([
    ['events:read only', EVERYTHING, ['events:read'], 'FORBIDDEN'],
    ['another org', { orgIds: ['org_b'], siteIds: null }, ['integrations:write'], 'NOT_FOUND'],
    ['one site', { orgIds: ['org_a'], siteIds: ['site_a'] }, ['integrations:write'], 'FORBIDDEN'],
  ] as const)('replays nothing for a principal with %s', async (_, access, scopes, code) => {
    const db = await open();
    const seeded = await seed(db);
    const { run, deliver } = start(db);
    await deliver(seeded, { id: 'e1', site: 'attic' });
    const { data } = await run(REPLAY, { input: { integrationId: 'int_a' } }, principal(access, scopes));
    expect(data.replayDeadLetters).toMatchObject({ replayed: 0, stillFailing: [], userErrors: [{ code }] });
  });

  it.each([
    ['another org', { orgIds: ['org_b'], siteIds: null }],
    ['no org', { orgIds: [], siteIds: null }],
    ['another site of the same org', { orgIds: ['org_a'], siteIds: ['site_a2'] }],
  ])('shows a principal of %s nothing, whichever way it asks', async (_, access) => {
    const db = await open();
    const seeded = await seed(db);
    const { run, deliver } = start(db);
    await deliver(seeded, { id: 'e1', device: 'cam-1', site: 'lobby', state: 'OFFLINE' });
    await deliver(seeded, { id: 'e2', site: 'attic' });
    const all = await run(PAGE);
    const { id, cursor } = all.data.events.nodes[0];
    const letters = await run(ENTITIES, { representations: [{ __typename: 'Integration', id: 'int_a' }] });
    const letterId = letters.data._entities[0].deadLetters.nodes[0].id;
    const who = principal(access);
    const nothing = { totalCount: 0, nodes: [] };
    const filters = [
      {},
      { orgId: 'org_a' },
      { siteIds: ['site_a'] },
      { deviceIds: [seeded.device('cam-1')] },
      { integrationIds: ['int_a'] },
    ];
    for (const filter of filters) expect((await run(PAGE, { filter }, who)).data.events).toMatchObject(nothing);
    const representations = [
      { __typename: 'HealthEvent', id },
      { __typename: 'DeadLetter', id: letterId },
      { __typename: 'Device', id: seeded.device('cam-1') },
      { __typename: 'Integration', id: 'int_a' },
    ];
    const entities = await run(ENTITIES, { representations }, who);
    expect(entities.data._entities).toMatchObject([null, null, { events: nothing }, { deadLetters: nothing }]);
    // Even a cursor that came from somewhere else opens nothing.
    expect((await run(PAGE, { after: cursor }, who)).data.events).toMatchObject(nothing);
  });

  it.each([
    ['query', '{ events { totalCount } }'],
    ['subscription', 'subscription { events { __typename } }'],
    ['subscription', 'subscription { deviceStatusChanged { cursor } }'],
    ['subscription', 'subscription { integrationHealthChanged(orgId: "org_a") { id } }'],
  ])('refuses a %s without events:read', async (kind, source) => {
    const { run, listen } = start(await open());
    const who = principal(EVERYTHING, ['inventory:read', 'integrations:write']);
    const result = kind === 'query' ? await run(source, {}, who) : await listen(source, {}, who);
    expect(result).toMatchObject({ errors: [{ extensions: { code: 'FORBIDDEN', scope: 'events:read' } }] });
  });
});
