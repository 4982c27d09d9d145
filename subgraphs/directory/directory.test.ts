import { expect, it } from 'vitest';
import type { IntegrationService } from '../../pipeline/integrations/service.ts';
import { createCursorCodec } from '../../storage/cursor.ts';
import { createDirectoryStore } from '../../storage/directory-store.ts';
import {
  bindingRow,
  countStatements,
  FIXTURE_AT,
  insertFixture,
  integrationRow,
  orgRow,
  siteRow,
} from '../../storage/fixtures/directory-rows.ts';
import { eachEngine } from '../../storage/testing.ts';
import { ask, principal } from '../fixtures/ask.ts';
import { noIntegrations } from '../fixtures/no-services.ts';
import { acme, insertWorld } from '../fixtures/world.ts';
import { createDirectorySubgraph } from './index.ts';

const cursors = createCursorCodec(new Uint8Array(32));
const admin = principal({});
const publicUrl = new URL('https://graph.example.com');

const CREATE_ORG = `mutation ($input: CreateOrgInput!) { createOrg(input: $input) { org { id name customerRef externalIds { namespace value integration { id } } } userErrors { code path message } } }`;
const CREATE_SITE = `mutation ($input: CreateSiteInput!) { createSite(input: $input) { site { id name address timezone coordinates { latitude longitude } org { id } externalIds { value } } userErrors { code path message } } }`;

