import type { DeviceState, StatusReason } from '../../schema/words.ts';

// A device's status is a fold of what its sources claimed, in the order in which it was so and not in the order in
// which we heard of it. Nothing here reads a clock: equal claims give equal statuses, whenever and however they came in.

/** How a device's status is judged. */
export interface StatusPolicy {
  /** How long a device must be offline, by its source's clock, before it counts; 0: at once. */
  readonly offlineDwellMs: number;
  /** So many changes within the window are flapping; at least 2. */
  readonly flapChanges: number;
  readonly flapWindowMs: number;
}

/** Where a claim stands among all claims of its device: by when it was so, then by when and in what it arrived. */
export interface Place {
  /** By the source's clock, settled: never in the future. */
  readonly at: number;
  readonly receivedAt: number;
  /** The delivery it came in; 0: in none. Claims of one delivery keep their order in it. */
  readonly inboxId: number;
}

/** One source's word on how a device is, or was. */
export interface Claim extends Place {
  readonly state: DeviceState;
  readonly reason: StatusReason | null;
  /** The platform's own word. */
  readonly vendorState: string | null;
  /** Reasons of a DEGRADED state that this claim, if it is ONLINE, does not end; absent: it ends any. */
  readonly keepsDegraded?: readonly StatusReason[];
}

/** What a device becomes unless it recovers before. Instants are by the source's clock. */
export interface Pending {
  readonly state: DeviceState;
  readonly reason: StatusReason | null;
  readonly since: number;
  readonly until: number;
}

/** What is believed of a device. Instants are milliseconds since the epoch. */
export interface DeviceStatus {
  readonly state: DeviceState;
  readonly reason: StatusReason | null;
  /** Since when it has been in this state, by the source's clock. */
  readonly since: number;
  /** The platform's own word. */
  readonly vendorState: string | null;
  /** Of the last claim: what stands before it comes too late. */
  readonly place: Place;
  readonly pending: Pending | null;
  readonly isFlapping: boolean;
  /** Instants of the last changes, oldest first, each once, as many as make flapping. */
  readonly changes: readonly number[];
  /** While it flaps: when it stops unless it changes again. */
  readonly flapUntil: number | null;
}

/** The state changed, so that people see it. */
export interface StateChange {
  readonly before: DeviceState;
  readonly after: DeviceState;
  readonly reason: StatusReason | null;
  readonly at: number;
}

/** A status after something, and the changes on the way to it, in order. */
export interface Step {
  readonly status: DeviceStatus;
  readonly changes: readonly StateChange[];
}

/** Before every claim. */
export const NO_PLACE: Place = { at: Number.MIN_SAFE_INTEGER, receivedAt: 0, inboxId: 0 };

/** A device of which nothing was claimed yet. */
export function unclaimed(since: number): DeviceStatus {
  return {
    state: 'UNKNOWN',
    reason: null,
    since,
    vendorState: null,
    place: NO_PLACE,
    pending: null,
    isFlapping: false,
    changes: [],
    flapUntil: null,
  };
}

/** @returns negative: `a` stands before `b`; 0: they are of one delivery and instant, and stand as they are in it */
export function comparePlaces(a: Place, b: Place): number {
  return a.at - b.at || a.receivedAt - b.receivedAt || a.inboxId - b.inboxId;
}

/** A device that flaps has calmed down when no more than this many of its changes lie within the window. */
export function calmChanges({ flapChanges }: StatusPolicy): number {
  return Math.floor(flapChanges / 3);
}

/** How many of these changes lie within a window that ends at an instant, this one included. */
export function changesWithin(changes: readonly number[], until: number, windowMs: number): number {
  return changes.reduce((count, at) => (at > until - windowMs && at <= until ? count + 1 : count), 0);
}

/** When so few of its changes are left within the window that a flapping device counts as calm. */
export function calmAt(changes: readonly number[], policy: StatusPolicy): number {
  const at = changes[changes.length - 1 - calmChanges(policy)];
  return at === undefined ? Number.MIN_SAFE_INTEGER : at + policy.flapWindowMs;
}

