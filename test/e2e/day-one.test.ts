import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import {
  deliver,
  eventually,
  healthEvent,
  type Json,
  openSandbox,
  operation,
  query,
  sign,
  SimulatedDevices,
  type Watch,
  watch,
} from './rig.ts';

// What a stranger does on the first day, on the whole product over HTTP and WebSocket.

const byText = (a: string, b: string): number => (a < b ? -1 : 1);

let sandbox: Sandbox;
const watches: Watch[] = [];

beforeAll(async () => {
  sandbox = await openSandbox();
});

afterAll(async () => {
  await Promise.all(watches.map((each) => each.close()));
  await sandbox?.close();
});

function follow(document: string, variables: Record<string, unknown>, token = 'admin'): Watch {
  const each = watch(sandbox, document, variables, token);
  watches.push(each);
  return each;
}

function place(index = 0) {
  const integration = sandbox.credentials.integrations[index];
  const org = sandbox.credentials.orgs[index];
  if (integration === undefined || org === undefined) throw new Error(`the sandbox has no org ${index}`);
  return { integration, org };
}

async function truth(index = 0) {
  return SimulatedDevices.parse(await (await fetch(`${place(index).integration.simulatorUrl}/_sim/devices`)).json());
}

function isLive(feed: Watch): Promise<true> {
  return eventually(() => (feed.items.length > 0 ? true : undefined), 'the stream is live');
}

/** A feed that has told that it is live. */
async function liveFeed(index = 0, token = 'admin'): Promise<Watch> {
  const { org } = place(index);
  const head = await query(sandbox, '{ events(first: 1) { pageInfo { startCursor } } }');
  const after = head.data.events.pageInfo.startCursor ?? null;
  const feed = follow(operation('07-health-feed'), { org: org.id, after }, token);
  if (after !== null) await isLive(feed);
  return feed;
}

function delivered(feed: Watch): Json[] {
  return feed.items.map((item) => item.data.events).filter((item) => item.__typename === 'EventDelivered');
}

describe('inventory page by page (01)', () => {
  it('shows every device of the platform exactly once', async () => {
    const { org } = place();
    const seen: Json[] = [];
    let after: string | null = null;
    do {
      const { data, errors } = await query(sandbox, operation('01-inventory-page'), { org: org.id, after });
      expect(errors).toBeUndefined();
      seen.push(...data.devices.nodes);
      after = data.devices.pageInfo.hasNextPage ? data.devices.pageInfo.endCursor : null;
      expect(data.devices.totalCount).toBe((await truth()).length);
      expect(data.devices.sources).toMatchObject([{ freshness: 'FRESH', error: null }]);
    } while (after !== null);
    const nativeIds = seen.map(
      ({ externalIds }) => externalIds.find((id: Json) => id.namespace === 'vendor-cloud:device-id').value,
    );
    expect(nativeIds.toSorted(byText)).toEqual((await truth()).map(({ nativeId }) => nativeId).toSorted(byText));
    expect(seen.every(({ site, status }) => site !== null && status.state !== 'UNKNOWN')).toBe(true);
  });
});

describe('delta sync (03)', () => {
  it('makes an old copy equal to the inventory', async () => {
    const { org } = place(1);
    const copy = new Set<string>();
    let cursor: string | null = null;
    let hasMore = true;
    while (hasMore) {
      const { data } = await query(sandbox, operation('03-delta-sync'), { org: org.id, cursor });
      expect(data.inventoryChanges.resetRequired).toBe(false);
      for (const change of data.inventoryChanges.nodes) {
        if (change.kind === 'REMOVED') copy.delete(change.deviceId);
        else copy.add(change.deviceId);
      }
      cursor = data.inventoryChanges.pageInfo.endCursor;
      hasMore = data.inventoryChanges.pageInfo.hasNextPage;
    }
    const { data } = await query(sandbox, operation('01-inventory-page'), { org: org.id });
    expect([...copy].toSorted(byText)).toEqual(data.devices.nodes.map(({ id }: Json) => id).toSorted(byText));
  });
});

