import { expect, it } from 'vitest';
import { torture } from './torture.ts';

// `npm run torture` does the same for longer.

/** Some starts of the product, on a machine that does other things at the same time. */
const TIMEOUT_MS = 300_000;

it(
  'survives kills, stops and broken disks under load: nothing lost, nothing doubled, no reader misled',
  async () => {
    const { violations, load, faults, subscribers, logged } = await torture({
      seconds: 12,
      seed: 20_261_120,
      rate: 100,
    });
    expect(violations).toEqual([]);
    expect(Object.values(faults).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
    expect(load.made).toBeGreaterThan(200);
    expect(logged).toBeGreaterThanOrEqual(load.made);
    expect(load.saidDuplicate).toBeGreaterThan(0);
    for (const { connections } of subscribers) expect(connections).toBeGreaterThan(1);
  },
  TIMEOUT_MS,
);

it(
  'survives that its own processes and those of PostgreSQL are killed',
  async () => {
    const { violations, load, faults, logged } = await torture({
      seconds: 10,
      seed: 7,
      rate: 60,
      engine: 'postgres',
      faults: 'kills',
    });
    expect(violations).toEqual([]);
    expect(Object.values(faults).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
    expect(load.acknowledged).toBe(load.made);
    expect(logged).toBeGreaterThanOrEqual(load.made);
  },
  TIMEOUT_MS,
);
