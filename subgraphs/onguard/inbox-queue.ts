import { abandoned, AdapterError } from '../../adapter-kit/adapter-error.ts';

/** Frames waiting to become durable: half a minute of the highest peak that was ever measured (300 events a second). */
const MAX_WAITING = 10_000;
const MAX_WAITING_BYTES = 32 * 1_024 * 1_024;

/** What a connection has delivered and its reader has not yet taken, in order. One reader. */
export interface InboxQueue<T> {
  /** Fails the queue when it is full: a gap that is known is repaired, one that is not is lost. */
  put(item: T, bytes: number): void;
  /** What was put before is still given out. The first reason counts. */
  fail(error: AdapterError): void;
  /** The next item. @throws AdapterError what the queue failed with, or what `signal` fired with */
  take(signal: AbortSignal): Promise<T>;
}

export function createInboxQueue<T>(): InboxQueue<T> {
  const waiting: { readonly item: T; readonly bytes: number }[] = [];
  let bytesWaiting = 0;
  let failure: AdapterError | null = null;
  let wake: () => void = () => undefined;

  function fail(error: AdapterError): void {
    failure ??= error;
    wake();
  }

  return {
    put(item, bytes) {
      if (failure !== null) return;
      if (waiting.length >= MAX_WAITING || bytesWaiting + bytes > MAX_WAITING_BYTES) {
        fail(new AdapterError('TOO_LARGE', 'events come faster than they can be stored; the rest is fetched again'));
        return;
      }
      waiting.push({ item, bytes });
      bytesWaiting += bytes;
      wake();
    },
    fail,
    async take(signal) {
      for (;;) {
        if (signal.aborted) throw abandoned(signal.reason);
        const next = waiting.shift();
        if (next !== undefined) {
          bytesWaiting -= next.bytes;
          return next.item;
        }
        if (failure !== null) throw failure;
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = () => {
          resolve();
        };
        const woken = wake;
        signal.addEventListener('abort', woken, { once: true });
        await promise;
        signal.removeEventListener('abort', woken);
      }
    },
  };
}
