import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { STATUS_REASONS } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import type { SegmentRow } from '../../storage/status-segments.ts';
import { knownReason, knownState } from './device-row.ts';
import type { Evidence } from './evidence.ts';
import {
  calmAt,
  calmChanges,
  type Claim,
  changesWithin,
  comparePlaces,
  type DeviceStatus,
  fold,
  type StatusPolicy,
  unclaimed,
} from './machine.ts';
import { differences, type SegmentChanges, segmentsOf } from './segments.ts';
import { type ClaimRow, readClaims, readSegments, type Stretch } from './timeline-rows.ts';
import type { Past } from './track.ts';

// Where a claim belongs further back, the fold goes back behind it: to a state that is in the segments, and from there
// on over what the log has of the device. It goes no further forward than to where the claim makes no difference any
// more: a backlog that comes in behind what is newer costs what lies next to each claim, and not all that came since.

/** Claims that a fold goes back over; beyond them a late claim is a note in the log. */
const MAX_CLAIMS = 2_000;
/** Segments before the claim in which a known moment is looked for; a device that has none starts at the oldest. */
const SEGMENTS_BACK = 50;
/** Devices of one query: each may bring as many rows as the bounds above say. */
const DEVICES = 20;
/** Devices of one query about what lies next to claims. */
const NEAR_DEVICES = 200;
/** Claims next to a late one, on the average of a query; where there are more, the devices are read one by one. */
const NEAR_CLAIMS = 100;
/** Segments that are tried as the known moment next to a claim, and one that may be the device's first. */
const NEAR_BACK = 4;
/** Changes behind which an earlier one is forgotten are as many as make flapping, and one may still be waiting to count. */
const BEYOND_FLAPPING = 2;

/** A device for which claims came in that belong before what was taken. */
export interface Reopened {
  readonly id: string;
  readonly status: DeviceStatus;
  readonly evidence: readonly Evidence[];
  readonly policy: StatusPolicy;
  /** These claims, in the order in which they came in. */
  readonly claims: readonly Claim[];
}

/** From where and over what to fold again, and which segments that replaces. */
export interface Timeline extends Past {
  readonly kind: 'REOPENED';
  /** The state of `base` is known; otherwise there was nothing before. */
  readonly isBaseKnown: boolean;
  /** As stored, from `base` on. */
  readonly segments: readonly SegmentRow[];
}

/** The claims changed the device's history and nothing of what it is now. */
export interface Corrected {
  readonly kind: 'CORRECTED';
  readonly changes: SegmentChanges;
}

const Reasons = z.array(z.enum(STATUS_REASONS));

/** How many segments are looked at around claims. */
interface Reach {
  readonly back: number;
  /** Null: all since. */
  readonly ahead: number | null;
}

/** @returns per device id; null where too much happened since: what came late stays a note there */
export async function readTimelines(
  tx: Tx,
  engine: Database['engine'],
  devices: readonly Reopened[],
): Promise<ReadonlyMap<string, Timeline | Corrected | null>> {
  const found = new Map<string, Timeline | Corrected | null>();
  let left = devices;
  for (const [isNear, size] of [[true, NEAR_DEVICES] as const, [false, DEVICES] as const]) {
    const further: Reopened[] = [];
    for (let from = 0; from < left.length; from += size) {
      further.push(...(await readSome(tx, engine, left.slice(from, from + size), isNear, found)));
    }
    left = further;
  }
  for (const { id } of left) found.set(id, null);
  return found;
}

/** Adds to `found` what could be settled. @returns the others */
async function readSome(
  tx: Tx,
  engine: Database['engine'],
  devices: readonly Reopened[],
  isNear: boolean,
  found: Map<string, Timeline | Corrected | null>,
): Promise<readonly Reopened[]> {
  const flaps = Math.max(...devices.map(({ policy }) => policy.flapChanges));
  const reach: Reach = isNear
    ? { back: flaps + NEAR_BACK, ahead: flaps + BEYOND_FLAPPING }
    : { back: SEGMENTS_BACK, ahead: null };
  const spans = new Map(devices.map((device) => [device, spanOf(device)]));
  const perDevice = isNear ? NEAR_CLAIMS : MAX_CLAIMS;
  const limit = devices.length * (MAX_CLAIMS + SEGMENTS_BACK);
  const segments = await readSegments(tx, engine, [...spans.values()], { ...reach, limit });
  const starts = devices.flatMap((device) => {
    const start = startOf(device, spans.get(device) ?? spanOf(device), segments.get(device.id) ?? [], reach);
    return start === null ? [] : [{ device, start }];
  });
  const stretches = starts.map(({ device, start }): Stretch => {
    return { id: device.id, from: start.base?.row.from_at ?? Number.MIN_SAFE_INTEGER, to: start.upTo };
  });
  const rows = stretches.length === 0 ? [] : await readClaims(tx, engine, stretches, starts.length * perDevice + 1);
  // Cut off: nobody can tell whose claims are missing.
  if (rows.length > starts.length * perDevice) return devices;
  const claims = Map.groupBy(rows, ({ device_id: id }) => id);
  for (const { device, start } of starts) {
    const own = claims.get(device.id) ?? [];
    const settled = start.isWhole ? timelineOf(device, start, own) : correctedBy(device, start, own);
    if (settled !== null) found.set(device.id, settled);
  }
  return devices.filter(({ id }) => !found.has(id));
}