/** Moves the state. Changes of one instant are one change: clocks that tick in seconds put a fall and a recovery there. */
function moved(
  status: DeviceStatus,
  to: Pick<DeviceStatus, 'state' | 'reason' | 'vendorState'>,
  at: number,
  policy: StatusPolicy,
): DeviceStatus {
  const changes = status.changes.at(-1) === at ? status.changes : [...status.changes, at].slice(-policy.flapChanges);
  const isFlapping = status.isFlapping || changesWithin(changes, at, policy.flapWindowMs) >= policy.flapChanges;
  return {
    ...status,
    ...to,
    since: at,
    pending: null,
    changes,
    isFlapping,
    flapUntil: isFlapping ? calmAt(changes, policy) : null,
  };
}

/** Lets time pass: an outage that has lasted becomes effective, flapping that has stopped ends, each at its instant. */
export function settle(start: DeviceStatus, now: number, policy: StatusPolicy): Step {
  let status = start;
  const changes: StateChange[] = [];
  const calm = (until: number): void => {
    if (!status.isFlapping || status.flapUntil === null || status.flapUntil > until) return;
    status = { ...status, isFlapping: false, flapUntil: null };
  };
  const { pending } = status;
  if (pending !== null && pending.until <= now) {
    calm(pending.until);
    const { state, reason, since } = pending;
    changes.push({ before: status.state, after: state, reason, at: since });
    status = moved(status, { state, reason, vendorState: status.vendorState }, since, policy);
  }
  calm(now);
  return { status, changes };
}

/** Takes a claim that stands behind all that were taken before. */
export function advance(start: DeviceStatus, claim: Claim, policy: StatusPolicy): Step {
  const { status: due, changes } = settle(start, claim.at, policy);
  const status = { ...due, place: { at: claim.at, receivedAt: claim.receivedAt, inboxId: claim.inboxId } };
  const { state, pending } = status;
  if (keeps(status, claim)) return { status: { ...status, pending: null }, changes };
  if (claim.state === state) {
    // A word that was of the state which did not come to be is no word for this one.
    const vendorState = claim.vendorState ?? (pending === null ? status.vendorState : null);
    return { status: { ...status, pending: null, reason: claim.reason ?? status.reason, vendorState }, changes };
  }
  const isPending = pending?.state === claim.state;
  const since = isPending ? pending.since : claim.at;
  const reason = claim.reason ?? (isPending ? pending.reason : null);
  const vendorState = claim.vendorState ?? (isPending ? status.vendorState : null);
  if (claim.state === 'OFFLINE' && policy.offlineDwellMs > 0) {
    const until = isPending ? pending.until : claim.at + policy.offlineDwellMs;
    return { status: { ...status, vendorState, pending: { state: claim.state, reason, since, until } }, changes };
  }
  return {
    status: moved(status, { state: claim.state, reason, vendorState }, since, policy),
    changes: [...changes, { before: state, after: claim.state, reason, at: since }],
  };
}

/** The claim proves that the device speaks, and does not end why it is DEGRADED. */
export function keeps(
  { state, reason }: Pick<DeviceStatus, 'state' | 'reason'>,
  claim: Pick<Claim, 'state' | 'keepsDegraded'>,
): boolean {
  if (claim.state !== 'ONLINE' || state !== 'DEGRADED' || reason === null) return false;
  return claim.keepsDegraded?.includes(reason) === true;
}

/** Folds claims, which are in order, into a status that stands before them all. */
export function fold(start: DeviceStatus, claims: readonly Claim[], policy: StatusPolicy): Step {
  let status = start;
  const changes: StateChange[] = [];
  for (const claim of claims) {
    const step = advance(status, claim, policy);
    status = step.status;
    changes.push(...step.changes);
  }
  return { status, changes };
}

/**
 * Whether `advance` is right for a claim, or the fold must go back: because the claim stands before another one, or before
 * an instant that time has already settled in another way.
 */
export function isInOrder(status: DeviceStatus, claim: Claim, policy: StatusPolicy): boolean {
  if (comparePlaces(claim, status.place) < 0) return false;
  if (status.state === 'OFFLINE' && claim.at < status.since + policy.offlineDwellMs) {
    return claim.state === 'OFFLINE' && (claim.reason === null || claim.reason === status.reason);
  }
  if (claim.state === status.state) return true;
  // Had it flapped until just now, then this change would keep it flapping.
  const couldHaveFlapped = !status.isFlapping && status.changes.length >= policy.flapChanges;
  return !couldHaveFlapped || changesWithin(status.changes, claim.at, policy.flapWindowMs) <= calmChanges(policy);
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
