import { type Child, startChild } from './child.ts';
import type { BaselineCalls } from './baseline-child.ts';
import type { HttpLoadCalls } from './http-load-child.ts';
import { median } from './measure.ts';
import { memoryPlatforms } from './memory-platform.ts';
import { REPORTED, startProductRig } from './product-rig.ts';
import { count, type Figure, type PartResult } from './report.ts';
import type { WsLoadCalls } from './ws-load-child.ts';

const TARGET = 60_000;
const SIZES = [500, 2_000, 5_000] as const;
const DEVICES = 500;
/** Deliveries of one round, whatever the number of clients. */
const DELIVERIES = 240_000;
const ROUNDS = 3;

const SUBSCRIPTION = `subscription Watch($org: ID!, $types: [String!]) {
  events(filter: { orgId: $org, types: $types }, heartbeatSeconds: 300) {
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

/** @throws Error unless each message is another event with the fields of all subgraphs */
function assertWhole(messages: readonly string[], events: number): void {
  const ids = new Set<string>();
  for (const message of messages) {
    const event = Object(JSON.parse(message)).payload?.data?.events?.event;
    if (typeof event?.device?.site?.name !== 'string') throw new Error(`an event is not whole: ${message}`);
    ids.add(event.id);
  }
  if (ids.size !== events) throw new Error(`${messages.length} messages with ${ids.size} of ${events} events`);
}

async function measure(
  server: Pick<Child<BaselineCalls>, 'cpuMs'>,
  clients: Child<WsLoadCalls>,
  expected: number,
  start: () => Promise<unknown>,
) {
  await clients.call('reset', null as never);
  const before = await server.cpuMs();
  const collected = clients.call('collect', expected);
  await start();
  const { received, ms, messages } = await collected;
  const cpuMs = (await server.cpuMs()) - before;
  if (received !== expected) throw new Error(`${received} deliveries instead of ${expected}`);
  const measured: Measured = { perSecond: (received / ms) * 1_000, perCpuSecond: (received / cpuMs) * 1_000 };
  return { measured, messages };
}

/**
 * One operation and many subscribers: each event with its device and site goes to all of them.
 *
 * @param only with so many; null: some hundred, some thousand, and many thousand
 */
export async function benchFanout(only: number | null): Promise<PartResult> {
  const [platform] = memoryPlatforms(DEVICES, 1);
  if (platform === undefined) throw new Error('there is no platform');
  const rig = await startProductRig(platform, 0);
  const bare = startChild<BaselineCalls>('baseline-child.ts', 0);
  const deliveries = startChild<HttpLoadCalls>('http-load-child.ts', 1);
  const productClients = startChild<WsLoadCalls>('ws-load-child.ts', 1);
  const bareClients = startChild<WsLoadCalls>('ws-load-child.ts', 1);
  try {
    const { port, token } = rig;
    const barePort = await bare.call('sockets', null as never);

    const compare = async (clients: number): Promise<readonly Figure[]> => {
      const variables = { org: rig.orgId, types: REPORTED };
      await productClients.call('subscribe', { port, clients, token, query: SUBSCRIPTION, variables });
      await rig.subscribed(clients);
      await bareClients.call('listen', { port: barePort, clients });
      const events = Math.round(DELIVERIES / clients);
      const deliver = async (): Promise<void> => {
        await deliveries.call('prepareDeliveries', { ...rig.sender, count: events, bytes: 0 });
        const { bad } = await deliveries.call('run', { port, connections: 32, ms: null });
        if (bad > 0) throw new Error(`${bad} deliveries were refused`);
      };
      const ours: Measured[] = [];
      const theirs: Measured[] = [];
      const perEvent: number[] = [];
      let text = '';
      const productRound = async (isCounted: boolean): Promise<void> => {
        const before = await fetches(rig.url);
        const { measured, messages } = await measure(rig.product, productClients, events * clients, deliver);
        assertWhole(messages, events);
        text = messages.at(-1) ?? '';
        if (!isCounted) return;
        ours.push(measured);
        perEvent.push(((await fetches(rig.url)) - before) / events);
      };
      const bareRound = async (isCounted: boolean): Promise<void> => {
        const { measured } = await measure(bare, bareClients, events * clients, () =>
          bare.call('broadcast', { text, times: events }),
        );
        if (isCounted) theirs.push(measured);
      };
      await productRound(false);
      await bareRound(false);
      for (let round = 0; round < ROUNDS; round++) {
        for (const each of round % 2 === 0 ? [productRound, bareRound] : [bareRound, productRound]) await each(true);
      }
      await productClients.call('leave', null as never);
      await bareClients.call('leave', null as never);
      await rig.subscribed(0);

      const rates = (all: readonly Measured[]): string =>
        `${count(median(all.map(({ perCpuSecond }) => perCpuSecond)))} per CPU second, ${count(median(all.map(({ perSecond }) => perSecond)))}/s`;
      const perCpuSecond = median(ours.map((each) => each.perCpuSecond));
      return [
        {
          what: `P5: deliveries to ${count(clients)} subscribers of one operation`,
          value: rates(ours),
          baseline: rates(theirs),
          ratio: median(ours.map((each, at) => each.perCpuSecond / (theirs[at]?.perCpuSecond ?? Number.NaN))),
          target: { text: `${count(TARGET)} per CPU second`, isMet: perCpuSecond >= TARGET },
        },
        { what: 'calls to subgraphs per event', value: median(perEvent).toFixed(2) },
      ];
    };
    const figures: Figure[] = [];
    for (const clients of only === null ? SIZES : [only]) figures.push(...(await compare(clients)));
    return {
      title: 'Fan-out of one operation',
      figures,
      notes: [
        `${count(DELIVERIES)} deliveries per round, all events of it at once, ${ROUNDS} interleaved rounds, median, ratio by CPU per delivery; one operation with an id per client; every delivery counted, one client's messages read and compared. Everything from accepting the webhook on is in it, which weighs more the fewer subscribers share it.`,
        'The baseline is a broadcast of the same bytes with the ws library.',
      ],
    };
  } finally {
    await Promise.all([productClients.stop(), bareClients.stop(), deliveries.stop()]);
    await Promise.all([rig.stop(), bare.stop()]);
  }
}
