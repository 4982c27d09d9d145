import { expect, it } from 'vitest';
import { createCursorCodec } from '../../storage/cursor.ts';
import {
  countStatements,
  deviceRow,
  insertFixture,
  integrationRow,
  orgRow,
  siteRow,
} from '../../storage/fixtures/directory-rows.ts';
import type { IncidentRow } from '../../storage/incident-store.ts';
import { eachEngine } from '../../storage/testing.ts';
import { ask, principal } from '../fixtures/ask.ts';
import { noSync } from '../fixtures/no-services.ts';
import { acme } from '../fixtures/world.ts';
import { createInventorySubgraph } from './index.ts';

const cursors = createCursorCodec(new Uint8Array(32));
const NOW = Date.UTC(2026, 10, 20, 12);
const iso = (at: number) => new Date(at).toISOString();
const admin = principal({ orgIds: ['org_a'] });
const atSite = principal({ orgIds: ['org_a'], siteIds: ['site_1'] });
const stranger = principal({ orgIds: ['org_b'] });
const integration = integrationRow('int_a', 'org_a');
const device = (name: string, over: Parameters<typeof deviceRow>[2] = {}) =>
  deviceRow(integration, name, { site_id: 'site_1', name, ...over });
const recorder = device('rec', { state: 'OFFLINE', incident_id: 'inc_rec' });

function incident(id: string, over: Partial<IncidentRow>): IncidentRow {
  return {
    id,
    org_id: 'org_a',
    site_id: 'site_1',
    root_kind: 'DEVICE',
    root_id: recorder.id,
    cause: 'DEVICE_DOWN',
    summary: 'rec is down',
    opened_at: NOW,
    closed_at: null,
    affected: 2,
    details: '{}',
    updated_at: NOW,
    ...over,
  };
}

const FIELDS = `id cause summary openedAt closedAt affectedCount org { id } site { id } rootDevice { name } rootIntegration { id }
  devices { totalCount nodes { name status { suppressedBy { name } incident { id } } } sources { integration { id } } }`;
const entity = (type: string, fields: string, variables = '') =>
  `query ($id: ID!${variables}) { _entities(representations: [{ __typename: "${type}", id: $id }]) { ... on ${type} { ${fields} } } }`;

