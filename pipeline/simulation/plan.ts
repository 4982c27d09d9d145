// Pure: which deliveries a simulation consists of, in which order.

/** One delivery of one device's events. */
export interface PlannedDelivery {
  /** In the list of devices. */
  readonly device: number;
  /** Which of the device's events, from 0 in order of time; one that was planned before is a repetition. */
  readonly event: number;
}

export interface PlanOptions {
  readonly devices: number;
  /** Deliveries per device, repetitions included; at least 1. */
  readonly count: number;
  /** Share of them that repeat an earlier one, 0 to 1. */
  readonly duplicateRate: number;
  readonly isOutOfOrder: boolean;
  /** 0 to 1, never 1. */
  readonly random: () => number;
}

/** How many of `count` deliveries are events, and not repetitions: at least one. */
export function freshOf({ count, duplicateRate }: Pick<PlanOptions, 'count' | 'duplicateRate'>): number {
  return count - Math.min(count - 1, Math.round(count * duplicateRate));
}

function shuffle<T>(items: T[], random: () => number): void {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    const [a, b] = [items[last], items[other]];
    if (a === undefined || b === undefined) continue;
    items[last] = b;
    items[other] = a;
  }
}

function deliveriesOfOne(options: PlanOptions): number[] {
  const fresh = freshOf(options);
  const events = Array.from({ length: fresh }, (_, event) => event);
  if (options.isOutOfOrder) shuffle(events, options.random);
  // A repetition comes anywhere behind its event: at once, as retries do, or long after.
  const places = events.map((event, place) => ({ event, place }));
  for (let repeat = fresh; repeat < options.count; repeat++) {
    const place = Math.floor(options.random() * fresh);
    const event = events[place] ?? 0;
    places.push({ event, place: place + options.random() * (fresh - place) + Number.EPSILON });
  }
  return places.toSorted((a, b) => a.place - b.place).map(({ event }) => event);
}

/** The devices take turns, as those of a real storm do. */
export function planDeliveries(options: PlanOptions): readonly PlannedDelivery[] {
  const perDevice = Array.from({ length: options.devices }, () => deliveriesOfOne(options));
  return Array.from({ length: options.count }).flatMap((_, turn) =>
    perDevice.flatMap((events, device) => {
      const event = events[turn];
      return event === undefined ? [] : [{ device, event }];
    }),
  );
}
