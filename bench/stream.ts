import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { deviceId } from '../storage/ids.ts';
import type { BaselineCalls } from './baseline-child.ts';
import { startChild } from './child.ts';
import type { HttpLoadCalls } from './http-load-child.ts';
import { median, until } from './measure.ts';
import { listedBy, memoryPlatforms } from './memory-platform.ts';
import type { ProductCalls } from './product-child.ts';
import { count, type PartResult } from './report.ts';
import type { WsLoadCalls } from './ws-load-child.ts';

const DEVICES = 500;
/** Subscribers of the latency, and how many different things they ask for. */
const SUBSCRIBERS = 100;
const GROUPS = 10;
const PER_SECOND = 2_000;
const STEADY_SECONDS = 5;
const BURST_SECONDS = 1;
const CALM_PER_SECOND = 200;
const CONNECTIONS = 64;
const P99_MS = 50;
const BURST_P99_MS = 250;
/** Subscribers that all ask for something else. */
const DISTINCT = 200;
const DISTINCT_EVENTS = 150;
const DISTINCT_TARGET = 15_000;
const IDLE = 3_000;
const IDLE_TARGET_KIB = 40;
const SOAK_PER_SECOND = 500;
const SLOPE_MIB = 1;

const FEED = `subscription Feed($devices: [ID!], $types: [String!]) {
  events(
    filter: { deviceIds: $devices, types: $types, includeSuppressed: true, includeMaintenance: true }
    heartbeatSeconds: 300
  ) {
    __typename
    ... on EventDelivered { cursor event { id type severity occurredAt receivedAt summary device { id name site { id name } } } }
  }
}`;