describe('the health feed (07)', () => {
  it('tells that a device was switched off at its platform', async () => {
    const device = (await truth()).find(({ state, type }) => state === 'online' && type === 'camera');
    const feed = await liveFeed();
    const before = delivered(feed).length;
    await fetch(`${place().integration.simulatorUrl}/_sim/devices/${encodeURIComponent(device?.nativeId ?? '')}`, {
      method: 'POST',
      body: JSON.stringify({ state: 'offline' }),
    });
    const item = await eventually(
      () =>
        delivered(feed)
          .slice(before)
          .find(({ event }) => event.device?.name === device?.name),
      'the event arrives',
    );
    expect(item.event).toMatchObject({
      type: 'health.offline',
      family: 'HEALTH',
      state: 'OFFLINE',
      previousState: 'ONLINE',
      origin: 'WEBHOOK',
    });
    const { data } = await query(
      sandbox,
      '{ devices(filter: { states: [OFFLINE] }) { nodes { name status { state } source { state } } } }',
    );
    expect(data.devices.nodes).toContainEqual({
      name: device?.name,
      status: { state: 'OFFLINE' },
      source: { state: 'OFFLINE' },
    });
  });

  it.each([0, 1, 2])(
    'takes a signed webhook of org %i in its profile, once however often it is sent',
    async (index) => {
      const { integration } = place(index);
      const [device] = (await truth(index)).filter(({ type }) => type === 'camera');
      if (device === undefined) throw new Error('no camera');
      const feed = await liveFeed(index);
      const body = healthEvent(device, 'offline');
      expect((await deliver(integration, body)).status).toBe(202);
      const item = await eventually(
        () =>
          delivered(feed).find(({ event }) => event.device?.name === device.name && event.type === 'health.offline'),
        'the event arrives',
      );
      const again = await deliver(integration, body);
      expect(again).toMatchObject({ status: 200, answer: { duplicate: true } });
      const { data } = await query(
        sandbox,
        `query($id: [ID!]) { events(filter: { deviceIds: $id }, first: 5) { nodes { id duplicateCount } } }`,
        { id: [item.event.device.id] },
      );
      expect(data.events.nodes.find(({ id }: Json) => id === item.event.id)).toEqual({
        id: item.event.id,
        duplicateCount: 1,
      });
      expect(delivered(feed).filter(({ event }) => event.id === item.event.id)).toHaveLength(1);
    },
  );

  it('refuses a body that was altered after signing', async () => {
    const { integration } = place();
    const [device] = await truth();
    if (device === undefined) throw new Error('no device');
    const headers = sign(integration, healthEvent(device, 'offline'));
    expect((await deliver(integration, healthEvent(device, 'online'), headers)).status).toBe(401);
  });

  it('replays what was missed and goes on without a seam', async () => {
    const { integration, org } = place(2);
    const [device] = await truth(2);
    if (device === undefined) throw new Error('no device');
    const { data } = await query(
      sandbox,
      'query($org: ID) { events(first: 1, filter: { orgId: $org }) { pageInfo { startCursor } } }',
      { org: org.id },
    );
    const after = data.events.pageInfo.startCursor;
    const missed: string[] = Array.from({ length: 7 }, (): string => randomUUID());
    const start = Date.now();
    for (const [index, id] of missed.entries())
      await deliver(integration, healthEvent(device, index % 2 ? 'online' : 'offline', new Date(start + index), id));
    const feed = follow(
      `subscription($org: ID!, $after: String) { events(filter: { orgId: $org }, after: $after) {
      __typename ... on EventDelivered { replayed event { vendorEventId } } ... on ReplayComplete { replayedCount } } }`,
      { org: org.id, after },
    );
    const live: string = randomUUID();
    await eventually(
      () => feed.items.find((item) => item.data.events.__typename === 'ReplayComplete'),
      'the replay is complete',
    );
    await deliver(integration, healthEvent(device, 'offline', new Date(), live));
    await eventually(() => delivered(feed).find(({ event }) => event.vendorEventId === live), 'the live event arrives');
    const ids = delivered(feed).map(({ event }) => event.vendorEventId);
    expect(ids.filter((id) => missed.includes(id) || id === live)).toEqual([...missed, live]);
  });

  it('comes by server-sent events too', async () => {
    const { integration, org } = place();
    const [device] = await truth();
    if (device === undefined) throw new Error('no device');
    const stop = new AbortController();
    const response = await fetch(sandbox.credentials.graphqlUrl, {
      method: 'POST',
      signal: stop.signal,
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream',
        authorization: `Bearer ${sandbox.credentials.tokens['admin']}`,
      },
      body: JSON.stringify({
        query:
          'subscription($org: ID) { events(filter: { orgId: $org }, heartbeatSeconds: 1) { __typename ... on EventDelivered { event { vendorEventId } } } }',
        variables: { org: org.id },
      }),
    });
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const id = randomUUID();
    let text = '';
    let isSent = false;
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk);
      if (!isSent && text.includes('StreamHeartbeat')) {
        isSent = true;
        await deliver(integration, healthEvent(device, 'offline', new Date(), id));
      }
      if (text.includes(id)) break;
    }
    stop.abort();
    expect(text).toContain(id);
  });
});

