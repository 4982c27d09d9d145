import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { BaselineCalls } from './baseline-child.ts';
import { type Child, startChild } from './child.ts';
import type { HttpLoadCalls } from './http-load-child.ts';
import type { IntakeCalls } from './intake-child.ts';
import { median, roundsOf, until } from './measure.ts';
import { listedBy, memoryPlatforms } from './memory-platform.ts';
import type { ProductCalls } from './product-child.ts';
import { count, type PartResult } from './report.ts';
import { openCounts } from './store-counts.ts';

const TARGET = 12_000;
const BATCH_TARGET = 40_000;
/** Events of one delivery, where senders batch. */
const BATCH = 50;
const BATCHES = 1_500;
const DEVICES = 2_000;
const CONNECTIONS = 64;
const BODY_BYTES = 1_024;
const WARM_UP = 8_000;
const DELIVERIES = 20_000;
const ROUNDS = 3;
/** How long the processing of what was only acknowledged is watched. */
const BACKLOG_MS = 6_000;

interface Contestant {
  readonly name: 'intake' | 'product' | 'hmac' | 'durable';
  readonly port: number;
  readonly child: Pick<Child<BaselineCalls>, 'cpuMs'>;
}

interface Measured {
  readonly perSecond: number;
  readonly perCpuSecond: number;
  readonly p99Ms: number;
}

/** Events made of stored deliveries by a process that has nothing else to do. */
async function drainFor(ms: number, dir: string, pending: () => number) {
  const product = startChild<ProductCalls>('product-child.ts', 0);
  try {
    const backlog = pending();
    await product.call('start', { dir, platforms: 'memory' });
    // What starts, starts its thread too.
    await until('the backlog is worked off', () => (pending() < backlog ? true : null));
    const [cpuBefore, waitingBefore, since] = [await product.cpuMs(), pending(), performance.now()];
    await wait(ms);
    const [cpuAfter, waitingAfter, now] = [await product.cpuMs(), pending(), performance.now()];
    const made = waitingBefore - waitingAfter;
    return { perCpuSecond: (made / (cpuAfter - cpuBefore)) * 1_000, perSecond: (made / (now - since)) * 1_000 };
  } finally {
    await product.stop();
  }
}

