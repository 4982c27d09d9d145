import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from './child.ts';
import type { HttpLoadCalls } from './http-load-child.ts';
import { until } from './measure.ts';
import { listedBy, memoryPlatforms } from './memory-platform.ts';
import type { OpenResult } from './open-load.ts';
import type { ProductCalls } from './product-child.ts';
import { count, type PartResult } from './report.ts';
import { openCounts } from './store-counts.ts';

const DEVICES = 2_000;
const CONNECTIONS = 128;
const BODY_BYTES = 1_024;
const WARM_UP_MS = 3_000;
const STEADY_MS = 10_000;
/** Deliveries a second, and how long an acknowledgement may take for 99 of 100. */
const STEADY = [
  { perSecond: 2_000, p99Ms: 10 },
  { perSecond: 5_000, p99Ms: 25 },
] as const;
const P999_MS = 50;
const CALM = { perSecond: 1_000, ms: 5_000 };
const BURST = { perSecond: 10_000, ms: 30_000 };
const DRAINED_MS = 60_000;

/** Deliveries at a rate that does not wait for us, to the whole product, while it makes events of them. */
export async function benchBursts(): Promise<PartResult> {
  const dir = mkdtempSync(join(tmpdir(), 'convergraph-bench-'));
  const load = startChild<HttpLoadCalls>('http-load-child.ts', null);
  const product = startChild<ProductCalls>('product-child.ts', null);
  try {
    const [platform] = memoryPlatforms(DEVICES, 1);
    if (platform === undefined) throw new Error('there is no platform');
    const { url } = await product.call('start', { dir, platforms: 'memory' });
    const { integrations } = await product.call('fill', [platform]);
    const [integration] = integrations;
    const path = `/webhooks/${integration?.id}`;
    const counts = openCounts(join(dir, 'convergraph.db'));
    let accepted = 0;

    const at = async (perSecond: number, ms: number): Promise<OpenResult> => {
      await load.call('prepareDeliveries', {
        path,
        secret: integration?.webhookSecret ?? '',
        count: Math.ceil((perSecond * ms) / 1_000),
        bytes: BODY_BYTES,
        ...listedBy(platform),
      });
      const result = await load.call('runOpen', {
        port: Number(new URL(url).port),
        connections: CONNECTIONS,
        perSecond,
        ms,
      });
      accepted += result.accepted;
      return result;
    };
    const drained = (): Promise<true> =>
      until('every delivery is processed', () => (counts.pending() === 0 ? true : null));

    const figures: PartResult['figures'][number][] = [];
    for (const { perSecond, p99Ms } of STEADY) {
      await at(perSecond, WARM_UP_MS);
      await drained();
      const result = await at(perSecond, STEADY_MS);
      await drained();
      const isMet = result.p99Ms <= p99Ms && result.p999Ms <= P999_MS && result.accepted === result.sent;
      figures.push({
        what: `${count(perSecond)} deliveries a second, until they are acknowledged`,
        value: `p50 ${result.p50Ms.toFixed(1)} ms, p99 ${result.p99Ms.toFixed(1)} ms, p99.9 ${result.p999Ms.toFixed(1)} ms, ${count(result.sent - result.accepted)} not accepted`,
        target: { text: `p99 ${p99Ms} ms, p99.9 ${P999_MS} ms`, isMet },
      });
    }
    const calm = await at(CALM.perSecond, CALM.ms);
    const burst = await at(BURST.perSecond, BURST.ms);
    const [backlog, since] = [counts.pending(), performance.now()];
    await drained();
    const drainMs = performance.now() - since;
    const stray = calm.bad + calm.lost + calm.deferred + burst.bad + burst.lost;
    figures.push(
      {
        what: `a burst of ${count(BURST.perSecond)} a second for ${BURST.ms / 1_000} s`,
        value: `${count(burst.accepted)} accepted, ${count(burst.deferred)} told to come again, ${count(burst.bad)} refused otherwise, ${count(burst.lost)} unanswered; p99 ${burst.p99Ms.toFixed(0)} ms`,
        target: { text: 'every one accepted, or told when to come again', isMet: stray === 0 },
      },
      {
        what: 'the backlog of the burst',
        value: `${count(backlog)} deliveries, drained in ${(drainMs / 1_000).toFixed(0)} s`,
        target: { text: `${DRAINED_MS / 1_000} s`, isMet: drainMs <= DRAINED_MS },
      },
      {
        what: 'acknowledged, and events made of them',
        value: `${count(accepted)} and ${count(counts.events())}`,
        target: { text: 'none lost, none doubled', isMet: accepted === counts.events() },
      },
    );
    counts.close();
    return {
      title: 'Bursts of signed webhooks',
      figures,
      notes: [
        `Open loop: a delivery is sent when it is due and its time runs from then; ${CONNECTIONS} connections, bodies of ${BODY_BYTES} bytes; the whole product and the load share the cores, events are made of the deliveries meanwhile.`,
      ],
    };
  } finally {
    await Promise.all([load.stop(), product.stop()]);
    rmSync(dir, { recursive: true, force: true });
  }
}
