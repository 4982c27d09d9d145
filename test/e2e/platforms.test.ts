import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Vendor } from '../../adapter-kit/define-vendor.ts';
import type { Simulator } from '../../adapter-kit/simulator.ts';
import type { Platform } from '../../sandbox/platforms.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { allVendors, type Answer, eventually, type Json, openSandbox, operation, query } from './rig.ts';

// All platforms of this deployment side by side, each spoken to over its own protocol. Whatever subgraphs/index.ts lists.

/** Half of them belong to the first org. */
const DEVICES = 400;
/** A platform may learn only after a while that it can be reached again: the first waits of retries add up to less. */
const REPAIR_MS = 90_000;
/** The longest that a live read may hold up an answer, and what a loaded machine adds to it. */
const LIVE_MS = 3_000;
const MARGIN_MS = 5_000;

/**
 * Calls that one live read of some 30 devices at three sites may cost a platform, with what it does besides. A listing where
 * the platform has one; what it forces upon us where it has none: OnGuard answers reader by reader, sensors are many
 * sources. Milestone's feed has told already.
 */
const MAX_CALLS: Readonly<Record<string, number>> = {
  'vendor-cloud': 8,
  milestone: 3,
  onguard: 45,
  'on-prem': 0,
  reconeyez: 3,
  vxg: 8,
  sensors: 24,
};

/** Live reads of each integration, counted where the house asks the adapter. */
const batches = new Map<string, number>();

function counting(vendor: Vendor): Vendor {
  return {
    ...vendor,
    createAdapter(options) {
      const adapter = vendor.createAdapter(options);
      const read = adapter.readDevices.bind(adapter);
      adapter.readDevices = (refs, signal) => {
        batches.set(options.integrationId, (batches.get(options.integrationId) ?? 0) + 1);
        return read(refs, signal);
      };
      return adapter;
    },
  };
}

const list = allVendors.map(counting);
const askable = list.filter(({ ingest }) => ingest.pushOnly !== true);

let sandbox: Sandbox;
let org: Sandbox['credentials']['orgs'][number];
let own: readonly { readonly platform: Platform; readonly integrationId: string }[];

beforeAll(async () => {
  sandbox = await openSandbox({ vendors: list, devices: DEVICES });
  const [first] = sandbox.credentials.orgs;
  if (first === undefined) throw new Error('the sandbox has no org');
  org = first;
  own = sandbox.platforms
    .filter((platform) => platform.org.key === org.key)
    .map((platform) => {
      const found = sandbox.credentials.integrations.find(
        (each) => each.orgKey === org.key && each.vendor === platform.vendor.enumValue,
      );
      if (found === undefined) throw new Error(`no integration of ${platform.vendor.slug}`);
      return { platform, integrationId: found.id };
    });
});

afterAll(async () => sandbox?.close());

const LIVE = /* GraphQL */ `
  query Live($org: ID!) {
    devices(first: 500, filter: { orgId: $org }) {
      totalCount
      nodes {
        id
        name
        type
        vendor
        integration {
          id
        }
        status {
          state
        }
        source {
          __typename
          integrationId
          nativeId
          name
          state
        }
      }
    }
  }
`;

async function ask(document: string, variables: unknown): Promise<Answer> {
  const answer = await query(sandbox, document, variables);
  if (answer.data === undefined || answer.data === null) throw new Error(JSON.stringify(answer.errors));
  return answer;
}

async function setOutage(simulator: Simulator, seconds: number): Promise<void> {
  const answer = await fetch(new URL('/_sim/outage', simulator.url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ seconds }),
  });
  await answer.body?.cancel();
  expect(answer.ok).toBe(true);
}

async function becomesTrue(what: string, isSo: () => Promise<boolean>): Promise<void> {
  await eventually(async () => ((await isSo()) ? true : undefined), what, REPAIR_MS);
}

function nodesOf(answer: Answer): Json[] {
  return answer.data.devices.nodes;
}

/** A platform that failed is left alone for a while: what the last test broke must not be the next one's finding. */
async function everythingAnswers(): Promise<void> {
  await becomesTrue('every platform answers live', async () => {
    const answer = await ask(LIVE, { org: org.id });
    return (answer.errors ?? []).length === 0;
  });
}