const Frame = z.object({
  payload: z.object({ data: z.object({ events: z.object({ event: z.object({ receivedAt: z.string() }) }) }) }),
});

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} ([\\d.e+]+)`, 'm').exec(text)?.[1] ?? 0);
}

/** @param soakSeconds how long memory is watched */
export async function benchStream(soakSeconds: number): Promise<PartResult> {
  const dir = mkdtempSync(join(tmpdir(), 'convergraph-bench-'));
  const product = startChild<ProductCalls>('product-child.ts', 0);
  const usual = startChild<BaselineCalls>('baseline-child.ts', 0);
  const deliveries = startChild<HttpLoadCalls>('http-load-child.ts', 1);
  const clients = startChild<WsLoadCalls>('ws-load-child.ts', 1);
  const others = startChild<WsLoadCalls>('ws-load-child.ts', 1);
  try {
    const [platform] = memoryPlatforms(DEVICES, 1);
    if (platform === undefined) throw new Error('there is no platform');
    const { url, token } = await product.call('start', { dir: join(dir, 'product'), platforms: 'memory' });
    const { integrations } = await product.call('fill', [platform]);
    const [integration] = integrations;
    const port = Number(new URL(url).port);
    const listed = listedBy(platform);
    const ids = listed.devices.map(({ nativeId }) => deviceId(integration?.id ?? '', nativeId));
    const subscribed = (expected: number) =>
      until(`${expected} have subscribed`, async () =>
        (await metric(url, 'convergraph_stream_subscribers')) === expected ? true : null,
      );
    const deliver = async (events: number, perSecond: number | null): Promise<void> => {
      const path = `/webhooks/${integration?.id}`;
      const secret = integration?.webhookSecret ?? '';
      await deliveries.call('prepareDeliveries', { path, secret, count: events, bytes: 0, ...listed });
      const { bad } = await deliveries.call('run', { port, connections: CONNECTIONS, ms: null, perSecond });
      if (bad > 0) throw new Error(`${bad} deliveries were refused`);
    };
    const settled = (expected: number) =>
      until('everything has arrived', async () =>
        (await clients.call('received', null as never)) >= expected ? true : null,
      );

    const subscribe = (number: number, variables: Readonly<Record<string, unknown>>) =>
      clients.call('subscribe', { port, clients: number, token, query: FEED, variables });

    // First of all: memory that was used once is not given back, and would hide what a subscription takes.
    const empty = await product.residentKib();
    await subscribe(IDLE, { devices: null, types: null });
    await subscribed(IDLE);
    const idleKib = ((await product.residentKib()) - empty) / IDLE;
    await clients.call('leave', null as never);
    await subscribed(0);

    // Latency: each event goes to the ten subscribers of its device.
    // What follows from the events (flapping, incidents) is not counted.
    const types = ['health.online', 'health.offline'];
    for (let group = 0; group < GROUPS; group++) {
      const devices = ids.filter((_, at) => at % GROUPS === group);
      await subscribe(SUBSCRIBERS / GROUPS, { devices, types });
    }
    await subscribed(SUBSCRIBERS);
    const latencies = async (phases: readonly (readonly [perSecond: number, seconds: number])[]) => {
      await clients.call('reset', null as never);
      let sent = 0;
      for (const [perSecond, seconds] of phases) {
        await deliver(perSecond * seconds, perSecond);
        sent += perSecond * seconds;
      }
      await settled((sent * SUBSCRIBERS) / GROUPS);
      return (await clients.call('kept', null as never)).map(
        ({ message, at }) => at - Date.parse(Frame.parse(JSON.parse(message)).payload.data.events.event.receivedAt),
      );
    };
    await latencies([[CALM_PER_SECOND, 2]]);
    const steady = await latencies([[PER_SECOND, STEADY_SECONDS]]);
    const burst = await latencies([
      [CALM_PER_SECOND, 1],
      [CALM_PER_SECOND * 10, BURST_SECONDS],
      [CALM_PER_SECOND, 1],
    ]);
    await clients.call('leave', null as never);
    await subscribed(0);

    // Everybody has a filter of his own, and a stream of his own; what is made of an event is the same for all.
    for (let at = 0; at < DISTINCT; at++)
      await subscribe(1, { devices: null, types: ['health.online', 'health.offline', `other.${at}`] });
    await subscribed(DISTINCT);
    const usualPort = await usual.call('graphqlWs', null as never);
    const query =
      'subscription { events { cursor event { id type severity occurredAt summary device { id name site { id name } } } } }';
    await others.call('subscribe', { port: usualPort, clients: DISTINCT, token: 'none', query, variables: {} });
    const event = {
      id: 'evt_1234567890',
      type: 'health.offline',
      severity: 'WARNING',
      occurredAt: '2026-11-20T12:00:00.000Z',
      summary: 'Camera 1 is offline',
      device: { id: 'dev_1234567890', name: 'Camera 1', site: { id: 'site_1', name: 'Lobby' } },
    };
    const perCpuSecond: { product: number[]; usual: number[] } = { product: [], usual: [] };
    for (let round = 0; round < 3; round++) {
      const measure = async (
        child: typeof product | typeof usual,
        load: typeof clients,
        start: () => Promise<unknown>,
      ) => {
        await load.call('reset', null as never);
        const before = await child.cpuMs();
        const collected = load.call('collect', DISTINCT * DISTINCT_EVENTS);
        await start();
        const { received } = await collected;
        return (received / ((await child.cpuMs()) - before)) * 1_000;
      };
      perCpuSecond.product.push(await measure(product, clients, () => deliver(DISTINCT_EVENTS, null)));
      perCpuSecond.usual.push(
        await measure(usual, others, () =>
          usual.call('publish', { item: { cursor: 'c', event }, times: DISTINCT_EVENTS }),
        ),
      );
    }
    const [ours, theirs] = [median(perCpuSecond.product), median(perCpuSecond.usual)];
    await clients.call('leave', null as never);
    await subscribed(0);

    // One of ten takes nothing; the others and the events go on.
    await subscribe(10, { devices: null, types: null });
    await subscribed(10);
    await deliver(SOAK_PER_SECOND * 4, SOAK_PER_SECOND);
    await clients.call('stall', null as never);
    const residents: number[] = [];
    const since = performance.now();
    while (performance.now() - since < soakSeconds * 1_000) {
      await deliver(SOAK_PER_SECOND * 2, SOAK_PER_SECOND);
      residents.push((await product.residentKib()) / 1_024);
    }
    const minutes = (performance.now() - since) / 60_000;
    const half = Math.ceil(residents.length / 2);
    const slope = (median(residents.slice(half)) - median(residents.slice(0, half))) / (minutes / 2);
    const cut = await metric(url, 'convergraph_subscribers_too_slow_total');

    const said = (values: readonly number[]) =>
      `p50 ${count(median(values))} ms, p99 ${count(percentile(values, 0.99))} ms`;
    return {
      title: 'The stream',
      figures: [
        {
          what: `webhook to subscriber, ${count(PER_SECOND)} events/s, ${SUBSCRIBERS} subscribers`,
          value: said(steady),
          target: { text: `p99 ${P99_MS} ms`, isMet: percentile(steady, 0.99) <= P99_MS },
        },
        {
          what: `the same in a burst from ${count(CALM_PER_SECOND)} to ${count(CALM_PER_SECOND * 10)} events/s`,
          value: said(burst),
          target: { text: `p99 ${BURST_P99_MS} ms`, isMet: percentile(burst, 0.99) <= BURST_P99_MS },
        },
        {
          what: `deliveries to ${DISTINCT} subscribers with different filters`,
          value: `${count(ours)} per CPU second`,
          baseline: `${count(theirs)}, graphql-ws executing for each`,
          ratio: ours / theirs,
          target: { text: count(DISTINCT_TARGET), isMet: ours >= DISTINCT_TARGET },
        },
        {
          what: `resident memory of an idle subscription, ${count(IDLE)} of them`,
          value: `${idleKib.toFixed(1)} KiB`,
          target: { text: `${IDLE_TARGET_KIB} KiB`, isMet: idleKib <= IDLE_TARGET_KIB },
        },
        {
          what: `growth of memory with one subscriber that takes nothing (${count(cut)} was cut), ${count(minutes * 60)} s`,
          value: `${slope.toFixed(1)} MiB per minute`,
          target: { text: `${SLOPE_MIB} MiB`, isMet: slope <= SLOPE_MIB },
        },
      ],
      notes: [
        `Latency from the arrival of the webhook, by the event's receivedAt, to the subscriber, in one process with the processing; every event goes to ${SUBSCRIBERS / GROUPS} subscribers in one of ${GROUPS} different subscriptions, with device and site. Open loop, one event in a webhook.`,
        'Subscribers with different filters have one selection and one access scope. Shared subscriptions are in the part `fanout`. Growth over seconds is mostly caches that fill: `npm run bench -- stream=1800` is the soak.',
      ],
    };
  } finally {
    await Promise.all([clients.stop(), others.stop(), deliveries.stop()]);
    await Promise.all([product.stop(), usual.stop()]);
    rmSync(dir, { recursive: true, force: true });
  }
}
