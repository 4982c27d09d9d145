import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import type { SandboxCredentials } from './credentials.ts';
import type { GraphqlClient } from './graphql-client.ts';
import type { Platform } from './platforms.ts';

// A sensor that cameras of other platforms watch, as an operator would link them: by the settings of the sensors.

/** Settings of a platform that lists sensors, each with the cameras that see it. */
const SensorSettings = z.looseObject({
  sensors: z.array(z.looseObject({ source: z.string(), address: z.string(), kind: z.string().optional() })),
});
/** What the sandbox shows is a fire panel. */
const KIND = 'fire';
const LINKED_MS = 60_000;
const LOOK_EVERY_MS = 50;

const Cameras = z.object({
  devices: z.object({
    nodes: z.array(
      z.object({
        id: z.string(),
        vendor: z.string(),
        capabilities: z.array(z.string()),
        externalIds: z.array(z.object({ namespace: z.string(), value: z.string() })),
      }),
    ),
  }),
});

const Outcome = z.object({ userErrors: z.array(z.object({ message: z.string() })) });

/** One camera of every vendor whose cameras take events of others. */
async function camerasOf(call: GraphqlClient, orgId: string) {
  const { devices } = await call(
    `query Cameras($org: ID!) {
      devices(first: 500, filter: { orgId: $org, types: [CAMERA] }) {
        nodes { id vendor capabilities externalIds { namespace value } }
      }
    }`,
    { org: orgId },
    Cameras,
  );
  const byVendor = new Map<string, { readonly namespace: string; readonly value: string }>();
  for (const { vendor, capabilities, externalIds } of devices.nodes) {
    const native = externalIds.find(({ namespace }) => namespace.endsWith(':device-id'));
    if (capabilities.includes('CUSTOM_EVENT') && native !== undefined && !byVendor.has(vendor))
      byVendor.set(vendor, native);
  }
  return [...byVendor.values()];
}

/**
 * Links the first org's fire panel to one camera of every platform that takes events of others, and waits until the graph has
 * the links. Does nothing where a deployment has no such panel or camera.
 */
export async function linkFirePanel(
  call: GraphqlClient,
  { orgs, integrations }: Pick<SandboxCredentials, 'orgs' | 'integrations'>,
  platforms: readonly Platform[],
): Promise<void> {
  const [org] = orgs;
  if (org === undefined) return;
  for (const { org: of, vendor, simulator } of platforms) {
    const integration = integrations.find((each) => each.orgKey === org.key && each.vendor === vendor.enumValue);
    const settings = SensorSettings.safeParse(simulator.integration.settings);
    if (of.key !== org.key || integration === undefined || !settings.success) continue;
    const panel = settings.data.sensors.find(({ kind }) => kind === KIND);
    const cameras = panel === undefined ? [] : await camerasOf(call, org.id);
    if (panel === undefined || cameras.length === 0) continue;
    const sensors = settings.data.sensors.map((sensor) => (sensor === panel ? { ...sensor, cameras } : sensor));
    const { updateIntegration, syncIntegration } = await call(
      `mutation Link($update: UpdateIntegrationInput!, $sync: SyncIntegrationInput!) {
        updateIntegration(input: $update) { userErrors { message } }
        syncIntegration(input: $sync) { userErrors { message } }
      }`,
      {
        update: { id: integration.id, settings: { ...settings.data, sensors } },
        sync: { integrationId: integration.id, idempotencyKey: 'sandbox-links' },
      },
      z.object({ updateIntegration: Outcome, syncIntegration: Outcome }),
    );
    const [error] = [...updateIntegration.userErrors, ...syncIntegration.userErrors];
    if (error !== undefined) throw new Error(`The sandbox could not link its fire panel: ${error.message}`);
    await waitForLinks(call, integration.id, cameras.length);
  }
}

async function waitForLinks(call: GraphqlClient, integrationId: string, count: number): Promise<void> {
  const deadline = Date.now() + LINKED_MS;
  for (;;) {
    const { devices } = await call(
      'query Links($of: [ID!]) { devices(first: 500, filter: { integrationIds: $of }) { nodes { linkedDevices(relation: WATCHED_BY) { device { id } } } } }',
      { of: [integrationId] },
      z.object({ devices: z.object({ nodes: z.array(z.object({ linkedDevices: z.array(z.unknown()) })) }) }),
    );
    if (devices.nodes.some(({ linkedDevices }) => linkedDevices.length >= count)) return;
    if (Date.now() > deadline) throw new Error('the fire panel of the sandbox is not linked to its cameras');
    await wait(LOOK_EVERY_MS);
  }
}
