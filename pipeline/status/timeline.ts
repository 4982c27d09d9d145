import { type RawBuilder, sql } from 'kysely';
import { z } from 'zod';
import { STATUS_REASONS } from '../../schema/words.ts';
import type { Tx } from '../../storage/database.ts';
import { knownReason, knownState } from './device-row.ts';
import type { Evidence } from './evidence.ts';
import { calmChanges, type Claim, comparePlaces, type DeviceStatus, type StatusPolicy, unclaimed } from './machine.ts';
import type { Past } from './track.ts';

// Where a claim belongs further back, the fold goes back behind it: to a state that is in the segments, and from there
// on over what the log has of the device.

/** Claims that a fold goes back over; beyond them a late claim is a note in the log. */
const MAX_CLAIMS = 2_000;
/** Segments before the claim in which a calm moment is looked for; a device that never was calm starts at the oldest. */
const SEGMENTS_BACK = 50;
/** Devices of one query: each may bring as many rows as the bounds above say. */
const DEVICES = 20;

/** A device for which claims came in that belong before what was taken. */
export interface Reopened {
  readonly id: string;
  readonly status: DeviceStatus;
  readonly evidence: readonly Evidence[];
  readonly policy: StatusPolicy;
  /** Of the first such claim. */
  readonly at: number;
}

/** From where and over what to fold again, and which segments that replaces. */
export interface Timeline extends Past {
  /** The state of `base` is known; otherwise there was nothing before. */
  readonly isBaseKnown: boolean;
  /** Beginnings of the segments behind `base`. */
  readonly segments: readonly number[];
}

interface SegmentRow {
  readonly device_id: string;
  readonly from_at: number;
  readonly to_at: number | null;
  readonly state: string;
  readonly reason: string | null;
}

interface ClaimRow {
  readonly device_id: string;
  readonly at: number;
  readonly received_at: number;
  readonly inbox_id: number | null;
  readonly seq: number;
  readonly state: string;
  readonly state_reason: string | null;
  readonly state_vendor: string | null;
  readonly keeps_degraded: string | null;
}

const Reasons = z.array(z.enum(STATUS_REASONS));

/** @returns per device id; null where too much happened since: what came late stays a note there */
export async function readTimelines(
  tx: Tx,
  devices: readonly Reopened[],
): Promise<ReadonlyMap<string, Timeline | null>> {
  const timelines = new Map<string, Timeline | null>();
  for (let from = 0; from < devices.length; from += DEVICES) {
    const some = devices.slice(from, from + DEVICES);
    const segments = Map.groupBy(await readSegments(tx, some), ({ device_id: id }) => id);
    const starts = some.map((device) => ({ device, start: startOf(device, segments.get(device.id) ?? []) }));
    const rows = await readClaims(
      tx,
      starts.map(({ device, start }) => ({ id: device.id, from: start.base?.from_at ?? Number.MIN_SAFE_INTEGER })),
    );
    // Cut off: nobody can tell whose claims are missing.
    const isCut = rows.length > some.length * MAX_CLAIMS;
    const claims = Map.groupBy(rows, ({ device_id: id }) => id);
    for (const { device, start } of starts) {
      timelines.set(device.id, isCut ? null : timelineOf(device, start, claims.get(device.id) ?? []));
    }
  }
  return timelines;
}

function wanted(rows: readonly (readonly [string, number])[]): RawBuilder<unknown> {
  return sql.join(rows.map(([id, at]) => sql`(cast(${id} as text), cast(${at} as bigint))`));
}

/** Oldest first; some from before the claim, all since. */
async function readSegments(tx: Tx, devices: readonly Reopened[]): Promise<readonly SegmentRow[]> {
  const { rows } = await sql<SegmentRow>`
    with wanted (id, at) as (values ${wanted(devices.map(({ id, at }) => [id, at]))})
    select s.device_id, s.from_at, s.to_at, s.state, s.reason from wanted
    join status_segments s on s.device_id = wanted.id and s.from_at >= coalesce(
      (select b.from_at from status_segments b where b.device_id = wanted.id and b.from_at < wanted.at
        order by b.from_at desc limit 1 offset ${SEGMENTS_BACK}),
      ${Number.MIN_SAFE_INTEGER})
    order by s.device_id, s.from_at limit ${devices.length * (MAX_CLAIMS + SEGMENTS_BACK)}`.execute(tx);
  return rows;
}

