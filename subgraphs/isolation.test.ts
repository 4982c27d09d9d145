import { expect, it } from 'vitest';
import type { Principal } from '../schema/principal.ts';
import type { Subgraph } from '../schema/subgraph.ts';
import { createCursorCodec } from '../storage/cursor.ts';
import { FIXTURE_AT } from '../storage/fixtures/directory-rows.ts';
import { deviceId } from '../storage/ids.ts';
import { eachEngine } from '../storage/testing.ts';
import { createDirectorySubgraph } from './directory/index.ts';
import { ask, principal } from './fixtures/ask.ts';
import { noIntegrations, noSync } from './fixtures/no-services.ts';
import { acme, insertWorld } from './fixtures/world.ts';
import { createInventorySubgraph } from './inventory/index.ts';

// No principal sees a row, count, facet, cursor or error text of an org or site outside of its scope: what is foreign
// answers exactly as what does not exist, and no answer to a question about everything names it.

const cursors = createCursorCodec(new Uint8Array(32));

const ORG = `id name customerRef externalIds { value }
  maintenanceWindows { reason }
  sites { totalCount nodes { name address externalIds { value } zones { name } integrations { name } } }
  integrations { totalCount nodes { name bindings { vendorSiteId site { name } } health { events24h rejected24h deadLettersOpen lagSeconds } webhook { secrets { hint } } } }`;
const DEVICES = `totalCount nodes { id name model tags network { macAddresses } site { id } zone { id } parent { name } children { totalCount nodes { name } } externalIds { value } status { stale flapping pendingState suppressedBy { name } maintenance { id } evidence { integration { id } } } }
  pageInfo { hasNextPage startCursor endCursor }
  facets(fields: [SITE, MODEL, FIRMWARE, TAG, TYPE, VENDOR, STATE]) { field buckets { key label count } }
  sources { integration { id } freshness ageSeconds observedAt error { message } }`;

/** Questions with an id in them: `$id` is of the kind that the title says. */
const BY_ID: readonly (readonly [
  title: string,
  graph: 'directory' | 'inventory',
  ids: readonly [string, string],
  query: string,
])[] = [
  ['org', 'directory', ['org_a', 'org_none'], `query ($id: ID!) { org(id: $id) { ${ORG} } }`],
  ['site', 'directory', ['site_a_far', 'site_none'], `query ($id: ID!) { site(id: $id) { id name org { name } } }`],
  ['integration', 'directory', ['int_a_far', 'int_none'], `query ($id: ID!) { integration(id: $id) { id name } }`],
  ...['Org', 'Site', 'Zone', 'Integration'].map((type, index) => {
    const ids = [
      ['org_a', 'org_n'],
      ['site_a_far', 'site_n'],
      ['zone_a_far', 'zone_n'],
      ['int_a_far', 'int_n'],
    ] as const;
    return [
      `_entities of ${type}`,
      'directory',
      ids[index] ?? ids[0],
      `query ($id: ID!) { _entities(representations: [{ __typename: "${type}", id: $id }]) { ... on ${type} { name } } }`,
    ] as const;
  }),
  [
    'device',
    'inventory',
    [deviceId('int_a_far', 'a_far_b'), 'dev_none'],
    `query ($id: ID!) { device(id: $id) { id name } }`,
  ],
  [
    'deviceByExternalId',
    'inventory',
    ['a_far_a', 'none'],
    `query ($id: String!) { deviceByExternalId(namespace: "acme-vms:device-id", value: $id) { id } }`,
  ],
  [
    '_entities of Device',
    'inventory',
    [deviceId('int_a_far', 'a_far_b'), 'dev_n'],
    `query ($id: ID!) { _entities(representations: [{ __typename: "Device", id: $id }]) { ... on Device { name } } }`,
  ],
  [
    'devices of a filter on an org',
    'inventory',
    ['org_a', 'org_none'],
    `query ($id: ID!) { devices(filter: { orgId: $id }) { ${DEVICES} } }`,
  ],
  [
    'devices of a filter on a site',
    'inventory',
    ['site_a_far', 'site_none'],
    `query ($id: ID!) { devices(filter: { siteIds: [$id] }) { ${DEVICES} } }`,
  ],
  [
    'devices of a filter on an integration',
    'inventory',
    ['int_a_far', 'int_none'],
    `query ($id: ID!) { devices(filter: { integrationIds: [$id] }) { ${DEVICES} } }`,
  ],
  [
    'devices of a search',
    'inventory',
    ['a_far', 'a_none'],
    `query ($id: String!) { devices(search: $id) { ${DEVICES} } }`,
  ],
  [
    'devices of a tag',
    'inventory',
    ['tag-a_far', 'tag-none'],
    `query ($id: String!) { devices(filter: { tagsAny: [$id] }) { ${DEVICES} } }`,
  ],
  [
    'deviceAggregate',
    'inventory',
    ['site_a_far', 'site_none'],
    `query ($id: ID!) { deviceAggregate(groupBy: [SITE, MODEL], filter: { siteIds: [$id] }) { count keys { value } health { total } } }`,
  ],
  [
    'devices and health of Site',
    'inventory',
    ['site_a_far', 'site_none'],
    `query ($id: ID!) { _entities(representations: [{ __typename: "Site", id: $id }]) { ... on Site { health { total worst } devices { ${DEVICES} } } } }`,
  ],
  [
    'availability of Site',
    'inventory',
    ['site_a_far', 'site_none'],
    `query ($id: ID!) { _entities(representations: [{ __typename: "Site", id: $id }]) { ... on Site { availability(window: { last: "P1D" }) { calculation unknownSeconds } } } }`,
  ],
  [
    'history and availability of Device',
    'inventory',
    [deviceId('int_a_far', 'a_far_b'), 'dev_none'],
    `query ($id: ID!) { device(id: $id) { statusHistory(window: { last: "P1D" }) { totalCount } availability(window: { last: "P1D" }) { calculation } } }`,
  ],
  [
    'maintenance windows of Site',
    'directory',
    ['site_a_far', 'site_none'],
    `query ($id: ID!) { site(id: $id) { maintenanceWindows { reason } } }`,
  ],
  [
    '_entities of MaintenanceWindow',
    'directory',
    ['mw_a_far', 'mw_none'],
    `query ($id: ID!) { _entities(representations: [{ __typename: "MaintenanceWindow", id: $id }]) { ... on MaintenanceWindow { reason from org { name } site { name } } } }`,
  ],
  [
    'sync runs of Integration',
    'inventory',
    ['int_a_shared', 'int_none'],
    `query ($id: ID!) { _entities(representations: [{ __typename: "Integration", id: $id }]) { ... on Integration { syncRuns { totalCount nodes { id listed errors { message } } } } } }`,
  ],
];

