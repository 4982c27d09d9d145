import { describe, expect, it } from 'vitest';
import { AdapterError } from './adapter-error.ts';
import { mapConcurrent } from './map-concurrent.ts';
import { type PollOptions, runPolling } from './polling.ts';

/** Runs a loop whose time is made of the waits it asks for; it is aborted after so many. */
async function polled(outcomes: readonly (Error | null)[], over: Partial<PollOptions> = {}) {
  const controller = new AbortController();
  const waits: number[] = [];
  let polls = 0;
  const end = await runPolling({
    intervalMs: 1_000,
    jitter: 0,
    random: () => 1,
    signal: controller.signal,
    async poll() {
      const outcome = outcomes[polls] ?? null;
      polls += 1;
      if (outcome !== null) throw outcome;
    },
    async sleep(ms) {
      waits.push(ms);
      if (waits.length >= outcomes.length) controller.abort();
    },
    ...over,
  });
  return { end, waits, polls };
}

const down = new AdapterError('UNREACHABLE', 'down');

describe('runPolling', () => {
  it('polls at once and then after every interval, until its signal fires', async () => {
    expect(await polled([null, null, null])).toEqual({ end: 'aborted', waits: [1_000, 1_000, 1_000], polls: 3 });
  });

  it('adds jitter to the interval', async () => {
    expect((await polled([null], { jitter: 0.2, random: () => 0.5 })).waits).toEqual([1_100]);
  });

  it('waits longer after each failure in a row, up to its bound, and is itself again after a success', async () => {
    const { waits } = await polled([down, down, down, null, down], { maxBackoffMs: 5_000 });
    expect(waits).toEqual([2_000, 4_000, 5_000, 1_000, 2_000]);
  });

  it('does not come back before the platform allows it', async () => {
    const limited = new AdapterError('RATE_LIMITED', 'slow down', { retryAfterMs: 600_000 });
    expect((await polled([limited])).waits).toEqual([600_000]);
  });

  it('stops when a person must act', async () => {
    const refused = new AdapterError('UNAUTHENTICATED', 'refused');
    expect(await polled([null, refused, null])).toEqual({ end: 'stopped', waits: [1_000], polls: 2 });
  });

  it('leaves the decision to its caller', async () => {
    const seen: number[] = [];
    const onFailure = (_: AdapterError, failures: number) => {
      seen.push(failures);
      return failures === 2 ? ('stop' as const) : ('retry' as const);
    };
    expect((await polled([down, down, null], { onFailure })).end).toBe('stopped');
    expect(seen).toEqual([1, 2]);
  });

  it('throws what is a fault of ours', async () => {
    await expect(polled([new TypeError('ours')])).rejects.toThrow('ours');
  });

  it('ends a wait when its signal fires', async () => {
    const controller = new AbortController();
    const end = runPolling({
      intervalMs: 86_400_000,
      random: () => 0,
      signal: controller.signal,
      poll: async () => {
        setImmediate(() => controller.abort());
      },
    });
    await expect(end).resolves.toBe('aborted');
  });
});

describe('mapConcurrent', () => {
  const signal = new AbortController().signal;

  it('keeps order and its limit', async () => {
    let underWay = 0;
    let most = 0;
    const results = await mapConcurrent([5, 1, 3, 2, 4], 2, signal, async (item) => {
      underWay += 1;
      most = Math.max(most, underWay);
      for (let turn = 0; turn < item; turn += 1) await Promise.resolve();
      underWay -= 1;
      return item * 10;
    });
    expect(results).toEqual([50, 10, 30, 20, 40]);
    expect(most).toBe(2);
  });

  it('begins nothing after a failure, tells what is under way, and throws the first', async () => {
    const begun: number[] = [];
    const told: boolean[] = [];
    const call = mapConcurrent([1, 2, 3, 4], 2, signal, async (item, inner) => {
      begun.push(item);
      if (item === 1) throw new Error('first');
      await Promise.resolve();
      await Promise.resolve();
      told.push(inner.aborted);
    });
    await expect(call).rejects.toThrow('first');
    expect([begun, told]).toEqual([[1, 2], [true]]);
  });

  it('begins nothing when its signal has fired, and takes an empty list', async () => {
    await expect(mapConcurrent([1], 1, AbortSignal.abort(new Error('gone')), async () => 1)).rejects.toMatchObject({
      code: 'TIMEOUT',
    });
    await expect(mapConcurrent([], 4, signal, async () => 1)).resolves.toEqual([]);
  });
});
