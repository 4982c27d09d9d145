import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import type { SandboxCredentials } from '../credentials.ts';
import { createGraphqlClient, type GraphqlClient } from '../graphql-client.ts';
import { ScenarioError } from './scenario.ts';

/** One device of the sandbox, as the graph and its platform know it. */
export interface StageDevice {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly state: string;
  readonly siteId: string;
  readonly integrationId: string;
  /** As the platform's `/_sim/devices` calls it. */
  readonly nativeId: string;
}

type Integration = SandboxCredentials['integrations'][number];

/** A running sandbox, by its public faces only: the graph, and the control addresses of the simulated platforms. */
export interface Stage {
  readonly credentials: SandboxCredentials;
  readonly call: GraphqlClient;
  /** Devices of the first org that stand at a site, at most 500, in order of their names. */
  devices(): Promise<readonly StageDevice[]>;
  /** What a platform answers at `/_sim/<path>`; with a body it is told something. Null when it does not know the call. */
  control(integrationId: string, path: string, body?: unknown): Promise<unknown>;
  /** Asks until there is an answer that is not undefined. @throws ScenarioError naming what did not happen within 30 seconds */
  until<T>(what: string, look: () => Promise<T | undefined>): Promise<T>;
  pause(ms: number): Promise<void>;
}

const PATIENCE_MS = 30_000;
const LOOK_EVERY_MS = 100;

const Devices = z.object({
  devices: z.object({
    nodes: z.array(
      z.object({
        id: z.string(),
        name: z.string(),
        type: z.string(),
        status: z.object({ state: z.string() }),
        site: z.object({ id: z.string() }).nullable(),
        integration: z.object({ id: z.string() }).nullable(),
        externalIds: z.array(z.object({ namespace: z.string(), value: z.string() })),
      }),
    ),
  }),
});

const DEVICES = `query StageDevices($org: ID!) {
  devices(first: 500, filter: { orgId: $org }, orderBy: { field: NAME }) {
    nodes { id name type status { state } site { id } integration { id } externalIds { namespace value } }
  }
}`;

export function createStage(credentials: SandboxCredentials): Stage {
  const call = createGraphqlClient(credentials.graphqlUrl, credentials.tokens['admin'] ?? '');
  const byId = new Map(credentials.integrations.map((integration) => [integration.id, integration]));

  async function control({ simulatorUrl }: Integration, path: string, body: unknown): Promise<unknown> {
    const options = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    const response = await fetch(`${simulatorUrl}/_sim/${path}`, options);
    if (response.status === 404 || response.status === 400) return null;
    if (!response.ok) throw new ScenarioError(`a simulated platform answers ${response.status} at /_sim/${path}`);
    return response.json();
  }

  return {
    credentials,
    call,
    async devices() {
      const { devices } = await call(DEVICES, { org: credentials.orgs[0]?.id }, Devices);
      return devices.nodes.flatMap(({ id, name, type, status, site, integration, externalIds }) => {
        const native = externalIds.find(({ namespace }) => namespace.endsWith(':device-id'));
        return site === null || integration === null || native === undefined
          ? []
          : [
              {
                id,
                name,
                type,
                state: status.state,
                siteId: site.id,
                integrationId: integration.id,
                nativeId: native.value,
              },
            ];
      });
    },
    async control(integrationId, path, body) {
      const integration = byId.get(integrationId);
      return integration === undefined ? null : control(integration, path, body);
    },
    async until(what, look) {
      const deadline = Date.now() + PATIENCE_MS;
      for (;;) {
        const found = await look();
        if (found !== undefined) return found;
        if (Date.now() > deadline) throw new ScenarioError(`It did not happen: ${what}`);
        await wait(LOOK_EVERY_MS);
      }
    },
    pause: (ms) => wait(ms),
  };
}

/** Switches a device at its platform, which tells of it in its own way. */
export async function switchDevice(
  stage: Stage,
  { integrationId, nativeId }: StageDevice,
  state: 'online' | 'offline',
): Promise<void> {
  await stage.control(integrationId, `devices/${encodeURIComponent(nativeId)}`, { state });
}

const Simulated = z.object({
  simulateEvents: z.object({
    accepted: z.int(),
    deduplicated: z.int(),
    userErrors: z.array(z.object({ code: z.string(), message: z.string() })),
  }),
});

export interface SimulateArguments {
  readonly deviceIds: readonly string[];
  readonly type: string;
  readonly count?: number;
  readonly everyMs?: number;
  readonly duplicateRate?: number;
  readonly outOfOrder?: boolean;
}

/** Makes up events through the public API. @throws ScenarioError when they are refused */
export async function simulate(
  stage: Stage,
  input: SimulateArguments,
): Promise<{ readonly accepted: number; readonly deduplicated: number }> {
  const { simulateEvents } = await stage.call(
    `mutation Simulate($input: SimulateEventsInput!) {
      simulateEvents(input: $input) { accepted deduplicated userErrors { code message } }
    }`,
    { input },
    Simulated,
  );
  const [error] = simulateEvents.userErrors;
  if (error !== undefined) throw new ScenarioError(error.message);
  return simulateEvents;
}