/** Also foreign for another org, not for a site of the same org. */
const BY_ORG_ID: typeof BY_ID = [
  [
    'devices and health of Org',
    'inventory',
    ['org_a', 'org_none'],
    `query ($id: ID!) { _entities(representations: [{ __typename: "Org", id: $id }]) { ... on Org { health { total worst } devices { ${DEVICES} } } } }`,
  ],
  [
    'inventoryChanges',
    'inventory',
    ['org_a', 'org_none'],
    `query ($id: ID!) { inventoryChanges(orgId: $id) { resetRequired nodes { cursor deviceId fields { before after } } pageInfo { hasNextPage startCursor } } }`,
  ],
];

/** Questions about everything in scope. */
const BROAD = {
  directory: `{ viewer { orgs { name } sites { name } } orgs { totalCount nodes { ${ORG} } } }`,
  inventory: `{ devices { ${DEVICES} } all: devices(filter: { includeRemoved: true, or: [{ not: { name: { eq: "x" } } }] }) { ${DEVICES} }
    deviceAggregate(groupBy: [SITE, MODEL, FIRMWARE]) { keys { value } count }
    a: inventoryChanges(orgId: "org_a") { nodes { deviceId fields { before after } } } b: inventoryChanges(orgId: "org_b") { nodes { deviceId fields { before after } } } }`,
} as const;

const orgB = principal({ orgIds: ['org_b'] });
const nearA = principal({ orgIds: ['org_a'], siteIds: ['site_a_near'] });
const nobody = principal({ orgIds: [] });
const siteOfAnotherOrg = principal({ orgIds: ['org_b'], siteIds: ['site_a_far', 'site_a_near'] });

