import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { availabilityOf } from './availability.ts';
import { type Kind, type Timeline, type TimelineInput, timelineOf } from './timeline.ts';
import { parseHistoryWindow, parseWindow } from './window.ts';

const WINDOW = { from: 1_000, to: 2_000 };
const KINDS: Readonly<Record<string, Kind>> = {
  u: 'ONLINE',
  g: 'DEGRADED',
  d: 'OFFLINE',
  x: 'UNKNOWN',
  n: 'NO_HISTORY',
  o: 'SOURCE_OUTAGE',
  m: 'MAINTENANCE',
};

/** A timeline over WINDOW of pieces of the same length: `uud` was up for two thirds. */
function timeline(text: string): Timeline {
  const step = 1_000 / text.length;
  return text.split('').map((letter, index) => ({
    from: 1_000 + Math.floor(index * step),
    to: 1_000 + Math.floor((index + 1) * step),
    kind: KINDS[letter] ?? 'UNKNOWN',
  }));
}

const of = (...texts: readonly string[]) => availabilityOf(texts.map(timeline), WINDOW, 'UTC');

describe('availability', () => {
  it.each([
    ['uuuu', { percent: 100, uptimeSeconds: 1_000, incidents: 0, mtbfSeconds: null, calculation: 'COMPLETE' }],
    [
      'ugud',
      { percent: 75, uptimeSeconds: 750, downtimeSeconds: 250, incidents: 1, mtbfSeconds: 750, mttrSeconds: 250 },
    ],
    ['dudu', { percent: 50, incidents: 2, mtbfSeconds: 250, mttrSeconds: 250 }],
    ['udmd', { percent: 100 / 3, maintenanceSeconds: 250, incidents: 1 }],
    ['udxd', { percent: 100 / 3, unknownSeconds: 250, incidents: 1, coveragePercent: 75, calculation: 'COMPLETE' }],
    ['uuod', { percent: 200 / 3, unknownSeconds: 250, calculation: 'PARTIAL_SOURCE_OUTAGE' }],
    ['nuud', { percent: 200 / 3, unknownSeconds: 250, calculation: 'PARTIAL_NO_HISTORY' }],
    ['nouu', { percent: 100, unknownSeconds: 500, coveragePercent: 50, calculation: 'PARTIAL_SOURCE_OUTAGE' }],
    ['xxxx', { percent: null, unknownSeconds: 1_000, coveragePercent: 0, incidents: 0 }],
    ['mmmm', { percent: null, maintenanceSeconds: 1_000, coveragePercent: 100 }],
  ])('of %s is told as it was', (text, expected) => {
    const { percent, ...rest } = expected;
    const answer = of(text);
    expect(answer).toMatchObject(rest);
    // Null is near to nothing but itself.
    expect(answer.percent ?? -1).toBeCloseTo(percent ?? -1, 10);
  });

  it('of several is their mean, whose seconds add up to the window, and all of their incidents', () => {
    const answer = of('uud', 'udx', 'dud');
    const sum = answer.uptimeSeconds + answer.downtimeSeconds + answer.unknownSeconds + answer.maintenanceSeconds;
    expect(sum).toBe(1_000);
    expect(answer.incidents).toBe(4);
    expect(answer.percent).toBeCloseTo(50, 0);
    expect(Math.abs(answer.unknownSeconds - 1_000 / 9)).toBeLessThan(1);
  });

  it('of nothing is unknown', () => {
    expect(of()).toMatchObject({ percent: null, unknownSeconds: 1_000, calculation: 'PARTIAL_NO_HISTORY' });
    expect(of().buckets({ size: 60_000 })[0]).toMatchObject({ percent: null, worstState: 'UNKNOWN' });
  });

  it('tells of each bucket what was worst, without planned work', () => {
    const hour = { from: 0, to: 4 * 3_600 };
    const pieces = (...kinds: readonly Kind[]): Timeline =>
      kinds.map((kind, index) => ({ from: index * 3_600, to: (index + 1) * 3_600, kind }));
    const answer = availabilityOf(
      [
        pieces('ONLINE', 'MAINTENANCE', 'DEGRADED', 'MAINTENANCE'),
        pieces('ONLINE', 'OFFLINE', 'UNKNOWN', 'MAINTENANCE'),
      ],
      hour,
      'UTC',
    );
    expect(answer.buckets({ size: 3_600_000 })).toEqual([
      { from: 0, to: 3_600_000, percent: 100, worstState: 'ONLINE' },
      { from: 3_600_000, to: 7_200_000, percent: 0, worstState: 'OFFLINE' },
      { from: 7_200_000, to: 10_800_000, percent: 100, worstState: 'DEGRADED' },
      { from: 10_800_000, to: 14_400_000, percent: null, worstState: 'UNKNOWN' },
    ]);
    expect(answer.buckets({ size: 7_200_000 }).map(({ percent }) => percent)).toEqual([200 / 3, 100]);
  });

  it('adds up to the second, whatever happened', () => {
    const ms = fc.integer({ min: 0, max: 9_999_999 });
    const span = fc.tuple(ms, ms).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }));
    const state = fc.constantFrom('ONLINE', 'OFFLINE', 'DEGRADED', 'UNKNOWN');
    const device = fc.record({
      cuts: fc.uniqueArray(fc.tuple(ms, state), { maxLength: 8, selector: ([at]) => at }),
      firstSeenAt: ms,
      removedAt: fc.option(ms),
      maintenance: fc.array(span, { maxLength: 3 }),
      outages: fc.array(span, { maxLength: 3 }),
    });
    const toInput = ({ cuts, ...rest }: typeof device extends fc.Arbitrary<infer T> ? T : never): TimelineInput => {
      const sorted = cuts.toSorted(([a], [b]) => a - b);
      const segments = sorted.map(([from, each], index) => ({
        deviceId: 'dev_a',
        from,
        to: sorted[index + 1]?.[0] ?? null,
        state: each,
        reason: null,
      }));
      return { segments, ...rest };
    };
    fc.assert(
      fc.property(fc.array(device, { minLength: 1, maxLength: 4 }), span, (devices, { from, to }) => {
        const window = { from: Math.floor(from / 1_000), to: Math.floor(to / 1_000) + 1 };
        const timelines = devices.map((each) => timelineOf(toInput(each), window));
        for (const each of timelines) {
          // Without a hole, and no second twice.
          expect(each.map((piece) => piece.from)).toEqual([window.from, ...each.slice(0, -1).map((piece) => piece.to)]);
          expect(each.at(-1)?.to).toBe(window.to);
        }
        const answer = availabilityOf(timelines, window, 'Europe/Berlin');
        const parts = [answer.uptimeSeconds, answer.downtimeSeconds, answer.unknownSeconds, answer.maintenanceSeconds];
        expect(parts.every((part) => Number.isInteger(part) && part >= 0)).toBe(true);
        expect(parts.reduce((sum, part) => sum + part, 0)).toBe(window.to - window.from);
        expect(answer.percent === null || (answer.percent >= 0 && answer.percent <= 100)).toBe(true);
        const buckets = answer.buckets({ size: 900_000 });
        expect(buckets[0]?.from).toBe(window.from * 1_000);
        expect(buckets.at(-1)?.to).toBe(window.to * 1_000);
      }),
      { numRuns: 300, seed: 5 },
    );
  });
});

