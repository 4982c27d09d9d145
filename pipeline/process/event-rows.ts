import { randomBytes } from 'node:crypto';
import type { EventDraft } from '../../adapter-kit/model.ts';
import { type EvidenceSource, SEVERITIES } from '../../schema/words.ts';
import type { EventRow, IntegrationRow } from '../../storage/rows.ts';
import type { Claim, StateChange } from '../status/machine.ts';
import { settleInstant } from '../status/machine.ts';
import { eventKeyOf } from './event-key.ts';
import type { EventItem } from './event-writer.ts';
import type { KnownDevice } from './resolve.ts';

/** A row of the log before it has its number. */
export type Unnumbered = Omit<EventRow, 'seq'>;

/** A sender's clock can be wrong by more than GraphQL's Int holds. */
const INT_MAX = 2_147_483_647;
/** A summary is one line for people; what is longer is in the raw record. */
const MAX_SUMMARY = 500;
/** Ids and words of a vendor's that are longer than this are no ids and words. */
const MAX_WORD = 512;
/** Of an identity that nobody else can have: a conclusion of ours is nobody's repetition. */
const IDENTITY_BYTES = 32;

function bounded<T extends string | null>(text: T, max: number): T | string {
  return text === null ? text : text.slice(0, max);
}

/** PostgreSQL's JSON functions refuse an escaped U+0000, and the actors of `details` are searched with them. */
function jsonWithoutNul(value: unknown): string {
  return JSON.stringify(value).replaceAll('\\u0000', '\\ufffd');
}

/** An item's instants on our clock. */
export interface Instants {
  /** When it happened. */
  readonly at: number;
  /** When the claimed state was so. */
  readonly observedAt: number;
  /** Our clock minus the sender's, where it is known. */
  readonly skewMs: number | null;
}

/**
 * Settles when an item happened. An instant in the future is ours. A sender that by its own word sent it longer ago than
 * the tolerance has a slow clock: what it tells is put onto ours. Either is told by the skew that made it necessary; the
 * vendor's own word stays in the raw record.
 */
export function instantsOf({ draft, receivedAt, clockSkewMs }: EventItem, toleranceMs: number): Instants {
  const behindMs = clockSkewMs !== null && clockSkewMs > toleranceMs ? clockSkewMs : 0;
  const settled = (claimedAt: number) =>
    behindMs > 0
      ? { at: Math.min(claimedAt + behindMs, receivedAt), isClamped: false }
      : settleInstant(claimedAt, receivedAt, toleranceMs);
  const occurredAt = draft.occurredAt.getTime();
  const { at, isClamped } = settled(occurredAt);
  return {
    at,
    observedAt: draft.claim?.observedAt ? settled(draft.claim.observedAt.getTime()).at : at,
    skewMs: isClamped ? receivedAt - occurredAt : clockSkewMs,
  };
}

/** What an item claims; null: nothing. */
export function claimOf({ draft, receivedAt, inboxId }: EventItem, { observedAt }: Instants): Claim | null {
  if (draft.claim === null) return null;
  const { state, reason, vendorState, keepsDegraded } = draft.claim;
  return {
    state,
    reason,
    vendorState: bounded(vendorState, MAX_WORD),
    at: observedAt,
    receivedAt,
    inboxId: inboxId ?? 0,
    ...(keepsDegraded === undefined ? {} : { keepsDegraded }),
  };
}

/** A fault of a device that another one's failure explains is explained by it too; an alarm or a recovery is not. */
function explained(
  device: KnownDevice | null,
  { family, claim }: EventDraft,
): Pick<EventRow, 'suppressed' | 'incident_id'> {
  if (device === null || device.suppressed_by === null) return { suppressed: 0, incident_id: null };
  if (family !== 'HEALTH' || claim === null || claim.state === 'ONLINE') return { suppressed: 0, incident_id: null };
  return { suppressed: 1, incident_id: device.incident_id };
}

export interface RowContext {
  readonly integration: IntegrationRow;
  readonly siteId: string | null;
  readonly device: KnownDevice | null;
  readonly identity: Buffer;
  readonly instants: Instants;
}

