import { describe, expect, it } from 'vitest';
import { InFlight } from './in-flight.ts';
import { RequestScope } from './request-scope.ts';
import type { SubgraphResult } from './transport.ts';

const LONG_MS = 60_000;

function started() {
  const { promise, resolve, reject } = Promise.withResolvers<SubgraphResult>();
  const signals: AbortSignal[] = [];
  return {
    signals,
    resolve,
    reject,
    start: (signal: AbortSignal) => {
      signals.push(signal);
      return promise;
    },
  };
}

function scope(): { readonly scope: RequestScope; readonly leave: (reason: Error) => void } {
  const controller = new AbortController();
  return { scope: new RequestScope(controller.signal, LONG_MS), leave: (reason) => controller.abort(reason) };
}

describe('fetches in flight', () => {
  it('are started once for equal keys, and each caller gets data of its own', async () => {
    const [flights, fetch] = [new InFlight(), started()];
    const callers = Array.from({ length: 3 }, () => flights.run('k', scope().scope, LONG_MS, fetch.start));
    const json = JSON.parse('{"__proto__":{"polluted":true},"list":[{"a":1}]}') as Record<string, unknown>;
    fetch.resolve({ data: { json, at: new Date(0) } });
    const [first, second, third] = await Promise.all(callers);
    expect(fetch.signals).toHaveLength(1);
    expect(second).toEqual(first);
    expect(JSON.stringify(third)).toBe(JSON.stringify(first));
    expect(first?.data).not.toBe(second?.data);
    expect(second?.data?.['json']).not.toBe(third?.data?.['json']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(flights.size).toBe(0);
  });

  it('are not joined after they have landed, nor without a key', async () => {
    const [flights, one, two] = [new InFlight(), started(), started()];
    one.resolve({ data: null });
    two.resolve({ data: null });
    await flights.run('k', scope().scope, LONG_MS, one.start);
    await flights.run('k', scope().scope, LONG_MS, two.start);
    await Promise.all([
      flights.run(null, scope().scope, LONG_MS, two.start),
      flights.run(null, scope().scope, LONG_MS, two.start),
    ]);
    expect([one.signals.length, two.signals.length]).toEqual([1, 3]);
  });

  it('are aborted when the last caller has gone, and not earlier', async () => {
    const [flights, fetch, one, two] = [new InFlight(), started(), scope(), scope()];
    const [first, second] = [
      flights.run('k', one.scope, LONG_MS, fetch.start),
      flights.run('k', two.scope, LONG_MS, fetch.start),
    ];
    one.leave(new Error('one is gone'));
    await expect(first).rejects.toThrow('one is gone');
    expect(fetch.signals[0]?.aborted).toBe(false);
    two.leave(new Error('two is gone'));
    await expect(second).rejects.toThrow('two is gone');
    expect(fetch.signals[0]?.aborted).toBe(true);
    expect(flights.size).toBe(0);
  });

  it('are started anew after everybody has gone', async () => {
    const [flights, hanging, next, one] = [new InFlight(), started(), started(), scope()];
    const gone = flights.run('k', one.scope, LONG_MS, hanging.start);
    one.leave(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
    next.resolve({ data: { a: 1 } });
    await expect(flights.run('k', scope().scope, LONG_MS, next.start)).resolves.toEqual({ data: { a: 1 } });
  });

  it('fail for everybody alike', async () => {
    const [flights, fetch] = [new InFlight(), started()];
    const callers = [
      flights.run('k', scope().scope, LONG_MS, fetch.start),
      flights.run('k', scope().scope, LONG_MS, fetch.start),
    ];
    fetch.reject(new Error('down'));
    for (const caller of callers) await expect(caller).rejects.toThrow('down');
  });

  it('are given up after their time', async () => {
    const [flights, fetch] = [new InFlight(), started()];
    await expect(flights.run('k', scope().scope, 5, fetch.start)).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(fetch.signals[0]?.aborted).toBe(true);
  });

  it('are not started for one whose time is over', async () => {
    const [flights, fetch, one] = [new InFlight(), started(), scope()];
    one.leave(new Error('gone'));
    await expect(flights.run('k', one.scope, LONG_MS, fetch.start)).rejects.toThrow('gone');
    expect(fetch.signals).toEqual([]);
  });
});

describe('request scope', () => {
  it('ends at its deadline', async () => {
    const short = new RequestScope(new AbortController().signal, 5);
    const reason = await new Promise((resolve) => short.onEnd(resolve));
    expect(reason).toMatchObject({ code: 'TIMEOUT' });
    expect(short.isAbandoned).toBe(false);
    expect(short.ended?.reason).toBe(reason);
  });

  it('holds on to nothing after it was closed', () => {
    const { scope: closed, leave } = scope();
    let ended = false;
    closed.onEnd(() => {
      ended = true;
    });
    closed.close();
    leave(new Error('gone'));
    expect(ended).toBe(false);
  });
});
