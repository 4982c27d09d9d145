import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { createGraphqlClient } from '../sandbox/graphql-client.ts';
import type { BaselineCalls } from './baseline-child.ts';
import { type Child, startChild } from './child.ts';
import type { HttpLoadCalls, LoadResult } from './http-load-child.ts';
import { median, roundsOf } from './measure.ts';
import { type BenchPlatform, memoryPlatforms } from './memory-platform.ts';
import type { PlainCalls } from './plain-child.ts';
import type { ProductCalls, World } from './product-child.ts';
import { count, type Figure, type PartResult } from './report.ts';
import type { Setting } from './setting.ts';
import type { SimulatorCalls } from './simulator-child.ts';

const TARGET = 0.65;
const DEVICES = 6_000;
const CONNECTIONS = 16;
const WARM_UP_MS = 2_500;
const ROUND_MS = 2_000;
const ROUNDS = 4;
/** Pages that fit into the store's cache, and pages that do not: every list is then read from the database. */
const CACHED_PAGES = 400;
const COMPARED = 10;

const QUERY = `query Devices($org: ID!, $after: String) {
  devices(first: 50, after: $after, filter: { orgId: $org }) {
    nodes {
      id name type
      status { state since }
      site { id name org { id name } }
      source { state vendorState }
    }
  }
}`;

interface Variables {
  readonly org: string;
  readonly after: string;
}

interface Contestant {
  readonly name: 'product' | 'plain' | 'bytes';
  readonly port: number;
  readonly child: Pick<Child<BaselineCalls>, 'cpuMs'>;
}

interface Measured {
  readonly rate: number;
  readonly cpuMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const portOf = (url: string): number => Number(new URL(url).port);

/** A page from every position that leaves a full one: as many different requests as there are devices. */
async function positionsOf(url: string, { token, orgs }: World): Promise<readonly Variables[]> {
  const call = createGraphqlClient(`${url}/graphql`, token);
  const Page = z.object({
    devices: z.object({
      edges: z.array(z.object({ cursor: z.string() })),
      pageInfo: z.object({ hasNextPage: z.boolean(), endCursor: z.string().nullable() }),
    }),
  });
  const positions: Variables[] = [];
  for (const { id: org } of orgs) {
    const cursors: string[] = [];
    for (let after: string | null = null, more = true; more; ) {
      const page: z.infer<typeof Page> = await call(
        'query ($org: ID, $after: String) { devices(first: 500, after: $after, filter: { orgId: $org }) { edges { cursor } pageInfo { hasNextPage endCursor } } }',
        { org, after },
        Page,
      );
      cursors.push(...page.devices.edges.map(({ cursor }) => cursor));
      more = page.devices.pageInfo.hasNextPage;
      after = page.devices.pageInfo.endCursor;
    }
    positions.push(...cursors.slice(0, -50).map((after) => ({ org, after })));
  }
  // Neighbours overlap: spread them, so that requests under way at once share nothing.
  return positions
    .map((variables, at) => ({ variables, place: (at * 7_919) % positions.length }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ variables }) => variables);
}

async function ask(port: number, token: string, variables: Variables): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: QUERY, variables }),
  });
  return response.text();
}

/** @throws Error when the two do not answer the same, byte by byte */
async function assertSameAnswers(
  product: number,
  plain: number,
  token: string,
  positions: readonly Variables[],
): Promise<string> {
  let text = '';
  for (const variables of positions.slice(0, COMPARED)) {
    text = await ask(product, token, variables);
    const other = await ask(plain, token, variables);
    const nodes = Object(JSON.parse(text)).data?.devices?.nodes ?? [];
    // Ours goes on with `extensions`, which the plain server does not have.
    if (!text.startsWith(other.slice(0, -1)) || nodes.length !== 50 || text.includes('"source":null')) {
      throw new Error(`the answers differ:\n${text.slice(0, 600)}\n${other.slice(0, 600)}`);
    }
  }
  return text;
}

async function measure(
  load: Child<HttpLoadCalls>,
  contestants: readonly Contestant[],
): Promise<ReadonlyMap<Contestant['name'], readonly Measured[]>> {
  const measured = new Map<Contestant['name'], Measured[]>(contestants.map(({ name }) => [name, []]));
  const once = async ({ port }: Contestant, ms: number): Promise<LoadResult> => {
    const result = await load.call('run', { port, connections: CONNECTIONS, ms });
    if (result.bad > 0) throw new Error(`${result.bad} of ${result.answers} answers were bad`);
    return result;
  };
  for (const contestant of contestants) await once(contestant, WARM_UP_MS);
  for (const contestant of roundsOf(contestants, ROUNDS)) {
    const before = await contestant.child.cpuMs();
    const { answers, ms, p50Ms, p99Ms } = await once(contestant, ROUND_MS);
    const cpuMs = (await contestant.child.cpuMs()) - before;
    measured.get(contestant.name)?.push({ rate: (answers / ms) * 1_000, cpuMs: cpuMs / answers, p50Ms, p99Ms });
  }
  return measured;
}

const of = (all: readonly Measured[] | undefined, key: keyof Measured): number =>
  median((all ?? []).map((each) => each[key]));

