import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { createLogger } from '../logger.ts';
import { deviceId } from '../storage/ids.ts';
import { startSandbox } from '../sandbox/sandbox.ts';
import { vendors } from '../subgraphs/index.ts';
import { median, until } from './measure.ts';
import { count, type PartResult } from './report.ts';

const DEVICES = 400;
/** Switches of each platform, one after the other. */
const SWITCHES = 20;
/** Between two switches: a platform that sends in batches shall not have more than one in a batch. */
const PAUSE_MS = 120;
const TARGET_MS = 1_000;
/** Some equipment says nothing of itself: an output, what stands behind a dead controller. */
const PATIENCE_MS = 3_000;
const MAX_SILENT = 5;

const Item = z.object({
  events: z.object({
    event: z.object({ state: z.string().optional(), device: z.object({ id: z.string() }).nullable() }).optional(),
  }),
});

/** From the switch at the simulated platform, over its own protocol, to the subscriber, for every platform that tells states. */
export async function benchLatency(): Promise<PartResult> {
  const dir = mkdtempSync(join(tmpdir(), 'convergraph-bench-'));
  const logger = createLogger('silent');
  const common = { host: '127.0.0.1', port: 0, devices: DEVICES, isStill: true, reset: false };
  const sandbox = await startSandbox({ vendors, dir, ...common, logger });
  const client = createClient({
    url: sandbox.credentials.wsUrl,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${sandbox.credentials.tokens['admin']}` },
  });
  const arrived = new Map<string, number>();
  let isLive = false;
  client.subscribe(
    {
      query: `subscription { events(filter: { families: [HEALTH], includeSuppressed: true }, heartbeatSeconds: 1) {
        ... on EventDelivered { event { device { id } ... on HealthEvent { state } } } } }`,
    },
    {
      next({ data }) {
        isLive = true;
        const { event } = Item.parse(data).events;
        if (event?.device && event.state !== 'ONLINE') arrived.set(event.device.id, performance.now());
      },
      error: () => undefined,
      complete: () => undefined,
    },
  );
  try {
    await until('the stream is live', () => (isLive ? true : null));
    const [org] = sandbox.credentials.orgs;
    const figures: PartResult['figures'][number][] = [];
    for (const { vendor, simulator } of sandbox.platforms.filter((platform) => platform.org.key === org?.key)) {
      const integration = sandbox.credentials.integrations.find(({ simulatorUrl }) => simulatorUrl === simulator.url);
      const times: number[] = [];
      let silent = 0;
      for (const { nativeId } of simulator.devices().toReversed()) {
        // What hangs on a device that was switched off may be off with it.
        const isOn = simulator.devices().some((device) => device.nativeId === nativeId && device.state === 'online');
        if (!isOn || times.length === SWITCHES || silent > MAX_SILENT) continue;
        const key = deviceId(integration?.id ?? '', nativeId);
        // What was said because something else went down before is no answer to this switch.
        arrived.delete(key);
        const since = performance.now();
        simulator.setState(nativeId, 'offline');
        for (let at = since; at - since < PATIENCE_MS && !arrived.has(key); at = performance.now()) await wait(5);
        const told = arrived.get(key);
        if (told === undefined) silent++;
        else times.push(told - since);
        await wait(PAUSE_MS);
      }
      const p95 = times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.95) - 1] ?? Number.NaN;
      figures.push({
        what: vendor.name,
        value: `p50 ${count(median(times))} ms, p95 ${count(p95)} ms, of ${times.length} switches`,
        target: { text: `p95 ${count(TARGET_MS)} ms`, isMet: p95 <= TARGET_MS },
      });
    }
    return {
      title: 'From a switch at the platform to a subscriber',
      figures,
      notes: [
        `At most ${SWITCHES} devices of each, switched off one after the other, that say so themselves; platforms, product and subscriber share a process. VXG cannot push: it is asked.`,
      ],
    };
  } finally {
    await client.dispose();
    await sandbox.close();
    rmSync(dir, { recursive: true, force: true });
  }
}
