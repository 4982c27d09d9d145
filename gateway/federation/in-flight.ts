import type { RequestScope } from './request-scope.ts';
import { copyOf, isTree } from './tree.ts';
import { type SubgraphResult, TransportError } from './transport.ts';

interface Waiter {
  resolve(result: SubgraphResult): void;
  reject(reason: unknown): void;
}

interface Flight {
  readonly waiters: Set<Waiter>;
  readonly controller: AbortController;
}

/**
 * Fetches that are under way. Whoever asks for the same thing meanwhile waits for the same answer; a fetch is aborted
 * when the last of them has gone, never earlier.
 */
export class InFlight {
  readonly #flights = new Map<string, Flight>();

  get size(): number {
    return this.#flights.size;
  }

  /**
   * @param key null: not to be shared. Equal keys must mean equal answers, so who may see what is part of them
   * @param timeoutMs counted from the first caller's start
   * @returns data that belongs to the caller alone
   * @throws TransportError `TIMEOUT`, whatever `start` throws, or the reason why the scope ended
   */
  run(
    key: string | null,
    scope: RequestScope,
    timeoutMs: number,
    start: (signal: AbortSignal) => Promise<SubgraphResult>,
  ): Promise<SubgraphResult> {
    return new Promise((resolve, reject) => {
      if (scope.ended !== null) {
        reject(scope.ended.reason);
        return;
      }
      const flight = (key === null ? undefined : this.#flights.get(key)) ?? this.#start(key, timeoutMs, start);
      const forget = scope.onEnd((reason) => {
        flight.waiters.delete(waiter);
        if (flight.waiters.size === 0) this.#land(key, flight, reason);
        reject(reason);
      });
      const waiter: Waiter = {
        resolve: (result) => {
          forget();
          resolve(result);
        },
        reject: (reason) => {
          forget();
          reject(reason);
        },
      };
      flight.waiters.add(waiter);
    });
  }

  #start(key: string | null, timeoutMs: number, start: (signal: AbortSignal) => Promise<SubgraphResult>): Flight {
    const flight: Flight = { waiters: new Set(), controller: new AbortController() };
    if (key !== null) this.#flights.set(key, flight);
    const timer = setTimeout(() => {
      settle(null, new TransportError('TIMEOUT', 'The data did not arrive in time.'));
    }, timeoutMs);
    const settle = (result: SubgraphResult | null, reason?: unknown): void => {
      clearTimeout(timer);
      const waiters = [...flight.waiters];
      flight.waiters.clear();
      this.#land(key, flight, result === null ? reason : null);
      // Everyone but the first gets a copy, made before anyone can change the original.
      const copies = result === null ? [] : waiters.map((_, index) => (index === 0 ? result : copyOfResult(result)));
      for (const [index, waiter] of waiters.entries()) {
        const copy = copies[index];
        if (copy === undefined) waiter.reject(reason);
        else waiter.resolve(copy);
      }
    };
    flight.controller.signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
    start(flight.controller.signal).then(
      (result) => settle(result),
      (reason: unknown) => settle(null, reason),
    );
    return flight;
  }

  /** @param reason why it is given up; null when it arrived */
  #land(key: string | null, flight: Flight, reason: unknown): void {
    if (key !== null && this.#flights.get(key) === flight) this.#flights.delete(key);
    if (reason !== null) flight.controller.abort(reason);
  }
}

function copyOfResult(result: SubgraphResult): SubgraphResult {
  const data = copyOf(result.data);
  return { ...result, data: isTree(data) ? data : null };
}
