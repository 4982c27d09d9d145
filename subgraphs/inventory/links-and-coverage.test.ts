import { expect, it } from 'vitest';
import { createCursorCodec } from '../../storage/cursor.ts';
import type { Database } from '../../storage/database.ts';
import {
  deviceRow,
  FIXTURE_AT,
  insertFixture,
  integrationRow,
  orgRow,
  siteRow,
} from '../../storage/fixtures/directory-rows.ts';
import { deviceId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import { ask, principal } from '../fixtures/ask.ts';
import { noSync } from '../fixtures/no-services.ts';
import { acme } from '../fixtures/world.ts';
import { createInventorySubgraph } from './index.ts';

const admin = principal({});
const pushing = { ...acme, ingest: { ...acme.ingest, webhooks: true, listens: false, polls: true } };
const asking = {
  ...acme,
  slug: 'asked-vms',
  enumValue: 'ASKED_VMS',
  graphqlName: 'AskedVms',
  ingest: { ...acme.ingest, webhooks: false, listens: false, polls: true },
};

const site = siteRow('site_a', 'org_a');
const far = siteRow('site_far', 'org_a');
const foreign = siteRow('site_b', 'org_b');
const vms = integrationRow('int_vms', 'org_a', { vendor: 'asked-vms', ingest_mode: 'POLL_ONLY' });
const cloud = integrationRow('int_cloud', 'org_a', { vendor: 'acme-vms', ingest_mode: 'PUSH_WITH_POLL_FALLBACK' });
const off = integrationRow('int_off', 'org_a', { vendor: 'acme-vms', enabled: 0 });
const others = integrationRow('int_b', 'org_b', { vendor: 'asked-vms' });

function subgraphOf(db: Database, vendors = [pushing, asking]) {
  const cursors = createCursorCodec(new Uint8Array(32));
  return createInventorySubgraph({ db, cursors, sync: noSync, now: () => FIXTURE_AT }, vendors);
}

interface LinkSeed {
  readonly from: string;
  readonly relation?: string;
  readonly integrationId?: string;
  readonly namespace?: string;
  readonly value: string;
}

async function link(db: Database, ...links: readonly LinkSeed[]): Promise<void> {
  const rows = links.map(({ from, relation = 'WATCHED_BY', integrationId = '', namespace = '', value }) => ({
    device_id: from,
    org_id: 'org_a',
    relation,
    integration_id: integrationId,
    namespace,
    value,
  }));
  await db.write((tx) => tx.insertInto('device_links').values(rows).execute());
}

eachEngine('linked devices', (open) => {
  const sensor = deviceId('int_cloud', 'leak-1');
  const near = deviceId('int_vms', 'cam-near');
  const hidden = deviceId('int_vms', 'cam-far');

  async function start() {
    const db = await open();
    await insertFixture(db, {
      orgs: [orgRow('org_a'), orgRow('org_b')],
      sites: [site, far, foreign],
      integrations: [vms, cloud, others],
      devices: [
        deviceRow(cloud, 'leak-1', { site_id: site.id, type: 'SENSOR' }),
        deviceRow(vms, 'cam-near', { site_id: site.id }),
        deviceRow(vms, 'cam-far', { site_id: far.id }),
        deviceRow(vms, 'twin', { site_id: site.id }),
        deviceRow(cloud, 'twin', { site_id: site.id }),
        deviceRow(vms, 'gone', { site_id: site.id, removed_at: FIXTURE_AT }),
        deviceRow(others, 'cam-b', { site_id: foreign.id }),
      ],
    });
    const linked = async (id: string, who = admin, relation: string | null = null) => {
      const { data, errors } = await ask(
        subgraphOf(db),
        who,
        'query ($id: ID!, $relation: DeviceRelation) { device(id: $id) { linkedDevices(relation: $relation) { relation device { name } } } }',
        { id, relation },
      );
      expect(errors).toEqual([]);
      return data.device.linkedDevices
        .map((each: { relation: string; device: { name: string } }) => `${each.relation} ${each.device.name}`)
        .toSorted();
    };
    return { db, linked };
  }

  it('are told from both ends, by native id and by external id', async () => {
    const { db, linked } = await start();
    await link(
      db,
      { from: sensor, value: 'cam-near' },
      { from: sensor, namespace: 'asked-vms:device-id', value: 'cam-far', integrationId: 'int_vms' },
    );
    expect(await linked(sensor)).toEqual(['WATCHED_BY cam-far', 'WATCHED_BY cam-near']);
    expect(await linked(near)).toEqual(['WATCHES leak-1']);
    expect(await linked(hidden)).toEqual(['WATCHES leak-1']);
    expect(await linked(sensor, admin, 'WATCHES')).toEqual([]);
    expect(await linked(near, admin, 'WATCHES')).toEqual(['WATCHES leak-1']);
  });

  it('are looked up when they are asked for: a camera that is listed later is linked then', async () => {
    const { db, linked } = await start();
    await link(db, { from: sensor, value: 'cam-later' });
    expect(await linked(sensor)).toEqual([]);
    await insertFixture(db, { devices: [deviceRow(vms, 'cam-later', { site_id: site.id })] });
    expect(await linked(sensor)).toEqual(['WATCHED_BY cam-later']);
  });

  it('are never guessed: a name that two devices answer to links none, unless the integration is named', async () => {
    const { db, linked } = await start();
    await link(db, { from: sensor, value: 'twin' });
    expect(await linked(sensor)).toEqual([]);
    expect(await linked(deviceId('int_vms', 'twin'))).toEqual([]);
    await link(db, { from: sensor, value: 'twin', integrationId: 'int_vms' });
    expect(await linked(sensor)).toEqual(['WATCHED_BY twin']);
    expect(await linked(deviceId('int_cloud', 'twin'))).toEqual([]);
  });

  it('lead to no removed device, to no other org, and out of no scope', async () => {
    const { db, linked } = await start();
    await link(
      db,
      { from: sensor, value: 'gone' },
      { from: sensor, value: 'cam-b' },
      { from: sensor, value: 'cam-b', integrationId: 'int_b' },
      { from: sensor, value: 'cam-near' },
      { from: sensor, value: 'cam-far' },
    );
    expect(await linked(sensor)).toEqual(['WATCHED_BY cam-far', 'WATCHED_BY cam-near']);
    expect(await linked(deviceId('int_b', 'cam-b'))).toEqual([]);
    const limited = principal({ scopes: ['inventory:read'], orgIds: ['org_a'], siteIds: ['site_a'] });
    expect(await linked(sensor, limited)).toEqual(['WATCHED_BY cam-near']);
  });
});

eachEngine('coverage of a site', (open) => {
  const EMITTING = '["EMITS_HEALTH","EMITS_VIDEO","SNAPSHOT"]';
  const QUERY =
    'query ($site: ID!) { _entities(representations: [{ __typename: "Site", id: $site }]) { ... on Site { coverage { type family mode devices } } } }';

  it('counts kinds by family and way, and says where it is blind', async () => {
    const db = await open();
    await insertFixture(db, {
      orgs: [orgRow('org_a')],
      sites: [site, far],
      integrations: [vms, cloud, off],
      devices: [
        deviceRow(cloud, 'cam-1', { site_id: site.id, type: 'CAMERA', capabilities: EMITTING }),
        deviceRow(cloud, 'cam-2', { site_id: site.id, type: 'CAMERA', capabilities: EMITTING }),
        deviceRow(cloud, 'cam-3', { site_id: site.id, type: 'CAMERA', capabilities: EMITTING, removed_at: 1 }),
        deviceRow(vms, 'cam-4', { site_id: site.id, type: 'CAMERA', capabilities: EMITTING }),
        deviceRow(off, 'cam-5', { site_id: site.id, type: 'CAMERA', capabilities: EMITTING }),
        deviceRow(cloud, 'door-1', { site_id: site.id, type: 'DOOR', capabilities: '["EMITS_ACCESS"]' }),
        deviceRow(cloud, 'cam-6', { site_id: far.id, type: 'CAMERA', capabilities: EMITTING }),
      ],
    });
    const { data, errors } = await ask(subgraphOf(db), admin, QUERY, { site: site.id });
    expect(errors).toEqual([]);
    const rows: { type: string; family: string; mode: string; devices: number }[] = data._entities[0].coverage;
    const told = rows.map(({ type, family, mode, devices }) => `${type} ${family} ${mode} ${devices}`);
    expect(told).toEqual([
      'CAMERA HEALTH PUSH 2',
      'CAMERA HEALTH POLL_ONLY 1',
      'CAMERA HEALTH NONE 1',
      'CAMERA ALARM NONE 4',
      'CAMERA ACCESS NONE 4',
      'CAMERA VIDEO PUSH 2',
      'CAMERA VIDEO NONE 2',
      'CAMERA SENSOR NONE 4',
      'DOOR HEALTH POLL_ONLY 1',
      'DOOR ALARM NONE 1',
      'DOOR ACCESS PUSH 1',
      'DOOR VIDEO NONE 1',
      'DOOR SENSOR NONE 1',
    ]);
  });

  it('counts what is found by asking, event by event, as polled and not as blind', async () => {
    const db = await open();
    await insertFixture(db, {
      orgs: [orgRow('org_a')],
      sites: [site],
      integrations: [vms],
      devices: [deviceRow(vms, 'cam-1', { site_id: site.id, type: 'CAMERA', capabilities: EMITTING })],
    });
    const told = { ...asking, ingest: { ...asking.ingest, listens: true, listensByAsking: true } };
    const { data } = await ask(subgraphOf(db, [told]), admin, QUERY, { site: site.id });
    const rows: { family: string; mode: string }[] = data._entities[0].coverage;
    expect(rows.map(({ family, mode }) => `${family} ${mode}`)).toEqual([
      'HEALTH POLL_ONLY',
      'ALARM NONE',
      'ACCESS NONE',
      'VIDEO POLL_ONLY',
      'SENSOR NONE',
    ]);
  });

  it('tells nothing of a site outside of the scope', async () => {
    const db = await open();
    await insertFixture(db, {
      orgs: [orgRow('org_a')],
      sites: [site, far],
      integrations: [cloud],
      devices: [deviceRow(cloud, 'cam-1', { site_id: far.id, capabilities: EMITTING })],
    });
    const limited = principal({ scopes: ['inventory:read'], orgIds: ['org_a'], siteIds: ['site_a'] });
    const { data } = await ask(subgraphOf(db), limited, QUERY, { site: far.id });
    expect(data._entities[0].coverage).toEqual([]);
  });
});
