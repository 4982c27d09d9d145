import { afterEach, describe, expect, it, vi } from 'vitest';
import { createPace } from './pace.ts';

/** A store whose rows take so long to delete, by a clock that stands still otherwise. */
function slowStore(msPerRow: number, rows: number) {
  const clock = { ms: 0 };
  vi.spyOn(performance, 'now').mockImplementation(() => clock.ms);
  const limits: number[] = [];
  const left = { rows };
  return {
    clock,
    limits,
    db: { write: (job: (tx: never) => Promise<unknown>) => job(undefined as never) as Promise<never> },
    trim: async (_: unknown, limit: number) => {
      const count = Math.min(limit, left.rows);
      limits.push(limit);
      left.rows -= count;
      clock.ms += count * msPerRow;
      return count;
    },
  };
}

afterEach(() => void vi.restoreAllMocks());

describe('a pace', () => {
  it.each([
    [0.1, 80],
    [0.02, 400],
    [0.001, 1_000],
    [10, 25],
  ])('finds portions of some 8 ms where a row takes %d ms', async (msPerRow, portion) => {
    const { db, trim, limits } = slowStore(msPerRow, 20_000);
    await createPace({ db, rest: async () => {} }).repeat(trim);
    expect(limits[7]).toBe(portion);
  });

  it('rests as long as it works, and four times as long while deliveries wait', async () => {
    const rests: number[] = [];
    const busy = { is: false };
    const { db, trim, clock } = slowStore(0.08, 250);
    const rest = async (ms: number) => {
      rests.push(ms);
      clock.ms += ms;
      busy.is = true;
    };
    const { rows, isDone } = await createPace({ db, rest, isBusy: () => busy.is }).repeat(trim);
    expect({ rows, isDone }).toEqual({ rows: 250, isDone: true });
    expect(rests).toEqual([8, 32]);
  });

  it('lets the next table have its turn after 30 s', async () => {
    const { db, trim, clock } = slowStore(0.08, 1_000_000);
    const rest = async (ms: number) => {
      clock.ms += ms;
    };
    const { rows, isDone } = await createPace({ db, rest }).repeat(trim);
    expect(isDone).toBe(false);
    expect(clock.ms).toBeLessThan(30_020);
    expect(rows).toBeGreaterThan(180_000);
  });

  it('stops between two portions', async () => {
    const { db, trim, limits } = slowStore(0.08, 1_000_000);
    const pace = createPace({ db, rest: async () => pace.stop() });
    expect(await pace.repeat(trim)).toEqual({ rows: 100, isDone: false });
    expect(limits).toHaveLength(1);
  });
});
