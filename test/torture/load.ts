import { randomUUID } from 'node:crypto';
import type { SandboxCredentials } from '../../sandbox/credentials.ts';
import { Agent } from 'undici';
import { healthEvent, sign, SimulatedDevices } from '../e2e/rig.ts';

/** Deliveries that may be under way: senders have queues, this is what they send at once. */
const MAX_UNDER_WAY = 100;
/** Senders come again after so many milliseconds. */
const RETRY_MS = 100;
/** How far behind an event may come, in milliseconds. */
const MAX_DISORDER_MS = 60_000;
const TICK_MS = 20;
/** An attempt that nobody answers is given up: whoever was killed does not say so over a connection that stays. */
const ANSWER_MS = 15_000;

type Integration = SandboxCredentials['integrations'][number];
type Device = Parameters<typeof healthEvent>[0];

interface Target {
  readonly integration: Integration;
  readonly devices: readonly Device[];
}

export interface LoadCounts {
  /** Events made up, each with an id of its own. */
  readonly made: number;
  /** Of these, those of which a sender was told that they arrived. */
  readonly acknowledged: number;
  /** Deliveries beyond the first of an event, and answers that said so. */
  readonly repeated: number;
  readonly saidDuplicate: number;
  /** Attempts that ended without an answer, and those answered with 503 or 429. */
  readonly cut: number;
  readonly refused: number;
  /** Answers that a sender should never see: anything but 200, 202, 429 and 503. */
  readonly strange: readonly number[];
}

export interface Load {
  /** Sends until then; deliveries that were not acknowledged are sent again until they are. */
  finish(): Promise<void>;
  counts(): LoadCounts;
  /** Ids of all events whose arrival was acknowledged. */
  readonly acknowledged: ReadonlySet<string>;
}

export async function findTargets(credentials: SandboxCredentials): Promise<readonly Target[]> {
  const ours = credentials.integrations.filter(({ vendor }) => vendor === 'VENDOR_CLOUD');
  return Promise.all(
    ours.map(async (integration) => ({
      integration,
      devices: SimulatedDevices.parse(await (await fetch(`${integration.simulatorUrl}/_sim/devices`)).json()),
    })),
  );
}

/** Signed webhooks at a rate, out of order, some of them several times and at once, whether anybody listens or not. */
export function startLoad(targets: readonly Target[], ratePerSecond: number, random: () => number): Load {
  const acknowledged = new Set<string>();
  const count = { made: 0, repeated: 0, saidDuplicate: 0, cut: 0, refused: 0 };
  const strange: number[] = [];
  const underWay = new Set<Promise<void>>();
  const pick = <T>(list: readonly T[]): T => {
    const item = list[Math.floor(random() * list.length)];
    if (item === undefined) throw new Error('there is nothing to choose from');
    return item;
  };

  // Not fetch, which takes several times as long for each: the product shall have the processor.
  const agent = new Agent({ connections: MAX_UNDER_WAY, headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS });

  /** @returns the status, or null when there was no whole answer */
  async function attempt(integration: Integration, body: string): Promise<number | null> {
    const { origin, pathname } = new URL(integration.webhookUrl ?? '');
    const headers = { 'content-type': 'application/json', ...sign(integration, body) };
    try {
      const answer = await agent.request({ origin, path: pathname, method: 'POST', headers, body });
      await answer.body.dump();
      return answer.statusCode;
    } catch {
      return null;
    }
  }

  async function send(integration: Integration, id: string, body: string): Promise<void> {
    for (;;) {
      // Signed anew for each attempt, as senders do it.
      const status = await attempt(integration, body);
      if (status === 202 || status === 200) {
        if (status === 200) count.saidDuplicate += 1;
        acknowledged.add(id);
        return;
      }
      if (status === null) count.cut += 1;
      else if (status === 503 || status === 429) count.refused += 1;
      else strange.push(status);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  function track(sending: Promise<void>): void {
    underWay.add(sending);
    void sending.finally(() => underWay.delete(sending));
  }

  function makeEvent(): void {
    const { integration, devices } = pick(targets);
    const id = randomUUID();
    const at = new Date(Date.now() - (random() < 0.3 ? random() * MAX_DISORDER_MS : 0));
    const body = healthEvent(pick(devices), random() < 0.5 ? 'online' : 'offline', at, id);
    count.made += 1;
    const copies = random() < 0.1 ? 1 + Math.floor(random() * 4) : 1;
    count.repeated += copies - 1;
    for (let copy = 0; copy < copies; copy++) track(send(integration, id, body));
  }

  const startedAt = performance.now();
  const timer = setInterval(() => {
    const due = ((performance.now() - startedAt) / 1_000) * ratePerSecond;
    while (count.made < due && underWay.size < MAX_UNDER_WAY) makeEvent();
  }, TICK_MS);

  return {
    acknowledged,
    counts: () => ({ ...count, acknowledged: acknowledged.size, strange }),
    async finish() {
      clearInterval(timer);
      while (underWay.size > 0) await Promise.all(underWay);
      await agent.close();
    },
  };
}
