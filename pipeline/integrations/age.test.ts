import { describe, expect, it } from 'vitest';
import { createAge } from './age.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function start() {
  const clock = { wall: 1_000 * HOUR, elapsed: 0 };
  const ageOf = createAge({ now: () => clock.wall, elapsedMs: () => clock.elapsed });
  return {
    clock,
    ageOf,
    pass: (ms: number) => {
      clock.wall += ms;
      clock.elapsed += ms;
    },
  };
}

describe('the age of an instant', () => {
  it('is the time that passed since, and none of what never was', () => {
    const { clock, ageOf, pass } = start();
    expect(ageOf(null)).toBeNull();
    const stamp = clock.wall;
    expect(ageOf(stamp)).toBe(0);
    pass(MINUTE);
    expect(ageOf(stamp)).toBe(MINUTE);
    expect(ageOf(null)).toBeNull();
  });

  it.each([-HOUR, HOUR])('goes on evenly when the clock is set by %i ms', (step) => {
    const { clock, ageOf, pass } = start();
    const stamp = clock.wall - MINUTE;
    expect(ageOf(stamp)).toBe(MINUTE);
    pass(MINUTE);
    clock.wall += step;
    pass(MINUTE);
    expect(ageOf(stamp)).toBe(3 * MINUTE);
  });

  it.each([-HOUR, HOUR])('is no more than the time since the last look where the clock was set by %i ms', (step) => {
    const { clock, ageOf, pass } = start();
    ageOf(clock.wall);
    pass(MINUTE);
    const stamp = clock.wall;
    clock.wall += step;
    pass(MINUTE);
    const age = ageOf(stamp) ?? Number.NaN;
    expect(age).toBeGreaterThanOrEqual(0);
    expect(age).toBeLessThanOrEqual(2 * MINUTE);
  });

  it('is not known of an instant that has yet to come when it is first looked at', () => {
    const { clock, ageOf, pass } = start();
    expect(ageOf(clock.wall + HOUR)).toBeNull();
    pass(MINUTE);
    expect(ageOf(clock.wall - 1)).toBe(1);
  });

  it('is nothing of an instant that another machine gave a moment ahead of us', () => {
    const { clock, ageOf } = start();
    expect(ageOf(clock.wall + 1_000)).toBe(0);
  });
});