eachEngine('directory subgraph', (openDb) => {
  async function open(integrations: Partial<IntegrationService> = {}) {
    const db = await openDb();
    await insertWorld(db);
    const options = {
      db,
      cursors,
      publicUrl,
      integrations: { ...noIntegrations, ...integrations },
      quotaOf: (id: string) =>
        id === 'int_a_shared' ? { limit: 100, windowMs: 60_000, remaining: 7, resetsAt: FIXTURE_AT + 30_000 } : null,
      now: () => FIXTURE_AT,
    };
    return { db, subgraph: createDirectorySubgraph(options, [acme]) };
  }

  it('answers with an org, its sites and its integrations', async () => {
    const { subgraph } = await open();
    const { data, errors } = await ask(
      subgraph,
      admin,
      `{ org(id: "org_a") { id name customerRef externalIds { namespace value }
          sites(filter: { name: { contains: "FAR" } }, orderBy: { field: NAME }) { totalCount pageInfo { hasNextPage } edges { cursor node { name } }
            nodes { name address timezone coordinates { latitude longitude } org { id } externalIds { value } integrations { name }
              zones { name kind parent { name kind parent { id } } } } }
          integrations { totalCount nodes { name vendor state ingestMode version org { id } platform { __typename integrationId }
            bindings { vendorOrgId vendorSiteId vendorSiteName site { name } }
            quota { limit window remaining resetsAt } conformance { grade checkedAt checks { id title state detail } }
            webhook { url signatureProfile toleranceSeconds lastReceivedAt secrets { hint createdAt expiresAt lastUsedAt } }
            health { lastSyncAt lastSyncState lastEventAt events24h rejected24h deadLettersOpen lagSeconds silentFor expectedSilence silentSince
              reconcile { eventsByPush eventsByPoll missed repaired duplicates late lastFallbackAt } } } } } }`,
    );
    expect(errors).toEqual([]);
    expect(data.org).toMatchObject({
      customerRef: 'ref-a_whole',
      externalIds: [{ namespace: 'books', value: 'a_whole' }],
    });
    expect(data.org.sites).toMatchObject({ totalCount: 1, pageInfo: { hasNextPage: false } });
    expect(data.org.sites.nodes).toEqual([
      {
        name: 'site_a_far',
        address: 'address a_far',
        timezone: 'Europe/Berlin',
        coordinates: { latitude: 52.5, longitude: 13.4 },
        org: { id: 'org_a' },
        externalIds: [{ value: 'a_far' }],
        integrations: [{ name: 'int_a_far' }, { name: 'int_a_shared' }],
        zones: [
          { name: 'zone_a_far', kind: 'FLOOR', parent: { name: 'zone_a_far_top', kind: 'BUILDING', parent: null } },
          { name: 'zone_a_far_top', kind: 'BUILDING', parent: null },
        ],
      },
    ]);
    const [own, shared] = data.org.integrations.nodes;
    expect(own).toMatchObject({ vendor: 'OTHER', platform: null, webhook: null });
    expect(own.health).toMatchObject({ lastSyncAt: null, events24h: 0, lagSeconds: null, silentFor: null });
    expect(shared).toMatchObject({
      vendor: 'ACME_VMS',
      platform: { __typename: 'AcmeVmsPlatform', integrationId: 'int_a_shared' },
      bindings: [{ site: { name: 'site_a_far' } }, { site: { name: 'site_a_near' } }],
      webhook: {
        url: 'https://graph.example.com/webhooks/int_a_shared',
        signatureProfile: 'CONTRACT_V1',
        toleranceSeconds: 300,
        secrets: [{ hint: 'new3' }, { hint: 'old2', expiresAt: new Date(FIXTURE_AT + 1).toISOString() }],
      },
    });
    expect(shared.quota).toEqual({
      limit: 100,
      window: 'PT1M',
      remaining: 7,
      resetsAt: new Date(FIXTURE_AT + 30_000).toISOString(),
    });
    // Six of sixteen deliveries were refused.
    expect(shared.conformance).toMatchObject({ grade: 'NONE', checkedAt: new Date(FIXTURE_AT).toISOString() });
    expect(shared.conformance.checks).toContainEqual({
      id: 'accepted',
      title: 'Deliveries are signed and dated as agreed',
      state: 'FAIL',
      detail: '6 were refused (37.5 %).',
    });
    expect(own.quota).toBeNull();
    expect(shared.health).toEqual({
      lastSyncAt: new Date(FIXTURE_AT).toISOString(),
      lastSyncState: 'SUCCEEDED',
      lastEventAt: new Date(FIXTURE_AT - 60_000).toISOString(),
      events24h: 10,
      rejected24h: 6,
      deadLettersOpen: 2,
      lagSeconds: 9.997,
      silentFor: 'PT1M',
      expectedSilence: 'PT15M',
      silentSince: null,
      reconcile: {
        eventsByPush: 8,
        eventsByPoll: 2,
        missed: 4,
        repaired: 2,
        duplicates: 2,
        late: 2,
        lastFallbackAt: null,
      },
    });
  });

  it('tells nothing of a whole integration to who sees a part of its sites', async () => {
    const { subgraph } = await open();
    const who = principal({ scopes: ['inventory:read'], orgIds: ['org_a'], siteIds: ['site_a_near'] });
    const query = `{ integration(id: "int_a_shared") { id quota { limit } conformance { grade } health { reconcile { missed } } } }`;
    expect((await ask(subgraph, who, query)).data.integration).toEqual({
      id: 'int_a_shared',
      quota: null,
      conformance: null,
      health: { reconcile: null },
    });
  });

  it('answers fifty orgs and everything that hangs on them with as many statements as two', async () => {
    const opened = await openDb();
    const ids = Array.from({ length: 50 }, (_, index) => `${index}`.padStart(2, '0'));
    const integrations = ids.map((id) => integrationRow(`int_${id}`, `org_${id}`));
    await insertFixture(opened, {
      orgs: ids.map((id) => orgRow(`org_${id}`)),
      sites: ids.map((id) => siteRow(`site_${id}`, `org_${id}`)),
      integrations,
      bindings: integrations.map((integration, index) =>
        bindingRow(`bind_${index}`, integration, `site_${ids[index]}`),
      ),
    });
    const { db, take } = countStatements(opened);
    const subgraph = createDirectorySubgraph(
      { db, cursors, publicUrl, integrations: noIntegrations, now: () => FIXTURE_AT },
      [acme],
    );
    const count = async (first: number) => {
      const { data, errors } = await ask(
        subgraph,
        admin,
        `{ orgs(first: ${first}) { totalCount nodes { externalIds { value } sites(first: 5) { totalCount nodes { name timezone externalIds { value } integrations { name } zones { name } } }
            integrations(first: 5) { totalCount nodes { org { name } bindings { site { org { name } } } webhook { secrets { hint } } health { events24h deadLettersOpen lagSeconds } } } } } }`,
      );
      expect(errors).toEqual([]);
      expect(
        data.orgs.nodes.map(
          (org: { sites: { nodes: { integrations: unknown[] }[] } }) => org.sites.nodes[0]?.integrations.length,
        ),
      ).toEqual(Array.from({ length: first }, () => 1));
      return take();
    };
    expect(await count(50)).toBe(await count(2));
  });

  it('pages through orgs and sites by cursor', async () => {
    const { subgraph } = await open();
    const orgs = (after: string | null) =>
      ask(
        subgraph,
        admin,
        `query ($after: String) { orgs(first: 1, after: $after) { totalCount nodes { name } pageInfo { hasNextPage endCursor } } }`,
        { after },
      );
    const first = (await orgs(null)).data.orgs;
    const second = (await orgs(first.pageInfo.endCursor)).data.orgs;
    expect([first.nodes, second.nodes]).toEqual([[{ name: 'org_a' }], [{ name: 'org_b' }]]);
    expect([first.pageInfo.hasNextPage, second.pageInfo.hasNextPage]).toEqual([true, false]);
    const query = `query ($after: String) { org(id: "org_a") { sites(first: 1, after: $after, orderBy: { field: NAME, direction: DESC }) { nodes { name } pageInfo { endCursor } } } }`;
    const near = (await ask(subgraph, admin, query)).data.org.sites;
    const far = (await ask(subgraph, admin, query, { after: near.pageInfo.endCursor })).data.org.sites;
    expect([near.nodes, far.nodes]).toEqual([[{ name: 'site_a_near' }], [{ name: 'site_a_far' }]]);
    expect((await ask(subgraph, admin, query, { after: first.pageInfo.endCursor })).errors).toMatchObject([
      { code: 'BAD_CURSOR' },
    ]);
    expect((await ask(subgraph, admin, '{ orgs(first: 501) { totalCount } }')).errors).toMatchObject([
      { code: 'PAGE_TOO_LARGE' },
    ]);
  });

  it('tells who is asking', async () => {
    const { subgraph } = await open();
    const who = principal({ scopes: ['inventory:read'], orgIds: ['org_a'], siteIds: ['site_a_near'] });
    const query = `{ viewer { principal kind scopes orgs { name } sites { name } } }`;
    expect((await ask(subgraph, who, query)).data.viewer).toEqual({
      principal: 'tester',
      kind: 'USER',
      scopes: ['inventory:read'],
      orgs: [{ name: 'org_a' }],
      sites: [{ name: 'site_a_near' }],
    });
    expect((await ask(subgraph, admin, query)).data.viewer.sites).toBeNull();
    const other = principal({ scopes: ['events:read'] });
    expect((await ask(subgraph, other, '{ viewer { scopes } }')).errors).toEqual([]);
    expect((await ask(subgraph, other, query)).errors.map(({ code }) => code)).toContain('FORBIDDEN');
  });

  it('creates an org and a site that can be read at once, and moves the revision', async () => {
    const { db, subgraph } = await open();
    const rings: string[] = [];
    db.doorbell.on('*', (topic) => rings.push(topic));
    const org = (
      await ask(subgraph, admin, CREATE_ORG, {
        input: { name: ' New ', customerRef: 'C-1', externalIds: [{ namespace: 'books', value: '7' }] },
      })
    ).data.createOrg;
    expect(org).toMatchObject({
      org: { name: 'New', customerRef: 'C-1', externalIds: [{ namespace: 'books', value: '7', integration: null }] },
      userErrors: [],
    });
    const input = {
      orgId: org.org.id,
      name: 'HQ',
      address: 'Street 1',
      timezone: 'Europe/Vienna',
      latitude: 0,
      longitude: -180,
      externalIds: [{ namespace: 'books', value: '8' }],
    };
    const { data, errors } = await ask(subgraph, admin, CREATE_SITE, { input });
    expect(errors).toEqual([]);
    expect(data.createSite).toMatchObject({
      site: {
        name: 'HQ',
        coordinates: { latitude: 0, longitude: -180 },
        org: { id: org.org.id },
        externalIds: [{ value: '8' }],
      },
      userErrors: [],
    });
    const store = createDirectoryStore({ db, cursors, now: Date.now });
    expect((await store.orgs(admin.access, [org.org.id]))[0]?.revision).toBe(2);
    expect(rings).toEqual([`org:${org.org.id}`, `org:${org.org.id}`]);
  });

  it.each([
    ['an empty name', { name: ' ' }, ['name']],
    ['a long name', { name: 'x'.repeat(201) }, ['name']],
    ['U+0000 in a name', { name: 'a\0b' }, ['name']],
    ['a time zone that is none', { timezone: 'Mars/Olympus' }, ['timezone']],
    ['an offset for a time zone', { timezone: '+01:00' }, ['timezone']],
    ['half a position', { latitude: 1 }, ['longitude']],
    ['the other half', { longitude: 1 }, ['latitude']],
    ['a position beyond the pole', { latitude: 90.1, longitude: 0 }, ['latitude']],
    [
      'an id twice',
      {
        externalIds: [
          { namespace: 'n', value: 'v' },
          { namespace: 'n', value: 'v' },
        ],
      },
      ['externalIds'],
    ],
    ['an org that does not exist', { orgId: 'org_x' }, ['orgId']],
  ])('refuses a site with %s', async (_, over, path) => {
    const { subgraph } = await open();
    const { data } = await ask(subgraph, admin, CREATE_SITE, { input: { orgId: 'org_a', name: 'HQ', ...over } });
    const code = path[0] === 'orgId' ? 'NOT_FOUND' : 'INVALID';
    expect(data.createSite).toMatchObject({ site: null, userErrors: [{ code, path }] });
  });

  it('lets only who may create', async () => {
    const { subgraph } = await open();
    const org = { input: { name: 'New' } };
    for (const who of [principal({ scopes: ['integrations:write'] }), principal({ orgIds: ['org_a'] })]) {
      expect((await ask(subgraph, who, CREATE_ORG, org)).data.createOrg).toMatchObject({
        org: null,
        userErrors: [{ code: 'FORBIDDEN' }],
      });
    }
    const site = { input: { orgId: 'org_a', name: 'New' } };
    const outcome = async (who: Parameters<typeof principal>[0]) =>
      (await ask(subgraph, principal(who), CREATE_SITE, site)).data.createSite.userErrors.map(
        (error: { code: string }) => error.code,
      );
    expect(await outcome({ scopes: ['inventory:read'] })).toEqual(['FORBIDDEN']);
    expect(await outcome({ siteIds: ['site_a_near'] })).toEqual(['FORBIDDEN']);
    expect(await outcome({ orgIds: ['org_b'] })).toEqual(['NOT_FOUND']);
    expect(await outcome({ scopes: ['integrations:write', 'inventory:read'], orgIds: ['org_a'] })).toEqual([]);
  });

  it('hands operations on integrations to their service', async () => {
    const asked: unknown[] = [];
    const integration = integrationRow('int_a_shared', 'org_a');
    const { subgraph } = await open({
      async createIntegration(who, input) {
        asked.push([who.id, input.integration.baseUrl?.href, input.idempotencyKey]);
        return { integration, webhookSecretOnce: 'once', userErrors: [] };
      },
      async rotateWebhookSecret(_, input) {
        asked.push(input);
        return { webhook: integration, newSecretOnce: null, previousValidUntil: FIXTURE_AT, userErrors: [] };
      },
      async vendorSites(_, id) {
        asked.push(id);
        return [
          {
            vendorOrgId: '',
            vendorSiteId: 'v1',
            name: 'V1',
            address: null,
            timezone: null,
            deviceCount: 3,
            boundTo: siteRow('site_a_near', 'org_a'),
          },
        ];
      },
    });
    const create = await ask(
      subgraph,
      admin,
      `mutation { createIntegration(input: { idempotencyKey: "k", integration: { orgId: "org_a", vendor: ACME_VMS, name: "n", baseUrl: "https://acme.example/api" } }) { integration { id webhook { url } } webhookSecretOnce userErrors { code } } }`,
    );
    expect(create.data.createIntegration).toMatchObject({
      integration: { id: 'int_a_shared' },
      webhookSecretOnce: 'once',
      userErrors: [],
    });
    const rotate = await ask(
      subgraph,
      admin,
      `mutation { rotateWebhookSecret(input: { integrationId: "int_a_shared", overlap: "PT1H" }) { webhook { url } newSecretOnce previousValidUntil userErrors { code } } }`,
    );
    expect(rotate.data.rotateWebhookSecret).toMatchObject({
      webhook: { url: 'https://graph.example.com/webhooks/int_a_shared' },
      previousValidUntil: new Date(FIXTURE_AT).toISOString(),
    });
    const sites = await ask(
      subgraph,
      admin,
      `{ vendorSites(integrationId: "int_a_shared") { vendorSiteId deviceCount boundTo { name } } }`,
    );
    expect(sites.data.vendorSites).toEqual([{ vendorSiteId: 'v1', deviceCount: 3, boundTo: { name: 'site_a_near' } }]);
    expect(asked).toEqual([
      ['tester', 'https://acme.example/api', 'k'],
      { integrationId: 'int_a_shared', overlap: 3_600_000 },
      'int_a_shared',
    ]);
  });
});