/** Signed deliveries of 1 KB until they are durable, and what becomes of them. */
export async function benchIngest(): Promise<PartResult> {
  const dir = mkdtempSync(join(tmpdir(), 'convergraph-bench-'));
  const load = startChild<HttpLoadCalls>('http-load-child.ts', 1);
  const product = startChild<ProductCalls>('product-child.ts', 0);
  const intake = startChild<IntakeCalls>('intake-child.ts', 0);
  const hmac = startChild<BaselineCalls>('baseline-child.ts', 0);
  const durable = startChild<BaselineCalls>('baseline-child.ts', 0);
  try {
    const [platform] = memoryPlatforms(DEVICES, 1);
    if (platform === undefined) throw new Error('there is no platform');
    const seeding = startChild<ProductCalls>('product-child.ts', 0);
    await seeding.call('start', { dir: join(dir, 'product'), platforms: 'memory' });
    const { integrations } = await seeding.call('fill', [platform]);
    await seeding.stop();
    cpSync(join(dir, 'product'), join(dir, 'intake'), { recursive: true });
    const [integration] = integrations;
    const secret = integration?.webhookSecret ?? '';
    const path = `/webhooks/${integration?.id}`;

    const { url } = await product.call('start', { dir: join(dir, 'product'), platforms: 'memory' });
    const intakeUrl = await intake.call('start', { dir: join(dir, 'intake'), platforms: 'memory' });
    const contestants: Contestant[] = [
      { name: 'intake', port: Number(new URL(intakeUrl).port), child: intake },
      { name: 'product', port: Number(new URL(url).port), child: product },
      { name: 'hmac', port: await hmac.call('hmac', secret), child: hmac },
      {
        name: 'durable',
        port: await durable.call('durable', { secret, file: join(dir, 'durable.db') }),
        child: durable,
      },
    ];
    const counts = openCounts(join(dir, 'product', 'convergraph.db'));
    const sent = { intake: 0, product: 0, hmac: 0, durable: 0 };
    const measured: Record<Contestant['name'], Measured[]> = { intake: [], product: [], hmac: [], durable: [] };

    const once = async ({ name, port, child }: Contestant, deliveries: number, batch = 1): Promise<Measured> => {
      await load.call('prepareDeliveries', {
        path,
        secret,
        count: deliveries,
        bytes: BODY_BYTES,
        batch,
        ...listedBy(platform),
      });
      const startedAt = await child.cpuMs();
      const { answers, bad, ms, p99Ms } = await load.call('run', { port, connections: CONNECTIONS, ms: null });
      const acknowledgedAt = await child.cpuMs();
      if (bad > 0 || answers !== deliveries) throw new Error(`${bad} of ${answers} deliveries to ${name} were refused`);
      sent[name] += answers;
      const own: Measured = {
        perSecond: (answers / ms) * 1_000,
        perCpuSecond: (answers / (acknowledgedAt - startedAt)) * 1_000,
        p99Ms,
      };
      // The next contestant has the machine to itself.
      const isDone = (): boolean => counts.pending() === 0 && counts.events() >= sent.product;
      if (name === 'product') await until('every delivery is an event', () => (isDone() ? true : null));
      return own;
    };
    for (const contestant of contestants) await once(contestant, WARM_UP);
    for (const contestant of roundsOf(contestants, ROUNDS)) {
      measured[contestant.name].push(await once(contestant, DELIVERIES));
    }
    const batches: Record<'intake' | 'durable', Measured[]> = { intake: [], durable: [] };
    for (let round = 0; round < ROUNDS; round++) {
      for (const contestant of contestants) {
        const { name } = contestant;
        if (name === 'intake' || name === 'durable') batches[name].push(await once(contestant, BATCHES, BATCH));
      }
    }
    const events = counts.events();
    const unusable = counts.unusable();
    counts.close();
    const intakeCounts = openCounts(join(dir, 'intake', 'convergraph.db'));
    const stored = intakeCounts.stored();
    await intake.stop();
    const backlog = await drainFor(BACKLOG_MS, join(dir, 'intake'), intakeCounts.pending);
    intakeCounts.close();

    const of = (all: readonly Measured[], read: (each: Measured) => number): number => median(all.map(read));
    const perCpu = (name: Contestant['name']): number => of(measured[name], ({ perCpuSecond }) => perCpuSecond);
    const rates = (name: Contestant['name']): string =>
      `${count(perCpu(name))} per CPU second, ${count(of(measured[name], ({ perSecond }) => perSecond))}/s, p99 ${of(measured[name], ({ p99Ms }) => p99Ms).toFixed(1)} ms`;
    const inBatches = (name: 'intake' | 'durable'): number =>
      of(batches[name], ({ perCpuSecond }) => perCpuSecond * BATCH);
    const ratio = (name: 'intake' | 'product', to: 'hmac' | 'durable'): number =>
      median(
        measured[name].map(({ perCpuSecond }, at) => perCpuSecond / (measured[to][at]?.perCpuSecond ?? Number.NaN)),
      );
    const isNothingLost = events === sent.product && stored === sent.intake && unusable === 0;
    return {
      title: 'Signed webhook ingest',
      figures: [
        {
          what: 'P1: delivery to durable acknowledgement',
          value: rates('intake'),
          baseline: rates('durable'),
          ratio: ratio('intake', 'durable'),
          target: { text: `${count(TARGET)}/s per core`, isMet: perCpu('intake') >= TARGET },
        },
        {
          what: `P2: the same with ${BATCH} events in each delivery, in events`,
          value: `${count(inBatches('intake'))} per CPU second`,
          baseline: `${count(inBatches('durable'))} per CPU second`,
          ratio: inBatches('intake') / inBatches('durable'),
          target: { text: `${count(BATCH_TARGET)}/s per core`, isMet: inBatches('intake') >= BATCH_TARGET },
        },
        {
          what: 'the same while events are made of them in the same process',
          value: rates('product'),
          baseline: rates('hmac'),
          ratio: ratio('product', 'hmac'),
        },
        {
          what: 'backlog into events',
          value: `${count(backlog.perCpuSecond)} per CPU second, ${count(backlog.perSecond)}/s`,
        },
        {
          what: 'acknowledged, and events made of them',
          value: `${count(sent.product)} and ${count(events)}`,
          target: { text: 'none lost, none doubled', isMet: isNothingLost },
        },
      ],
      notes: [
        `Bodies of ${BODY_BYTES} bytes, each another event, signed in advance; ${CONNECTIONS} connections, one delivery at a time on each; SQLite with synchronous=FULL; ${ROUNDS} interleaved rounds of ${count(DELIVERIES)}, median, ratios by CPU per delivery.`,
        'The baseline of P1 and P2 is node:http with HMAC, JSON, zod and one table with synchronous=FULL and group commit, which stores a delivery as one row; the other is node:http that checks the HMAC and keeps nothing. The first line is the front door with the inbox and no processing, as a gateway process runs it beside workers.',
      ],
    };
  } finally {
    await Promise.all([load.stop(), product.stop(), intake.stop(), hmac.stop(), durable.stop()]);
    rmSync(dir, { recursive: true, force: true });
  }
}
