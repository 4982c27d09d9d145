import {
  type Claim,
  comparePlaces,
  type DeviceStatus,
  fold,
  advance,
  isInOrder,
  settle,
  type StateChange,
  type StatusPolicy,
} from './machine.ts';

/**
 * Steps that going back may take for one device and batch. Beyond it late claims are only noted and folded once at the
 * end: a sender that turns thousands of claims round costs no more than the rest.
 */
const MAX_REFOLD_STEPS = 50_000;

/** From where a device's status is folded again. */
export interface Past {
  readonly base: DeviceStatus;
  /** In order; all that came in since. */
  readonly claims: readonly Claim[];
}

/** What a claim did, as people see it. */
export interface Taken {
  /** Overtaken: a newer claim was taken before it. */
  readonly isLate: boolean;
  readonly before: DeviceStatus;
  readonly after: DeviceStatus;
  /** What time had made effective before, in order. */
  readonly due: readonly StateChange[];
  /** What the claim itself changed of what people see; a change in the past is none. */
  readonly own: StateChange | null;
}

/** The status of one device while claims come in, in whatever order. */
export class Track {
  readonly #policy: StatusPolicy;
  #past: Past | null;
  #base: DeviceStatus;
  #status: DeviceStatus;
  #claims: Claim[] = [];
  #history: StateChange[] = [];
  #settledTo: number;
  #steps = 0;
  #isRefolded = false;
  #isStale = false;
  #isLost = false;
  #isCorrected = false;
  readonly #stored: DeviceStatus;

  /** @param status as stored: where the fold goes on */
  constructor(status: DeviceStatus, policy: StatusPolicy) {
    this.#policy = policy;
    this.#stored = status;
    this.#base = status;
    this.#status = status;
    this.#past = null;
    // What time has made effective stays so, even if that was after all that came in.
    const lasted = status.state === 'OFFLINE' ? status.since + policy.offlineDwellMs : 0;
    this.#settledTo = Math.max(status.place.receivedAt, lasted);
  }

  /** Gives it what claims that belong further back need. @param past null: too much came in since, they stay notes */
  remember(past: Past | null): void {
    this.#past = past;
    this.#isLost = past === null;
  }

  /** Claims that stand before what was stored are in the history already, and change nothing of what is now. */
  noteCorrection(): void {
    this.#isCorrected = true;
  }

  get status(): DeviceStatus {
    return this.#status;
  }

  get base(): DeviceStatus {
    return this.#base;
  }

  /** All changes since `base`, also those that nobody saw. */
  get history(): readonly StateChange[] {
    return this.#history;
  }

  /** The fold went back behind what was stored. */
  get isRefolded(): boolean {
    return this.#isRefolded;
  }

  take(claim: Claim): Taken {
    const before = this.#status;
    const isLate = comparePlaces(claim, before.place) < 0;
    this.#settledTo = Math.max(this.#settledTo, claim.receivedAt);
    if (this.#isCorrected && comparePlaces(claim, this.#stored.place) < 0) {
      return { isLate, before, after: before, due: [], own: null };
    }
    if (isInOrder(before, claim, this.#policy) || (this.#isLost && !isLate)) {
      this.#claims.push(claim);
      const due = settle(before, claim.at, this.#policy);
      const step = advance(due.status, claim, this.#policy);
      // An outage of which we hear when it has lasted long enough counts at once.
      const settled = settle(step.status, this.#settledTo, this.#policy);
      const changes = [...step.changes, ...settled.changes];
      this.#status = settled.status;
      this.#history.push(...due.changes, ...changes);
      return { isLate, before, after: this.#status, due: due.changes, own: changes.at(-1) ?? null };
    }
    if (this.#isLost) return { isLate, before, after: before, due: [], own: null };
    this.#insert(claim);
    if (this.#steps + this.#claims.length > MAX_REFOLD_STEPS) {
      this.#isStale = true;
      return { isLate, before, after: before, due: [], own: null };
    }
    this.#refold();
    return { isLate, before, after: this.#status, due: [], own: visible(before, this.#status) };
  }

  /** Lets time pass. */
  settle(now: number): Taken {
    const before = this.#status;
    this.#settledTo = Math.max(this.#settledTo, now);
    const { status, changes } = settle(before, now, this.#policy);
    this.#status = status;
    this.#history.push(...changes);
    return { isLate: false, before, after: status, due: changes, own: null };
  }

  /** To be called behind the last claim. @returns a change that no claim has told of */
  finish(): StateChange | null {
    if (!this.#isStale) return null;
    const before = this.#status;
    this.#refold();
    this.#isStale = false;
    return visible(before, this.#status);
  }

  #insert(claim: Claim): void {
    if (this.#past !== null) {
      this.#base = this.#past.base;
      this.#claims = [...this.#past.claims, ...this.#claims];
      this.#past = null;
      this.#isRefolded = true;
      // What was taken in this batch may stand before what was stored.
      this.#claims.sort(comparePlaces);
    }
    const behind = this.#claims.findLastIndex((other) => comparePlaces(other, claim) <= 0);
    this.#claims.splice(behind + 1, 0, claim);
  }

  #refold(): void {
    this.#steps += this.#claims.length;
    const folded = fold(this.#base, this.#claims, this.#policy);
    const settled = settle(folded.status, this.#settledTo, this.#policy);
    this.#status = settled.status;
    this.#history = [...folded.changes, ...settled.changes];
  }
}

function visible(before: DeviceStatus, after: DeviceStatus): StateChange | null {
  if (before.state === after.state) return null;
  return { before: before.state, after: after.state, reason: after.reason, at: after.since };
}
