// Every source has a loop of its own; what they bring is taken one message at a time.
import { setTimeout as wait } from 'node:timers/promises';
import type { ListenItem } from '../../adapter-kit/adapter.ts';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Driver, DriverParts } from './driver.ts';
import { createSink } from './sink.ts';
import { createTracker } from './tracker.ts';

/** First wait after a source was lost, doubled with each failure, up to the longest. */
const FIRST_WAIT_MS = 250;
const MAX_WAIT_MS = 60_000;
/** Failures in a row after which a gateway is told to be offline. */
const FAILURES_UNTIL_OFFLINE = 3;

export interface ListenParts extends DriverParts {
  readonly drivers: readonly Driver[];
  readonly lastReadings: Map<string, unknown>;
  /** Failures in a row by source, kept over calls of `listen`. */
  readonly failures: Map<string, number>;
}

interface Channel {
  put(item: ListenItem): Promise<void>;
  items(signal: AbortSignal): AsyncGenerator<ListenItem>;
  fail(error: unknown): void;
  close(): void;
}

/** Each source has one message under way at most: whoever puts waits until it was taken. */
function createChannel(): Channel {
  const queue: { readonly item: ListenItem; readonly taken: () => void }[] = [];
  let filled = Promise.withResolvers<void>();
  let failure: { readonly error: unknown } | null = null;
  let isClosed = false;
  const wake = (): void => {
    filled.resolve();
    filled = Promise.withResolvers<void>();
  };
  return {
    put(item) {
      if (isClosed) return Promise.resolve();
      const { promise, resolve } = Promise.withResolvers<void>();
      queue.push({ item, taken: resolve });
      wake();
      return promise;
    },
    async *items(signal) {
      signal.addEventListener('abort', wake, { once: true });
      try {
        while (!signal.aborted) {
          const next = queue.shift();
          if (next !== undefined) {
            yield next.item;
            // Asked for the next one: this one is in the inbox, and a broker may forget it.
            next.taken();
          } else if (failure !== null) throw failure.error;
          else await filled.promise;
        }
      } finally {
        signal.removeEventListener('abort', wake);
      }
    },
    fail(error) {
      failure ??= { error };
      wake();
    },
    close() {
      isClosed = true;
      for (const { taken } of queue.splice(0)) taken();
    },
  };
}

/** @throws AdapterError when no source is left that works */
export async function* listen(
  parts: ListenParts,
  resumeToken: string | null,
  signal: AbortSignal,
): AsyncGenerator<ListenItem> {
  const { catalogue, drivers, logger, now, failures } = parts;
  const { settings } = catalogue;
  const stopped = new AbortController();
  const patience = AbortSignal.any([signal, stopped.signal]);
  const channel = createChannel();
  const unreadable = new Set<string>();
  const raises = settings.sources.some(({ raiseOnInitialAlarm }) => raiseOnInitialAlarm);
  const sink = createSink({
    catalogue,
    tracker: createTracker(resumeToken, raises, settings.lifeSignMs),
    lastReadings: parts.lastReadings,
    now,
    put: (item) => channel.put(item),
    onUnreadable({ dialect, sourceId }, reason) {
      // Once: a device that speaks nonsense does so all day.
      const key = `${sourceId} ${dialect} ${reason}`;
      if (unreadable.has(key) || unreadable.size > 1_000) return;
      unreadable.add(key);
      logger.warn({ source: sourceId, dialect, reason }, 'A message of a sensor cannot be read');
    },
  });
  const listening = drivers.filter((driver) => driver.listen !== undefined);
  const down = new Map<string, AdapterError>();

  async function tellFallen(driver: Driver, code: string): Promise<void> {
    const fallen = driver.fallen?.(code);
    if (fallen === undefined) return;
    const payload = Buffer.from(JSON.stringify({ state: 'offline', code }));
    const { id } = driver.source;
    await sink.deliver({
      dialect: 'connection',
      sourceId: id,
      address: id,
      device: fallen.device,
      payload,
      children: fallen.children,
    });
  }

  async function run(driver: Driver): Promise<void> {
    const { id } = driver.source;
    while (!patience.aborted) {
      try {
        await driver.listen?.(
          sink,
          () => {
            if ((failures.get(id) ?? 0) > 0) logger.info({ source: id }, 'A source is heard again');
            failures.delete(id);
            down.delete(id);
          },
          patience,
        );
      } catch (error) {
        if (patience.aborted) return;
        if (!(error instanceof AdapterError)) throw error;
        const failed = (failures.get(id) ?? 0) + 1;
        failures.set(id, failed);
        down.set(id, error);
        if (failed === 1) logger.warn({ source: id, code: error.code }, 'A source was lost');
        if (failed >= FAILURES_UNTIL_OFFLINE) await tellFallen(driver, error.code);
        if (down.size === listening.length) throw [...down.values()].find(({ retryable }) => retryable) ?? error;
        const bound = Math.min(FIRST_WAIT_MS * 2 ** (failed - 1), MAX_WAIT_MS);
        const pauseMs = Math.max(error.retryAfterMs ?? 0, error.retryable ? bound : MAX_WAIT_MS);
        await wait(pauseMs, undefined, { signal: patience }).catch(() => undefined);
      }
    }
  }

  const loops = listening.map((driver) => run(driver).catch((error: unknown) => channel.fail(error)));
  try {
    yield* channel.items(signal);
  } finally {
    stopped.abort();
    channel.close();
    await Promise.all(loops);
  }
}