describe('connecting a platform (16, 17, 18, 21)', () => {
  it('tests, connects, finds the sites, keeps early events, and replays them after binding', async () => {
    const { org } = place(1);
    const platform = sandbox.platforms[0];
    if (platform === undefined) throw new Error('no platform');
    const input = {
      orgId: org.id,
      vendor: 'VENDOR_CLOUD',
      name: 'Second account',
      baseUrl: platform.simulator.integration.baseUrl,
      credentials: platform.simulator.integration.credentials,
    };
    const key = randomUUID();
    const first = await query(sandbox, operation('16-test-then-connect'), { in: input, key });
    expect(first.data.testIntegration).toMatchObject({ ok: true });
    const { integration, webhookSecretOnce } = first.data.createIntegration;
    expect(webhookSecretOnce).toEqual(expect.any(String));
    const second = await query(sandbox, operation('16-test-then-connect'), { in: input, key });
    expect(second.data.createIntegration).toMatchObject({
      integration: { id: integration.id },
      webhookSecretOnce: null,
    });

    const sites = await query(sandbox, operation('17-vendor-sites'), { integration: integration.id });
    expect(sites.data.vendorSites.map(({ boundTo }: Json) => boundTo)).toEqual(
      platform.simulator.sites().map(() => null),
    );

    const device = platform.simulator.devices()[0];
    if (device === undefined) throw new Error('no device');
    const eventId = randomUUID();
    const webhook = {
      ...place(1).integration,
      id: integration.id,
      webhookUrl: integration.webhook.url,
      webhookSecret: webhookSecretOnce,
      signatureProfile: integration.webhook.signatureProfile,
    };
    expect((await deliver(webhook, healthEvent(device, 'offline', new Date(), eventId))).status).toBe(202);
    const letters = `query($id: ID!) { integration(id: $id) { deadLetters { totalCount nodes { stage reason } } } }`;
    await eventually(
      async () =>
        (await query(sandbox, letters, { id: integration.id })).data.integration.deadLetters.totalCount === 1
          ? true
          : undefined,
      'the event waits',
    );

    const bind = {
      integrationId: integration.id,
      vendorOrgId: device.accountId,
      vendorSiteId: device.siteId,
      siteId: org.siteIds[0],
    };
    const bound = await query(sandbox, operation('18-bind-and-sync'), {
      bind,
      integration: integration.id,
      key: randomUUID(),
    });
    expect(bound.data).toMatchObject({ bindSite: { userErrors: [] }, syncIntegration: { userErrors: [] } });
    const replay = () => query(sandbox, operation('21-replay-dead-letters'), { integration: integration.id });
    await eventually(async () => {
      await replay();
      const { data } = await query(
        sandbox,
        'query($id: [ID!]) { events(filter: { integrationIds: $id }) { nodes { vendorEventId } } }',
        { id: [integration.id] },
      );
      return data.events.nodes.some(({ vendorEventId }: Json) => vendorEventId === eventId) ? true : undefined;
    }, 'the event is replayed');
    expect((await replay()).data.replayDeadLetters).toMatchObject({ replayed: 0, stillFailing: [] });
  });
});

describe('operating connections (20, 23)', () => {
  it('shows state, vital signs and syncs, and no secret', async () => {
    const answer = await query(sandbox, operation('20-integration-ops'), { org: place().org.id });
    expect(answer.errors).toBeUndefined();
    expect(answer.data.org.integrations.nodes).toMatchObject([
      { state: 'CONNECTED', ingestMode: 'PUSH_WITH_POLL_FALLBACK', health: { lastSyncState: 'SUCCEEDED' } },
    ]);
    const text = JSON.stringify(answer);
    for (const { webhookSecret } of sandbox.credentials.integrations) expect(text).not.toContain(webhookSecret);
  });

  it('counts exactly what is in the log, and what came by itself', async () => {
    const { org } = place();
    const counted = /* GraphQL */ `
      query ($org: ID!, $all: EventFilter!) {
        org(id: $org) {
          integrations(first: 50) {
            nodes {
              health {
                events24h
                reconcile {
                  eventsByPush
                }
              }
              conformance {
                grade
              }
            }
          }
        }
        events(first: 500, filter: $all) {
          totalCount
          nodes {
            origin
          }
        }
      }
    `;
    const all = { orgId: org.id, includeSuppressed: true, includeMaintenance: true };
    // Between the two readings of one query something may arrive.
    const { health, conformance } = await eventually(async () => {
      const { data } = await query(sandbox, counted, { org: org.id, all });
      const [integration] = data.org.integrations.nodes;
      const pushed = data.events.nodes.filter(({ origin }: Json) => origin === 'WEBHOOK').length;
      const isExact =
        integration.health.events24h === data.events.totalCount && integration.health.reconcile.eventsByPush === pushed;
      return isExact ? integration : undefined;
    }, 'the counters say what is in the log');
    expect(health.events24h).toBeGreaterThan(0);
    expect(conformance.grade).not.toBeNull();
  });

  it('tells when an integration changes', async () => {
    const { org, integration } = place(2);
    const feed = follow(operation('23-integration-watch'), { org: org.id });
    const rename = (name: string) =>
      query(
        sandbox,
        'mutation($input: UpdateIntegrationInput!) { updateIntegration(input: $input) { userErrors { message } } }',
        { input: { id: integration.id, name } },
      );
    let attempt = 0;
    const item = await eventually(async () => {
      await rename(`Renamed ${attempt++}`);
      return feed.items[0];
    }, 'the change arrives');
    expect(item.data.integrationHealthChanged).toMatchObject({ id: integration.id, state: 'CONNECTED' });
  });
});

