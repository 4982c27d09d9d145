import { z } from 'zod';
import { type Scenario, ScenarioError } from './scenario.ts';

const Linked = z.object({
  devices: z.object({
    nodes: z.array(
      z.object({
        id: z.string(),
        name: z.string(),
        type: z.string(),
        integration: z.object({ id: z.string() }).nullable(),
        externalIds: z.array(z.object({ namespace: z.string(), value: z.string() })),
        linkedDevices: z.array(
          z.object({ device: z.object({ id: z.string(), name: z.string(), vendor: z.string() }) }),
        ),
      }),
    ),
  }),
});

const PANELS = `query Panels($org: ID!) {
  devices(first: 100, filter: { orgId: $org, types: [PANEL] }) {
    nodes {
      id name type integration { id } externalIds { namespace value }
      linkedDevices(relation: WATCHED_BY) { device { id name vendor } }
    }
  }
}`;

/** A fire panel's alarm at the cameras that see it. */
export const firePanel: Scenario = {
  name: 'fire-panel',
  summary: 'A fire panel alarms, and the event is created at every camera that watches it, whatever its platform.',
  async run(stage) {
    const { devices } = await stage.call(PANELS, { org: stage.credentials.orgs[0]?.id }, Linked);
    const panel = devices.nodes.find(({ linkedDevices }) => linkedDevices.length > 0);
    const native = panel?.externalIds.find(({ namespace }) => namespace.endsWith(':device-id'));
    if (panel === undefined || panel.integration === null || native === undefined)
      throw new ScenarioError('no panel of this sandbox is watched by a camera: it has too few devices');
    for (const active of [false, true])
      await stage.control(panel.integration.id, 'trigger', { nativeId: native.value, active });
    const cameras = panel.linkedDevices.map(({ device }) => `${device.name} (${device.vendor})`).join(', ');
    return {
      done: [`${panel.name} is in alarm; ${cameras} get an event of their own.`],
      watch: `{ device(id: "${panel.id}") { name events(first: 5) { nodes { type summary } } linkedDevices(relation: WATCHED_BY) { device { name vendor } } } }`,
    };
  },
};
