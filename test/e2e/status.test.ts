import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { eventually, type Json, openSandbox, operation, query, SimulatedDevices, watch } from './rig.ts';

// Health, availability and planned work on the whole product, from the platform to the client.

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await openSandbox({ devices: 40 });
});

afterAll(async () => {
  await sandbox?.close();
});

function place() {
  const [integration] = sandbox.credentials.integrations;
  const [org] = sandbox.credentials.orgs;
  if (integration === undefined || org === undefined) throw new Error('the sandbox has no org');
  return { integration, org };
}

async function truth() {
  return SimulatedDevices.parse(await (await fetch(`${place().integration.simulatorUrl}/_sim/devices`)).json());
}

async function setState(nativeId: string, state: 'online' | 'offline'): Promise<void> {
  await fetch(`${place().integration.simulatorUrl}/_sim/devices/${encodeURIComponent(nativeId)}`, {
    method: 'POST',
    body: JSON.stringify({ state }),
  });
}

async function wall(): Promise<Json> {
  const { data, errors } = await query(sandbox, operation('06-site-wall'), { org: place().org.id });
  expect(errors).toBeUndefined();
  return data.org;
}

describe('the wall of sites (06)', () => {
  it('counts what the platform has, and the org is the sum of its sites', async () => {
    const { health, sites } = await wall();
    expect(health.total).toBe((await truth()).length);
    for (const key of ['total', 'offline']) {
      const sum = sites.nodes.reduce((total: number, site: Json) => total + (site.health[key] ?? 0), 0);
      expect({ key, sum }).toEqual({ key, sum: health[key] });
    }
    const offline = sites.nodes.map((site: Json) => site.health.offline);
    expect(offline).toEqual(offline.toSorted((a: number, b: number) => b - a));
  });
});

describe('siteHealthChanged', () => {
  it('tells the site whose device was switched off, with counts that a query agrees with', async () => {
    const device = (await truth()).find(({ state }) => state === 'online');
    const before = await wall();
    const feed = watch(
      sandbox,
      'subscription ($org: ID!) { siteHealthChanged(orgId: $org, throttleMs: 250) { site { id name } health { total offline asOf } } }',
      { org: place().org.id },
    );
    try {
      // It begins with what changes once it is open: switched until it tells.
      let isOff = false;
      const told = await eventually(async () => {
        isOff = !isOff;
        await setState(device?.nativeId ?? '', isOff ? 'offline' : 'online');
        await eventually(
          async () => ((await wall()).health.offline === before.health.offline + (isOff ? 1 : 0) ? true : undefined),
          'the state arrives',
        );
        return feed.items.at(-1);
      }, 'the stream tells of it');
      expect(told.errors).toBeUndefined();
      const { site, health } = told.data.siteHealthChanged;
      expect(site.name).toEqual(expect.any(String));
      const now = (await wall()).sites.nodes.find(({ id }: Json) => id === site.id);
      expect(now.health.total).toBe(health.total);
    } finally {
      await feed.close();
      await setState(device?.nativeId ?? '', 'online');
    }
  });
});

describe('planned work', () => {
  it('is in force at once, and over when it is taken back', async () => {
    const { org } = place();
    const create = `mutation ($input: MaintenanceWindowInput!) { createMaintenanceWindow(input: $input) {
      maintenanceWindow { id site { id maintenanceWindows { reason } } } userErrors { code } } }`;
    const span = { from: new Date(Date.now() - 1_000).toISOString(), to: new Date(Date.now() + 600_000).toISOString() };
    const input = { siteId: org.siteIds[0], ...span, reason: 'New cameras' };
    const { data } = await query(sandbox, create, { input });
    const { maintenanceWindow, userErrors } = data.createMaintenanceWindow;
    expect(userErrors).toEqual([]);
    expect(maintenanceWindow.site.maintenanceWindows).toEqual([{ reason: 'New cameras' }]);
    const status = `query ($site: ID!) { site(id: $site) { health { total inMaintenance } devices(first: 1, filter: { inMaintenance: true }) { totalCount nodes { status { maintenance { reason to } } } } } }`;
    const during = (await query(sandbox, status, { site: org.siteIds[0] })).data.site;
    expect(during.health.inMaintenance).toBe(during.health.total);
    expect(during.devices).toMatchObject({
      totalCount: during.health.total,
      nodes: [{ status: { maintenance: { reason: 'New cameras' } } }],
    });
    const remove = `mutation ($id: ID!) { deleteMaintenanceWindow(input: { id: $id }) { deletedId } }`;
    await query(sandbox, remove, { id: maintenanceWindow.id });
    const after = (await query(sandbox, status, { site: org.siteIds[0] })).data.site;
    expect(after.health.inMaintenance).toBe(0);
  });
});

