import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { DevicePage } from '../../adapter-kit/model.ts';

/**
 * Pages of a listing, however its adapter behaves: when `signal` fires the loop ends with what fired, at once, even if
 * the adapter never yields again; what it holds is given back without waiting for it.
 */
export async function* boundedPages(
  pages: AsyncIterable<DevicePage>,
  signal: AbortSignal,
): AsyncGenerator<DevicePage, void, void> {
  const iterator = pages[Symbol.asyncIterator]();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => undefined);
  const onAbort = (): void => {
    reject(abortError(signal));
  };
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  let isDone = false;
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted]);
      if (next.done === true) {
        isDone = true;
        return;
      }
      yield next.value;
    }
  } catch (error) {
    isDone = !signal.aborted;
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    if (!isDone) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

function abortError(signal: AbortSignal): Error {
  const { reason }: { readonly reason: unknown } = signal;
  return reason instanceof Error
    ? reason
    : new AdapterError('TIMEOUT', 'The listing was called off', { cause: reason });
}