/** In order; one more than is folded tells that there are too many. */
async function readClaims(
  tx: Tx,
  starts: readonly { readonly id: string; readonly from: number }[],
): Promise<readonly ClaimRow[]> {
  const columns = sql`e.device_id, coalesce(e.observed_at, e.occurred_at) as at, e.received_at, e.inbox_id, e.seq,
    e.state, e.state_reason, e.state_vendor, e.keeps_degraded`;
  const { rows } = await sql<ClaimRow>`
    with wanted (id, at) as (values ${wanted(starts.map(({ id, from }) => [id, from]))})
    select ${columns} from wanted join events e on e.device_id = wanted.id and e.occurred_at >= wanted.at
      where e.state is not null and e.derived = 0 and coalesce(e.observed_at, e.occurred_at) >= wanted.at
    union all
    select ${columns} from wanted join events e on e.device_id = wanted.id and e.observed_at >= wanted.at
      where e.state is not null and e.derived = 0 and e.occurred_at < wanted.at
    limit ${starts.length * MAX_CLAIMS + 1}`.execute(tx);
  return rows;
}

interface Start {
  readonly base: SegmentRow | null;
  /** All that were read, the state of now included where no segment says it yet. */
  readonly segments: readonly SegmentRow[];
}

/**
 * The last segment before the claim at whose beginning all is known: no outage was waiting to count, and the device did
 * not flap.
 */
function startOf({ id, status, policy, at }: Reopened, stored: readonly SegmentRow[]): Start {
  const now = { device_id: id, from_at: status.since, to_at: null, state: status.state, reason: status.reason };
  const segments = stored.length === 0 ? [now] : stored;
  let base: SegmentRow | null = null;
  for (let index = segments.findLastIndex(({ from_at: from }) => from < at); index >= 0; index--) {
    const segment = segments[index];
    if (segment === undefined) break;
    base = segment;
    const couldWait = segment.state === 'OFFLINE' && segment.from_at + policy.offlineDwellMs > at;
    const before = segments.slice(0, index).filter((each) => each.from_at > segment.from_at - policy.flapWindowMs);
    if (!couldWait && before.length <= calmChanges(policy)) break;
  }
  return { base, segments };
}

function timelineOf(device: Reopened, { base, segments }: Start, rows: readonly ClaimRow[]): Timeline | null {
  const behind = segments.filter(({ from_at: from }) => base === null || from > base.from_at);
  if (rows.length + behind.length > MAX_CLAIMS) return null;
  const logged = rows.toSorted((a, b) => comparePlaces(placeOf(a), placeOf(b)) || a.seq - b.seq).map(toClaim);
  const claims = [...logged, ...unlogged(device, base, behind, logged)].toSorted(comparePlaces);
  return {
    base: baseOf(device, base, segments, claims),
    claims,
    isBaseKnown: base !== null,
    segments: [...(base === null ? [] : [base.from_at]), ...behind.map(({ from_at: from }) => from)],
  };
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
  base: SegmentRow | null,
  behind: readonly SegmentRow[],
  logged: readonly Claim[],
): readonly Claim[] {
  const isKnown = new Set(logged.map((claim) => `${claim.at}/${claim.receivedAt}`));
  const instants = new Set(logged.map((claim) => claim.at));
  const from = base?.from_at ?? Number.MIN_SAFE_INTEGER;
  const words = evidence
    .filter((word) => word.observedAt >= from && !isKnown.has(`${word.observedAt}/${word.receivedAt}`))
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
  const marks = behind
    .filter(
      ({ from_at: instant, state, reason }) => !instants.has(instant) && !(state === 'UNKNOWN' && reason === null),
    )
    .map(({ from_at: instant, state, reason }) => ({
      state: knownState(state),
      reason: knownReason(reason),
      vendorState: null,
      at: instant,
      receivedAt: instant,
      inboxId: 0,
    }));
  const known = [...logged, ...words, ...marks];
  const isLastKnown = known.some((claim) => comparePlaces(claim, status.place) >= 0);
  if (isLastKnown || status.place.at < from || status.place.at <= 0) return [...words, ...marks];
  const { state, reason } = status.pending ?? status;
  return [...words, ...marks, { ...status.place, state, reason, vendorState: status.vendorState }];
}

function baseOf(
  { status, policy }: Reopened,
  base: SegmentRow | null,
  segments: readonly SegmentRow[],
  claims: readonly Claim[],
): DeviceStatus {
  if (base === null) return unclaimed(claims[0]?.at ?? status.since);
  const upTo = segments.filter(({ from_at: from }) => from <= base.from_at);
  const [first] = upTo;
  // The first segment of a device of which nothing was known is no change.
  const changes = upTo
    .filter((segment) => segment !== first || upTo.length > SEGMENTS_BACK || segment.state !== 'UNKNOWN')
    .map(({ from_at: from }) => from);
  return {
    ...unclaimed(base.from_at),
    state: knownState(base.state),
    reason: knownReason(base.reason),
    vendorState: base.to_at === null ? status.vendorState : null,
    changes: changes.slice(-policy.flapChanges),
  };
}
