import type { BaselineCalls } from './baseline-child.ts';
import { type Child, startChild } from './child.ts';
import { memoryPlatforms } from './memory-platform.ts';
import { FEED, REPORTED, startProductRig } from './product-rig.ts';
import { count, type Figure, type PartResult } from './report.ts';
import type { WsLoadCalls } from './ws-load-child.ts';

const SUBSCRIPTIONS = 10_000;
const TARGET_KIB = 40;
const DEVICES = 50;
const PLAIN_QUERY = 'subscription { events { cursor event { id type } } }';

/**
 * What a subscription that gets nothing takes of memory, each on a connection of its own.
 *
 * @param subscriptions null: ten thousand
 */
export async function benchIdle(subscriptions: number | null): Promise<PartResult> {
  const clients = subscriptions ?? SUBSCRIPTIONS;
  /** @param open opens all of them; resolves when the server has them */
  const perClient = async (
    server: Pick<Child<BaselineCalls>, 'residentKib'>,
    open: (load: Child<WsLoadCalls>) => Promise<void>,
  ): Promise<number> => {
    const load = startChild<WsLoadCalls>('ws-load-child.ts', 1);
    try {
      const empty = await server.residentKib();
      await open(load);
      return ((await server.residentKib()) - empty) / clients;
    } finally {
      await load.stop();
    }
  };
  const ofBaseline = async (open: (server: Child<BaselineCalls>, load: Child<WsLoadCalls>) => Promise<void>) => {
    const server = startChild<BaselineCalls>('baseline-child.ts', 0);
    try {
      return await perClient(server, (load) => open(server, load));
    } finally {
      await server.stop();
    }
  };

  const [platform] = memoryPlatforms(DEVICES, 1);
  if (platform === undefined) throw new Error('there is no platform');
  const rig = await startProductRig(platform, 0);
  let ours: number;
  try {
    const { port, token } = rig;
    const variables = { sites: null, types: REPORTED };
    ours = await perClient(rig.product, async (load) => {
      await load.call('subscribe', { port, clients, token, query: FEED, variables, role: 'counts' });
      await rig.subscribed(clients);
    });
  } finally {
    await rig.stop();
  }
  const bare = await ofBaseline(async (server, load) => {
    const port = await server.call('sockets', null as never);
    await load.call('listen', { port, clients, role: 'counts' });
  });
  const usual = await ofBaseline(async (server, load) => {
    const port = await server.call('graphqlWs', null as never);
    await load.call('subscribe', { port, clients, token: 'none', query: PLAIN_QUERY, variables: {}, role: 'counts' });
    await server.call('subscribers', clients);
  });

  const said = (kib: number): string => `${kib.toFixed(1)} KiB`;
  const figureOf = (what: string, kib: number, name: string): Figure => ({
    what,
    value: said(ours),
    baseline: `${said(kib)}, ${name}`,
    ratio: ours / kib,
  });
  return {
    title: `${count(clients)} idle subscriptions`,
    figures: [
      {
        ...figureOf('P6: resident memory of a subscription', usual, 'graphql-ws as it comes'),
        target: { text: said(TARGET_KIB), isMet: ours <= TARGET_KIB },
      },
      figureOf('the same', bare, 'a connection of bare ws'),
    ],
    notes: [
      'Each on a connection of its own, in one process; growth of the resident memory after a garbage collection, divided by their number. The ratio is of memory: above 1 is more.',
    ],
  };
}
