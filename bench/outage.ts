import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { createLogger } from '../logger.ts';
import { createGraphqlClient, type GraphqlClient } from '../sandbox/graphql-client.ts';
import type { Platform } from '../sandbox/platforms.ts';
import { type Sandbox, startSandbox } from '../sandbox/sandbox.ts';
import { deviceId } from '../storage/ids.ts';
import { vendors } from '../subgraphs/index.ts';
import { median, until } from './measure.ts';
import { count, type PartResult } from './report.ts';

const DEVICES = 600;
/** Before the outage and during it. */
const BURSTS = 10;
const QUERIES_IN_BURST = 20;
/** Of each burst, while connections and caches come back to life. */
const NOT_COUNTED = 5;
const QUERY_PAUSE_MS = 50;
const BEFORE_PAUSE_MS = 1_000;
/** Devices of each platform that go and come back while it is down; one more goes and stays away. */
const COMING_BACK = 3;
/** Devices that are looked at for it: not every one says something of itself. */
const CANDIDATES = 20;
/** A platform is asked again after at most ten minutes; most retry within one. */
const REPAIR_MS = 15 * 60_000;
/** Others answer as fast as before; what the machine does meanwhile is allowed for. */
const MAX_RATIO = 1.5;
const MAX_EXTRA_MS = 5;

const LIVE = `query ($ids: [ID!]) { devices(first: 500, filter: { integrationIds: $ids }) {
  nodes { id source { __typename state } } } }`;
const Live = z.object({ devices: z.object({ nodes: z.array(z.looseObject({})) }) });

const STATES = `query ($ids: [ID!]) { devices(first: 500, filter: { integrationIds: $ids }) {
  nodes { id status { state } } } }`;
const States = z.object({
  devices: z.object({ nodes: z.array(z.object({ id: z.string(), status: z.object({ state: z.string() }) })) }),
});

const TOLD = `query ($id: ID!, $since: DateTime!) { device(id: $id) {
  events(first: 50, filter: { families: [HEALTH], occurredAt: { gte: $since }, includeSuppressed: true }) {
    nodes { ... on HealthEvent { state } } } } }`;
const Told = z.object({
  device: z.object({ events: z.object({ nodes: z.array(z.looseObject({ state: z.string().optional() })) }) }),
});

interface Watched {
  readonly platform: Platform;
  readonly integrationId: string;
}

/** The devices of a platform that prove what became of its outage. */
interface Witness extends Watched {
  readonly comingBack: readonly string[];
  readonly staying: string;
}

async function setOutage({ simulator }: Platform, seconds: number): Promise<void> {
  const body = JSON.stringify({ seconds });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(new URL('/_sim/outage', simulator.url), { method: 'POST', headers, body });
  await answer.body?.cancel();
  if (!answer.ok) throw new Error(`${simulator.url} takes no outage: ${answer.status}`);
}

function watchedOf(sandbox: Sandbox): readonly Watched[] {
  return sandbox.platforms.map((platform) => {
    const found = sandbox.credentials.integrations.find(({ simulatorUrl }) => simulatorUrl === platform.simulator.url);
    if (found === undefined) throw new Error(`no integration at ${platform.simulator.url}`);
    return { platform, integrationId: found.id };
  });
}

async function statesOf(call: GraphqlClient, integrationId: string): Promise<ReadonlyMap<string, string>> {
  const { devices } = await call(STATES, { ids: [integrationId] }, States);
  return new Map(devices.nodes.map(({ id, status }) => [id, status.state]));
}

/** Devices that are known to be online. Some platforms say so only when a device speaks, so each is made to. */
async function witnessOf(call: GraphqlClient, watched: Watched): Promise<Witness> {
  const { simulator, vendor } = watched.platform;
  const candidates = simulator
    .devices()
    .filter(({ state }) => state === 'online')
    .map(({ nativeId }) => nativeId)
    .slice(-CANDIDATES);
  for (const nativeId of candidates) simulator.setState(nativeId, 'online');
  const [staying, ...others] = await until(`${COMING_BACK + 1} devices of ${vendor.slug} are online`, async () => {
    const states = await statesOf(call, watched.integrationId);
    const online = candidates.filter((id) => states.get(deviceId(watched.integrationId, id)) === 'ONLINE');
    return online.length > COMING_BACK ? online.toReversed() : null;
  });
  return { ...watched, staying: staying ?? '', comingBack: others.slice(0, COMING_BACK) };
}

/** Bursts of queries, the same before and during the outage: what rests for long answers slowly at first. */
async function timeLive(call: GraphqlClient, ids: readonly string[], pauseMs: number): Promise<number[]> {
  const times: number[] = [];
  for (let burst = 0; burst < BURSTS; burst++) {
    for (let query = 0; query < QUERIES_IN_BURST; query++) {
      const since = performance.now();
      await call(LIVE, { ids }, Live);
      if (query >= NOT_COUNTED) times.push(performance.now() - since);
      await wait(QUERY_PAUSE_MS);
    }
    await wait(pauseMs);
  }
  return times;
}

