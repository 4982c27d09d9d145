import { abandoned } from './adapter-error.ts';

/**
 * Maps with at most `limit` calls under way. The first failure ends it: what is under way is told by the signal handed to
 * `map`, what has not begun never begins.
 *
 * @returns results in the order of the items
 * @throws what `map` threw first; AdapterError when the signal fires
 */
export async function mapConcurrent<T, R>(
  items: readonly T[],
  limit: number,
  signal: AbortSignal,
  map: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const rest = items.entries();
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);

  async function work(): Promise<void> {
    for (const [index, item] of rest) {
      if (either.aborted) throw abandoned(either.reason);
      results[index] = await map(item, either);
    }
  }

  if (signal.aborted) throw abandoned(signal.reason);
  const workers = Array.from({ length: Math.min(Math.max(1, limit), items.length) }, async () => {
    try {
      await work();
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  });
  // The first rejection is thrown; all have settled then, so that nothing runs on behind the caller's back.
  const settled = await Promise.allSettled(workers);
  if (settled.some(({ status }) => status === 'rejected')) throw failed.signal.reason;
  return results;
}
