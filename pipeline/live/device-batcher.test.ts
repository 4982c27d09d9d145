import { describe, expect, it } from 'vitest';
import type { DeviceRef, LiveDevice } from '../../adapter-kit/model.ts';
import { createDeviceBatcher, MAX_BATCH } from './device-batcher.ts';

function ref(nativeId: string): DeviceRef {
  return { nativeId, nativeOrgId: 'account', nativeSiteId: 'site' };
}

function answer(nativeId: string): LiveDevice {
  return {
    nativeId,
    nativeSiteId: 'site',
    name: nativeId,
    type: 'CAMERA',
    state: 'ONLINE',
    vendorState: null,
    checkedAt: new Date(0),
    extras: {},
  };
}

function setUp() {
  const calls: {
    readonly ids: readonly string[];
    readonly end: PromiseWithResolvers<ReadonlyMap<string, LiveDevice>>;
  }[] = [];
  const batcher = createDeviceBatcher((refs) => {
    const end = Promise.withResolvers<ReadonlyMap<string, LiveDevice>>();
    calls.push({ ids: refs.map(({ nativeId }) => nativeId), end });
    return end.promise;
  });
  const ask = async (...ids: string[]) => {
    const answers = [...batcher.read(ids.map(ref)).values()];
    return (await Promise.all(answers)).map((device) => device?.nativeId ?? null);
  };
  return { calls, batcher, ask };
}

const tick = () => new Promise(setImmediate);
const all = (ids: readonly string[]) => new Map(ids.map((id) => [id, answer(id)]));

describe('device batcher', () => {
  it('asks once for readers of the same tick, and each device once', async () => {
    const { calls, ask } = setUp();
    const answers = Promise.all([ask('a', 'b'), ask('b', 'c')]);
    await tick();
    expect(calls.map(({ ids }) => ids)).toEqual([['a', 'b', 'c']]);
    calls[0]?.end.resolve(all(['a', 'c']));
    expect(await answers).toEqual([
      ['a', null],
      [null, 'c'],
    ]);
  });

  it('lets later readers join a call that is under way, and asks only for what is not', async () => {
    const { calls, ask } = setUp();
    const first = ask('a');
    await tick();
    const second = ask('a', 'b');
    await tick();
    expect(calls.map(({ ids }) => ids)).toEqual([['a'], ['b']]);
    calls[0]?.end.resolve(all(['a']));
    calls[1]?.end.resolve(all(['b']));
    expect(await Promise.all([first, second])).toEqual([['a'], ['a', 'b']]);
  });

  it('keeps no answer: who asks after the end asks anew', async () => {
    const { calls, batcher, ask } = setUp();
    const first = ask('a');
    await tick();
    calls[0]?.end.resolve(all(['a']));
    await first;
    await tick();
    expect(batcher.isIdle()).toBe(true);
    const second = ask('a');
    await tick();
    expect(calls).toHaveLength(2);
    calls[1]?.end.resolve(new Map());
    expect(await second).toEqual([null]);
  });

  it('fails all who wait for a call that failed, and nobody else', async () => {
    const { calls, ask } = setUp();
    const failing = Promise.allSettled([ask('a'), ask('a', 'b')]);
    await tick();
    const other = ask('c');
    await tick();
    calls[0]?.end.reject(new Error('down'));
    calls[1]?.end.resolve(all(['c']));
    expect((await failing).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await other).toEqual(['c']);
  });

  it('splits what is too much for one call', async () => {
    const { calls, ask } = setUp();
    void ask(...Array.from({ length: MAX_BATCH + 1 }, (_, index) => `d${index}`));
    await tick();
    expect(calls.map(({ ids }) => ids.length)).toEqual([MAX_BATCH, 1]);
  });
});