eachEngine('incidents', (openDb) => {
  async function open() {
    const opened = await openDb();
    await insertFixture(opened, {
      orgs: [orgRow('org_a'), orgRow('org_b')],
      sites: [siteRow('site_1', 'org_a'), siteRow('site_2', 'org_a')],
      integrations: [integration],
      devices: [
        recorder,
        device('cam-1', { state: 'OFFLINE', suppressed_by: recorder.id, incident_id: 'inc_rec' }),
        device('cam-2', { state: 'UNKNOWN', suppressed_by: recorder.id, incident_id: 'inc_rec' }),
        device('door', { state: 'OFFLINE', suppressed_by: 'site_1', incident_id: 'inc_power' }),
        device('well', { site_id: 'site_2' }),
      ],
    });
    await opened.write((tx) =>
      tx
        .insertInto('incidents')
        .values([
          incident('inc_rec', { opened_at: NOW - 1_000 }),
          incident('inc_power', {
            root_kind: 'SITE',
            root_id: 'site_1',
            cause: 'SITE_POWER',
            summary: 'site_1 has lost power',
            affected: 1,
          }),
          incident('inc_old', { closed_at: NOW - 60_000, opened_at: NOW - 120_000, root_id: 'dev_gone' }),
          incident('inc_platform', {
            site_id: null,
            root_kind: 'INTEGRATION',
            root_id: 'int_a',
            cause: 'PLATFORM_DOWN',
            opened_at: NOW - 5_000,
          }),
        ])
        .execute(),
    );
    const { db, take } = countStatements(opened);
    const subgraph = createInventorySubgraph({ db, cursors, sync: noSync, now: () => NOW }, [acme]);
    const list = async (who: typeof admin, type: string, id: string, variables: object = {}, fields = 'id') => {
      const query = entity(
        type,
        `incidents(first: 2, after: $after, open: $open) { totalCount pageInfo { hasNextPage endCursor } nodes { ${fields} } }`,
        ', $after: String, $open: Boolean',
      );
      const { data, errors } = await ask(subgraph, who, query, { id, ...variables });
      expect(errors).toEqual([]);
      return data._entities[0].incidents;
    };
    return { subgraph, take, list };
  }

  it('tell their cause and what they explain', async () => {
    const { list } = await open();
    const [power, rec] = (await list(admin, 'Site', 'site_1', {}, FIELDS)).nodes;
    expect(rec).toEqual({
      id: 'inc_rec',
      cause: 'DEVICE_DOWN',
      summary: 'rec is down',
      openedAt: iso(NOW - 1_000),
      closedAt: null,
      affectedCount: 2,
      org: { id: 'org_a' },
      site: { id: 'site_1' },
      rootDevice: { name: 'rec' },
      rootIntegration: null,
      devices: {
        totalCount: 3,
        nodes: [
          { name: 'cam-1', status: { suppressedBy: { name: 'rec' }, incident: { id: 'inc_rec' } } },
          { name: 'cam-2', status: { suppressedBy: { name: 'rec' }, incident: { id: 'inc_rec' } } },
          { name: 'rec', status: { suppressedBy: null, incident: { id: 'inc_rec' } } },
        ],
        sources: [{ integration: { id: 'int_a' } }],
      },
    });
    expect(power).toMatchObject({
      cause: 'SITE_POWER',
      rootDevice: null,
      rootIntegration: null,
      // A site is no device.
      devices: { nodes: [{ name: 'door', status: { suppressedBy: null, incident: { id: 'inc_power' } } }] },
    });
  });

  it('are listed newest first, by whether they last, page by page', async () => {
    const { list } = await open();
    const first = await list(admin, 'Org', 'org_a');
    expect(first).toMatchObject({ totalCount: 4, nodes: [{ id: 'inc_power' }, { id: 'inc_rec' }] });
    const second = await list(admin, 'Org', 'org_a', { after: first.pageInfo.endCursor });
    expect(second).toMatchObject({
      pageInfo: { hasNextPage: false },
      nodes: [{ id: 'inc_platform' }, { id: 'inc_old' }],
    });
    expect(await list(admin, 'Org', 'org_a', { open: false })).toMatchObject({
      totalCount: 1,
      nodes: [{ id: 'inc_old' }],
    });
    expect(await list(admin, 'Site', 'site_1', { open: true })).toMatchObject({ totalCount: 2 });
  });

  it('of a platform stand for all of its devices', async () => {
    const { subgraph } = await open();
    const { data } = await ask(subgraph, admin, entity('Incident', FIELDS), { id: 'inc_platform' });
    expect(data._entities[0]).toMatchObject({
      site: null,
      rootIntegration: { id: 'int_a' },
      devices: { totalCount: 5 },
    });
  });

  it('are seen by who sees their site', async () => {
    const { subgraph, list } = await open();
    expect(await list(atSite, 'Org', 'org_a')).toMatchObject({ totalCount: 3 });
    expect(await list(atSite, 'Site', 'site_2')).toMatchObject({ totalCount: 0, nodes: [] });
    expect(await list(stranger, 'Site', 'site_1')).toMatchObject({ totalCount: 0, nodes: [] });
    for (const [who, id] of [
      [atSite, 'inc_platform'],
      [stranger, 'inc_rec'],
    ] as const) {
      const { data } = await ask(subgraph, who, entity('Incident', 'id'), { id });
      expect(data._entities).toEqual([null]);
    }
  });

  it('of many sites and devices are read at once', async () => {
    const { subgraph, take } = await open();
    const sites = (ids: readonly string[]) =>
      ask(
        subgraph,
        admin,
        `query ($refs: [_Any!]!) { _entities(representations: $refs) { ... on Site { incidents(open: true) { totalCount nodes { id rootDevice { name } } }
          devices { nodes { status { incident { id summary } } } } } } }`,
        { refs: ids.map((id) => ({ __typename: 'Site', id })) },
      );
    await sites(['site_1']);
    const one = take();
    await sites(['site_1', 'site_2']);
    expect(take()).toBeLessThanOrEqual(one + 1);
  });
});