/** No listing is under way any more. What platforms are asked over and over, by polls and listeners, goes on. */
async function quiet(): Promise<void> {
  await becomesTrue('the syncs of the start have ended', async () => {
    const { data } = await ask(
      'query ($org: ID!) { org(id: $org) { integrations { nodes { syncRuns(first: 1) { nodes { state } } } } } }',
      { org: org.id },
    );
    const runs: Json[] = data.org.integrations.nodes.flatMap(({ syncRuns }: Json) => syncRuns.nodes);
    return runs.every(({ state }) => state !== 'RUNNING');
  });
}

const bySlug = (slug: string) => {
  const found = own.find(({ platform }) => platform.vendor.slug === slug);
  if (found === undefined) throw new Error(`no platform of ${slug}`);
  return found;
};

describe('all platforms in one answer', () => {
  it('has every device of every platform once, asked live with one batch for each integration', async () => {
    // The second answer is counted: the first one opens connections, and syncs of the start may still be under way.
    await everythingAnswers();
    await quiet();
    batches.clear();
    const calls = new Map(own.map(({ platform, integrationId }) => [integrationId, platform.simulator.calls?.() ?? 0]));
    const answer = await ask(LIVE, { org: org.id });
    expect(answer.errors ?? []).toEqual([]);
    const nodes = nodesOf(answer);
    let all = 0;
    expect(nodes.length).toBe(answer.data.devices.totalCount);
    for (const { platform, integrationId } of own) {
      const { vendor, simulator } = platform;
      const devices = nodes.filter((node) => node.integration.id === integrationId);
      expect({ vendor: vendor.slug, devices: devices.length }).toEqual({
        vendor: vendor.slug,
        devices: simulator.devices().length,
      });
      expect(devices.every((node) => node.vendor === vendor.enumValue)).toBe(true);
      // Whoever only pushes is not asked, and answers nothing live.
      const isAsked = vendor.ingest.pushOnly !== true;
      const typeName = isAsked ? `${vendor.graphqlName}Device` : undefined;
      expect(devices.filter((node) => node.source?.__typename !== typeName).map((node) => node.name)).toEqual([]);
      expect({ vendor: vendor.slug, batches: batches.get(integrationId) }).toEqual({
        vendor: vendor.slug,
        batches: isAsked ? 1 : undefined,
      });
      const spent = (simulator.calls?.() ?? 0) - (calls.get(integrationId) ?? 0);
      expect({ vendor: vendor.slug, isWithin: spent <= (MAX_CALLS[vendor.slug] ?? 3), spent }).toMatchObject({
        vendor: vendor.slug,
        isWithin: true,
      });
      all += spent;
    }
    // Never one for each device.
    expect(all).toBeLessThan(nodes.length / 2);
  });

  it('pages through the inventory, finds by words, drills down, and says where a site is blind', async () => {
    const seen = new Set<string>();
    for (let after: string | null = null, more = true; more; ) {
      const page: Answer = await ask(operation('01-inventory-page'), { org: org.id, after });
      expect(page.errors ?? []).toEqual([]);
      for (const node of page.data.devices.nodes) {
        expect(seen.has(node.id)).toBe(false);
        seen.add(node.id);
        expect(node.site).not.toBeNull();
      }
      expect(page.data.devices.sources).toHaveLength(own.length);
      after = page.data.devices.pageInfo.endCursor;
      more = page.data.devices.pageInfo.hasNextPage;
    }
    expect(seen.size).toBe(own.reduce((sum, { platform }) => sum + platform.simulator.devices().length, 0));

    for (const { integrationId, platform } of own) {
      const [node] = (
        await ask(
          'query ($org: ID!, $id: ID!) { devices(first: 1, filter: { orgId: $org, integrationIds: [$id] }) { nodes { id name } } }',
          { org: org.id, id: integrationId },
        )
      ).data.devices.nodes;
      const found = await ask(operation('02-find-device'), { text: node.name, mac: '00:00:00:00:00:00' });
      expect(found.data.byText.nodes.map((each: { id: string }) => each.id)).toContain(node.id);
      const drilled = await ask(operation('09-device-drill-down'), { device: node.id });
      expect({ vendor: platform.vendor.slug, errors: drilled.errors ?? [] }).toEqual({
        vendor: platform.vendor.slug,
        errors: [],
      });
      expect(drilled.data.device).toMatchObject({ id: node.id, vendor: platform.vendor.enumValue });
    }

    for (const site of org.siteIds) {
      const blind = await ask(operation('24-blind-spots'), { site });
      expect(blind.errors ?? []).toEqual([]);
      const rows: { type: string; family: string; devices: number }[] = blind.data.site.coverage;
      const types = new Set(rows.map(({ type }) => type));
      const counted = await ask('query ($s: [ID!]) { devices(first: 0, filter: { siteIds: $s }) { totalCount } }', {
        s: [site],
      });
      // Every kind has each of the five families, and each family counts every device once.
      expect(new Set(rows.map(({ type, family }) => `${type} ${family}`)).size).toBe(5 * types.size);
      expect(rows.reduce((sum, { devices }) => sum + devices, 0)).toBe(5 * counted.data.devices.totalCount);
    }
  });
});

