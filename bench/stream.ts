import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { BaselineCalls } from './baseline-child.ts';
import { type Child, startChild } from './child.ts';
import type { HttpLoadCalls } from './http-load-child.ts';
import { percentile } from './measure.ts';
import { widePlatform } from './memory-platform.ts';
import type { OpenResult, Phase } from './open-load.ts';
import { FEED, received, REPORTED, startProductRig } from './product-rig.ts';
import { count, type Figure, type PartResult } from './report.ts';
import type { WsLoadCalls } from './ws-load-child.ts';

const SITES = 95;
const DEVICES_PER_SITE = 10;
/** Besides one for each site: they see every event. */
const OBSERVERS = 5;
const SUBSCRIBERS = SITES + OBSERVERS;
/** One for its site, and those that see everything. */
const REACHED = 1 + OBSERVERS;
const CONNECTIONS = 128;
const PER_SECOND = 2_000;
const P99_MS = 50;
const BURST_FACTOR = 10;
const BURST_MS = 1_000;
const AROUND_BURST_MS = 2_000;
const BURST_P99_MS = 250;
const WARM_UP_MS = 2_000;
/** How long nothing may come before what is missing is given up. */
const PATIENCE_MS = 10_000;

interface Contestant {
  readonly port: number;
  readonly clients: Child<WsLoadCalls>;
}

interface Measured {
  readonly result: OpenResult;
  /** Deliveries that did not come to subscribers although their event was acknowledged. */
  readonly missing: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/**
 * From the instant at which an event happens to its subscribers, at a steady rate and in a burst.
 *
 * @param seconds of the steady rate
 */
export async function benchStream(seconds: number): Promise<PartResult> {
  const rig = await startProductRig(widePlatform(SITES * DEVICES_PER_SITE, SITES), null);
  const bare = startChild<BaselineCalls>('baseline-child.ts', null);
  const load = startChild<HttpLoadCalls>('http-load-child.ts', null);
  const clients = startChild<WsLoadCalls>('ws-load-child.ts', null);
  const bareClients = startChild<WsLoadCalls>('ws-load-child.ts', null);
  try {
    const barePort = await bare.call('relay', { secret: rig.sender.secret, file: join(rig.dir, 'relay.db') });
    const role = 'times';
    const subscribe = (number: number, sites: readonly string[] | null) =>
      clients.call('subscribe', {
        ...{ port: rig.port, token: rig.token, clients: number, role },
        query: FEED,
        variables: { sites, types: REPORTED },
      });
    for (const site of rig.siteIds) await subscribe(1, [site]);
    await subscribe(OBSERVERS, null);
    await rig.subscribed(SUBSCRIBERS);
    for (const site of new Set(rig.listed.devices.map(({ siteId }) => siteId)))
      await bareClients.call('listen', { port: barePort, clients: 1, role, path: `/${site}` });
    await bareClients.call('listen', { port: barePort, clients: OBSERVERS, role, path: '/all' });

    const run = async ({ port, clients: own }: Contestant, before: Phase, measured: Phase, after: readonly Phase[]) => {
      await own.call('reset', null as never);
      const result = await load.call('runOpenFresh', {
        load: { port, connections: CONNECTIONS, ...before, then: [measured, ...after] },
        sender: rig.sender,
      });
      const expected = result.accepted * REACHED;
      const missing = expected - (await received(own, expected, PATIENCE_MS));
      const { happened, late } = await own.call('times', null as never);
      const from = result.startedAt + before.ms;
      const waits = late.filter((_, at) => {
        const since = (happened[at] ?? 0) - from;
        return since >= 0 && since < measured.ms;
      });
      return { result, missing, p50Ms: percentile(waits, 0.5), p99Ms: percentile(waits, 0.99) } satisfies Measured;
    };
    const steady = (contestant: Contestant) =>
      run(contestant, { perSecond: PER_SECOND, ms: WARM_UP_MS }, { perSecond: PER_SECOND, ms: seconds * 1_000 }, []);
    const burst = (contestant: Contestant) => {
      const around = { perSecond: PER_SECOND, ms: AROUND_BURST_MS };
      return run(contestant, around, { perSecond: PER_SECOND * BURST_FACTOR, ms: BURST_MS }, [around]);
    };
    const theirs = { port: barePort, clients: bareClients };
    const ours = { port: rig.port, clients };
    const [bareSteady, ourSteady] = [await steady(theirs), await steady(ours)];
    const [bareBurst, ourBurst] = [await burst(theirs), await burst(ours)];

    return {
      title: 'From an event to its subscribers',
      figures: [
        figureOf(`P4: ${count(PER_SECOND)} events/s, ${SUBSCRIBERS} subscribers`, ourSteady, bareSteady, P99_MS),
        figureOf(
          `P4: a burst from ${count(PER_SECOND)} to ${count(PER_SECOND * BURST_FACTOR)} events/s for ${BURST_MS / 1_000} s`,
          ourBurst,
          bareBurst,
          BURST_P99_MS,
        ),
      ],
      notes: [
        `${SITES} subscribers see a site of their own and ${OBSERVERS} see everything: each event is delivered ${REACHED} times, with device and site. Time runs from the instant at which the event was due at its sender, which is what it carries as its own time, until the subscriber has read it; of those who see everything one is timed. In a burst, of the events of the burst.`,
        `Open loop, one event in a signed webhook, ${CONNECTIONS} connections. Nothing is pinned: product, load and subscribers share ${availableParallelism()} cores.`,
        'The baseline is node:http with HMAC, JSON, zod and one SQLite table with group commit, which gives what came in to the same subscribers over the ws library. The ratio is of times: above 1 is slower.',
      ],
    };
  } finally {
    await Promise.all([clients.stop(), bareClients.stop(), load.stop()]);
    await Promise.all([rig.stop(), bare.stop()]);
  }
}

/** What became of those that were not simply accepted and delivered, if any. */
function restOf({ result: { deferred, bad, lost }, missing }: Measured): string {
  const parts = [
    deferred > 0 ? `${count(deferred)} told to come again` : '',
    bad > 0 ? `${count(bad)} refused otherwise` : '',
    lost > 0 ? `${count(lost)} unanswered` : '',
    missing > 0 ? `${count(missing)} deliveries missing` : '',
  ];
  return parts.filter((part) => part !== '').join(', ') || 'all delivered';
}

function figureOf(what: string, ours: Measured, bare: Measured, p99Ms: number): Figure {
  const said = (measured: Measured) =>
    `p50 ${count(measured.p50Ms)} ms, p99 ${count(measured.p99Ms)} ms, ${restOf(measured)}`;
  const { deferred, bad, lost } = ours.result;
  const isWhole = deferred + bad + lost + ours.missing === 0;
  return {
    what,
    value: said(ours),
    baseline: said(bare),
    ratio: ours.p99Ms / bare.p99Ms,
    target: { text: `p99 ${p99Ms} ms`, isMet: ours.p99Ms <= p99Ms && isWhole },
  };
}
