import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { allVendors, eventually, type Json, openSandbox, operation, query } from './rig.ts';

// The program at a customer's site and the whole product: what it brings, and that it is missed when it is gone.

const PROGRAM = join(import.meta.dirname, '../../subgraphs/on-prem/relay.ts');
/** A loaded machine may hold up a heartbeat a second for some of them. */
const EXPECTED_SILENCE_MS = 5_000;

let sandbox: Awaited<ReturnType<typeof openSandbox>>;
const isDeployed = allVendors.some(({ slug }) => slug === 'on-prem');

beforeAll(async () => {
  if (isDeployed)
    sandbox = await openSandbox({ vendors: allVendors.filter(({ slug }) => slug === 'on-prem'), devices: 30 });
});

afterAll(() => sandbox?.close());

async function ask(document: string, variables: object = {}): Promise<Json> {
  const { data, errors } = await query(sandbox, document, variables);
  expect(errors).toBeUndefined();
  return data;
}

/** A program of its own, as at the site. */
async function startRelay(config: string) {
  const child: ChildProcess = spawn(process.execPath, [PROGRAM, '--config', config], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  if (child.stdout === null) throw new Error('the relay has no log');
  let port = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { msg, port: told }: { msg: string; port?: number } = JSON.parse(line);
    if (msg === 'The relay listens') port = told ?? 0;
  });
  await eventually(() => (port === 0 ? undefined : true), 'the relay listens');
  return {
    async give(body: unknown) {
      const answer = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: JSON.stringify(body) });
      expect(answer.status).toBe(202);
    },
    async end(signal: NodeJS.Signals) {
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
    },
  };
}

async function connect(orgId: string) {
  const input = {
    orgId,
    vendor: 'ON_PREM',
    name: 'Relay in the cellar',
    settings: { listsAreComplete: true, expectedSilenceMs: EXPECTED_SILENCE_MS },
  };
  const { createIntegration } = await ask(
    `mutation ($input: CreateIntegrationInput!) { createIntegration(input: $input) {
      integration { id webhook { url signatureProfile } } webhookSecretOnce userErrors { message } } }`,
    { input: { integration: input, idempotencyKey: randomUUID() } },
  );
  expect(createIntegration.userErrors).toEqual([]);
  return createIntegration;
}

