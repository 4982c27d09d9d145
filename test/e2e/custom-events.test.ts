import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { allVendors, eventually, type Json, openSandbox, query } from './rig.ts';

// A sensor that two cameras of other platforms watch: what it senses becomes an event of theirs, over every wire between.

const SensorSettings = z.looseObject({
  sensors: z.array(z.looseObject({ source: z.string(), address: z.string() })),
});
const PANEL = { source: 'modbus', address: '1', nativeId: 'modbus/1' };

let sandbox: Awaited<ReturnType<typeof openSandbox>>;

const SLUGS = ['milestone', 'sensors', 'vxg'];
const vendors = allVendors.filter(({ slug }) => SLUGS.includes(slug));
/** A deployment without one of them has nothing to show here. */
const isDeployed = vendors.length === SLUGS.length;

beforeAll(async () => {
  if (!isDeployed) return;
  sandbox = await openSandbox({ vendors, devices: 90 });
});

afterAll(() => sandbox?.close());

function place(slug: string) {
  const [org] = sandbox.credentials.orgs;
  const platform = sandbox.platforms.find(({ org: of, vendor }) => of.key === org?.key && vendor.slug === slug);
  const integration = sandbox.credentials.integrations.find(
    ({ orgKey, vendor }) => orgKey === org?.key && vendor === platform?.vendor.enumValue,
  );
  if (org === undefined || platform === undefined || integration === undefined) throw new Error(`no ${slug}`);
  return { org, platform, integration };
}

async function control(url: string, path: string, body?: unknown): Promise<Json> {
  const options = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  return (await fetch(`${url}/_sim/${path}`, options)).json();
}

async function cameraOf(slug: string): Promise<{ id: string; namespace: string; value: string }> {
  const { org, platform } = place(slug);
  const { data } = await query(
    sandbox,
    'query ($org: ID!, $vendors: [Vendor!]) { devices(first: 1, filter: { orgId: $org, vendors: $vendors, types: [CAMERA] }) { nodes { id externalIds { namespace value } } } }',
    { org: org.id, vendors: [platform.vendor.enumValue] },
  );
  const [camera] = data.devices.nodes;
  const found = camera.externalIds.find(({ namespace }: Json) => namespace === `${slug}:device-id`);
  return { id: camera.id, ...found };
}

/** The fire panel of the sandbox's sensors, watched by these cameras. */
async function link(cameras: readonly { namespace: string; value: string }[]): Promise<void> {
  const { integration, platform } = place('sensors');
  const settings = SensorSettings.parse(platform.simulator.integration.settings);
  const sensors = settings.sensors.map((sensor) =>
    sensor.source === PANEL.source && sensor.address === PANEL.address
      ? { ...sensor, cameras: cameras.map(({ namespace, value }) => ({ namespace, value })) }
      : sensor,
  );
  const { data } = await query(
    sandbox,
    `mutation ($update: UpdateIntegrationInput!, $sync: SyncIntegrationInput!) {
      updateIntegration(input: $update) { userErrors { message } }
      syncIntegration(input: $sync) { userErrors { message } }
    }`,
    {
      update: { id: integration.id, settings: { ...settings, sensors } },
      sync: { integrationId: integration.id, idempotencyKey: 'linked' },
    },
  );
  expect(data).toEqual({ updateIntegration: { userErrors: [] }, syncIntegration: { userErrors: [] } });
}

function outbox(): readonly { state: string; target_device_id: string }[] {
  const db = new DatabaseSync(join(sandbox.dir, 'data', 'convergraph.db'), { readOnly: true });
  try {
    const rows = db.prepare('select state, target_device_id from custom_events order by id').all();
    return z.array(z.object({ state: z.string(), target_device_id: z.string() })).parse(rows);
  } finally {
    db.close();
  }
}

describe.runIf(isDeployed)('an alarm of a fire panel', () => {
  it('is created at every camera that watches it, once, with what the panel said', async () => {
    const cameras = [await cameraOf('vxg'), await cameraOf('milestone')];
    await link(cameras);
    const links =
      'query ($namespace: String!, $value: String!) { deviceByExternalId(namespace: $namespace, value: $value) { linkedDevices(relation: WATCHED_BY) { device { id } } } }';
    await eventually(async () => {
      const { data } = await query(sandbox, links, { namespace: 'sensors:device-id', value: PANEL.nativeId });
      return data.deviceByExternalId?.linkedDevices.length === 2 ? true : undefined;
    }, 'the panel is linked to both cameras');

    const { url } = place('sensors').platform.simulator;
    await control(url, 'trigger', { nativeId: PANEL.nativeId, active: true });
    const done = await eventually(() => {
      const rows = outbox();
      return rows.length === 2 && rows.every(({ state }) => state === 'DONE') ? rows : undefined;
    }, 'both events are created');
    expect(new Set(done.map((row) => row.target_device_id))).toEqual(new Set(cameras.map(({ id }) => id)));

    const { data } = await query(
      sandbox,
      'query ($integrations: [ID!]) { events(filter: { integrationIds: $integrations, types: ["alarm.fire"] }) { nodes { forwardings { device { id vendor } state attempts error { code } } ... on AlarmEvent { zone } } } }',
      { integrations: [place('sensors').integration.id] },
    );
    const [alarm] = data.events.nodes;
    // Beside the alarm itself: which camera has it, named by the inventory.
    const vendorOf = (slug: string) => place(slug).platform.vendor.enumValue;
    expect(alarm.forwardings).toHaveLength(2);
    expect(alarm.forwardings).toEqual(
      expect.arrayContaining([
        { device: { id: cameras[0]?.id, vendor: vendorOf('vxg') }, state: 'DONE', attempts: 1, error: null },
        { device: { id: cameras[1]?.id, vendor: vendorOf('milestone') }, state: 'DONE', attempts: 1, error: null },
      ]),
    );
    const created: Json[] = await control(place('vxg').platform.simulator.url, 'events');
    const ours = created.filter(({ meta }) => meta.sensor_name === 'Fire panel');
    expect(ours).toMatchObject([{ name: 'fire_alarm', meta: { point: alarm.zone, kind: 'fire', signal: 'alarm' } }]);
  });
});
