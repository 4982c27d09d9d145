import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Child, startChild } from './child.ts';
import type { Listed, Sender } from './contract-events.ts';
import { until } from './measure.ts';
import { type BenchPlatform, listedBy } from './memory-platform.ts';
import type { ProductCalls } from './product-child.ts';
import type { WsLoadCalls } from './ws-load-child.ts';

// The product with one platform, and what the parts that load its stream all need of it.

export interface ProductRig {
  readonly product: Child<ProductCalls>;
  /** For whatever else is kept during the run; removed with the product's own. */
  readonly dir: string;
  readonly url: string;
  readonly port: number;
  /** Sees everything. */
  readonly token: string;
  readonly orgId: string;
  readonly siteIds: readonly string[];
  readonly integrationId: string;
  readonly listed: Listed;
  readonly sender: Sender;
  /** One number of `/metrics`; 0 when it is not there. */
  metric(name: string): Promise<number>;
  /** Resolves when so many subscriptions are open. */
  subscribed(expected: number): Promise<void>;
  stop(): Promise<void>;
}

/** @param core see startChild */
export async function startProductRig(platform: BenchPlatform, core: 0 | null): Promise<ProductRig> {
  const dir = mkdtempSync(join(tmpdir(), 'convergraph-bench-'));
  const product = startChild<ProductCalls>('product-child.ts', core);
  const stop = async (): Promise<void> => {
    await product.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const { url, token } = await product.call('start', { dir: join(dir, 'product'), platforms: 'memory' });
    const { integrations, orgs } = await product.call('fill', [platform]);
    const [integration] = integrations;
    const org = orgs.find(({ key }) => key === platform.orgKey);
    if (integration === undefined || org === undefined) throw new Error('the product was not filled');
    const listed = listedBy(platform);
    const metric = async (name: string): Promise<number> => {
      const text = await (await fetch(`${url}/metrics`)).text();
      return Number(new RegExp(`^${name} ([\\d.e+]+)`, 'm').exec(text)?.[1] ?? 0);
    };
    return {
      product,
      dir,
      url,
      token,
      port: Number(new URL(url).port),
      orgId: org.id,
      siteIds: org.siteIds,
      integrationId: integration.id,
      listed,
      sender: { ...listed, path: `/webhooks/${integration.id}`, secret: integration.webhookSecret ?? '' },
      metric,
      async subscribed(expected) {
        await until(`${expected} have subscribed`, async () =>
          (await metric('convergraph_stream_subscribers')) === expected ? true : null,
        );
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Waits until so many frames have come to all clients together, or none came for a while.
 *
 * @returns how many have come
 */
export async function received(clients: Child<WsLoadCalls>, expected: number, patienceMs: number): Promise<number> {
  let count = 0;
  let movedAt = performance.now();
  for (;;) {
    const now = await clients.call('received', null as never);
    if (now >= expected) return now;
    if (now > count) [count, movedAt] = [now, performance.now()];
    else if (performance.now() - movedAt > patienceMs) return now;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

const LOOK_MS = 50;

/** Events of devices that say what they are; what follows from them (flapping, incidents) is not counted. */
export const REPORTED = ['health.online', 'health.offline'] as const;

/** What an app shows of an event, with fields of three subgraphs. */
export const FEED = `subscription Feed($sites: [ID!], $types: [String!]) {
  events(
    filter: { siteIds: $sites, types: $types, includeSuppressed: true, includeMaintenance: true }
    heartbeatSeconds: 300
  ) {
    __typename
    ... on EventDelivered { cursor event { id type severity occurredAt receivedAt summary device { id name site { id name } } } }
  }
}`;
