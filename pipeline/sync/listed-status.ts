import type { EventDraft } from '../../adapter-kit/model.ts';
import { DEVICE_STATES, type DeviceState, type Severity } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import type { DeviceRow } from '../../storage/rows.ts';
import { type LiveColumns, STATUS_COLUMNS, statusOf, writeLiveColumns } from '../status/device-row.ts';
import { type Evidence, parseEvidence, withEvidence } from '../status/evidence.ts';
import { advance, type Claim, type DeviceStatus, keeps, type StateChange } from '../status/machine.ts';
import type { PolicyOf } from '../status/policies.ts';
import { segmentsOf, writeSegments } from '../status/segments.ts';
import type { DeviceRecord, ListedClaim } from './device-record.ts';

/** Enough to see whether a listing says anything that is not known. */
export const GLANCED = [
  'last_seen_at',
  'telemetry',
  'evidence',
  'state_observed_at',
] as const satisfies readonly (keyof DeviceRow)[];

type Glanced = Pick<DeviceRow, (typeof GLANCED)[number]>;

/** What a listing is compared with where it does. */
export const BELIEVED = [
  'id',
  'type',
  'last_seen_at',
  'telemetry',
  'evidence',
  ...STATUS_COLUMNS,
] as const satisfies readonly (keyof DeviceRow)[];

type Believed = Pick<DeviceRow, (typeof BELIEVED)[number]>;

/** The live columns of one device as a listing leaves them. */
export interface Refresh extends LiveColumns {
  readonly before: DeviceStatus;
  /** Made without an event, because the log takes none of the device. */
  readonly changes: readonly StateChange[];
}

/** What a listing means for the state of a device that is known. */
export interface Judgement {
  /** The claim that contradicts what we believe and is newer: to be written as an event, which moves the state. */
  readonly claim: ListedClaim | null;
  /** What is to be written beside it. */
  readonly refresh: Refresh | null;
}

/** Whose listing it is. */
export interface JudgeContext {
  readonly integrationId: string;
  /** Our clock now. */
  readonly now: number;
  /** Where our bindings put the device. The log takes no events of unbound sites, so their state moves without one. */
  readonly siteId: string | null;
  readonly policyOf: PolicyOf;
}

/** Readings as the store keeps them: those of the listing over those that came before, with their time. */
export function telemetryText(
  stored: string | null,
  { telemetry }: Pick<DeviceRecord, 'telemetry'>,
  observedAt: number,
): string | null {
  if (telemetry === null) return stored;
  const before: Record<string, unknown> = stored === null ? {} : JSON.parse(stored);
  const isSame = stored !== null && Object.entries(telemetry).every(([name, value]) => before[name] === value);
  return isSame ? stored : JSON.stringify({ ...before, ...telemetry, observedAt });
}

/** The listing's word on a device. */
export function wordOf(
  claim: ListedClaim,
  { integrationId, now }: Pick<JudgeContext, 'integrationId' | 'now'>,
): Evidence {
  const { state, reason, observedAt } = claim;
  return { source: 'POLL', integrationId, state, reason, observedAt, receivedAt: now, inboxId: 0 };
}

/** Whether evidence, as text, has the listing's word: all but when it was received, for that alone is no news. */
function hasWord(stored: string, { state, reason, observedAt }: ListedClaim, integrationId: string): boolean {
  // As `wordOf` is written; made by hand because it is made for each device of each listing.
  const why = reason === null ? 'null' : `"${reason}"`;
  return stored.includes(
    `{"source":"POLL","integrationId":"${integrationId}","state":"${state}","reason":${why},"observedAt":${observedAt},`,
  );
}

/**
 * Evidence with the listing's word, as text; as it was where the listing says what it said before of the same instant.
 * Most devices are known by listings alone: theirs is not even parsed.
 *
 * @param isNews nothing newer is known from anybody
 */
function evidenceText(stored: string, claim: ListedClaim, context: JudgeContext, isNews: boolean): string {
  if (hasWord(stored, claim, context.integrationId)) return stored;
  const word = wordOf(claim, context);
  const own = JSON.stringify(word);
  const isAlone = stored === '[]' || (stored.startsWith('[{"source":"POLL"') && !stored.includes('},{'));
  return isNews && isAlone ? `[${own}]` : JSON.stringify(withEvidence(parseEvidence(stored), word));
}

/** A listing is a claim like any other; of equal claims, and of those that keep what is, the log takes no event. */
function isNews(status: DeviceStatus, claim: ListedClaim): boolean {
  return claim.state !== (status.pending ?? status).state && !keeps(status, claim);
}

function isDueBy({ pending, flapUntil }: DeviceStatus, at: number): boolean {
  return (pending !== null && pending.until <= at) || (flapUntil !== null && flapUntil <= at);
}

/** Whether a listing says of a device what is known already: `judge` would find nothing to write. */
export function saysNothingNew(
  row: Glanced,
  record: DeviceRecord,
  { integrationId, now }: Pick<JudgeContext, 'integrationId' | 'now'>,
): boolean {
  const { claim, lastSeenAt } = record;
  return (
    (claim === null || (claim.observedAt <= row.state_observed_at && hasWord(row.evidence, claim, integrationId))) &&
    (lastSeenAt === null || lastSeenAt <= (row.last_seen_at ?? 0)) &&
    telemetryText(row.telemetry, record, now) === row.telemetry
  );
}

