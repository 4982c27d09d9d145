import type { DeviceRef, LiveDevice } from '../../adapter-kit/model.ts';

/** An adapter's bound on one live read. */
export const MAX_BATCH = 500;

type Answer = Promise<LiveDevice | null>;

interface Waiter {
  readonly ref: DeviceRef;
  readonly resolve: (device: LiveDevice | null) => void;
  readonly reject: (error: unknown) => void;
}

/** Readers of one integration who ask in the same tick share a call; who asks while a call is under way joins it. */
export interface DeviceBatcher {
  /** @returns per native id; null: the platform does not have it */
  read(refs: readonly DeviceRef[]): ReadonlyMap<string, Answer>;
  isIdle(): boolean;
}

/** @param call reads at most MAX_BATCH devices at once */
export function createDeviceBatcher(
  call: (refs: readonly DeviceRef[]) => Promise<ReadonlyMap<string, LiveDevice>>,
): DeviceBatcher {
  // From asking to answer, and no longer: nobody gets an answer to a question that was asked before his own.
  const inFlight = new Map<string, Answer>();
  let collected: Waiter[] = [];

  function flush(): void {
    const all = collected;
    collected = [];
    for (let from = 0; from < all.length; from += MAX_BATCH) void run(all.slice(from, from + MAX_BATCH));
  }

  async function run(batch: readonly Waiter[]): Promise<void> {
    try {
      const found = await call(batch.map(({ ref }) => ref));
      for (const { ref, resolve } of batch) resolve(found.get(ref.nativeId) ?? null);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      for (const { ref } of batch) inFlight.delete(ref.nativeId);
    }
  }

  function ask(ref: DeviceRef): Answer {
    const { promise, resolve, reject } = Promise.withResolvers<LiveDevice | null>();
    // A reader that has given up leaves nobody to hear of the failure.
    promise.catch(() => undefined);
    if (collected.length === 0) setImmediate(flush);
    collected.push({ ref, resolve, reject });
    inFlight.set(ref.nativeId, promise);
    return promise;
  }

  return {
    read: (refs) => new Map(refs.map((ref) => [ref.nativeId, inFlight.get(ref.nativeId) ?? ask(ref)])),
    isIdle: () => inFlight.size === 0,
  };
}
