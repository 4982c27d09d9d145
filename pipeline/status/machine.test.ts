import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEVICE_STATES } from '../../schema/words.ts';
import {
  advance,
  type Claim,
  comparePlaces,
  type DeviceStatus,
  fold,
  isInOrder,
  settle,
  settleInstant,
  type StatusPolicy,
  unclaimed,
} from './machine.ts';
import { segmentsOf } from './segments.ts';
import { Track } from './track.ts';

const SECOND = 1_000;
const MINUTE = 60_000;
const AT_ONCE: StatusPolicy = { offlineDwellMs: 0, flapChanges: 6, flapWindowMs: 10 * MINUTE };
const DWELL: StatusPolicy = { ...AT_ONCE, offlineDwellMs: 5 * MINUTE };

function claim(at: number, state: Claim['state'], more: Partial<Claim> = {}): Claim {
  return { at, receivedAt: at, inboxId: at, state, reason: null, vendorState: null, ...more };
}

function folded(claims: readonly Claim[], policy: StatusPolicy, now = Number.MIN_SAFE_INTEGER): DeviceStatus {
  return settle(fold(unclaimed(0), claims.toSorted(comparePlaces), policy).status, now, policy).status;
}

const anyClaim = fc.record({
  // A coarse clock: many claims share an instant.
  at: fc.integer({ min: 0, max: 60 }).map((tick) => tick * 30 * SECOND),
  delay: fc.integer({ min: 0, max: 20 }).map((ticks) => ticks * 30 * SECOND),
  state: fc.constantFrom(...DEVICE_STATES),
  reason: fc.constantFrom(null, 'POWER' as const, 'TAMPER' as const),
  vendorState: fc.constantFrom(null, 'a', 'b'),
  keepsDegraded: fc.constantFrom(undefined, ['POWER'] as const, ['POWER', 'TAMPER'] as const),
});

type AnyClaim = typeof anyClaim extends fc.Arbitrary<infer T> ? T : never;

function placed({ delay, keepsDegraded, ...rest }: AnyClaim, index: number): Claim {
  const receivedAt = rest.at + delay;
  return { ...rest, receivedAt, inboxId: index + 1, ...(keepsDegraded === undefined ? {} : { keepsDegraded }) };
}

const policy = fc.record({
  offlineDwellMs: fc.constantFrom(0, MINUTE, 5 * MINUTE),
  flapChanges: fc.integer({ min: 2, max: 7 }),
  flapWindowMs: fc.constantFrom(2 * MINUTE, 10 * MINUTE),
});

/** A history, and the same in another order of processing. */
const history = fc
  .array(anyClaim, { maxLength: 25 })
  .map((claims) => claims.map(placed))
  .chain((claims) => fc.tuple(fc.constant(claims), fc.shuffledSubarray(claims, { minLength: claims.length })));

