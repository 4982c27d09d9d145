import { AdapterError } from '../adapter-error.ts';

/** Lets a bounded number of calls through at once and keeps a bounded number waiting, first come first served. */
export interface Gate {
  /**
   * Waits for a place. @returns what gives the place back; call it exactly once
   * @throws AdapterError RATE_LIMITED when too many wait already; the signal's reason when it fires first
   */
  enter(signal: AbortSignal): Promise<() => void>;
}

export function createGate(places: number, maxWaiting: number): Gate {
  let free = places;
  // Insertion order is the queue; a waiter whose signal fired takes itself out.
  const waiting = new Set<() => void>();

  function leave(): void {
    const [next] = waiting;
    if (next === undefined) free += 1;
    else next();
  }

  return {
    async enter(signal) {
      signal.throwIfAborted();
      if (free > 0) {
        free -= 1;
        return leave;
      }
      if (waiting.size >= maxWaiting)
        throw new AdapterError('RATE_LIMITED', `${maxWaiting} calls are waiting for this platform already`);
      const { promise, resolve, reject } = Promise.withResolvers<() => void>();
      const admit = (): void => {
        waiting.delete(admit);
        signal.removeEventListener('abort', abandon);
        resolve(leave);
      };
      const abandon = (): void => {
        waiting.delete(admit);
        reject(signal.reason);
      };
      waiting.add(admit);
      signal.addEventListener('abort', abandon, { once: true });
      return promise;
    },
  };
}
