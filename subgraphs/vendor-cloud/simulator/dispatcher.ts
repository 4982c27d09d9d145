// Delivers webhooks as vendors do: in order per device, retried with growing waits until a 2xx, given up in the end.
import http from 'node:http';
import https from 'node:https';
import type { FaultBoard } from './faults.ts';
import { createRandom } from './random.ts';
import { signatureHeaders } from './signing.ts';
import type { Delivery, StateFile } from './state.ts';

/** Deliveries that nobody has taken yet, per platform; the newest are lost beyond it, as in an outage of days. */
const MAX_PENDING = 10_000;
const MAX_IN_FLIGHT = 8;
/** About five minutes with the waits below. */
const MAX_ATTEMPTS = 60;
const FIRST_WAIT_MS = 200;
const MAX_WAIT_MS = 5_000;
const ANSWER_TIMEOUT_MS = 10_000;
/** How long a webhook may be overtaken by later ones. */
const DISORDER_MS = 400;

export interface DispatcherStats {
  readonly delivered: number;
  readonly refused: number;
  readonly lost: number;
  readonly pending: number;
}

export interface Dispatcher {
  /** To every registration. @param lane deliveries of one lane keep their order */
  dispatch(eventId: string, lane: string, body: string): void;
  /** Looks for what can be sent now: after an outage, or a registration. */
  wake(): void;
  stats(): DispatcherStats;
  close(): void;
}

interface Queued {
  readonly delivery: Delivery;
  /** By the monotonic clock. */
  dueAt: number;
  isInFlight: boolean;
}

export function createDispatcher(file: StateFile, board: FaultBoard, seed: number, now: () => Date): Dispatcher {
  const random = createRandom(seed ^ 0x5eed);
  const agents = { http: new http.Agent({ keepAlive: true }), https: new https.Agent({ keepAlive: true }) };
  const queue: Queued[] = file.pending.map((delivery) => ({ delivery, dueAt: 0, isInFlight: false }));
  const counts = { delivered: 0, refused: 0, lost: 0 };
  let inFlight = 0;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  function persist(): void {
    file.savePending(() => queue.map(({ delivery }) => delivery));
  }

  function remove(item: Queued): void {
    const index = queue.indexOf(item);
    if (index !== -1) queue.splice(index, 1);
    persist();
  }

  async function attempt(item: Queued): Promise<void> {
    const hook = file.state.hooks.find(({ id }) => id === item.delivery.hookId);
    // Unregistered in the meantime: nobody waits for it.
    if (hook === undefined) return remove(item);
    const { eventId, body } = item.delivery;
    item.isInFlight = true;
    inFlight += 1;
    item.delivery.attempts += 1;
    const seconds = Math.floor(now().getTime() / 1_000);
    const headers = signatureHeaders(hook.profile, hook.secret, eventId, seconds, body);
    const status = await post(hook.url, body, headers, agents);
    inFlight -= 1;
    item.isInFlight = false;
    if (isClosed) return;
    if (status >= 200 && status < 300) {
      counts.delivered += 1;
      remove(item);
    } else if (item.delivery.attempts >= MAX_ATTEMPTS) {
      counts.lost += 1;
      remove(item);
    } else {
      counts.refused += 1;
      const waitMs = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(item.delivery.attempts - 1, 10));
      item.dueAt = performance.now() + waitMs * (0.5 + random() / 2);
    }
    pump();
  }

  function pump(): void {
    clearTimeout(timer);
    if (isClosed || board.outage !== null) return;
    const time = performance.now();
    const busy = new Set<string>();
    let nextAt = Number.POSITIVE_INFINITY;
    for (const item of [...queue]) {
      if (inFlight >= MAX_IN_FLIGHT) return;
      const lane = `${item.delivery.hookId} ${item.delivery.lane}`;
      const isBlocked = busy.has(lane) || item.isInFlight;
      if (!board.faults.disorder) busy.add(lane);
      if (isBlocked) continue;
      if (item.dueAt <= time) void attempt(item);
      else nextAt = Math.min(nextAt, item.dueAt);
    }
    if (nextAt < Number.POSITIVE_INFINITY) timer = setTimeout(pump, Math.max(1, nextAt - time)).unref();
  }

  queueMicrotask(pump);

  return {
    dispatch(eventId, lane, body) {
      for (const { id } of file.state.hooks) {
        const copies = random() < board.faults.duplicateRate ? 2 : 1;
        for (let copy = 0; copy < copies; copy += 1) {
          if (queue.length >= MAX_PENDING) {
            counts.lost += 1;
            continue;
          }
          const dueAt = board.faults.disorder ? performance.now() + random() * DISORDER_MS : 0;
          queue.push({ delivery: { hookId: id, eventId, lane, body, attempts: 0 }, dueAt, isInFlight: false });
        }
      }
      persist();
      pump();
    },
    wake: pump,
    stats: () => ({ ...counts, pending: queue.length }),
    close() {
      isClosed = true;
      clearTimeout(timer);
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

/** @returns the status; 0 when there was no answer */
function post(
  address: string,
  body: string,
  headers: Readonly<Record<string, string>>,
  agents: { readonly http: http.Agent; readonly https: https.Agent },
): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const url = new URL(address);
  const options = {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    timeout: ANSWER_TIMEOUT_MS,
  };
  const request =
    url.protocol === 'https:'
      ? https.request(url, { ...options, agent: agents.https })
      : http.request(url, { ...options, agent: agents.http });
  let status = 0;
  request.on('response', (response) => {
    status = response.statusCode ?? 0;
    response.resume();
  });
  request.on('timeout', () => request.destroy());
  request.on('error', () => resolve(0));
  request.on('close', () => resolve(status));
  request.end(body);
  return promise;
}