describe('the status machine', () => {
  it('comes to the same status and segments whatever order a history is processed in', () => {
    fc.assert(
      fc.property(history, policy, ([claims, shuffled], rules) => {
        const now = 1_000 * MINUTE;
        const canonical = fold(unclaimed(0), claims.toSorted(comparePlaces), rules);
        const track = new Track(unclaimed(0), rules);
        for (const each of shuffled) track.take(each);
        track.settle(now);
        const end = settle(canonical.status, now, rules);
        expect(track.status).toEqual(end.status);
        expect(segmentsOf(null, track.history)).toEqual(segmentsOf(null, [...canonical.changes, ...end.changes]));
      }),
      { numRuns: 2_000 },
    );
  });

  it('takes a claim in one step exactly where that is what folding everything comes to', () => {
    fc.assert(
      fc.property(history, policy, fc.integer({ min: 0, max: 80 }), ([claims], rules, tick) => {
        const sorted = claims.toSorted(comparePlaces);
        const last = sorted.at(-1);
        if (last === undefined) return;
        const before = folded(sorted.slice(0, -1), rules, tick * 30 * SECOND);
        if (!isInOrder(before, last, rules)) return;
        expect(settle(advance(before, last, rules).status, 1_000 * MINUTE, rules).status).toEqual(
          folded(sorted, rules, 1_000 * MINUTE),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  it('lets time pass alike in one go and in many steps', () => {
    fc.assert(
      fc.property(history, policy, fc.array(fc.integer({ min: 0, max: 120 })), ([claims], rules, ticks) => {
        const end = 1_000 * MINUTE;
        let status = folded(claims, rules);
        for (const tick of ticks.toSorted((a, b) => a - b)) status = settle(status, tick * 30 * SECOND, rules).status;
        expect(settle(status, end, rules).status).toEqual(folded(claims, rules, end));
      }),
    );
  });

  it('is in the state of the newest claim where nothing waits and nothing is kept', () => {
    fc.assert(
      fc.property(history, ([claims, shuffled]) => {
        const plain = shuffled.map((each) => ({ ...each, keepsDegraded: [] }));
        const newest = claims.toSorted(comparePlaces).at(-1);
        expect(folded(plain, AT_ONCE).state).toBe(newest?.state ?? 'UNKNOWN');
      }),
    );
  });

  it('tells as changes exactly the way from the first to the last visible state', () => {
    fc.assert(
      fc.property(history, policy, ([, shuffled], rules) => {
        const track = new Track(unclaimed(0), rules);
        let seen: string = 'UNKNOWN';
        for (const each of shuffled) {
          const { due, own } = track.take(each);
          for (const change of own === null ? due : [...due, own]) {
            expect(change.before).toBe(seen);
            expect(change.after).not.toBe(seen);
            seen = change.after;
          }
          expect(seen).toBe(track.status.state);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('keeps since when a state began while it is confirmed', () => {
    const status = folded(
      [claim(10, 'OFFLINE', { reason: 'POWER', vendorState: 'down' }), claim(20, 'OFFLINE')],
      AT_ONCE,
    );
    expect(status).toMatchObject({
      state: 'OFFLINE',
      reason: 'POWER',
      since: 10,
      vendorState: 'down',
      place: { at: 20 },
    });
  });

  it('leaves a device degraded for a reason that the claim does not end', () => {
    const low = claim(10, 'DEGRADED', { reason: 'POWER' });
    const spoke = claim(20, 'ONLINE', { keepsDegraded: ['POWER'] });
    expect(folded([low, spoke], AT_ONCE)).toMatchObject({ state: 'DEGRADED', since: 10, place: { at: 20 } });
    expect(folded([{ ...low, reason: 'TAMPER' }, spoke], AT_ONCE).state).toBe('ONLINE');
    expect(folded([{ ...low, state: 'OFFLINE' }, spoke], AT_ONCE).state).toBe('ONLINE');
    // The word that it was degraded comes last, and is of before.
    const track = new Track(unclaimed(0), AT_ONCE);
    track.take(spoke);
    expect(track.take(low)).toMatchObject({ isLate: true, own: { before: 'ONLINE', after: 'DEGRADED', at: 10 } });
  });

  it('takes claims of one instant by receipt, then by delivery, then in their order', () => {
    const down = claim(10, 'OFFLINE', { receivedAt: 50, inboxId: 7 });
    expect(folded([down, claim(10, 'ONLINE', { receivedAt: 49, inboxId: 8 })], AT_ONCE).state).toBe('OFFLINE');
    expect(folded([down, claim(10, 'ONLINE', { receivedAt: 50, inboxId: 6 })], AT_ONCE).state).toBe('OFFLINE');
    expect(folded([down, claim(10, 'ONLINE', { receivedAt: 50, inboxId: 7 })], AT_ONCE).state).toBe('ONLINE');
  });

  it.each([
    // The order of processing decides nothing; who says it decides nothing; when it was so does.
    ['a webhook, a poll and supervision', ['OFFLINE', 'ONLINE', 'OFFLINE'], 'OFFLINE'],
    ['a poll that disagrees last', ['OFFLINE', 'OFFLINE', 'ONLINE'], 'ONLINE'],
  ] as const)('believes the newest word of %s', (_, states, expected) => {
    const claims = states.map((state, index) => claim(index * SECOND, state));
    for (const order of [claims, claims.toReversed(), [claims[1]!, claims[2]!, claims[0]!]]) {
      const track = new Track(unclaimed(0), AT_ONCE);
      for (const each of order) track.take(each);
      expect(track.status.state).toBe(expected);
    }
  });
});

describe('an outage that must last', () => {
  const [online, offline] = [claim(0, 'ONLINE'), claim(MINUTE, 'OFFLINE', { reason: 'NETWORK' })];

  it('is pending and visible as such, and counts since it began when it has lasted', () => {
    const before = folded([online, offline], DWELL, 6 * MINUTE - 1);
    expect(before).toMatchObject({
      state: 'ONLINE',
      pending: { state: 'OFFLINE', reason: 'NETWORK', since: MINUTE, until: 6 * MINUTE },
    });
    const { status, changes } = settle(before, 6 * MINUTE, DWELL);
    expect(status).toMatchObject({ state: 'OFFLINE', reason: 'NETWORK', since: MINUTE, pending: null });
    expect(changes).toEqual([{ before: 'ONLINE', after: 'OFFLINE', reason: 'NETWORK', at: MINUTE }]);
  });

  it('never was when the device recovers before', () => {
    const { status, changes } = fold(unclaimed(0), [online, offline, claim(6 * MINUTE - 1, 'ONLINE')], DWELL);
    expect(status).toMatchObject({ state: 'ONLINE', since: 0, pending: null });
    expect(changes).toHaveLength(1);
  });

  it('counts before a recovery that comes when it has lasted', () => {
    const { changes } = fold(unclaimed(0), [online, offline, claim(6 * MINUTE, 'ONLINE')], DWELL);
    expect(changes.map(({ after, at }) => [after, at])).toEqual([
      ['ONLINE', 0],
      ['OFFLINE', MINUTE],
      ['ONLINE', 6 * MINUTE],
    ]);
  });

  it('is not begun anew by being confirmed', () => {
    const status = folded([online, offline, claim(3 * MINUTE, 'OFFLINE')], DWELL);
    expect(status.pending).toMatchObject({ reason: 'NETWORK', since: MINUTE, until: 6 * MINUTE });
  });

  it('counts at once when we hear of it late', () => {
    const track = new Track(unclaimed(0), DWELL);
    track.take(online);
    expect(track.take({ ...offline, receivedAt: 10 * MINUTE }).own).toMatchObject({ after: 'OFFLINE', at: MINUTE });
  });

  it('is taken back when the recovery turns out to have come in time', () => {
    const track = new Track(unclaimed(0), DWELL);
    track.take(online);
    track.take(offline);
    expect(track.settle(6 * MINUTE).due).toMatchObject([{ after: 'OFFLINE' }]);
    const recovery = track.take(claim(2 * MINUTE, 'ONLINE', { receivedAt: 7 * MINUTE }));
    expect(recovery).toMatchObject({ isLate: false, own: { before: 'OFFLINE', after: 'ONLINE', at: 0 } });
    expect(segmentsOf(null, track.history)).toMatchObject([{ state: 'ONLINE', from: 0, to: null }]);
  });

  it('stays effective when what came late changes nothing about it', () => {
    const track = new Track(settle(folded([online, offline], DWELL), 6 * MINUTE, DWELL).status, DWELL);
    track.remember({ base: unclaimed(0), claims: [online, offline] });
    expect(track.take(claim(30 * SECOND, 'DEGRADED', { receivedAt: 50 * SECOND }))).toMatchObject({
      isLate: true,
      own: null,
    });
    expect(track.status.state).toBe('OFFLINE');
  });
});

describe('flapping', () => {
  function toggled(count: number, everyMs: number): readonly Claim[] {
    return Array.from({ length: count }, (_, index) => claim(index * everyMs, index % 2 === 0 ? 'ONLINE' : 'OFFLINE'));
  }

  it('begins with as many changes within the window as the policy says', () => {
    expect(folded(toggled(5, MINUTE), AT_ONCE).isFlapping).toBe(false);
    expect(folded(toggled(6, MINUTE), AT_ONCE)).toMatchObject({
      isFlapping: true,
      flapUntil: 3 * MINUTE + 10 * MINUTE,
    });
    expect(folded(toggled(60, 2 * MINUTE + 1), AT_ONCE).isFlapping).toBe(false);
  });

  it('ends when no more than a third of them are left within the window, not before', () => {
    const flapping = folded(toggled(6, MINUTE), AT_ONCE);
    expect(settle(flapping, 13 * MINUTE - 1, AT_ONCE).status.isFlapping).toBe(true);
    expect(settle(flapping, 13 * MINUTE, AT_ONCE).status).toMatchObject({ isFlapping: false, flapUntil: null });
    // Fewer changes than it takes to begin keep it going.
    const more = [...toggled(6, MINUTE), claim(9 * MINUTE, 'ONLINE')];
    expect(folded(more, AT_ONCE, 13 * MINUTE).isFlapping).toBe(true);
  });

  it('counts what happened at one instant once', () => {
    const burst = toggled(12, 0).map((each, index) => ({ ...each, inboxId: index }));
    expect(folded(burst, AT_ONCE)).toMatchObject({ isFlapping: false, changes: [0] });
  });
});

describe('settleInstant', () => {
  it.each([
    [299_999, false],
    [300_000, false],
    [300_001, true],
    [86_400_000, true],
    [-86_400_000, false],
  ])('judges an instant %i ms ahead of its receipt: clamped %s', (ahead, isClamped) => {
    expect(settleInstant(1_000_000_000 + ahead, 1_000_000_000, 300_000)).toEqual({
      at: isClamped ? 1_000_000_000 : 1_000_000_000 + ahead,
      isClamped,
    });
  });
});
