import fc from 'fast-check';
import { expect, it } from 'vitest';
import { freshOf, planDeliveries } from './plan.ts';

const options = fc.record({
  devices: fc.integer({ min: 1, max: 5 }),
  count: fc.integer({ min: 1, max: 40 }),
  duplicateRate: fc.double({ min: 0, max: 1, noNaN: true }),
  isOutOfOrder: fc.boolean(),
  seed: fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
});

it('delivers every event of every device, and repeats only what was delivered before', () => {
  fc.assert(
    fc.property(options, ({ seed, ...rest }) => {
      const random = () => Number(seed.next().value ?? 0);
      const plan = planDeliveries({ ...rest, random });
      expect(plan).toHaveLength(rest.devices * rest.count);
      for (let device = 0; device < rest.devices; device++) {
        const events = plan.filter((each) => each.device === device).map(({ event }) => event);
        const firsts = [...new Set(events)];
        expect(firsts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: freshOf(rest) }, (_, index) => index));
        const inOrder = rest.isOutOfOrder ? firsts : firsts.toSorted((a, b) => a - b);
        expect(firsts).toEqual(inOrder);
      }
    }),
  );
});

it.each([
  [200, 0.2, 160],
  [1, 1, 1],
  [10, 1, 1],
  [10, 0, 10],
  [3, 0.5, 1],
])('of %d deliveries with a share of %d repeated, %d are events', (count, duplicateRate, fresh) => {
  expect(freshOf({ count, duplicateRate })).toBe(fresh);
});

it('disorders what is to be out of order', () => {
  const values = [0.9, 0.1, 0.5, 0.7, 0.3];
  let at = 0;
  const random = () => values[at++ % values.length] ?? 0;
  const plan = planDeliveries({ devices: 1, count: 20, duplicateRate: 0, isOutOfOrder: true, random });
  expect(plan.map(({ event }) => event)).not.toEqual(Array.from({ length: 20 }, (_, index) => index));
});