function figureOf(
  what: string,
  measured: ReadonlyMap<Contestant['name'], readonly Measured[]>,
  isTarget: boolean,
): Figure[] {
  const text = (name: Contestant['name']): string => {
    const all = measured.get(name);
    return `${count(of(all, 'rate'))}/s, ${of(all, 'cpuMs').toFixed(3)} CPU ms, p50 ${of(all, 'p50Ms').toFixed(1)} p99 ${of(all, 'p99Ms').toFixed(1)} ms`;
  };
  // By CPU: where others use the machine too, rates tell more about them than about us.
  const ratios = (name: Contestant['name']): number =>
    median(
      (measured.get(name) ?? []).map(({ cpuMs }, at) => cpuMs / (measured.get('product')?.[at]?.cpuMs ?? Number.NaN)),
    );
  const plain = ratios('plain');
  const target = isTarget ? { target: { text: `${TARGET} of plain graphql-js`, isMet: plain >= TARGET } } : {};
  return [
    { what: `${what}, against graphql-js`, value: text('product'), baseline: text('plain'), ratio: plain, ...target },
    ...(measured.has('bytes')
      ? [
          {
            what: `${what}, against the bytes`,
            value: `${count(of(measured.get('product'), 'rate'))}/s`,
            baseline: text('bytes'),
            ratio: ratios('bytes'),
          },
        ]
      : []),
  ];
}

/** Fills one store and gives each server a copy of it. */
async function prepare(dir: string, kind: Setting['platforms'], platforms: readonly BenchPlatform[]): Promise<World> {
  const seeded = join(dir, kind);
  const child = startChild<ProductCalls>('product-child.ts', 0);
  await child.call('start', { dir: seeded, platforms: kind });
  const world = await child.call('fill', platforms);
  await child.stop();
  cpSync(seeded, `${seeded}-plain`, { recursive: true });
  return world;
}

async function compare(
  dir: string,
  kind: Setting['platforms'],
  platforms: readonly BenchPlatform[],
  variants: readonly { readonly what: string; readonly pages: number; readonly isTarget: boolean }[],
  load: Child<HttpLoadCalls>,
): Promise<readonly Figure[]> {
  const world = await prepare(dir, kind, platforms);
  const product = startChild<ProductCalls>('product-child.ts', 0);
  const plain = startChild<PlainCalls>('plain-child.ts', 0);
  const bytes = startChild<BaselineCalls>('baseline-child.ts', 0);
  try {
    const { url, token } = await product.call('start', { dir: join(dir, kind), platforms: kind });
    const plainPort = await plain.call('start', { dir: join(dir, `${kind}-plain`), platforms: kind });
    const positions = await positionsOf(url, { ...world, token });
    const text = await assertSameAnswers(portOf(url), plainPort, token, positions);
    const contestants: Contestant[] = [
      { name: 'product', port: portOf(url), child: product },
      { name: 'plain', port: plainPort, child: plain },
    ];
    if (kind === 'memory') {
      contestants.push({ name: 'bytes', port: await bytes.call('bytes', text), child: bytes });
    }
    const figures: Figure[] = [];
    for (const { what, pages, isTarget } of variants) {
      await load.call('prepare', {
        path: '/graphql',
        headers: { authorization: `Bearer ${token}` },
        bodies: positions.slice(0, pages).map((variables) => JSON.stringify({ query: QUERY, variables })),
      });
      figures.push(...figureOf(what, await measure(load, contestants), isTarget));
    }
    return figures;
  } finally {
    await Promise.all([product.stop(), plain.stop(), bytes.stop()]);
  }
}

/** A list of 50 devices with site, org and a live field of the platform, each request with other variables. */
export async function benchQuery(): Promise<PartResult> {
  const dir = mkdtempSync(join(tmpdir(), 'convergraph-bench-'));
  const load = startChild<HttpLoadCalls>('http-load-child.ts', 1);
  const simulators = startChild<SimulatorCalls>('simulator-child.ts', 1);
  try {
    const memory = await compare(
      dir,
      'memory',
      memoryPlatforms(DEVICES),
      [
        { what: 'list from the cache', pages: CACHED_PAGES, isTarget: true },
        { what: 'list from the database', pages: Number.POSITIVE_INFINITY, isTarget: true },
      ],
      load,
    );
    const remote = await compare(
      dir,
      'http',
      await simulators.call('start', { devices: 500, orgs: 3, settings: {} }),
      [{ what: 'live field over HTTP', pages: Number.POSITIVE_INFINITY, isTarget: false }],
      load,
    );
    return {
      title: 'Federated list query',
      figures: [...memory, ...remote],
      notes: [
        `50 devices with site, org and live state of the platform per request; verified token; ${CONNECTIONS} connections; ${ROUNDS} interleaved rounds, median, ratios by CPU per request; both servers answer byte for byte the same (asserted).`,
        'The plain server is graphql-js behind node:http with one schema: the same stores, DataLoaders and live reads, no federation, no limits, no metrics.',
        'Live fields come from an adapter in memory, except where HTTP is named: there each platform call goes to a simulator in another process.',
      ],
    };
  } finally {
    await Promise.all([load.stop(), simulators.stop()]);
    rmSync(dir, { recursive: true, force: true });
  }
}