describe.each(askable.map(({ slug }) => slug))('with %s down', (slug) => {
  it('answers the others as before, and names what failed', async () => {
    const { platform, integrationId } = bySlug(slug);
    await everythingAnswers();
    const before = nodesOf(await ask(LIVE, { org: org.id }));
    await setOutage(platform.simulator, 600);
    try {
      const startedAt = performance.now();
      const answer = await ask(LIVE, { org: org.id });
      expect(performance.now() - startedAt).toBeLessThan(LIVE_MS + MARGIN_MS);
      const others = (nodes: Json[]) => nodes.filter((node) => node.integration.id !== integrationId);
      const live = (nodes: Json[]) => others(nodes).map(({ id, name, source }) => ({ id, name, source }));
      expect(live(nodesOf(answer))).toEqual(live(before));
      const down = nodesOf(answer).filter((node) => node.integration.id === integrationId);
      expect(down).toHaveLength(platform.simulator.devices().length);
      expect(down.filter((node) => node.source !== null)).toEqual([]);
      const told = (answer.errors ?? []).map(({ extensions }) => extensions?.['integrationId']);
      expect(new Set(told)).toEqual(new Set([integrationId]));
    } finally {
      await setOutage(platform.simulator, 0);
    }
  });
});

describe.each(list.map(({ slug }) => slug))('an outage of %s', (slug) => {
  it('repairs itself, and what happened meanwhile is told', async () => {
    const { platform, integrationId } = bySlug(slug);
    const { simulator } = platform;
    const find = async (nativeId: string): Promise<Json> => {
      const answer = await ask(
        'query ($org: ID!, $id: ID!) { devices(first: 500, filter: { orgId: $org, integrationIds: [$id] }) { nodes { id status { state } externalIds { value } } } }',
        { org: org.id, id: integrationId },
      );
      return answer.data.devices.nodes.find((node: { externalIds: { value: string }[] }) =>
        node.externalIds.some(({ value }) => value === nativeId),
      );
    };
    const state = async (nativeId: string): Promise<string | undefined> => (await find(nativeId))?.status.state;
    /** What the log says of the device's health, newest first. */
    const told = async (nativeId: string, first: number): Promise<readonly string[]> => {
      const { id } = await find(nativeId);
      const answer = await ask(
        'query ($id: ID!, $first: Int!) { device(id: $id) { events(first: $first, filter: { families: [HEALTH] }) { nodes { ... on HealthEvent { state } } } } }',
        { id, first },
      );
      return answer.data.device.events.nodes.map((node: { state: string }) => node.state);
    };
    const online: string[] = [];
    for (const { nativeId, state: truth } of simulator.devices()) {
      if (truth === 'online' && (await state(nativeId)) === 'ONLINE') online.push(nativeId);
      if (online.length === 2) break;
    }
    const [gone, back] = online;
    if (gone === undefined || back === undefined) throw new Error(`${slug} has no two devices that are online`);
    await setOutage(simulator, 600);
    simulator.setState(gone, 'offline');
    simulator.setState(back, 'offline');
    simulator.setState(back, 'online');
    await setOutage(simulator, 0);
    await becomesTrue(`${slug} tells that ${gone} is offline`, async () => (await state(gone)) === 'OFFLINE');
    await becomesTrue(`${slug} tells that ${back} is online`, async () => (await state(back)) === 'ONLINE');
    simulator.setState(gone, 'online');
    await becomesTrue(`${slug} tells that ${gone} is back`, async () => (await state(gone)) === 'ONLINE');
    expect(await told(gone, 2)).toEqual(['ONLINE', 'OFFLINE']);
  });
});
