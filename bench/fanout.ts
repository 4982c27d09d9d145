import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BaselineCalls } from './baseline-child.ts';
import { type Child, startChild } from './child.ts';
import type { HttpLoadCalls } from './http-load-child.ts';
import { median, until } from './measure.ts';
import { listedBy, memoryPlatforms } from './memory-platform.ts';
import type { ProductCalls } from './product-child.ts';
import { count, type PartResult } from './report.ts';
import type { WsLoadCalls } from './ws-load-child.ts';

const TARGET = 0.7;
const CLIENTS = 1_000;
const DEVICES = 500;
const EVENTS = 300;
const ROUNDS = 4;

const SUBSCRIPTION = `subscription Watch($org: ID!) {
  events(filter: { orgId: $org }, heartbeatSeconds: 300) {
    __typename
    ... on EventDelivered {
      cursor
      event { id type severity occurredAt summary device { id name site { id name } } }
    }
  }
}`;

interface Measured {
  readonly perSecond: number;
  readonly perCpuSecond: number;
}

/** Calls of the gateway to subgraphs so far, those of streams not counted. */
async function fetches(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith('convergraph_subgraph_fetch_seconds_count') && line.includes('kind="query"'))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

async function subscribers(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^convergraph_stream_subscribers (\d+)/m.exec(text)?.[1] ?? 0);
}

/** @throws Error unless each message is another event with the fields of all subgraphs */
function assertWhole(messages: readonly string[]): void {
  const ids = new Set<string>();
  for (const message of messages) {
    const event = Object(JSON.parse(message)).payload?.data?.events?.event;
    if (typeof event?.device?.site?.name !== 'string') throw new Error(`an event is not whole: ${message}`);
    ids.add(event.id);
  }
  if (ids.size !== EVENTS) throw new Error(`${messages.length} messages with ${ids.size} of ${EVENTS} events`);
}

async function measure(
  server: Pick<Child<BaselineCalls>, 'cpuMs'>,
  clients: Child<WsLoadCalls>,
  start: () => Promise<unknown>,
) {
  await clients.call('reset', null as never);
  const before = await server.cpuMs();
  const collected = clients.call('collect', EVENTS * CLIENTS);
  await start();
  const { received, ms, messages } = await collected;
  const cpuMs = (await server.cpuMs()) - before;
  if (received !== EVENTS * CLIENTS) throw new Error(`${received} deliveries instead of ${EVENTS * CLIENTS}`);
  const measured: Measured = { perSecond: (received / ms) * 1_000, perCpuSecond: (received / cpuMs) * 1_000 };
  return { measured, messages };
}

/** One operation, a thousand subscribers: each event with its device and site goes to all of them. */
export async function benchFanout(): Promise<PartResult> {
  const dir = mkdtempSync(join(tmpdir(), 'convergraph-bench-'));
  const product = startChild<ProductCalls>('product-child.ts', 0);
  const bare = startChild<BaselineCalls>('baseline-child.ts', 0);
  const deliveries = startChild<HttpLoadCalls>('http-load-child.ts', 1);
  const productClients = startChild<WsLoadCalls>('ws-load-child.ts', 1);
  const bareClients = startChild<WsLoadCalls>('ws-load-child.ts', 1);
  try {
    const [platform] = memoryPlatforms(DEVICES, 1);
    if (platform === undefined) throw new Error('there is no platform');
    const { url, token } = await product.call('start', { dir: join(dir, 'product'), platforms: 'memory' });
    const { integrations, orgs } = await product.call('fill', [platform]);
    const [integration] = integrations;
    const port = Number(new URL(url).port);
    const path = `/webhooks/${integration?.id}`;
    const secret = integration?.webhookSecret ?? '';

    const productEmpty = await product.residentKib();
    const variables = { org: orgs[0]?.id };
    await productClients.call('subscribe', { port, clients: CLIENTS, token, query: SUBSCRIPTION, variables });
    await until('all have subscribed', async () => ((await subscribers(url)) === CLIENTS ? true : null));
    const productKib = ((await product.residentKib()) - productEmpty) / CLIENTS;
    const barePort = await bare.call('sockets', null as never);
    const bareEmpty = await bare.residentKib();
    await bareClients.call('listen', { port: barePort, clients: CLIENTS });
    const bareKib = ((await bare.residentKib()) - bareEmpty) / CLIENTS;

    const deliver = async (): Promise<void> => {
      await deliveries.call('prepareDeliveries', { path, secret, count: EVENTS, bytes: 0, ...listedBy(platform) });
      const { bad } = await deliveries.call('run', { port, connections: 32, ms: null });
      if (bad > 0) throw new Error(`${bad} deliveries were refused`);
    };
    const ours: Measured[] = [];
    const theirs: Measured[] = [];
    const perEvent: number[] = [];
    let text = '';
    const productRound = async (isCounted: boolean): Promise<void> => {
      const before = await fetches(url);
      const { measured, messages } = await measure(product, productClients, deliver);
      assertWhole(messages);
      text = messages.at(-1) ?? '';
      if (!isCounted) return;
      ours.push(measured);
      perEvent.push(((await fetches(url)) - before) / EVENTS);
    };
    const bareRound = async (isCounted: boolean): Promise<void> => {
      const { measured } = await measure(bare, bareClients, () => bare.call('broadcast', { text, times: EVENTS }));
      if (isCounted) theirs.push(measured);
    };
    await productRound(false);
    await bareRound(false);
    for (let round = 0; round < ROUNDS; round++) {
      for (const each of round % 2 === 0 ? [productRound, bareRound] : [bareRound, productRound]) await each(true);
    }

    const rates = (all: readonly Measured[]): string =>
      `${count(median(all.map(({ perSecond }) => perSecond)))} deliveries/s, ${count(median(all.map(({ perCpuSecond }) => perCpuSecond)))} per CPU second`;
    const ratio = median(ours.map(({ perCpuSecond }, at) => perCpuSecond / (theirs[at]?.perCpuSecond ?? Number.NaN)));
    return {
      title: `Fan-out to ${count(CLIENTS)} subscribers`,
      figures: [
        {
          what: 'event with device and site, from webhook to every subscriber',
          value: rates(ours),
          baseline: rates(theirs),
          ratio,
          target: { text: `${TARGET} of bare ws`, isMet: ratio >= TARGET },
        },
        { what: 'memory per subscriber', value: `${productKib.toFixed(1)} KiB`, baseline: `${bareKib.toFixed(1)} KiB` },
        { what: 'calls to subgraphs per event', value: median(perEvent).toFixed(2) },
      ],
      notes: [
        `${count(EVENTS)} events at once per round, ${ROUNDS} interleaved rounds, median, ratio by CPU per delivery; one operation with an id per client; every delivery counted, one client's messages read and compared.`,
        'The baseline is a broadcast of the same bytes with the ws library. Figures of the product contain everything from accepting the webhook on.',
      ],
    };
  } finally {
    await Promise.all([productClients.stop(), bareClients.stop(), deliveries.stop()]);
    await Promise.all([product.stop(), bare.stop()]);
    rmSync(dir, { recursive: true, force: true });
  }
}
