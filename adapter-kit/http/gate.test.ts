import { describe, expect, it } from 'vitest';
import { createGate } from './gate.ts';

const signal = new AbortController().signal;

describe('gate', () => {
  it('admits in order, one for each that leaves', async () => {
    const gate = createGate(1, 10);
    const order: string[] = [];
    const leave = await gate.enter(signal);
    const second = gate.enter(signal).then((leaveSecond) => {
      order.push('second');
      leaveSecond();
    });
    const third = gate.enter(signal).then(() => order.push('third'));
    leave();
    await Promise.all([second, third]);
    expect(order).toEqual(['second', 'third']);
  });

  it('refuses more than its bound to wait', async () => {
    const gate = createGate(1, 2);
    await gate.enter(signal);
    const controller = new AbortController();
    const waiting = [gate.enter(controller.signal), gate.enter(controller.signal)];
    await expect(gate.enter(signal)).rejects.toMatchObject({ code: 'RATE_LIMITED', retryable: true });
    controller.abort(new Error('gone'));
    for (const each of waiting) await expect(each).rejects.toThrow('gone');
  });

  it('forgets who gave up, and keeps its places', async () => {
    const gate = createGate(1, 2);
    const leave = await gate.enter(signal);
    const controller = new AbortController();
    const gaveUp = gate.enter(controller.signal);
    const patient = gate.enter(signal);
    controller.abort(new Error('gone'));
    await expect(gaveUp).rejects.toThrow('gone');
    leave();
    (await patient)();
    await expect(gate.enter(signal)).resolves.toBeTypeOf('function');
  });
});
