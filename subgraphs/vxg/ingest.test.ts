import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usualIngestMode } from '../../pipeline/integrations/create.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { eventually, openSandbox, query } from '../../test/e2e/rig.ts';
import { vxg } from './index.ts';

// The whole product in front of simulated installations: what is polled becomes events and states.

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await openSandbox({ vendors: [vxg], devices: 60 });
});
afterAll(async () => sandbox?.close());

function installation() {
  const [platform] = sandbox.platforms;
  const [integration] = sandbox.credentials.integrations;
  if (platform === undefined || integration === undefined) throw new Error('the sandbox has no installation');
  return { simulator: platform.simulator, integrationId: integration.id };
}

/** What the log has of one device, newest first. */
async function logOf(nativeId: string) {
  const { data, errors } = await query(
    sandbox,
    `query Of($value: String!) { device: deviceByExternalId(namespace: "vxg:device-id", value: $value) { id status { state vendorState } } }`,
    { value: nativeId },
  );
  if (data?.device === undefined) throw new Error(JSON.stringify(errors));
  const events = await query(
    sandbox,
    `query Log($ids: [ID!]!) { events(first: 20, filter: { deviceIds: $ids }) { nodes { __typename type vendorEventId ... on AlarmEvent { as(format: NATIVE) } } } }`,
    { ids: [data.device.id] },
  );
  if (events.errors !== undefined) throw new Error(JSON.stringify(events.errors));
  return { status: data.device.status, events: events.data.events.nodes };
}

function deviceOf(type: string): string {
  const found = installation()
    .simulator.devices()
    .find((device) => device.type === type);
  if (found === undefined) throw new Error(`the installation has no ${type}`);
  return found.nativeId;
}

describe('a poll-only installation in the product', () => {
  it('is known as such, so that its silence is no fault', async () => {
    expect(usualIngestMode(vxg.ingest)).toBe('POLL_ONLY');
    const { integrationId } = installation();
    const { data, errors } = await query(
      sandbox,
      `query It($id: ID!) { integration(id: $id) { state ingestMode platform { reachable ... on VxgPlatform { groups { name } } } } }`,
      { id: integrationId },
    );
    expect(errors).toBeUndefined();
    expect(data.integration).toMatchObject({
      state: 'CONNECTED',
      ingestMode: 'POLL_ONLY',
      platform: { reachable: true },
    });
    expect(data.integration.platform.groups).toContainEqual({ name: 'Night watch' });
  });

  it('answers for a page of devices live', async () => {
    const { data, errors } = await query(
      sandbox,
      `{ devices(first: 50) { nodes { name source { state vendorState ... on VxgDevice { channelId recordingMode group { name } } } } } }`,
    );
    expect(errors).toBeUndefined();
    const sources = data.devices.nodes.map(({ source }: { source: unknown }) => source);
    expect(sources).toHaveLength(50);
    expect(sources).not.toContain(null);
  });

  it('tells of a camera that goes and comes back', async () => {
    const { simulator } = installation();
    const camera = deviceOf('camera');
    for (const state of ['offline', 'online'] as const) {
      simulator.setState(camera, state);
      const log = await eventually(async () => {
        const { events, status } = await logOf(camera);
        return status.state === state.toUpperCase() && events[0]?.type === `health.${state}` ? events : undefined;
      }, `the camera is ${state}`);
      expect(log[0]).toMatchObject({ __typename: 'HealthEvent' });
    }
  });

  it('finds a server that is down by reading the inventory, once', async () => {
    const { simulator, integrationId } = installation();
    const server = deviceOf('server');
    simulator.setState(server, 'offline');
    const sync = `mutation Sync($id: ID!, $key: String!) {
      syncIntegration(input: { integrationId: $id, idempotencyKey: $key }) { run { id } userErrors { code } } }`;
    await query(sandbox, sync, { id: integrationId, key: 'one' });
    await eventually(async () => ((await logOf(server)).status.state === 'OFFLINE' ? true : undefined), 'it is down');
    await query(sandbox, sync, { id: integrationId, key: 'two' });
    expect((await logOf(server)).events.map(({ type }: { type: string }) => type)).toEqual(['health.offline']);
  });

  it('takes custom events in, with where their recording is', async () => {
    const { simulator } = installation();
    const camera = deviceOf('camera');
    const body = JSON.stringify({ nativeId: camera, name: 'water_leak', meta: { sensor_id: 'wl-07' } });
    await fetch(`${simulator.url}/_sim/events`, { method: 'POST', body });
    const event = await eventually(
      async () => (await logOf(camera)).events.find(({ type }: { type: string }) => type === 'alarm.technical'),
      'the leak is told of',
    );
    expect(event).toMatchObject({ __typename: 'AlarmEvent', vendorEventId: expect.stringMatching(/^\d+$/) });
    expect(JSON.parse(event.as).media[0].url).toContain(`${simulator.url}/api/v2/storage/data/?camid=${camera}&start=`);
  });
});
