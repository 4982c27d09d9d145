import type { DeviceState, StatusReason } from '../../schema/words.ts';

/** What the store believes about a device. Instants are milliseconds since the epoch. */
export interface DeviceStatus {
  readonly state: DeviceState;
  readonly reason: StatusReason | null;
  /** Since when it has been in this state, by the source's clock. */
  readonly since: number;
  /** When it was so for the last time, by the source's clock: claims older than this come too late. */
  readonly observedAt: number;
  /** The platform's own word. */
  readonly vendorState: string | null;
}

/** One source's word, with its instant settled (never in the future, never null). */
export interface SettledClaim {
  readonly state: DeviceState;
  readonly reason: StatusReason | null;
  readonly vendorState: string | null;
  readonly at: number;
  /** Reasons of a DEGRADED state that this claim does not end; absent: it ends any. */
  readonly keepsDegraded?: readonly StatusReason[];
}

/** `CHANGED` moved the state, `CONFIRMED` repeats it, `LATE` was overtaken by a newer claim and moves nothing. */
export type Verdict = 'CHANGED' | 'CONFIRMED' | 'LATE';

/**
 * Folds one claim into a device's status: the newest claim by event time wins, whatever order claims arrive in. Claims
 * of the same instant are taken in order of arrival, because clocks that tick in seconds put a fall and a recovery there.
 *
 * Pure: equal arguments give equal answers, so a status can be rebuilt from the log at any time.
 */
export function reduce(
  current: DeviceStatus,
  claim: SettledClaim,
): { readonly status: DeviceStatus; readonly verdict: Verdict } {
  if (claim.at < current.observedAt) return { status: current, verdict: 'LATE' };
  if (current.state === 'DEGRADED' && current.reason !== null && claim.keepsDegraded?.includes(current.reason) === true)
    return { status: { ...current, observedAt: claim.at }, verdict: 'CONFIRMED' };
  const isSame = claim.state === current.state;
  return {
    status: {
      state: claim.state,
      reason: claim.reason ?? (isSame ? current.reason : null),
      since: isSame ? current.since : claim.at,
      observedAt: claim.at,
      vendorState: claim.vendorState ?? (isSame ? current.vendorState : null),
    },
    verdict: isSame ? 'CONFIRMED' : 'CHANGED',
  };
}

/** A source's instant made usable. `isClamped`: it lay in the future beyond the tolerance, our own instant stands in. */
export function settleInstant(
  claimedAt: number,
  receivedAt: number,
  toleranceMs: number,
): { readonly at: number; readonly isClamped: boolean } {
  return claimedAt > receivedAt + toleranceMs
    ? { at: receivedAt, isClamped: true }
    : { at: claimedAt, isClamped: false };
}