/**
 * Compares what was listed with what we believe. A claim of the same instant as ours is no news: an event that happened
 * while the listing ran is at least as new as the listing's start and stays.
 */
export function judge(row: Believed, record: DeviceRecord, context: JudgeContext): Judgement {
  const { now, siteId } = context;
  const isBound = siteId !== null;
  const { claim } = record;
  const before = statusOf(row);
  const news = claim !== null && claim.observedAt > row.state_observed_at ? claim : null;
  const isEvent = news !== null && isBound && isNews(before, news);
  const seen = record.lastSeenAt ?? (news?.state === 'ONLINE' ? news.observedAt : null);
  const lastSeenAt = seen !== null && seen > (row.last_seen_at ?? 0) ? seen : row.last_seen_at;
  const telemetry = telemetryText(row.telemetry, record, now);
  // The event brings its own evidence.
  const evidence = claim === null || isEvent ? row.evidence : evidenceText(row.evidence, claim, context, news !== null);
  // What time is about to make effective is logged by whoever lets it pass; a listing must not do so in silence.
  const isDue = news !== null && isBound && isDueBy(before, news.observedAt);
  const silent = isEvent || isDue ? null : news;
  const event = isEvent ? news : null;
  if (silent === null && lastSeenAt === row.last_seen_at && telemetry === row.telemetry && evidence === row.evidence) {
    return { claim: event, refresh: null };
  }
  const step =
    silent === null
      ? null
      : advance(before, placed(silent, now), context.policyOf({ id: row.id, site_id: siteId, type: row.type }));
  return {
    claim: event,
    refresh: {
      id: row.id,
      before,
      status: step?.status ?? before,
      changes: step?.changes ?? [],
      evidence,
      lastSeenAt,
      telemetry,
    },
  };
}

function placed({ observedAt, ...claim }: ListedClaim, now: number): Claim {
  return { ...claim, at: observedAt, receivedAt: now, inboxId: 0 };
}

/** Writes what listings moved without an event. */
export async function refreshStatus(tx: Tx, engine: Database['engine'], refreshes: readonly Refresh[]): Promise<void> {
  await writeLiveColumns(tx, engine, refreshes);
  const moved = refreshes.filter(
    ({ before, status, changes }) => changes.length > 0 || before.reason !== status.reason,
  );
  await writeSegments(
    tx,
    engine,
    moved.map(({ id, before, changes }) => ({ deviceId: id, segments: segmentsOf(before, changes), gone: [] })),
  );
}

const SEVERITY: Readonly<Record<DeviceState, Severity>> = {
  OFFLINE: 'WARNING',
  DEGRADED: 'WARNING',
  UNKNOWN: 'NOTICE',
  ONLINE: 'NOTICE',
};

const WORD: Readonly<Record<DeviceState, string>> = {
  OFFLINE: 'is offline',
  DEGRADED: 'has a fault',
  UNKNOWN: 'is in an unknown state',
  ONLINE: 'is online',
};

/** The event that says what a listing found. */
export function healthDraft(record: DeviceRecord, before: string, claim: ListedClaim): EventDraft {
  return {
    vendorEventId: null,
    family: 'HEALTH',
    type: `health.${claim.state.toLowerCase()}`,
    vendorCode: claim.vendorState,
    severity: SEVERITY[claim.state],
    occurredAt: new Date(claim.observedAt),
    nativeOrgId: record.columns.vendor_org_id,
    nativeSiteId: record.columns.vendor_site_id,
    nativeDeviceId: record.columns.native_id,
    claim: {
      state: claim.state,
      reason: claim.reason,
      vendorState: claim.vendorState,
      observedAt: new Date(claim.observedAt),
      ...(claim.keepsDegraded === undefined ? {} : { keepsDegraded: claim.keepsDegraded }),
    },
    isLifeSign: claim.state === 'ONLINE',
    telemetry: record.telemetry,
    summary: `${record.columns.name} ${WORD[claim.state]} (was ${before}), found by reading the inventory`,
    details: {},
    raw: null,
  };
}

/**
 * What a device is believed to be before anything else was heard of it. Without a claim the belief is of no time at all,
 * so that any event about it, however old, is news.
 */
export function firstStatus(
  record: DeviceRecord,
  { startedAt, ...whose }: { readonly startedAt: number; readonly integrationId: string; readonly now: number },
) {
  const claim: ListedClaim = record.claim ?? { state: 'UNKNOWN', reason: null, vendorState: null, observedAt: 0 };
  const since = record.claim === null ? startedAt : claim.observedAt;
  return {
    state: claim.state,
    state_rank: DEVICE_STATES.indexOf(claim.state),
    state_reason: claim.reason,
    state_since: since,
    state_observed_at: claim.observedAt,
    state_vendor: claim.vendorState,
    claim_received_at: record.claim === null ? 0 : whose.now,
    evidence: record.claim === null ? '[]' : JSON.stringify([wordOf(record.claim, whose)]),
    // From knowing nothing to this is a change, as it is for the fold.
    flap_changes: claim.state === 'UNKNOWN' ? '[]' : JSON.stringify([since]),
    last_seen_at: record.lastSeenAt ?? (claim.state === 'ONLINE' ? claim.observedAt : null),
    telemetry: telemetryText(null, record, startedAt),
  };
}