/** From the first to the last claim; all since where one of them is not overtaken. */
function spanOf({ id, claims, status }: Reopened): Stretch {
  const instants = claims.map(({ at }) => at);
  const areLate = claims.every((claim) => comparePlaces(claim, status.place) < 0);
  return { id, from: Math.min(...instants), to: areLate ? Math.max(...instants) : Number.MAX_SAFE_INTEGER };
}

/** A segment at whose beginning all is known. */
interface Base {
  readonly row: SegmentRow;
  /** Instants of the last changes up to it, its own included. */
  readonly changes: readonly number[];
  readonly isFlapping: boolean;
}

interface Start {
  /** Null: nothing is known of the time before. */
  readonly base: Base | null;
  /** From `base` on, the state of now included where no segment says it yet. */
  readonly segments: readonly SegmentRow[];
  /** Those of them that are stored. */
  readonly stored: readonly SegmentRow[];
  /** Claims are folded up to this instant. */
  readonly upTo: number;
  /** That is all there are. */
  readonly isWhole: boolean;
}

/** @returns null: it must be looked for further away */
function startOf(device: Reopened, span: Stretch, stored: readonly SegmentRow[], reach: Reach): Start | null {
  const { id, status } = device;
  const now = { device_id: id, from_at: status.since, to_at: null, state: status.state, reason: status.reason };
  const segments = stored.length === 0 ? [now] : stored;
  const before = segments.filter(({ from_at: from }) => from < span.from);
  const base = before.length === 0 ? null : baseIn(device, before, span.from, reach);
  if (base === undefined) return null;
  const isFromBase = ({ from_at: from }: SegmentRow): boolean => base === null || from >= base.row.from_at;
  const own = { base, segments: segments.filter(isFromBase), stored: stored.filter(isFromBase) };
  const behind = segments.filter(({ from_at: from }) => from > span.to);
  const last = reach.ahead === null ? undefined : behind[reach.ahead - 1];
  if (last === undefined) return { ...own, upTo: Number.MAX_SAFE_INTEGER, isWhole: true };
  return last.from_at < status.place.at ? { ...own, upTo: last.from_at, isWhole: false } : null;
}

/**
 * The last segment before a claim at whose beginning all is known: no outage was waiting to count, and it can be told
 * whether the device flapped.
 *
 * @returns undefined: none of these
 */
function baseIn(
  { policy }: Reopened,
  before: readonly SegmentRow[],
  at: number,
  { back, ahead }: Reach,
): Base | undefined {
  const hasOldest = before.length < back;
  const [first] = before;
  if (first === undefined) return undefined;
  // The first segment of a device of which nothing was known is no change, and the first that was read may be that one.
  const known = !hasOldest || first.state === 'UNKNOWN' ? before.slice(1) : before;
  for (let index = before.length - 1; index >= 0; index--) {
    const row = before[index];
    if (row === undefined) break;
    const changes = known.map(({ from_at: from }) => from).filter((from) => from <= row.from_at);
    const within = changesWithin(changes, row.from_at, policy.flapWindowMs);
    const isFlapping = within >= policy.flapChanges;
    const areAllSeen = hasOldest || first.from_at <= row.from_at - policy.flapWindowMs;
    const isCalm = within <= calmChanges(policy) + 1 && areAllSeen;
    const couldWait = row.state === 'OFFLINE' && row.from_at + policy.offlineDwellMs > at;
    const hasChanges = hasOldest || changes.length >= policy.flapChanges;
    const isLastResort = index === 0 && (hasOldest || ahead === null);
    if ((!couldWait && hasChanges && (isFlapping || isCalm)) || isLastResort) {
      return { row, changes: changes.slice(-policy.flapChanges), isFlapping };
    }
  }
  return undefined;
}

function timelineOf(device: Reopened, start: Start, rows: readonly ClaimRow[]): Timeline | null {
  if (rows.length + start.segments.length > MAX_CLAIMS) return null;
  const claims = claimsOf(device, start, rows);
  return {
    kind: 'REOPENED',
    base: baseOf(device, start, claims),
    claims,
    isBaseKnown: start.base !== null,
    segments: start.stored,
  };
}