describe('a window', () => {
  const now = Date.UTC(2026, 5, 1);
  const DAY = 86_400_000;
  it.each([
    [{ last: DAY }, [now - DAY, now]],
    [{ from: now - 2 * DAY }, [now - 2 * DAY, now]],
    [{ from: now - 2 * DAY, to: now - DAY }, [now - 2 * DAY, now - DAY]],
    [{ last: DAY, to: now - DAY }, [now - 2 * DAY, now - DAY]],
    [{ from: now - DAY, to: now + DAY }, [now - DAY, now]],
    [{ from: now - 1_500, to: now - 1 }, [now - 2_000, now - 1_000]],
  ])('of %j is one', (window, [from, to]) => {
    expect(parseWindow(window, now)).toEqual({ from, to });
  });

  it('of a list goes on to this very instant, unless it ends before', () => {
    const at = now + 29;
    expect(parseHistoryWindow({ last: DAY }, at)).toEqual({ from: now - DAY, to: at + 1 });
    expect(parseHistoryWindow({ from: now - DAY, to: at + DAY }, at)).toEqual({ from: now - DAY, to: at + 1 });
    expect(parseHistoryWindow({ last: DAY, to: now + 1 }, at)).toEqual({ from: now - DAY, to: now });
  });

  it.each([
    [{}, 'either'],
    [{ from: now - 1, last: DAY }, 'either'],
    [{ to: now }, 'either'],
    [{ from: now }, 'before it ends'],
    [{ from: now - DAY, to: now - 2 * DAY }, 'before it ends'],
    [{ last: 401 * DAY }, '400 days'],
    [{ from: now + DAY, to: now + 2 * DAY }, 'a second ago'],
    [{ last: 0 }, 'before it ends'],
  ])('of %j is refused', (window, text) => {
    expect(() => parseWindow(window, now)).toThrow(text);
  });
});
