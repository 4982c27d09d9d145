import { describe, expect, it } from 'vitest';
import { createTurnMemory, createWriteTurn, forgetThread } from './write-turn.ts';

function two() {
  const memory = createTurnMemory();
  return { memory, main: createWriteTurn(memory, 0), worker: createWriteTurn(memory, 1) };
}

describe('the turn at writing', () => {
  it('is had by one at a time', async () => {
    const { main, worker } = two();
    const order: string[] = [];
    await main.acquire();
    const waiting = worker.acquire().then(() => order.push('worker'));
    await new Promise((resolve) => setImmediate(resolve));
    order.push('main');
    main.release();
    await waiting;
    expect(order).toEqual(['main', 'worker']);
    worker.release();
    await main.acquire();
    main.release();
  });

  it('goes to who waits, however soon the other one wants it back', async () => {
    const { main, worker } = two();
    const order: string[] = [];
    await worker.acquire();
    const waiting = main.acquire().then(() => order.push('main'));
    await new Promise((resolve) => setImmediate(resolve));
    worker.release();
    // At once, in the same turn of the event loop, as who writes back to back does.
    const again = worker.acquire().then(() => order.push('worker'));
    await waiting;
    main.release();
    await again;
    expect(order).toEqual(['main', 'worker']);
  });

  it('of a thread that died is free again', async () => {
    const { memory, main, worker } = two();
    await worker.acquire();
    const waiting = main.acquire();
    forgetThread(memory, 1);
    await expect(waiting).resolves.toBeUndefined();
    main.release();
  });

  it('of a thread that lives is not freed by the end of the other', async () => {
    const { memory, main, worker } = two();
    await main.acquire();
    forgetThread(memory, 1);
    const waiting = worker.acquire().then(() => 'worker');
    expect(await Promise.race([waiting, new Promise((resolve) => setImmediate(() => resolve('nobody')))])).toBe(
      'nobody',
    );
    main.release();
    await waiting;
  });
});
