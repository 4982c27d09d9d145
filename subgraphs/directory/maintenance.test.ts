import { expect, it } from 'vitest';
import { createCursorCodec } from '../../storage/cursor.ts';
import {
  countStatements,
  deviceRow,
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
const publicUrl = new URL('https://graph.example.com');
const HOUR = 3_600_000;
const iso = (at: number) => new Date(at).toISOString();

const admin = principal({ orgIds: ['org_a'] });
const near = principal({ orgIds: ['org_a'], siteIds: ['site_a_near'] });
const orgB = principal({ orgIds: ['org_b'] });

const CREATE = `mutation ($input: MaintenanceWindowInput!) { createMaintenanceWindow(input: $input) {
  maintenanceWindow { id org { id } site { id } device { id } from to reason createdBy createdAt } userErrors { code path } } }`;
const LISTS = `query ($at: DateTime) {
  org(id: "org_a") { maintenanceWindows(activeAt: $at) { reason } sites { nodes { name maintenanceWindows(activeAt: $at) { reason } } } } }`;

eachEngine('planned work in the directory', (openDb) => {
  async function open() {
    const opened = await openDb();
    await insertWorld(opened);
    await opened.write((tx) => tx.deleteFrom('maintenance_windows').execute());
    const { db, take } = countStatements(opened);
    const options = { db, cursors, publicUrl, integrations: noIntegrations, now: () => FIXTURE_AT };
    const subgraph = createDirectorySubgraph(options, [acme]);
    const far = await opened.read
      .selectFrom('devices')
      .select('id')
      .where('native_id', '=', 'a_far_a')
      .executeTakeFirstOrThrow();
    const plan = async (target: object, reason: string, from = -HOUR, to = HOUR) => {
      const input = { ...target, from: iso(FIXTURE_AT + from), to: iso(FIXTURE_AT + to), reason };
      const { data, errors } = await ask(subgraph, admin, CREATE, { input });
      expect(errors).toEqual([]);
      return data.createMaintenanceWindow;
    };
    return { db: opened, take, subgraph, plan, farDevice: far.id };
  }

  it('is planned, answered, read by its id and taken back', async () => {
    const { subgraph, plan } = await open();
    const { maintenanceWindow: window, userErrors } = await plan({ siteId: 'site_a_near' }, 'new cameras');
    expect(userErrors).toEqual([]);
    expect(window).toEqual({
      id: expect.stringMatching(/^mw_/),
      org: { id: 'org_a' },
      site: { id: 'site_a_near' },
      device: null,
      from: iso(FIXTURE_AT - HOUR),
      to: iso(FIXTURE_AT + HOUR),
      reason: 'new cameras',
      createdBy: 'tester',
      createdAt: iso(FIXTURE_AT),
    });
    const entity = `query ($id: ID!) { _entities(representations: [{ __typename: "MaintenanceWindow", id: $id }]) { ... on MaintenanceWindow { reason } } }`;
    const read = async (who: typeof admin) => (await ask(subgraph, who, entity, { id: window.id })).data._entities;
    expect(await read(near)).toEqual([{ reason: 'new cameras' }]);
    expect(await read(orgB)).toEqual([null]);
    const remove = `mutation ($id: ID!) { deleteMaintenanceWindow(input: { id: $id }) { deletedId userErrors { code } } }`;
    expect((await ask(subgraph, orgB, remove, { id: window.id })).data.deleteMaintenanceWindow).toEqual({
      deletedId: null,
      userErrors: [{ code: 'NOT_FOUND' }],
    });
    expect((await ask(subgraph, admin, remove, { id: window.id })).data.deleteMaintenanceWindow.deletedId).toBe(
      window.id,
    );
    expect(await read(admin)).toEqual([null]);
  });

  it('is listed where it concerns somebody, newest first, and only to those whom it concerns', async () => {
    const { subgraph, plan, farDevice, take } = await open();
    await plan({ orgId: 'org_a' }, 'whole', -3 * HOUR);
    await plan({ siteId: 'site_a_near' }, 'near', -2 * HOUR);
    await plan({ deviceId: farDevice }, 'far device');
    await plan({ siteId: 'site_a_far' }, 'far later', 5 * HOUR, 6 * HOUR);
    take();
    const all = await ask(subgraph, admin, LISTS);
    // The org, its sites, their windows, the org's windows.
    expect(take()).toBeLessThanOrEqual(4);
    const reasons = (windows: readonly { reason: string }[]) => windows.map(({ reason }) => reason);
    const bySite = ({ data }: typeof all) =>
      data.org.sites.nodes.map((site: { name: string; maintenanceWindows: { reason: string }[] }) => [
        site.name,
        reasons(site.maintenanceWindows),
      ]);
    expect(reasons(all.data.org.maintenanceWindows)).toEqual(['far later', 'far device', 'near', 'whole']);
    expect(bySite(all)).toEqual([
      ['site_a_far', ['far later', 'far device', 'whole']],
      ['site_a_near', ['near', 'whole']],
    ]);
    const active = await ask(subgraph, admin, LISTS, { at: iso(FIXTURE_AT + HOUR) });
    expect(reasons(active.data.org.maintenanceWindows)).toEqual([]);
    const later = await ask(subgraph, admin, LISTS, { at: iso(FIXTURE_AT + 5 * HOUR) });
    expect(reasons(later.data.org.maintenanceWindows)).toEqual(['far later']);
    const limited = await ask(subgraph, near, LISTS);
    expect(reasons(limited.data.org.maintenanceWindows)).toEqual(['near', 'whole']);
    expect(bySite(limited)).toEqual([['site_a_near', ['near', 'whole']]]);
    expect((await ask(subgraph, orgB, LISTS)).data.org).toBeNull();
  });
});

const SITES = `query ($after: String, $first: Int, $filter: SiteFilter, $direction: OrderDirection) {
  org(id: "org_c") { sites(first: $first, after: $after, filter: $filter, orderBy: { field: OFFLINE_COUNT, direction: $direction }) {
    totalCount nodes { name } pageInfo { hasNextPage endCursor } } } }`;

eachEngine('sites by how they are', (openDb) => {
  async function open() {
    const db = await openDb();
    await insertWorld(db);
    const integration = integrationRow('int_c', 'org_c');
    const sites = ['a', 'b', 'c', 'd', 'e'].map((name) => siteRow(`site_${name}`, 'org_c', { name: `Site ${name}` }));
    const offline = { a: 1, b: 3, c: 0, d: 3, e: 0 };
    const devices = Object.entries(offline).flatMap(([name, count]) => [
      ...Array.from({ length: count }, (_, index) =>
        deviceRow(integration, `${name}${index}`, { site_id: `site_${name}`, state: 'OFFLINE' }),
      ),
      deviceRow(integration, `${name} up`, { site_id: `site_${name}`, state: name === 'e' ? 'DEGRADED' : 'ONLINE' }),
    ]);
    await insertFixture(db, { orgs: [orgRow('org_c')], integrations: [integration], sites, devices });
    const options = { db, cursors, publicUrl, integrations: noIntegrations, now: () => FIXTURE_AT };
    return createDirectorySubgraph(options, [acme]);
  }
  const who = principal({ orgIds: ['org_c'] });
  const names = (sites: { nodes: readonly { name: string }[] }) => sites.nodes.map(({ name }) => name.at(-1)).join('');

  it('come in order of what is offline, then of name, page by page', async () => {
    const subgraph = await open();
    let seen = '';
    let after: string | null = null;
    do {
      const { data } = await ask(subgraph, who, SITES, { first: 2, after, direction: 'DESC' });
      seen += names(data.org.sites);
      const { hasNextPage, endCursor } = data.org.sites.pageInfo;
      after = hasNextPage === true ? String(endCursor) : null;
    } while (after !== null && seen.length < 20);
    expect(seen).toBe('bdace');
    const { data } = await ask(subgraph, who, SITES, { direction: 'ASC' });
    expect(names(data.org.sites)).toBe('ceabd');
    const foreign = await ask(subgraph, who, SITES, { after: 'x', direction: 'ASC' });
    expect(foreign.errors[0]?.code).toBe('BAD_CURSOR');
  });

  it.each([
    [['OFFLINE'], 'bda'],
    [['DEGRADED', 'OFFLINE'], 'bdae'],
    [['UNKNOWN'], ''],
    [[], ''],
  ])('are those with a device in %j', async (states, expected) => {
    const subgraph = await open();
    const { data } = await ask(subgraph, who, SITES, { filter: { states }, direction: 'DESC' });
    expect(names(data.org.sites)).toBe(expected);
    expect(data.org.sites.totalCount).toBe(expected.length);
  });
});
