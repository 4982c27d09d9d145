import { setTimeout as wait } from 'node:timers/promises';
import { startChild } from './child.ts';
import type { HttpLoadCalls } from './http-load-child.ts';
import { slopeOf } from './measure.ts';
import { memoryPlatforms } from './memory-platform.ts';
import { FEED, REPORTED, startProductRig } from './product-rig.ts';
import { count, type PartResult } from './report.ts';
import type { WsLoadCalls } from './ws-load-child.ts';

const DEVICES = 2_000;
const PER_SECOND = 2_000;
const SUBSCRIBERS = 9;
const CONNECTIONS = 128;
const SAMPLE_MS = 2_000;
/** Caches fill and the optimiser works in the first five minutes, or the first fifth of a shorter run. */
const WARM_UP_MS = 300_000;
const WARM_UP_SHARE = 0.2;
const TARGET_MIB = 1;

interface Sample {
  /** Since the beginning. */
  readonly ms: number;
  readonly residentMib: number;
}

function growth(samples: readonly Sample[], fromMs: number): number {
  const points = samples
    .filter(({ ms }) => ms >= fromMs)
    .map(({ ms, residentMib }) => ({ x: ms / 60_000, y: residentMib }));
  return slopeOf(points);
}

/** Memory over a long time, while one subscriber takes nothing. */
export async function benchSoak(minutes: number): Promise<PartResult> {
  const [platform] = memoryPlatforms(DEVICES, 1);
  if (platform === undefined) throw new Error('there is no platform');
  const rig = await startProductRig(platform, null);
  const load = startChild<HttpLoadCalls>('http-load-child.ts', null);
  const clients = startChild<WsLoadCalls>('ws-load-child.ts', null);
  const stalled = startChild<WsLoadCalls>('ws-load-child.ts', null);
  try {
    const { port, token } = rig;
    const variables = { sites: null, types: REPORTED };
    const subscribe = (who: typeof clients, number: number) =>
      who.call('subscribe', { port, clients: number, token, query: FEED, variables, role: 'counts' });
    await subscribe(clients, SUBSCRIBERS);
    await rig.subscribed(SUBSCRIBERS);

    const startedAt = performance.now();
    const loading = load.call('runOpenFresh', {
      load: { port, connections: CONNECTIONS, perSecond: PER_SECOND, ms: minutes * 60_000 },
      sender: rig.sender,
    });
    let isOver = false;
    void loading.finally(() => (isOver = true)).catch(() => undefined);
    const samples: Sample[] = [];
    let cut = -1;
    while (!isOver) {
      // One takes nothing all the time: when it is cut off, the next one comes.
      const nowCut = await rig.metric('convergraph_subscribers_too_slow_total');
      if (nowCut !== cut) {
        await stalled.call('leave', null as never);
        await subscribe(stalled, 1);
        await stalled.call('stall', null as never);
        cut = nowCut;
      }
      samples.push({
        ms: performance.now() - startedAt,
        residentMib: await rig.product.call('residentMib', null as never),
      });
      await Promise.race([wait(SAMPLE_MS), loading]);
    }
    const result = await loading;
    const events = (await clients.call('received', null as never)) / SUBSCRIBERS;
    const lagSeconds = await rig.metric('convergraph_inbox_lag_seconds');
    const lengthMs = minutes * 60_000;
    const half = growth(samples, lengthMs / 2);
    const warmedUp = growth(samples, Math.min(WARM_UP_MS, lengthMs * WARM_UP_SHARE));
    const residents = samples.map(({ residentMib }) => residentMib);
    const { sent, accepted, deferred } = result;
    return {
      title: `A soak of ${count(minutes * 60)} s`,
      figures: [
        {
          what: `P8: growth of resident memory in the second half, ${count(PER_SECOND)} events/s, one subscriber that takes nothing`,
          value: `${half.toFixed(2)} MiB per minute`,
          target: { text: `${TARGET_MIB} MiB per minute`, isMet: half <= TARGET_MIB },
        },
        { what: 'the same from the end of the warm-up', value: `${warmedUp.toFixed(2)} MiB per minute` },
        {
          what: 'resident memory',
          value: `${count(residents[0] ?? Number.NaN)} MiB at the beginning, ${count(Math.max(...residents))} at most, ${count(residents.at(-1) ?? Number.NaN)} at the end`,
        },
        {
          what: 'events sent, acknowledged, told to come again, delivered to each of the others until the end',
          value: [sent, accepted, deferred, events].map(count).join(', '),
          target: { text: 'none refused otherwise', isMet: sent === accepted + deferred },
        },
        { what: 'age of the oldest delivery that was no event yet at the end', value: `${lagSeconds.toFixed(1)} s` },
        { what: 'subscribers cut off because they took nothing', value: count(cut) },
      ],
      notes: [
        `Least squares over a sample every ${SAMPLE_MS / 1_000} s, without a garbage collection of ours; the warm-up is ${WARM_UP_MS / 60_000} minutes or ${WARM_UP_SHARE * 100} % of the run. The goal is for 30 minutes (\`npm run bench -- soak\`): what grows in a short run is mostly caches that fill.`,
        `${SUBSCRIBERS} more subscribers take everything. Nothing is pinned.`,
      ],
    };
  } finally {
    await Promise.all([clients.stop(), stalled.stop(), load.stop()]);
    await rig.stop();
  }
}
