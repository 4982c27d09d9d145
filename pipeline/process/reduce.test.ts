import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEVICE_STATES } from '../../schema/words.ts';
import { type DeviceStatus, reduce, settleInstant, type SettledClaim } from './reduce.ts';

const START: DeviceStatus = { state: 'UNKNOWN', reason: null, since: 0, observedAt: 0, vendorState: null };

function fold(claims: readonly SettledClaim[]): DeviceStatus {
  return claims.reduce((status, claim) => reduce(status, claim).status, START);
}

const history = fc
  .uniqueArray(
    fc.record({
      at: fc.integer({ min: 1, max: 1_000_000 }),
      state: fc.constantFrom(...DEVICE_STATES),
      reason: fc.constant(null),
      vendorState: fc.constant(null),
    }),
    { selector: (claim) => claim.at, maxLength: 20 },
  )
  .chain((claims) => fc.tuple(fc.constant(claims), fc.shuffledSubarray(claims, { minLength: claims.length })));

describe('reduce', () => {
  it('comes to the same state whatever order a history arrives in', () => {
    fc.assert(
      fc.property(history, ([claims, shuffled]) => {
        const newest = claims.toSorted((a, b) => b.at - a.at)[0];
        const status = fold(shuffled);
        expect(status.state).toBe(newest?.state ?? 'UNKNOWN');
        expect(status.observedAt).toBe(newest?.at ?? 0);
      }),
    );
  });

  it('never goes back in time', () => {
    fc.assert(
      fc.property(history, ([, shuffled]) => {
        let status = START;
        for (const claim of shuffled) {
          const next = reduce(status, claim).status;
          expect(next.observedAt).toBeGreaterThanOrEqual(status.observedAt);
          status = next;
        }
      }),
    );
  });

  it('keeps since when a state began while it is confirmed', () => {
    const once = reduce(START, { state: 'OFFLINE', reason: 'POWER', vendorState: 'down', at: 10 });
    const again = reduce(once.status, { state: 'OFFLINE', reason: null, vendorState: null, at: 20 });
    expect([once.verdict, again.verdict]).toEqual(['CHANGED', 'CONFIRMED']);
    expect(again.status).toEqual({ state: 'OFFLINE', reason: 'POWER', since: 10, observedAt: 20, vendorState: 'down' });
  });

  it('leaves a device degraded for a reason that the claim does not end', () => {
    const spoke = { state: 'ONLINE', reason: 'REPORTED', vendorState: 'spoke', keepsDegraded: ['POWER'] } as const;
    const low = { state: 'DEGRADED', reason: 'POWER', vendorState: 'low', at: 10 } as const;
    const after = reduce(reduce(START, low).status, { ...spoke, at: 20 });
    expect(after).toEqual({ verdict: 'CONFIRMED', status: expect.objectContaining({ state: 'DEGRADED', since: 10 }) });
    // What is observed is that it speaks: a loss from before that comes too late.
    expect(reduce(after.status, { state: 'OFFLINE', reason: null, vendorState: null, at: 15 }).verdict).toBe('LATE');
    for (const other of [
      { ...low, reason: 'TAMPER' },
      { ...low, state: 'OFFLINE' },
    ] as const)
      expect(reduce(reduce(START, other).status, { ...spoke, at: 20 }).status.state).toBe('ONLINE');
  });

  it('takes claims of one instant in their order of arrival', () => {
    const claims = (['OFFLINE', 'ONLINE'] as const).map((state) => ({
      state,
      reason: null,
      vendorState: null,
      at: 10,
    }));
    expect(fold(claims).state).toBe('ONLINE');
    expect(fold(claims.toReversed()).state).toBe('OFFLINE');
  });
});

describe('settleInstant', () => {
  it.each([
    [299_999, false],
    [300_000, false],
    [300_001, true],
    [-86_400_000, false],
  ])('judges an instant %i ms ahead of its receipt: clamped %s', (ahead, isClamped) => {
    expect(settleInstant(1_000_000_000 + ahead, 1_000_000_000, 300_000)).toEqual({
      at: isClamped ? 1_000_000_000 : 1_000_000_000 + ahead,
      isClamped,
    });
  });
});
