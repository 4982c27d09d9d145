import { describe, expect, it } from 'vitest';
import { type TimelineInput, timelineOf } from './timeline.ts';

const WINDOW = { from: 1_000, to: 2_000 };
/** Seconds to milliseconds. */
const s = (seconds: number) => seconds * 1_000;
const segment = (from: number, to: number | null, state: string) => ({
  deviceId: 'dev_a',
  from: s(from),
  to: to === null ? null : s(to),
  state,
  reason: null,
});
const input = (over: Partial<TimelineInput>): TimelineInput => ({
  segments: [segment(0, null, 'ONLINE')],
  firstSeenAt: 0,
  removedAt: null,
  maintenance: [],
  outages: [],
  ...over,
});
const text = (over: Partial<TimelineInput>) =>
  timelineOf(input(over), WINDOW)
    .map(({ from, to, kind }) => `${from}-${to} ${kind}`)
    .join(', ');

describe('timeline', () => {
  it.each<[string, Partial<TimelineInput>, string]>([
    ['one state', {}, '1000-2000 ONLINE'],
    ['a word that is not ours', { segments: [segment(0, null, 'DREAMING')] }, '1000-2000 UNKNOWN'],
    [
      'changes, in any order',
      { segments: [segment(1_500, null, 'DEGRADED'), segment(500, 1_200, 'ONLINE'), segment(1_200, 1_500, 'OFFLINE')] },
      '1000-1200 ONLINE, 1200-1500 OFFLINE, 1500-2000 DEGRADED',
    ],
    [
      'a hole in the history',
      { segments: [segment(0, 1_200, 'ONLINE'), segment(1_300, null, 'ONLINE')] },
      '1000-1200 ONLINE, 1200-1300 NO_HISTORY, 1300-2000 ONLINE',
    ],
    [
      'a device that came and went',
      { firstSeenAt: s(1_100), removedAt: s(1_900) },
      '1000-1100 NO_HISTORY, 1100-1900 ONLINE, 1900-2000 NO_HISTORY',
    ],
    ['nothing at all', { segments: [] }, '1000-2000 NO_HISTORY'],
    [
      'outages that overlap and touch, and one that lasts',
      {
        outages: [
          { from: s(1_100), to: s(1_200) },
          { from: s(1_150), to: s(1_300) },
          { from: s(1_300), to: s(1_310) },
          { from: s(1_950), to: null },
        ],
      },
      '1000-1100 ONLINE, 1100-1310 SOURCE_OUTAGE, 1310-1950 ONLINE, 1950-2000 SOURCE_OUTAGE',
    ],
    [
      'planned work before an outage, but not before the device was there',
      {
        firstSeenAt: s(1_100),
        maintenance: [{ from: s(1_050), to: s(1_400) }],
        outages: [{ from: s(1_300), to: s(1_500) }],
      },
      '1000-1100 NO_HISTORY, 1100-1400 MAINTENANCE, 1400-1500 SOURCE_OUTAGE, 1500-2000 ONLINE',
    ],
    [
      'what lies outside of the window',
      { maintenance: [{ from: 0, to: s(1_000) }], outages: [{ from: s(2_000), to: null }] },
      '1000-2000 ONLINE',
    ],
  ])('tells %s', (_, over, expected) => {
    expect(text(over)).toBe(expected);
  });

  it('cuts instants to whole seconds', () => {
    const segments = [
      { ...segment(0, 0, 'ONLINE'), to: 1_500_900 },
      { ...segment(0, null, 'OFFLINE'), from: 1_500_900 },
    ];
    expect(text({ segments })).toBe('1000-1500 ONLINE, 1500-2000 OFFLINE');
  });
});
