import { describe, expect, it } from 'vitest';
import { Refusal } from '../refusal.ts';
import { createCostBudgets, REFILL_MS } from './budgets.ts';

const ann = { kind: 'USER', id: 'ann' } as const;
const bob = { kind: 'USER', id: 'bob' } as const;

function budgets(limit = 600) {
  const clock = { at: 1_000_000 };
  const counted = createCostBudgets(limit, () => clock.at);
  return { clock, charge: (who: Parameters<typeof counted.charge>[0], cost: number) => counted.charge(who, cost) };
}

function refused(run: () => unknown): Refusal | null {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}

describe('cost budgets', () => {
  it('take what an operation costs, each principal its own', () => {
    const { charge, clock } = budgets();
    expect(charge(ann, 100)).toEqual({ cost: 100, limit: 600, remaining: 500, resetAt: clock.at + 10_000 });
    expect(charge(ann, 200)).toMatchObject({ cost: 200, remaining: 300 });
    expect(charge(bob, 1)).toMatchObject({ remaining: 599 });
    expect(charge({ ...ann, kind: 'SERVICE' }, 1)).toMatchObject({ remaining: 599 });
  });

  it('give points back evenly, and never more than there were', () => {
    const { charge, clock } = budgets();
    charge(ann, 600);
    clock.at += 5_000;
    expect(charge(ann, 1)).toMatchObject({ remaining: 49, resetAt: clock.at + 55_100 });
    clock.at += 10 * REFILL_MS;
    expect(charge(ann, 0)).toEqual({ cost: 0, limit: 600, remaining: 599, resetAt: clock.at + 100 });
  });

  it('refuse what is not left, say when it will be, and take nothing for it', () => {
    const { charge, clock } = budgets();
    charge(ann, 550);
    const error = refused(() => charge(ann, 100));
    expect(error).toMatchObject({ status: 429, code: 'RATE_LIMITED', headers: { 'retry-after': '5' } });
    expect(error?.details).toMatchObject({ cost: 100, limit: 600, remaining: 50, retryAfterSeconds: 5 });
    clock.at += 5_000;
    expect(charge(ann, 100)).toMatchObject({ remaining: 0 });
  });

  it('run an operation that costs more than the limit when all points are there', () => {
    const { charge } = budgets();
    expect(charge(ann, 5_000)).toMatchObject({ cost: 5_000, remaining: 0 });
    expect(refused(() => charge(ann, 1))).not.toBeNull();
  });

  it('take nothing away when the clock is set back', () => {
    const { charge, clock } = budgets();
    charge(ann, 100);
    clock.at -= 3_600_000;
    expect(charge(ann, 1)).toMatchObject({ remaining: 499 });
  });

  it('remember those who have spent something, and forget the others, when there are too many', () => {
    const { charge, clock } = budgets();
    for (let index = 0; index < 10_000; index += 1) charge({ kind: 'USER', id: `idle ${index}` }, 1);
    clock.at += 1_000;
    charge(ann, 600);
    for (let index = 0; index < 5_000; index += 1) charge({ kind: 'USER', id: `new ${index}` }, 1);
    expect(refused(() => charge(ann, 1))).not.toBeNull();
  });
});