describe('a platform that is down', () => {
  it('costs its own live fields and nothing else', async () => {
    const { integration } = place(2);
    await fetch(`${integration.simulatorUrl}/_sim/outage`, { method: 'POST', body: JSON.stringify({ seconds: 600 }) });
    try {
      const { data, errors } = await query(
        sandbox,
        '{ orgs { nodes { id devices(first: 2) { nodes { id status { state } source { state } integration { id } } } } } }',
      );
      const rows = data.orgs.nodes.map(({ id, devices }: Json) => [
        id,
        devices.nodes.map(({ source }: Json) => source !== null),
      ]);
      expect(Object.fromEntries(rows)).toEqual({
        [place(0).org.id]: [true, true],
        [place(1).org.id]: [true, true],
        [place(2).org.id]: [false, false],
      });
      expect(
        data.orgs.nodes.every(({ devices }: Json) => devices.nodes.every(({ status }: Json) => status.state !== null)),
      ).toBe(true);
      expect(errors?.length).toBeGreaterThan(0);
      for (const error of errors ?? [])
        expect(error.extensions).toMatchObject({
          integrationId: integration.id,
          code: expect.stringMatching(/^PLATFORM_/),
        });
    } finally {
      await fetch(`${integration.simulatorUrl}/_sim/outage`, { method: 'POST', body: JSON.stringify({ seconds: 0 }) });
    }
  });
});

describe('who may see what', () => {
  it('treats ids of another org like ids that do not exist', async () => {
    const foreign = place(1);
    const { data: own } = await query(sandbox, '{ devices(first: 1) { nodes { id } } }', {}, foreign.org.key);
    const ids = {
      org: foreign.org.id,
      site: foreign.org.siteIds[0],
      integration: foreign.integration.id,
      device: own.devices.nodes[0].id,
    };
    const { data, errors } = await query(
      sandbox,
      `query($org: ID!, $site: ID!, $integration: ID!, $device: ID!) {
        org(id: $org) { id } site(id: $site) { id } integration(id: $integration) { id } device(id: $device) { id }
        devices(filter: { orgId: $org }) { totalCount nodes { id } facets(fields: [SITE]) { buckets { key } } sources { freshness } }
        events(filter: { orgId: $org }) { totalCount nodes { id } }
        orgs { nodes { id } }
      }`,
      ids,
      place(0).org.key,
    );
    expect(errors).toBeUndefined();
    expect(data).toEqual({
      org: null,
      site: null,
      integration: null,
      device: null,
      devices: { totalCount: 0, nodes: [], facets: [{ buckets: [] }], sources: [] },
      events: { totalCount: 0, nodes: [] },
      orgs: { nodes: [{ id: place(0).org.id }] },
    });
  });

  it('delivers to a principal of one site the events of that site only', async () => {
    const { org, integration } = place(0);
    const key = `${org.key}:site`;
    const feed = await liveFeed(0, key);
    const all = await liveFeed(0);
    const sites = sandbox.platforms[0]?.simulator.sites() ?? [];
    const devices = await truth(0);
    const inside = devices.find(({ siteId }) => siteId === sites[0]?.nativeId);
    const outside = devices.find(({ siteId }) => siteId === sites[1]?.nativeId);
    if (inside === undefined || outside === undefined) throw new Error('no devices');
    await deliver(integration, healthEvent(outside, 'degraded'));
    await deliver(integration, healthEvent(inside, 'degraded'));
    const isOf =
      (name: string) =>
      ({ event }: Json) =>
        event.device?.name === name && event.state === 'DEGRADED';
    await eventually(() => delivered(all).find(isOf(outside.name)), 'the org sees the other site');
    await eventually(() => delivered(feed).find(isOf(inside.name)), 'the site sees its own');
    expect(delivered(feed).filter(isOf(outside.name))).toEqual([]);
  });
});
