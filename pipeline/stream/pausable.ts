/** Time that passes, and never steps; passed in so that tests decide when. */
export interface Timing {
  /** Milliseconds since some moment. */
  elapsedMs(): number;
  /** Runs `job` once. @returns how to call it off */
  after(ms: number, job: () => void): () => void;
}

export const systemTiming: Timing = {
  elapsedMs: () => performance.now(),
  after(ms, job) {
    const timer = setTimeout(job, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * Waits for whichever comes first: a call, the end of the time, or the signal. Leaves nothing behind.
 *
 * @param listen registers for the call and returns how to stop listening
 */
export function waitFor(
  timing: Timing,
  listen: (listener: () => void) => () => void,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const settle = (): void => {
      callOff();
      stopListening();
      signal.removeEventListener('abort', settle);
      resolve();
    };
    const callOff = timing.after(ms, settle);
    const stopListening = listen(settle);
    signal.addEventListener('abort', settle, { once: true });
  });
}

/**
 * Makes a generator that waits for things end at once when its consumer is gone: a bare generator can be returned from
 * only between two items, and would hold its subscription until the next.
 */
export function abortable<T>(
  signal: AbortSignal,
  generate: (signal: AbortSignal) => AsyncGenerator<T, void, void>,
): AsyncIterableIterator<T, void, void> {
  const gone = new AbortController();
  const items = generate(AbortSignal.any([signal, gone.signal]));
  return {
    next: () => items.next(),
    return() {
      gone.abort();
      return items.return();
    },
    throw(error: unknown) {
      gone.abort();
      return items.throw(error);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