function p95(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.95) - 1] ?? Number.NaN;
}

/**
 * Every second platform of one org is down, and the others of another one: what the rest notices of it, and what is known
 * of the time afterwards.
 *
 * @param seconds how long they are down
 */
export async function benchOutage(seconds: number): Promise<PartResult> {
  const dir = mkdtempSync(join(tmpdir(), 'convergraph-bench-'));
  const common = { host: '127.0.0.1', port: 0, devices: DEVICES, isStill: true, reset: false };
  const sandbox = await startSandbox({ vendors, dir, ...common, logger: createLogger('silent') });
  try {
    const call = createGraphqlClient(sandbox.credentials.graphqlUrl, sandbox.credentials.tokens['admin'] ?? '');
    const [first, second] = sandbox.credentials.orgs;
    const all = watchedOf(sandbox);
    const isDown = ({ platform }: Watched): boolean => {
      const isEven = vendors.indexOf(platform.vendor) % 2 === 0;
      return platform.org.key === first?.key ? isEven : platform.org.key === second?.key && !isEven;
    };
    const down = await Promise.all(all.filter(isDown).map((watched) => witnessOf(call, watched)));
    const others = all.filter((watched) => !isDown(watched)).map(({ integrationId }) => integrationId);
    const before = await timeLive(call, others, BEFORE_PAUSE_MS);

    const since = new Date();
    for (const { platform } of down) await setOutage(platform, seconds);
    const spanMs = seconds * 1_000;
    const flips = async (): Promise<void> => {
      await wait(spanMs * 0.2);
      for (const { platform, comingBack, staying } of down) {
        for (const nativeId of [...comingBack, staying]) platform.simulator.setState(nativeId, 'offline');
      }
      await wait(spanMs * 0.4);
      for (const { platform, comingBack } of down) {
        for (const nativeId of comingBack) platform.simulator.setState(nativeId, 'online');
      }
    };
    const [during] = await Promise.all([timeLive(call, others, spanMs / BURSTS), flips()]);
    const over = performance.now();

    const repaired = await Promise.all(
      down.map(async ({ platform, integrationId, staying, comingBack }): Promise<PartResult['figures'][number]> => {
        const idOf = (nativeId: string) => deviceId(integrationId, nativeId);
        const isRight = async (): Promise<boolean> => {
          const states = await statesOf(call, integrationId);
          return states.get(idOf(staying)) === 'OFFLINE' && comingBack.every((id) => states.get(idOf(id)) === 'ONLINE');
        };
        let isMet = false;
        for (; performance.now() - over < REPAIR_MS && !isMet; await wait(200)) isMet = await isRight();
        const tookS = (performance.now() - over) / 1_000;
        let falls = 0;
        for (const id of comingBack) {
          const told = await until('its events are read', () =>
            call(TOLD, { id: idOf(id), since: since.toISOString() }, Told),
          );
          if (told.device.events.nodes.some(({ state }) => state === 'OFFLINE')) falls++;
        }
        return {
          what: `${platform.vendor.name} afterwards`,
          value: `states right after ${tookS.toFixed(1)} s; ${falls} of ${comingBack.length} falls that were over again are in the log`,
          target: { text: 'states right', isMet },
        };
      }),
    );
    const [usual, meanwhile] = [p95(before), p95(during)];
    return {
      title: `Platforms that are down for ${seconds} s`,
      figures: [
        {
          what: `${count(others.length)} others, live, p50`,
          value: `${median(during).toFixed(1)} ms`,
          baseline: `${median(before).toFixed(1)} ms before`,
          ratio: median(during) / median(before),
        },
        {
          what: `${count(others.length)} others, live, p95`,
          value: `${meanwhile.toFixed(1)} ms`,
          baseline: `${usual.toFixed(1)} ms before`,
          ratio: meanwhile / usual,
          target: { text: `at most ${MAX_RATIO} of before`, isMet: meanwhile <= usual * MAX_RATIO + MAX_EXTRA_MS },
        },
        ...repaired,
      ],
      notes: [
        `${down.length} of ${all.length} simulated platforms down at once, ${BURSTS} bursts of ${QUERIES_IN_BURST} queries over the others before and during it; platforms, product and client share a process.`,
        'A fall that was over again before the platform came back can be told only by platforms that keep events: XProtect (beyond 30 s), VXG and most sensors keep states only.',
      ],
    };
  } finally {
    await sandbox.close();
    rmSync(dir, { recursive: true, force: true });
  }
}
