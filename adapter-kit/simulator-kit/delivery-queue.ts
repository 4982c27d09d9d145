// Delivers as vendors' clouds do: in order per lane, retried with growing waits until a 2xx, given up in the end; what
// nobody has taken yet outlives a restart.
import { z } from 'zod';
import { createPoster, type Posting } from './poster.ts';
import { readState, writeState } from './state-file.ts';

/** Deliveries that nobody has taken yet; the newest are lost beyond it, as in an outage of days. */
const MAX_PENDING = 10_000;
const MAX_IN_FLIGHT = 8;
const FIRST_WAIT_MS = 200;
const MAX_WAIT_MS = 5_000;
const ANSWER_TIMEOUT_MS = 10_000;
/** How long a delivery may be overtaken by later ones. */
const DISORDER_MS = 400;
/** Up to so many deliveries are written whenever one comes or goes; more of them a little later, for all at once. */
const WRITTEN_AT_ONCE = 50;
const WRITE_LATER_MS = 100;

/** What every delivery has; a vendor extends it by what its requests are made of. */
export const QueuedDelivery = z.object({
  /** Deliveries of one lane keep their order. */
  lane: z.string(),
  body: z.string(),
  /** So far. */
  attempts: z.int(),
});
export type QueuedDelivery = z.infer<typeof QueuedDelivery>;

export interface DeliveryStats {
  readonly delivered: number;
  readonly refused: number;
  readonly lost: number;
  readonly pending: number;
}

/** Ways to misbehave, as they are at the moment. */
export interface DeliveryFaults {
  /** Share of deliveries that are sent twice. */
  readonly duplicateRate: number;
  /** Deliveries overtake each other. */
  readonly disorder: boolean;
  /** Attempts for each delivery. */
  readonly attempts: number;
}

export interface DeliveryQueueOptions<Delivery extends QueuedDelivery> {
  /** Of the platform's state; deliveries are beside it, in a file that a storm of them may make large. Null: forget. */
  readonly stateFile: string | null;
  readonly schema: z.ZodType<Delivery>;
  readonly faults: () => DeliveryFaults;
  /** Nothing goes out at the moment. */
  readonly isHeld: () => boolean;
  /** Where a delivery goes, made anew for each attempt; null: nobody waits for it any more. */
  readonly requestOf: (delivery: Delivery) => Posting | null;
  /** In [0, 1). @param what names what is decided: of one delivery, no two decisions have the same name */
  readonly chance: (delivery: Delivery, what: string) => number;
}

export interface DeliveryQueue<Delivery> {
  readonly add: (deliveries: readonly Delivery[]) => void;
  /** Counts a delivery that nobody will hear of. */
  readonly lose: () => void;
  /** Looks for what can be sent now: after an outage, or a new address. */
  readonly wake: () => void;
  readonly stats: () => DeliveryStats;
  readonly close: () => void;
}

interface Item<Delivery> {
  readonly delivery: Delivery;
  /** By the monotonic clock. */
  dueAt: number;
  isInFlight: boolean;
}

export function createDeliveryQueue<Delivery extends QueuedDelivery>(
  options: DeliveryQueueOptions<Delivery>,
): DeliveryQueue<Delivery> {
  const { faults, chance } = options;
  const poster = createPoster(ANSWER_TIMEOUT_MS);
  const file = openPending(options.stateFile, options.schema);
  const queue: Item<Delivery>[] = file.pending.map((delivery) => ({ delivery, dueAt: 0, isInFlight: false }));
  const counts = { delivered: 0, refused: 0, lost: 0 };
  let inFlight = 0;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  function persist(): void {
    file.save(() => queue.map(({ delivery }) => delivery));
  }

  function remove(item: Item<Delivery>): void {
    const index = queue.indexOf(item);
    if (index !== -1) queue.splice(index, 1);
    persist();
  }

  async function attempt(item: Item<Delivery>): Promise<void> {
    const { delivery } = item;
    const request = options.requestOf(delivery);
    if (request === null) return remove(item);
    item.isInFlight = true;
    inFlight += 1;
    delivery.attempts += 1;
    const status = await poster.post(request, delivery.body);
    inFlight -= 1;
    item.isInFlight = false;
    if (isClosed) return;
    if (status >= 200 && status < 300) {
      counts.delivered += 1;
      remove(item);
    } else if (delivery.attempts >= faults().attempts) {
      counts.lost += 1;
      remove(item);
    } else {
      counts.refused += 1;
      const waitMs = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(delivery.attempts - 1, 10));
      item.dueAt = performance.now() + waitMs * (0.5 + chance(delivery, `attempt ${delivery.attempts}`) / 2);
    }
    pump();
  }

  function pump(): void {
    clearTimeout(timer);
    if (isClosed || options.isHeld()) return;
    const time = performance.now();
    const busy = new Set<string>();
    let nextAt = Number.POSITIVE_INFINITY;
    for (const item of [...queue]) {
      if (inFlight >= MAX_IN_FLIGHT) return;
      const { lane } = item.delivery;
      const isBlocked = item.isInFlight || busy.has(lane);
      if (!faults().disorder) busy.add(lane);
      if (isBlocked) continue;
      if (item.dueAt <= time) void attempt(item);
      else nextAt = Math.min(nextAt, item.dueAt);
    }
    if (nextAt < Number.POSITIVE_INFINITY) timer = setTimeout(pump, Math.max(1, nextAt - time)).unref();
  }

  queueMicrotask(pump);

  return {
    add(deliveries) {
      for (const delivery of deliveries) {
        const copies = chance(delivery, 'copies') < faults().duplicateRate ? 2 : 1;
        for (let copy = 0; copy < copies; copy += 1) {
          if (queue.length >= MAX_PENDING) {
            counts.lost += 1;
            continue;
          }
          const dueAt = faults().disorder ? performance.now() + chance(delivery, `wait ${copy}`) * DISORDER_MS : 0;
          queue.push({ delivery: { ...delivery }, dueAt, isInFlight: false });
        }
      }
      persist();
      pump();
    },
    lose() {
      counts.lost += 1;
    },
    wake: pump,
    stats: () => ({ ...counts, pending: queue.length }),
    close() {
      isClosed = true;
      clearTimeout(timer);
      poster.close();
      file.close();
    },
  };
}

interface PendingFile<Delivery> {
  /** What nobody had taken when the platform was last stopped. */
  readonly pending: readonly Delivery[];
  save(pending: () => readonly Delivery[]): void;
  close(): void;
}

function openPending<Delivery>(stateFile: string | null, schema: z.ZodType<Delivery>): PendingFile<Delivery> {
  const path = stateFile === null ? null : `${stateFile}.pending`;
  let later: NodeJS.Timeout | undefined;
  let current: () => readonly Delivery[] = () => [];

  function flush(): void {
    clearTimeout(later);
    later = undefined;
    writeState(path, current());
  }

  return {
    pending: readState(path, z.array(schema)) ?? [],
    save(pending) {
      if (path === null) return;
      current = pending;
      if (pending().length <= WRITTEN_AT_ONCE) flush();
      else later ??= setTimeout(flush, WRITE_LATER_MS).unref();
    },
    close() {
      if (later !== undefined) flush();
    },
  };
}
