import type { BaselineCalls } from './baseline-child.ts';
import { type Child, startChild } from './child.ts';
import type { HttpLoadCalls } from './http-load-child.ts';
import { median } from './measure.ts';
import { memoryPlatforms } from './memory-platform.ts';
import { FEED, REPORTED, startProductRig } from './product-rig.ts';
import { count, type PartResult } from './report.ts';
import type { WsLoadCalls } from './ws-load-child.ts';

const TARGET = 15_000;
const DEVICES = 500;
const SUBSCRIBERS = 200;
const EVENTS = 150;
const CONNECTIONS = 64;
const ROUNDS = 3;

/** The same fields as a schema of its own has them. */
const PLAIN_QUERY =
  'subscription { events { cursor event { id type severity occurredAt receivedAt summary device { id name site { id name } } } } }';
const PLAIN_ITEM = {
  cursor: 'c'.repeat(40),
  event: {
    id: 'evt_1234567890',
    type: 'health.offline',
    severity: 'WARNING',
    occurredAt: '2026-11-20T12:00:00.000Z',
    receivedAt: '2026-11-20T12:00:00.010Z',
    summary: 'Camera 1 is offline',
    device: { id: 'dev_1234567890', name: 'Camera 1', site: { id: 'site_1', name: 'Lobby' } },
  },
};

/** Everybody has a filter of his own, and a stream of his own. */
export async function benchDistinct(): Promise<PartResult> {
  const [platform] = memoryPlatforms(DEVICES, 1);
  if (platform === undefined) throw new Error('there is no platform');
  const rig = await startProductRig(platform, 0);
  const [usual, bare] = [0, 1].map(() => startChild<BaselineCalls>('baseline-child.ts', 0));
  const deliveries = startChild<HttpLoadCalls>('http-load-child.ts', 1);
  const [clients, usualClients, bareClients] = [0, 1, 2].map(() => startChild<WsLoadCalls>('ws-load-child.ts', 1));
  const started = [usual, bare, deliveries, clients, usualClients, bareClients];
  try {
    if (!usual || !bare || !clients || !usualClients || !bareClients)
      throw new Error('there is nobody to compare with');
    const { port, token } = rig;
    for (let at = 0; at < SUBSCRIBERS; at++) {
      const variables = { sites: null, types: [...REPORTED, `other.${at}`] };
      await clients.call('subscribe', { port, clients: 1, token, query: FEED, variables, role: 'counts' });
    }
    await rig.subscribed(SUBSCRIBERS);
    const usualPort = await usual.call('graphqlWs', null as never);
    const plain = { port: usualPort, clients: SUBSCRIBERS, token: 'none', query: PLAIN_QUERY, variables: {} };
    await usualClients.call('subscribe', { ...plain, role: 'counts' });
    const barePort = await bare.call('sockets', null as never);
    await bareClients.call('listen', { port: barePort, clients: SUBSCRIBERS, role: 'counts' });

    const measure = async (
      child: Pick<Child<BaselineCalls>, 'cpuMs'>,
      load: Child<WsLoadCalls>,
      start: () => Promise<unknown>,
    ): Promise<number> => {
      await load.call('reset', null as never);
      const before = await child.cpuMs();
      const collected = load.call('collect', SUBSCRIBERS * EVENTS);
      await start();
      const { received } = await collected;
      return (received / ((await child.cpuMs()) - before)) * 1_000;
    };
    const deliver = async (): Promise<void> => {
      await deliveries.call('prepareDeliveries', { ...rig.sender, count: EVENTS, bytes: 0 });
      const { bad } = await deliveries.call('run', { port, connections: CONNECTIONS, ms: null });
      if (bad > 0) throw new Error(`${bad} deliveries were refused`);
    };
    const text = JSON.stringify({ id: '0'.repeat(36), type: 'next', payload: { data: { events: PLAIN_ITEM } } });
    const contestants = [
      () => measure(rig.product, clients, deliver),
      () => measure(usual, usualClients, () => usual.call('publish', { item: PLAIN_ITEM, times: EVENTS })),
      () => measure(bare, bareClients, () => bare.call('broadcast', { text, times: EVENTS })),
    ];
    const rounds: number[][] = contestants.map(() => []);
    // The first round is not counted: everything is new.
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [at, run] of contestants.entries()) {
        const perCpuSecond = await run();
        if (round > 0) rounds[at]?.push(perCpuSecond);
      }
    }
    const [ours = Number.NaN, theirs = Number.NaN, least = Number.NaN] = rounds.map(median);
    const what = `P5: deliveries to ${SUBSCRIBERS} subscribers with different filters`;
    const value = `${count(ours)} per CPU second`;
    return {
      title: 'Fan-out where everybody asks for something else',
      figures: [
        {
          what,
          value,
          baseline: `${count(theirs)}, graphql-ws executing for each`,
          ratio: ours / theirs,
          target: { text: `${count(TARGET)} per CPU second`, isMet: ours >= TARGET },
        },
        { what: 'the same', value, baseline: `${count(least)}, bare ws broadcast`, ratio: ours / least },
      ],
      notes: [
        `${EVENTS} events at once per round, ${ROUNDS} interleaved rounds, median. Subscribers have one selection and one access scope; their filters all differ, and every event passes all of them. Everything from accepting the webhook on is in it.`,
        'The baselines have their items in memory: graphql-ws executes an operation with the same fields for each subscriber, ws sends ready bytes.',
      ],
    };
  } finally {
    for (const child of started.toReversed()) await child?.stop();
    await rig.stop();
  }
}
