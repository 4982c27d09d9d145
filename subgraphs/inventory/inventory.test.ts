import { expect, it } from 'vitest';
import type { SyncService } from '../../pipeline/sync/service.ts';
import { deviceId } from '../../storage/ids.ts';
import { createCursorCodec } from '../../storage/cursor.ts';
import {
  countStatements,
  deviceRow,
  FIXTURE_AT,
  insertFixture,
  integrationRow,
  orgRow,
  siteRow,
  syncRunRow,
} from '../../storage/fixtures/directory-rows.ts';
import { eachEngine } from '../../storage/testing.ts';
import { ask, principal } from '../fixtures/ask.ts';
import { acme, insertWorld } from '../fixtures/world.ts';
import { createInventorySubgraph } from './index.ts';

const cursors = createCursorCodec(new Uint8Array(32));
const admin = principal({});
const sync: SyncService = {
  async syncIntegration(_, { integrationId }) {
    const run = syncRunRow('run_new', integrationRow(integrationId, 'org_a'), { state: 'RUNNING', finished_at: null });
    return { run, userErrors: [] };
  },
};

const PAGE = /* GraphQL */ `
  query InventoryPage($org: ID!, $siteIds: [ID!], $after: String) {
    devices(first: 100, after: $after, filter: { orgId: $org, siteIds: $siteIds }, orderBy: { field: NAME, direction: ASC }) {
      totalCount
      pageInfo { hasNextPage endCursor }
      nodes {
        id name type vendor network { macAddresses ip hostname } model firmware
        externalIds { namespace value }
        site { id } zone { id } integration { id } system parent { name } children(first: 5) { totalCount nodes { name } }
        source { __typename integrationId nativeId }
        status { state since lastSeenAt observedAt stale }
        lifecycle { warrantyExpiresAt endOfSupportAt }
      }
      facets(fields: [TYPE, SITE]) { field buckets { key count } }
      sources { integration { id } freshness ageSeconds error { code message } }
    }
  }
`;

