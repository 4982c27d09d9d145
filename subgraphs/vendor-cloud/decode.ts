/**
 * Webhook bodies to events: the newer envelope, the older names, and the minimal on-site shape. Pure; a delivery is
 * understood as a whole or not at all, so that its replay after a repair makes exactly what is missing.
 *
 * @see the vendor contract, sections 4 and 5
 */
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import { JsonGuardError, parseJson } from '../../adapter-kit/json-guard.ts';
import type {
  DecodeContext,
  EventDetails,
  EventDraft,
  InboundMessage,
  MediaDraft,
  StatusClaim,
} from '../../adapter-kit/model.ts';
import type { ContractEvent } from '../../schema/contract/records.ts';
import type { Severity } from '../../schema/words.ts';
import { type Dialect, dialectOf, restoralOf } from './dialect.ts';
import { type EventRule, FAMILY_FALLBACKS } from './event-rules.ts';
import { describeIssues, parseEvent, RawRecord } from './wire.ts';
import { foldWord, REASON_WORDS, SEVERITY_WORDS } from './words.ts';

/** Events in one delivery; more do not fit a delivery's 256 KiB anyway. */
const MAX_EVENTS = 1_000;
/** Keys of a full delivery: an event has about twenty, and `data` is the vendor's. */
const MAX_KEYS = 50_000;
const MAX_SUMMARY = 200;
/** Of the vendor's word in a type; the whole word is in `vendorCode`. */
const MAX_TYPE = 80;
/** Enough of a credential to recognise it, and never all of it. */
const CREDENTIAL_HINT = 4;

function parseBody(body: Uint8Array): unknown {
  try {
    return parseJson(body, { maxKeys: MAX_KEYS });
  } catch (error) {
    if (error instanceof JsonGuardError) throw new DecodeError('PARSE', error.message, { cause: error });
    throw error;
  }
}

/** One event, a list of them, or an object that holds the list. */
function eventsOf(body: unknown): readonly unknown[] {
  if (Array.isArray(body)) return body;
  const record = RawRecord.safeParse(body);
  if (record.success && Array.isArray(record.data['events'])) return record.data['events'];
  return [body];
}

/**
 * @throws DecodeError `PARSE` for what is not JSON within bounds, `SCHEMA` for an event without what the contract demands,
 *   `BINDING` for one that names no site on an integration that is not bound to exactly one
 */
export function decode(message: InboundMessage, context: DecodeContext): readonly EventDraft[] {
  const events = eventsOf(parseBody(message.body));
  if (events.length === 0) throw new DecodeError('SCHEMA', 'the delivery has no event');
  if (events.length > MAX_EVENTS)
    throw new DecodeError('SCHEMA', `the delivery has ${events.length} events, more than ${MAX_EVENTS}`);
  const dialect = dialectOf(context.settings);
  return events.map((event, index) => {
    const where = events.length === 1 ? '' : `event ${index + 1} of ${events.length}: `;
    return decodeEvent(event, dialect, context, where);
  });
}

function decodeEvent(source: unknown, dialect: Dialect, context: DecodeContext, where: string): EventDraft {
  const raw = RawRecord.safeParse(source);
  if (!raw.success) throw new DecodeError('SCHEMA', `${where}it is not an object`);
  const parsed = parseEvent(dialect, raw.data);
  if (!parsed.success) throw new DecodeError('SCHEMA', `${where}${describeIssues(parsed.error)}`);
  const event = parsed.data;
  const { rule, vendorCode, isKnown } = understand(event, dialect, where);
  if (rule.family === 'HEALTH' && event.deviceId === undefined)
    throw new DecodeError('SCHEMA', `${where}a health event names no device`);
  return {
    vendorEventId: event.eventId ?? null,
    family: rule.family,
    type: rule.type,
    vendorCode,
    ...(isKnown ? {} : { unknownCode: vendorCode }),
    severity: rule.severity,
    occurredAt: rule.type === 'supervision.last_seen' ? (event.lastSeen ?? event.timestamp) : event.timestamp,
    ...placeOf(event, dialect, context, where),
    nativeDeviceId: event.deviceId === undefined ? null : dialect.nativeIdOf(event.deviceId, event.systemId),
    claim: claimOf(event, rule),
    isLifeSign: event.deviceId !== undefined && rule.isLifeSign !== false,
    summary: `${event.deviceName ?? (event.deviceId === undefined ? 'The platform' : 'Device')} ${rule.phrase}`.slice(
      0,
      MAX_SUMMARY,
    ),
    details: detailsOf(event, rule),
    media: mediaOf(event),
    raw: raw.data,
  };
}

interface Understood {
  readonly rule: EventRule;
  /** The vendor's own word for it. */
  readonly vendorCode: string;
  /** A table has it. */
  readonly isKnown: boolean;
}

/** Rules of whole families: for words that no row has. */
const FALLBACKS: ReadonlySet<EventRule> = new Set(Object.values(FAMILY_FALLBACKS));