it.runIf(isDeployed)(
  'brings inventory and events from a site, is alive by its heartbeat alone, and is missed',
  async () => {
    const [org] = sandbox.credentials.orgs;
    const [siteId] = org?.siteIds ?? [];
    if (org === undefined || siteId === undefined) throw new Error('the sandbox has no site');
    const { integration, webhookSecretOnce: secret } = await connect(org.id);
    const { url, signatureProfile: profile } = integration.webhook;
    const dir = join(sandbox.dir, 'site');
    mkdirSync(dir);
    writeFileSync(join(dir, 'secret'), secret);
    writeFileSync(
      join(dir, 'relay.json'),
      JSON.stringify({
        cloud: { url, profile, secretFile: join(dir, 'secret') },
        queueDir: join(dir, 'queue'),
        listen: { port: 0 },
        listsAreComplete: true,
        heartbeatSeconds: 1,
      }),
    );
    const relay = await startRelay(join(dir, 'relay.json'));

    const devices = ['cam-1', 'cam-2', 'door-1'].map((id) => ({
      id,
      name: `Relayed ${id}`,
      type: id.startsWith('door') ? 'access_control' : 'camera',
      customer_id: 'cust-9',
      status: 'online',
      mac_address: '00:1B:44:11:3A:B7',
      ip: '192.168.1.10',
    }));
    await relay.give({ devices });
    const letters = 'query ($id: ID!) { integration(id: $id) { deadLetters { nodes { stage } } } }';
    await eventually(async () => {
      const found = (await ask(letters, integration)).integration.deadLetters.nodes;
      return found.some(({ stage }: Json) => stage === 'BINDING') ? true : undefined;
    }, 'the list waits for its customer');
    await ask('mutation ($input: BindSiteInput!) { bindSite(input: $input) { userErrors { message } } }', {
      input: { integrationId: integration.id, vendorOrgId: '', vendorSiteId: 'cust-9', siteId },
    });
    const inventory = async (): Promise<Json[]> =>
      (
        await ask(
          'query ($ids: [ID!]) { devices(filter: { integrationIds: $ids }) { nodes { id name type site { id } status { state } } } }',
          { ids: [integration.id] },
        )
      ).devices.nodes;
    const stateOf = async (name: string) => (await inventory()).find((device) => device.name === name)?.status.state;
    await eventually(async () => {
      if ((await inventory()).length === 3) return true;
      await ask(operation('21-replay-dead-letters'), { integration: integration.id });
      return undefined;
    }, 'the list is taken in');
    expect((await inventory()).every(({ site }) => site.id === siteId)).toBe(true);

    await relay.give({ device_id: 'cam-2', status: 'offline', timestamp: new Date().toISOString() });
    await eventually(
      async () => ((await stateOf('Relayed cam-2')) === 'OFFLINE' ? true : undefined),
      'the event is taken in',
    );

    const health = async (): Promise<Json> =>
      (
        await ask('query ($id: ID!) { integration(id: $id) { state health { lastEventAt silentSince } } }', {
          id: integration.id,
        })
      ).integration;
    // Nothing is given to it any more: what still comes are heartbeats.
    const heard = new Set<string>();
    await eventually(async () => {
      heard.add((await health()).health.lastEventAt);
      return heard.size > 3 ? true : undefined;
    }, 'heartbeats are heard');
    expect(await health()).toMatchObject({ state: 'CONNECTED', health: { silentSince: null } });

    await relay.end('SIGKILL');
    const missed = await eventually(async () => {
      const now = await health();
      return now.health.silentSince === null ? undefined : now;
    }, 'the relay is missed');
    expect(missed.state).toBe('DEGRADED');
    const told = async (): Promise<string[]> => {
      const { events } = await ask(
        'query ($ids: [ID!]) { events(filter: { integrationIds: $ids, families: [SYSTEM] }) { nodes { type origin } } }',
        { ids: [integration.id] },
      );
      return events.nodes.map(({ type }: Json) => type).filter((type: string) => type.startsWith('integration.'));
    };
    await eventually(
      async () => ((await told()).includes('integration.silent') ? true : undefined),
      'its absence is told',
    );
    const incidents = async (open: boolean): Promise<Json[]> =>
      (
        await ask(
          'query ($org: ID!, $open: Boolean) { org(id: $org) { incidents(open: $open) { nodes { cause rootIntegration { id } } } } }',
          { org: org.id, open },
        )
      ).org.incidents.nodes.filter(({ rootIntegration }: Json) => rootIntegration?.id === integration.id);
    await eventually(
      async () => ((await incidents(true)).length === 1 ? true : undefined),
      'an incident stands for it',
    );
    expect(await incidents(true)).toMatchObject([{ cause: 'PLATFORM_DOWN' }]);
    // What was last said of its devices stands.
    expect(await stateOf('Relayed cam-2')).toBe('OFFLINE');

    const again = await startRelay(join(dir, 'relay.json'));
    await eventually(
      async () => ((await told()).includes('integration.heard') ? true : undefined),
      'its return is told',
    );
    expect(await health()).toMatchObject({ state: 'CONNECTED', health: { silentSince: null } });
    await eventually(async () => ((await incidents(true)).length === 0 ? true : undefined), 'the incident is over');
    expect(await incidents(false)).toHaveLength(1);
    await again.give({ device_id: 'cam-2', status: 'online', timestamp: new Date().toISOString() });
    await eventually(
      async () => ((await stateOf('Relayed cam-2')) === 'ONLINE' ? true : undefined),
      'events come again',
    );
  },
);