eachEngine('isolation', (openDb) => {
  async function open(): Promise<Readonly<Record<'directory' | 'inventory', Subgraph>>> {
    const db = await openDb();
    await insertWorld(db);
    const now = () => FIXTURE_AT;
    return {
      directory: createDirectorySubgraph(
        { db, cursors, integrations: noIntegrations, publicUrl: new URL('https://x.example'), now },
        [acme],
      ),
      inventory: createInventorySubgraph({ db, cursors, sync: noSync, now }, [acme]),
    };
  }

  it('does not tell what is foreign from what does not exist', async () => {
    const graphs = await open();
    const strangers: readonly (readonly [string, Principal, typeof BY_ID])[] = [
      ['another org', orgB, [...BY_ID, ...BY_ORG_ID]],
      ['another site', nearA, BY_ID.filter(([, , [id]]) => id !== 'org_a')],
      ['no org', nobody, [...BY_ID, ...BY_ORG_ID]],
      ['a site without its org', siteOfAnotherOrg, [...BY_ID, ...BY_ORG_ID]],
    ];
    for (const [stranger, who, questions] of strangers) {
      for (const [title, graph, [foreign, unknown], query] of questions) {
        const answer = async (id: string) => {
          const { data, errors } = await ask(graphs[graph], who, query, { id });
          return { stranger, title, errors, data: JSON.stringify(data).replaceAll(id, '<id>') };
        };
        expect(await answer(foreign)).toEqual(await answer(unknown));
      }
    }
  });

  it('answers those questions to who may ask them', async () => {
    const graphs = await open();
    const who = principal({ orgIds: ['org_a'] });
    for (const [title, graph, [own, unknown], query] of [...BY_ID, ...BY_ORG_ID]) {
      const answer = async (id: string) =>
        JSON.stringify((await ask(graphs[graph], who, query, { id })).data).replaceAll(id, '<id>');
      expect({ title, text: await answer(own) }).not.toEqual({ title, text: await answer(unknown) });
    }
  });

  it('names nothing foreign in answers about everything', async () => {
    const graphs = await open();
    const texts = async (who: Principal) => {
      const answers = await Promise.all(
        (['directory', 'inventory'] as const).map((graph) => ask(graphs[graph], who, BROAD[graph])),
      );
      expect(answers.flatMap(({ errors }) => errors)).toEqual([]);
      return JSON.stringify(answers.map(({ data }) => data));
    };
    const b = await texts(orgB);
    expect(b).toContain('b_far');
    expect(b).not.toMatch(/a_(near|far|whole|shared)|org_a/);
    const near = await texts(nearA);
    expect(near).toContain('a_near');
    expect(near).not.toMatch(/a_far|a_whole|b_|org_b/);
    expect(await texts(nobody)).not.toMatch(/a_|b_/);
    expect(await texts(siteOfAnotherOrg)).not.toMatch(/a_|b_/);
  });

  it('counts for a site what belongs to the site', async () => {
    const { directory, inventory } = await open();
    const { data } = await ask(directory, nearA, `{ org(id: "org_a") { ${ORG} } }`);
    expect(data.org).toMatchObject({ name: 'org_a', customerRef: null, externalIds: [], sites: { totalCount: 1 } });
    expect(data.org.integrations.totalCount).toBe(1);
    expect(data.org.integrations.nodes[0].health).toEqual({
      events24h: 1,
      rejected24h: 0,
      deadLettersOpen: 0,
      lagSeconds: null,
    });
    const devices = (await ask(inventory, nearA, `{ devices { ${DEVICES} } }`)).data.devices;
    expect(devices.totalCount).toBe(2);
    const panel = devices.nodes.find(({ name }: { name: string }) => name === 'a_near_panel');
    // Its other child is at another site.
    expect(panel.children).toEqual({ totalCount: 1, nodes: [{ name: 'a_near_child' }] });
    for (const { buckets } of devices.facets) {
      expect(buckets.reduce((sum: number, { count }: { count: number }) => sum + count, 0)).toBe(2);
    }
  });

  it('hides a parent at another site', async () => {
    const { inventory } = await open();
    const far = principal({ orgIds: ['org_a'], siteIds: ['site_a_far'] });
    const { data } = await ask(
      inventory,
      far,
      `{ deviceByExternalId(namespace: "acme-vms:device-id", value: "a_far_a") { parent { name } } }`,
    );
    expect(data.deviceByExternalId).toEqual({ parent: null });
  });

  it('gives a cursor of one principal nothing of another', async () => {
    const { inventory } = await open();
    const query = `query ($after: String) { devices(first: 1, after: $after) { nodes { name } pageInfo { endCursor } } }`;
    const a = (await ask(inventory, principal({ orgIds: ['org_a'] }), query)).data.devices;
    const b = (await ask(inventory, orgB, query, { after: a.pageInfo.endCursor })).data.devices;
    expect(b.nodes[0].name).toMatch(/^b_/);
  });
});