eachEngine('inventory subgraph', (openDb) => {
  async function open() {
    const db = await openDb();
    await insertWorld(db);
    return createInventorySubgraph({ db, cursors, sync, now: () => FIXTURE_AT }, [acme]);
  }

  it('answers a page of a hundred devices with a fixed number of statements', async () => {
    const opened = await openDb();
    const integrations = Array.from({ length: 5 }, (_, index) => integrationRow(`int_${index}`, 'org_a'));
    const devices = integrations.flatMap((integration) =>
      Array.from({ length: 20 }, (_, index) =>
        deviceRow(integration, `n${index}`, {
          site_id: `site_${index % 4}`,
          parent_id: index === 0 ? null : deviceId(integration.id, 'n0'),
        }),
      ),
    );
    const sites = Array.from({ length: 4 }, (_, index) => siteRow(`site_${index}`, 'org_a'));
    await insertFixture(opened, { orgs: [orgRow('org_a')], sites, integrations, devices });
    const { db, take } = countStatements(opened);
    const subgraph = createInventorySubgraph({ db, cursors, sync, now: () => FIXTURE_AT }, [acme]);

    const hundred = await ask(subgraph, admin, PAGE, { org: 'org_a' });
    const statements = take();
    expect(hundred.errors).toEqual([]);
    expect(hundred.data.devices.nodes).toHaveLength(100);
    expect(hundred.data.devices.totalCount).toBe(100);
    // Page, count, two facets and the names of sites, sources, external ids, freshness, parents, children and their
    // count: eleven; and the revision, which those of one tick share.
    expect(statements).toBeLessThanOrEqual(15);
  });

  it('answers the devices and health of many sites with as many statements as of two', async () => {
    const opened = await openDb();
    const integration = integrationRow('int_a', 'org_a');
    const sites = Array.from({ length: 50 }, (_, index) => siteRow(`site_${index}`, 'org_a'));
    const devices = sites.map(({ id }) => deviceRow(integration, id, { site_id: id }));
    await insertFixture(opened, { orgs: [orgRow('org_a')], sites, integrations: [integration], devices });
    const { db, take } = countStatements(opened);
    const subgraph = createInventorySubgraph({ db, cursors, sync, now: () => FIXTURE_AT }, [acme]);
    const query = `query ($sites: [_Any!]!) { _entities(representations: $sites) { ... on Site {
      id health { total } devices(first: 3) { totalCount nodes { name } facets(fields: [MODEL]) { buckets { count } } sources { freshness } } } } }`;
    const count = async (size: number) => {
      const representations = sites.slice(0, size).map(({ id }) => ({ __typename: 'Site', id }));
      const { data, errors } = await ask(subgraph, admin, query, { sites: representations });
      expect(errors).toEqual([]);
      expect(data._entities.map((site: { devices: { totalCount: number } }) => site.devices.totalCount)).toEqual(
        Array.from({ length: size }, () => 1),
      );
      return take();
    };
    expect(await count(50)).toBe(await count(2));
  });

  it('answers where a device stands, and with nothing where nobody tells', async () => {
    const db = await openDb();
    await insertWorld(db);
    const place = { latitude: 55.676098, longitude: -12.5 };
    await db.write((tx) => tx.updateTable('devices').set(place).where('native_id', '=', 'a_near_child').execute());
    const subgraph = createInventorySubgraph({ db, cursors, sync, now: () => FIXTURE_AT }, [acme]);
    const { data } = await ask(
      subgraph,
      admin,
      `{ deviceByExternalId(namespace: "acme-vms:device-id", value: "a_near_child") {
        coordinates { latitude longitude } parent { coordinates { latitude } } } }`,
    );
    expect(data.deviceByExternalId).toEqual({ coordinates: place, parent: { coordinates: null } });
  });

  it('answers with everything that a device has', async () => {
    const subgraph = await open();
    const { data, errors } = await ask(
      subgraph,
      admin,
      `{ deviceByExternalId(namespace: "acme-vms:device-id", value: "a_near_child") {
        name type vendor vendorType externalIds { namespace value integration { id } } network { macAddresses ip hostname }
        model firmware serialNumber site { id } zone { id } integration { id } parent { name type } children { totalCount }
        status { state reason since lastSeenAt observedAt stale vendorState } telemetry { batteryPercent armed observedAt }
        lifecycle { endOfSupportAt } capabilities tags source { __typename integrationId nativeId ... on AcmeVmsDevice { nativeId } }
        firstSeenAt updatedAt removedAt } }`,
    );
    expect(errors).toEqual([]);
    const at = new Date(FIXTURE_AT).toISOString();
    expect(data.deviceByExternalId).toEqual({
      name: 'a_near_child',
      type: 'CAMERA',
      vendor: 'ACME_VMS',
      vendorType: null,
      externalIds: [{ namespace: 'acme-vms:device-id', value: 'a_near_child', integration: { id: 'int_a_shared' } }],
      network: { macAddresses: ['00:00:00:00:00:01'], ip: null, hostname: null },
      model: 'model-a_near',
      firmware: 'firmware-a_near',
      serialNumber: null,
      site: { id: 'site_a_near' },
      zone: { id: 'zone_a_near' },
      integration: { id: 'int_a_shared' },
      parent: { name: 'a_near_panel', type: 'PANEL' },
      children: { totalCount: 0 },
      status: {
        state: 'OFFLINE',
        reason: null,
        since: at,
        lastSeenAt: null,
        observedAt: at,
        stale: false,
        vendorState: null,
      },
      telemetry: { batteryPercent: 82, armed: null, observedAt: at },
      lifecycle: null,
      capabilities: ['SIREN', 'EMITS_HEALTH'],
      tags: ['tag-a_near'],
      source: { __typename: 'AcmeVmsDevice', integrationId: 'int_a_shared', nativeId: 'a_near_child' },
      firstSeenAt: at,
      updatedAt: at,
      removedAt: null,
    });
  });

  it('has no source and no vendor of its own for a device whose vendor is not deployed', async () => {
    const subgraph = await open();
    const id = deviceId('int_a_far', 'a_far_b');
    const { data } = await ask(subgraph, admin, `query ($id: ID!) { device(id: $id) { vendor source { nativeId } } }`, {
      id,
    });
    expect(data.device).toEqual({ vendor: 'OTHER', source: null });
  });

  it('pages through changes and aggregates', async () => {
    const subgraph = await open();
    const { data, errors } = await ask(
      subgraph,
      admin,
      `{ inventoryChanges(orgId: "org_a", first: 1) { resetRequired pageInfo { hasNextPage endCursor } edges { cursor }
           nodes { cursor kind at deviceId fields { name before after } device { id } } }
         deviceAggregate(groupBy: [VENDOR], filter: { orgId: "org_a" }) { keys { field value } count health { total worst asOf } } }`,
    );
    expect(errors).toEqual([]);
    const [change] = data.inventoryChanges.nodes;
    expect(change).toMatchObject({
      kind: 'UPDATED',
      deviceId: 'dev_a_near',
      device: null,
      fields: [{ name: 'name', before: 'a_near old', after: 'a_near' }],
    });
    expect(data.inventoryChanges.pageInfo).toEqual({ hasNextPage: true, endCursor: change.cursor });
    expect(
      data.deviceAggregate.map((row: { keys: { value: string }[]; count: number }) => [row.keys[0]?.value, row.count]),
    ).toEqual([
      ['ACME_VMS', 3],
      ['OTHER', 2],
    ]);
  });

  it('shows sync runs and starts one', async () => {
    const subgraph = await open();
    const runs = `query ($r: [_Any!]!) { _entities(representations: $r) { ... on Integration { syncRuns(first: 5) { totalCount
      nodes { id trigger state startedAt finishedAt listed errors { code message path hint } } } } } }`;
    const { data, errors } = await ask(subgraph, admin, runs, {
      r: [{ __typename: 'Integration', id: 'int_a_shared' }],
    });
    expect(errors).toEqual([]);
    expect(data._entities[0].syncRuns).toMatchObject({
      totalCount: 1,
      nodes: [{ state: 'SUCCEEDED', listed: 4, errors: [{ code: 'TIMEOUT', path: null }] }],
    });
    const started = await ask(
      subgraph,
      admin,
      `mutation { syncIntegration(input: { integrationId: "int_a_shared", idempotencyKey: "k" }) { run { id state finishedAt } userErrors { code } } }`,
    );
    expect(started.data.syncIntegration).toEqual({
      run: { id: 'run_new', state: 'RUNNING', finishedAt: null },
      userErrors: [],
    });
  });

  it.each([
    ['devices', '{ devices(first: 501) { totalCount } }', 'PAGE_TOO_LARGE'],
    ['devices', '{ devices(after: "x") { totalCount } }', 'BAD_CURSOR'],
    ['inventoryChanges', '{ inventoryChanges(orgId: "org_a", after: "x") { resetRequired } }', 'BAD_CURSOR'],
    ['deviceAggregate', '{ deviceAggregate(groupBy: []) { count } }', 'BAD_USER_INPUT'],
  ])('refuses bad input of %s with a stable code', async (_, query, code) => {
    const subgraph = await open();
    expect((await ask(subgraph, admin, query)).errors.map((error) => error.code)).toEqual([code]);
  });

  it.each([
    '{ device(id: "x") { id } }',
    '{ devices { totalCount } }',
    '{ deviceByExternalId(namespace: "x", value: "y") { id } }',
    '{ deviceAggregate(groupBy: [TYPE]) { count } }',
    '{ inventoryChanges(orgId: "org_a") { resetRequired } }',
    '{ _entities(representations: [{ __typename: "Device", id: "x" }]) { __typename } }',
    '{ _entities(representations: [{ __typename: "Site", id: "x" }]) { ... on Site { health { total } } } }',
    '{ _entities(representations: [{ __typename: "Org", id: "x" }]) { ... on Org { devices { totalCount } } } }',
    '{ _entities(representations: [{ __typename: "Integration", id: "x" }]) { ... on Integration { syncRuns { totalCount } } } }',
  ])('needs inventory:read for %s', async (query) => {
    const subgraph = await open();
    const { errors } = await ask(subgraph, principal({ scopes: ['events:read', 'integrations:write'] }), query);
    expect(errors.map((error) => error.code)).toEqual(['FORBIDDEN']);
    expect((await ask(subgraph, principal({ scopes: ['inventory:read'] }), query)).errors).toEqual([]);
  });
});