/** An item as the log has it; what its claim did is filled in by the writer. */
export function rowOf({ draft, origin, receivedAt, inboxId }: EventItem, context: RowContext): Unnumbered {
  const { integration, siteId, device, identity, instants } = context;
  const { claim } = draft;
  const skew = instants.skewMs;
  return {
    key: eventKeyOf(identity, draft.occurredAt.getTime()),
    org_id: integration.org_id,
    site_id: siteId,
    device_id: device?.id ?? null,
    integration_id: integration.id,
    inbox_id: inboxId,
    family: draft.family,
    type: bounded(draft.type, MAX_WORD),
    severity: SEVERITIES.indexOf(draft.severity),
    occurred_at: instants.at,
    received_at: receivedAt,
    clock_skew_ms: skew === null ? null : Math.max(-INT_MAX, Math.min(INT_MAX, Math.round(skew))),
    late: 0,
    vendor_event_id: bounded(draft.vendorEventId, MAX_WORD),
    vendor_code: bounded(draft.vendorCode, MAX_WORD),
    origin,
    summary: bounded(draft.summary, MAX_SUMMARY),
    state: claim?.state ?? null,
    previous_state: null,
    state_reason: claim?.reason ?? null,
    changed: 0,
    details: jsonWithoutNul(draft.details),
    media: JSON.stringify(draft.media ?? []),
    raw: draft.raw === undefined || draft.raw === null ? null : JSON.stringify(draft.raw),
    observed_at: claim === null || instants.observedAt === instants.at ? null : instants.observedAt,
    keeps_degraded: claim?.keepsDegraded === undefined ? null : JSON.stringify(claim.keepsDegraded),
    state_vendor: claim === null ? null : bounded(claim.vendorState, MAX_WORD),
    derived: 0,
    ...explained(device, draft),
    in_maintenance: device === null || device.maintenance_id === null ? 0 : 1,
    device_type: device?.type ?? null,
  };
}

interface Conclusion {
  readonly integration: IntegrationRow;
  /** Of a site that is ours: the log takes nothing else. */
  readonly device: KnownDevice;
  readonly origin: EvidenceSource;
  readonly receivedAt: number;
}

function derived(
  { integration, device, origin, receivedAt }: Conclusion,
  what: Pick<Unnumbered, 'type' | 'severity' | 'occurred_at' | 'summary' | 'details'>,
): Unnumbered {
  const isSuppressed = device.suppressed_by !== null;
  return {
    key: eventKeyOf(randomBytes(IDENTITY_BYTES), what.occurred_at),
    org_id: integration.org_id,
    site_id: device.site_id,
    device_id: device.id,
    integration_id: integration.id,
    inbox_id: null,
    family: 'HEALTH',
    received_at: receivedAt,
    clock_skew_ms: null,
    late: 0,
    vendor_event_id: null,
    vendor_code: null,
    origin,
    state: null,
    previous_state: null,
    state_reason: null,
    changed: 0,
    media: '[]',
    raw: null,
    observed_at: null,
    keeps_degraded: null,
    state_vendor: null,
    derived: 1,
    suppressed: isSuppressed ? 1 : 0,
    incident_id: isSuppressed ? device.incident_id : null,
    in_maintenance: device.maintenance_id === null ? 0 : 1,
    device_type: device.type,
    ...what,
  };
}

/** An outage that has lasted long enough to count. */
export function lastingRow(conclusion: Conclusion, change: StateChange): Unnumbered {
  const { device } = conclusion;
  const row = derived(conclusion, {
    type: `health.${change.after.toLowerCase()}`,
    severity: SEVERITIES.indexOf('WARNING'),
    occurred_at: change.at,
    summary: bounded(`${device.name} is ${change.after.toLowerCase()} and has been for some time`, MAX_SUMMARY),
    details: '{}',
  });
  return {
    ...row,
    state: change.after,
    previous_state: change.before,
    state_reason: change.reason,
    changed: 1,
  };
}

/** A device began or ceased to change too often. */
export function flappingRow(conclusion: Conclusion, isFlapping: boolean, at: number, changes: number): Unnumbered {
  const { device } = conclusion;
  return derived(conclusion, {
    type: isFlapping ? 'health.flapping_started' : 'health.flapping_stopped',
    severity: SEVERITIES.indexOf(isFlapping ? 'WARNING' : 'NOTICE'),
    occurred_at: at,
    summary: bounded(
      isFlapping ? `${device.name} flaps: ${changes} changes in short order` : `${device.name} has calmed down`,
      MAX_SUMMARY,
    ),
    details: '{}',
  });
}