describe('the uptime report (08)', () => {
  it('adds up to thirty days, nearly all of them before we knew the site', async () => {
    const { data, errors } = await query(sandbox, operation('08-uptime-report'), { site: place().org.siteIds[0] });
    expect(errors).toBeUndefined();
    const { availability, devices } = data.site;
    const { uptimeSeconds, downtimeSeconds, unknownSeconds, maintenanceSeconds } = availability;
    expect(uptimeSeconds + downtimeSeconds + unknownSeconds + maintenanceSeconds).toBe(30 * 86_400);
    expect(unknownSeconds).toBeGreaterThan(29 * 86_400);
    expect(availability.calculation).toMatch(/^PARTIAL_/);
    expect(devices.nodes.length).toBeGreaterThan(0);
  });
});

describe('the drill-down (09)', () => {
  it('tells state, reason, history, and the word of the webhook beside that of the listing', async () => {
    const { org } = place();
    const find =
      'query ($org: ID!) { devices(first: 100, filter: { orgId: $org }) { nodes { id name parent { id } } } }';
    const { data } = await query(sandbox, find, { org: org.id });
    const withParent = new Map(
      data.devices.nodes.flatMap((node: Json) => (node.parent === null ? [] : [[node.name, node]])),
    );
    // Not the one that was switched above: it flaps.
    const device = (await truth()).findLast(({ state, name }) => state === 'online' && withParent.has(name));
    const { id, parent } = withParent.get(device?.name) as Json;
    await setState(device?.nativeId ?? '', 'offline');
    const drill = async (): Promise<Json> => {
      const answer = await query(sandbox, operation('09-device-drill-down'), { device: id });
      expect(answer.errors).toBeUndefined();
      return answer.data.device;
    };
    try {
      await eventually(async () => ((await drill()).status.state === 'OFFLINE' ? true : undefined), 'it is offline');
      const { status, statusHistory, events, source, parent: above } = await drill();
      expect(above).toMatchObject({ id: parent.id, status: { state: expect.any(String) } });
      const said = Object.fromEntries(status.evidence.map(({ source: by, ...word }: Json) => [by, word]));
      expect(said).toMatchObject({
        WEBHOOK: { state: 'OFFLINE', agrees: true, integration: { name: expect.any(String) } },
        POLL: { state: 'ONLINE', agrees: false },
      });
      expect(status).toMatchObject({
        reason: expect.any(String),
        flapping: false,
        suppressedBy: null,
        maintenance: null,
      });
      expect(statusHistory.nodes.slice(0, 2)).toMatchObject([
        { state: 'OFFLINE', from: status.since, to: null, maintenance: false },
        { state: 'ONLINE', to: status.since },
      ]);
      expect(events.nodes[0]).toMatchObject({ type: expect.stringMatching(/^health\./), occurredAt: status.since });
      expect(source).toMatchObject({ state: 'OFFLINE' });
    } finally {
      await setState(device?.nativeId ?? '', 'online');
    }
  });
});

describe('the timeline (11)', () => {
  it('is narrowed by people and time, or not at all', async () => {
    const [site] = place().org.siteIds;
    const ask = async (variables: Json): Promise<Json> => {
      const answer = await query(sandbox, operation('11-event-timeline'), { site, ...variables });
      expect(answer.errors).toBeUndefined();
      return answer.data.events;
    };
    const all = await ask({});
    const future = await ask({ from: new Date(Date.now() + 3_600_000).toISOString() });
    expect(future).toMatchObject({ totalCount: 0, nodes: [] });
    const people = await ask({ actors: ['person'] });
    expect(people.totalCount).toBeLessThanOrEqual(all.totalCount);
    for (const { actors } of people.nodes) expect(actors?.map(({ kind }: Json) => kind)).toContain('person');
  });
});
