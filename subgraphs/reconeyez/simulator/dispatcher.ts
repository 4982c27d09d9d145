// Delivers events to our address: in order per device, again and again until they are taken or given up.
import http from 'node:http';
import https from 'node:https';
import type { FaultBoard } from './faults.ts';
import type { Delivery, StateFile } from './state.ts';
import { chance } from './world.ts';

/** Deliveries that nobody has taken yet; the newest are lost beyond it, as in an outage of days. */
const MAX_PENDING = 10_000;
const MAX_IN_FLIGHT = 8;
const FIRST_WAIT_MS = 200;
const MAX_WAIT_MS = 5_000;
const ANSWER_TIMEOUT_MS = 10_000;
/** How long a delivery may be overtaken by later ones. */
const DISORDER_MS = 400;

export interface DispatcherStats {
  readonly delivered: number;
  readonly refused: number;
  readonly lost: number;
  readonly pending: number;
}

export interface Dispatcher {
  /** @param lane deliveries of one lane keep their order */
  dispatch(id: string, lane: string, body: string): void;
  /** Looks for what can be sent now: after an outage, or a new address. */
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

export function createDispatcher(file: StateFile, board: FaultBoard, seed: number): Dispatcher {
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

  async function attempt(item: Queued, address: string): Promise<void> {
    const { delivery } = item;
    item.isInFlight = true;
    inFlight += 1;
    delivery.attempts += 1;
    const status = await post(address, delivery.body, board.faults.contentType, agents);
    inFlight -= 1;
    item.isInFlight = false;
    if (isClosed) return;
    if (status >= 200 && status < 300) {
      counts.delivered += 1;
      remove(item);
    } else if (delivery.attempts >= board.faults.attempts) {
      counts.lost += 1;
      remove(item);
    } else {
      counts.refused += 1;
      const waitMs = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(delivery.attempts - 1, 10));
      item.dueAt = performance.now() + waitMs * (0.5 + chance(seed, `${delivery.id} ${delivery.attempts}`) / 2);
    }
    pump();
  }

  function pump(): void {
    clearTimeout(timer);
    const { hook } = file.state;
    if (isClosed || board.outage !== null || hook === null) return;
    const time = performance.now();
    const busy = new Set<string>();
    let nextAt = Number.POSITIVE_INFINITY;
    for (const item of [...queue]) {
      if (inFlight >= MAX_IN_FLIGHT) return;
      const isBlocked = item.isInFlight || busy.has(item.delivery.lane);
      if (!board.faults.disorder) busy.add(item.delivery.lane);
      if (isBlocked) continue;
      if (item.dueAt <= time) void attempt(item, `${hook.url}/${encodeURIComponent(hook.secret)}`);
      else nextAt = Math.min(nextAt, item.dueAt);
    }
    if (nextAt < Number.POSITIVE_INFINITY) timer = setTimeout(pump, Math.max(1, nextAt - time)).unref();
  }

  queueMicrotask(pump);

  return {
    dispatch(id, lane, body) {
      const isLost = board.faults.dropWebhooks || board.outage?.webhooks === 'lose';
      if (isLost || file.state.hook === null) {
        counts.lost += 1;
        return;
      }
      const copies = chance(seed, `copies ${id}`) < board.faults.duplicateRate ? 2 : 1;
      for (let copy = 0; copy < copies; copy += 1) {
        if (queue.length >= MAX_PENDING) counts.lost += 1;
        else {
          const wait = board.faults.disorder ? chance(seed, `wait ${id} ${copy}`) * DISORDER_MS : 0;
          const dueAt = performance.now() + wait;
          queue.push({ delivery: { id, lane, body, attempts: 0 }, dueAt, isInFlight: false });
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
  contentType: string,
  agents: { readonly http: http.Agent; readonly https: https.Agent },
): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const url = new URL(address);
  const options = {
    method: 'POST',
    headers: { 'content-type': contentType, 'content-length': Buffer.byteLength(body) },
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