function understand(event: ContractEvent, dialect: Dialect, where: string): Understood {
  // The older and the minimal shape have no event type: what has a status is about health.
  const eventType = event.eventType ?? (event.status === null && event.lastSeen === null ? null : 'health');
  if (eventType === null) throw new DecodeError('SCHEMA', `${where}it has neither an event type nor a status`);
  const family = dialect.familyOf(eventType);
  const word = family === 'HEALTH' ? (event.status ?? (event.lastSeen === null ? null : 'last_seen')) : event.subtype;
  if (family === 'HEALTH' && word === null) throw new DecodeError('SCHEMA', `${where}a health event has no status`);
  const vendorCode = word === null ? eventType : `${eventType}/${word}`;
  const rule = dialect.ruleOf(eventType, word);
  if (rule === null) return { rule: unknownRule(eventType, event), vendorCode, isKnown: false };
  const isNewState = family === 'HEALTH' && rule.state === 'UNKNOWN' && dialect.stateOf(word ?? '') === null;
  const isKnown = !FALLBACKS.has(rule) && !isNewState;
  return { rule: event.restoral === true ? restoralOf(rule) : rule, vendorCode, isKnown };
}

/** A type that no table has is kept, not refused: a vendor may publish more than we know. */
function unknownRule(eventType: string, event: ContractEvent): EventRule {
  const severity: Severity = (event.severity === null ? null : SEVERITY_WORDS.get(foldWord(event.severity))) ?? 'INFO';
  const name =
    foldWord(eventType)
      .replaceAll(/[^a-z0-9_]+/g, '')
      .slice(0, MAX_TYPE) || 'unknown';
  return { type: `vendor.${name}`, family: 'SYSTEM', severity, phrase: `reports ${eventType}`, words: '' };
}

function placeOf(event: ContractEvent, dialect: Dialect, { onlySite }: DecodeContext, where: string) {
  const { accountId = dialect.settings.accountId, siteId } = event;
  if (siteId !== undefined) {
    const isOnlySite = onlySite !== null && onlySite.nativeSiteId === siteId;
    return { nativeOrgId: accountId ?? (isOnlySite ? onlySite.nativeOrgId : null), nativeSiteId: siteId };
  }
  if (onlySite !== null && (accountId === undefined || accountId === onlySite.nativeOrgId)) return onlySite;
  // An event of the account itself needs no site; one of a device does, and a guess could cross customers.
  if (event.deviceId === undefined && accountId !== undefined) return { nativeOrgId: accountId, nativeSiteId: null };
  throw new DecodeError('BINDING', `${where}it names no site, and the integration is not bound to exactly one`);
}

function claimOf(event: ContractEvent, rule: EventRule): StatusClaim | null {
  if (rule.family !== 'HEALTH' || rule.state === undefined) return null;
  const reason = event.reason === null ? 'REPORTED' : (REASON_WORDS.get(foldWord(event.reason)) ?? 'OTHER');
  return {
    state: rule.state,
    reason: rule.state === 'UNKNOWN' ? null : reason,
    vendorState: event.status,
    observedAt: event.timestamp,
  };
}

function readUrl(value: string | null): string | null {
  const url = value === null ? null : URL.parse(value);
  return url !== null && (url.protocol === 'https:' || url.protocol === 'http:') ? url.href : null;
}

function mediaOf(event: ContractEvent): readonly MediaDraft[] {
  const image = readUrl(event.imageUrl);
  const clip = readUrl(event.clipUrl);
  return [
    ...(image === null ? [] : [{ contentType: 'image/*', url: image }]),
    ...(clip === null ? [] : [{ contentType: 'video/*', url: clip, thumbnailUrl: image }]),
  ];
}

function detailsOf(event: ContractEvent, rule: EventRule): EventDetails {
  switch (rule.family) {
    case 'ALARM': {
      const deepLink = readUrl(event.deepLink);
      return {
        restoral: rule.restoral === true,
        ...(event.zone === null ? {} : { zone: event.zone }),
        ...(event.siaCode === null ? {} : { siaCode: event.siaCode }),
        ...(event.contactIdCode === null ? {} : { contactIdCode: event.contactIdCode }),
        ...(deepLink === null ? {} : { deepLink }),
      };
    }
    case 'ACCESS':
      return {
        outcome: rule.outcome ?? 'OTHER',
        ...(event.personName === null ? {} : { personName: event.personName }),
        ...(event.credential === null ? {} : { credentialHint: hintOf(event.credential) }),
      };
    case 'VIDEO':
      return { fault: rule.fault === 'other' ? (event.subtype ?? 'other') : (rule.fault ?? rule.type) };
    case 'SUPERVISION':
      return event.intervalSeconds === null ? {} : { intervalSeconds: Math.round(event.intervalSeconds) };
    case 'SENSOR':
      return { metadata: event.data ?? null };
    case 'SYSTEM':
      return { detail: event.data ?? null };
    case 'HEALTH':
    case 'COMMAND':
    case 'INVENTORY':
      return {};
    default:
      return rule.family satisfies never;
  }
}

function hintOf(credential: string): string {
  return credential.length <= CREDENTIAL_HINT ? '…' : `…${credential.slice(-CREDENTIAL_HINT)}`;
}