/**
 * Folds what lies next to the claims with and without them. Where both end in the same status all that follows is the
 * same, too, and need not be read.
 *
 * @returns null: it makes a difference beyond
 */
function correctedBy(device: Reopened, start: Start, rows: readonly ClaimRow[]): Corrected | null {
  const { policy } = device;
  const claims = claimsOf(device, start, rows);
  const base = baseOf(device, start, claims);
  const without = fold(base, claims, policy);
  const withThem = fold(base, [...claims, ...device.claims].toSorted(comparePlaces), policy);
  if (!isDeepStrictEqual(without.status, withThem.status)) return null;
  const stored = start.stored.filter(({ from_at: from }) => from < start.upTo);
  const upTo = (changes: typeof without.changes) =>
    segmentsOf(start.base === null ? null : base, changes)
      .filter(({ from }) => from < start.upTo)
      .map((each) => (each.to === null ? { ...each, to: start.upTo } : each));
  // What is stored may be of another policy, or of claims that are gone: then it takes the whole fold to say what it was.
  const { segments, gone } = differences(stored, upTo(without.changes));
  if (segments.length > 0 || gone.length > 0) return null;
  return { kind: 'CORRECTED', changes: differences(stored, upTo(withThem.changes)) };
}

function claimsOf(device: Reopened, start: Start, rows: readonly ClaimRow[]): readonly Claim[] {
  const logged = rows.toSorted((a, b) => comparePlaces(placeOf(a), placeOf(b)) || a.seq - b.seq).map(toClaim);
  const others = unlogged(device, start, logged);
  return others.length === 0 ? logged : [...logged, ...others].toSorted(comparePlaces);
}

function placeOf({ at, received_at: receivedAt, inbox_id: inboxId }: ClaimRow) {
  return { at, receivedAt, inboxId: inboxId ?? 0 };
}

function toClaim(row: ClaimRow): Claim {
  const keeps = row.keeps_degraded === null ? null : Reasons.safeParse(JSON.parse(row.keeps_degraded));
  return {
    ...placeOf(row),
    state: knownState(row.state),
    reason: knownReason(row.state_reason),
    vendorState: row.state_vendor,
    ...(keeps?.data === undefined ? {} : { keepsDegraded: keeps.data }),
  };
}

/**
 * What was claimed without an event, or of which the event is gone: listings log nothing where they agree with us, or
 * where the site is not bound. The newest word of each source is evidence; others have left a segment behind.
 */
function unlogged(
  { status, evidence }: Reopened,
  { base, segments, upTo, isWhole }: Start,
  logged: readonly Claim[],
): readonly Claim[] {
  const from = base?.row.from_at ?? Number.MIN_SAFE_INTEGER;
  const instants = new Set(logged.map((claim) => claim.at));
  const words = evidence
    .filter(
      ({ observedAt, receivedAt }) =>
        observedAt >= from &&
        observedAt <= upTo &&
        !logged.some((claim) => claim.at === observedAt && claim.receivedAt === receivedAt),
    )
    .map(({ state, reason, observedAt, receivedAt, inboxId }) => ({
      state,
      reason,
      at: observedAt,
      receivedAt,
      inboxId,
      // What we know of the platform's word is of the last claim.
      vendorState: observedAt === status.place.at ? status.vendorState : null,
    }));
  for (const word of words) instants.add(word.at);
  // A device of which nothing was known is no claim that nothing is known.
  const marks = segments
    .filter(
      ({ from_at: instant, state, reason }) =>
        instant > from && instant <= upTo && !instants.has(instant) && !(state === 'UNKNOWN' && reason === null),
    )
    .map(({ from_at: instant, state, reason }) => ({
      state: knownState(state),
      reason: knownReason(reason),
      vendorState: null,
      at: instant,
      receivedAt: instant,
      inboxId: 0,
    }));
  const known = [...words, ...marks];
  if (!isWhole || status.place.at < from || status.place.at <= 0) return known;
  const isLastKnown = [...logged, ...known].some((claim) => comparePlaces(claim, status.place) >= 0);
  if (isLastKnown) return known;
  const { state, reason } = status.pending ?? status;
  return [...known, { ...status.place, state, reason, vendorState: status.vendorState }];
}

function baseOf({ status, policy }: Reopened, { base }: Start, claims: readonly Claim[]): DeviceStatus {
  if (base === null) return unclaimed(claims[0]?.at ?? status.since);
  const { row, changes, isFlapping } = base;
  return {
    ...unclaimed(row.from_at),
    state: knownState(row.state),
    reason: knownReason(row.reason),
    vendorState: row.to_at === null ? status.vendorState : null,
    changes,
    isFlapping,
    flapUntil: isFlapping ? calmAt(changes, policy) : null,
  };
}
