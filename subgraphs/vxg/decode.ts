/**
 * Polled events to ours. Pure.
 *
 * @see "API: Working with events" of the vendor's help
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
import type { DeviceState, Severity } from '../../schema/words.ts';
import {
  type EventRule,
  IGNORED_NAMES,
  isWorkflowTag,
  OTHER_EVENT,
  OWN_EVENT_PREFIX,
  RULE_BY_NAME,
  RULE_BY_TYPE,
  SEVERITY_WORDS,
} from './event-rules.ts';
import { statusOf } from './normalize.ts';
import { VxgEventSettings } from './settings.ts';
import { formatTime, parseTime } from './time.ts';
import { describeIssues, PolledEvent, WireEvent } from './wire.ts';

const MAX_SUMMARY = 200;
/** The recording that shows an event begins and ends so long before and after it. */
export const BEFORE_MS = 5_000;
export const AFTER_MS = 15_000;

const STATE_SEVERITY: Readonly<Record<DeviceState, Severity>> = {
  OFFLINE: 'WARNING',
  DEGRADED: 'WARNING',
  UNKNOWN: 'NOTICE',
  ONLINE: 'NOTICE',
};

const STATE_PHRASE: Readonly<Record<DeviceState, string>> = {
  OFFLINE: 'is offline',
  DEGRADED: 'works with a fault',
  UNKNOWN: 'is in an unknown state',
  ONLINE: 'is online',
};

function parse(body: Uint8Array): PolledEvent {
  let value: unknown;
  try {
    value = parseJson(body);
  } catch (error) {
    if (error instanceof JsonGuardError) throw new DecodeError('PARSE', error.message, { cause: error });
    throw error;
  }
  const polled = PolledEvent.safeParse(value);
  if (!polled.success) throw new DecodeError('SCHEMA', `not a polled event at ${describeIssues(polled.error)}`);
  return polled.data;
}

/**
 * @returns nothing for pictures on a schedule and for events that we raised ourselves
 * @throws DecodeError `PARSE` for what is not JSON within bounds, `SCHEMA` for an event without id, camera, name or instant
 */
export function decode(message: InboundMessage, context: DecodeContext): readonly EventDraft[] {
  const { event: record, origin, camera } = parse(message.body);
  const parsed = WireEvent.safeParse(record);
  if (!parsed.success) throw new DecodeError('SCHEMA', `not an event at event.${describeIssues(parsed.error)}`);
  const event = parsed.data;
  const occurredAt = parseTime(event.time);
  if (occurredAt === null) throw new DecodeError('SCHEMA', 'not an event at event.time: it is no instant');
  const tags = [...event.meta].filter(([tag]) => !isWorkflowTag(tag));
  if (IGNORED_NAMES.has(event.name) || tags.some(([tag]) => tag.startsWith(OWN_EVENT_PREFIX))) return [];
  const rule = ruleOf(event.name, context);
  const shared = {
    vendorEventId: event.id,
    vendorCode: event.name,
    ...(rule === OTHER_EVENT ? { unknownCode: event.name } : {}),
    occurredAt,
    nativeOrgId: null,
    // The service's events name a camera and no site.
    nativeSiteId: null,
    nativeDeviceId: event.camid,
    raw: { ...record, meta: Object.fromEntries(event.meta) },
  };
  const who = camera?.name ?? `Camera ${event.camid}`;
  if (rule.family === 'HEALTH') return [{ ...shared, ...healthOf(rule, camera, who) }];
  return [
    {
      ...shared,
      family: rule.family,
      type: rule.type,
      severity: severityOf(rule, event.meta),
      claim: null,
      isLifeSign: rule.isLifeSign === true,
      summary: summaryOf(who, rule === OTHER_EVENT ? `reports ${event.alias ?? event.name}` : rule.phrase),
      details: detailsOf(rule, event, tags),
      media: mediaOf(origin, event.camid, occurredAt),
    },
  ];
}

function ruleOf(name: string, { settings }: DecodeContext): EventRule {
  const parsed = VxgEventSettings.safeParse(settings);
  const own = parsed.success ? new Map(Object.entries(parsed.data.eventTypes)).get(name) : undefined;
  return RULE_BY_TYPE.get(own ?? '') ?? RULE_BY_NAME.get(name) ?? OTHER_EVENT;
}

type Health = Pick<EventDraft, 'family' | 'type' | 'severity' | 'claim' | 'isLifeSign' | 'summary' | 'details'>;

/** A connection event says that something changed; how the camera was found then is what it claims. */
function healthOf(rule: EventRule, camera: PolledEvent['camera'], who: string): Health {
  const { family, type, severity, phrase } = rule;
  const details = {};
  if (camera === undefined)
    return { family, type, severity, claim: null, isLifeSign: false, summary: summaryOf(who, phrase), details };
  const { state, reason } = statusOf(camera.status);
  const claim: StatusClaim = { state, reason, vendorState: camera.status, observedAt: new Date(camera.checkedAt) };
  return {
    family,
    type: `health.${state.toLowerCase()}`,
    severity: STATE_SEVERITY[state],
    claim,
    isLifeSign: state === 'ONLINE',
    summary: summaryOf(who, STATE_PHRASE[state]),
    details,
  };
}

function summaryOf(who: string, phrase: string): string {
  return `${who} ${phrase}`.slice(0, MAX_SUMMARY).toWellFormed();
}

function severityOf({ severity }: EventRule, meta: ReadonlyMap<string, string>): Severity {
  if (isRestored(meta)) return 'NOTICE';
  return SEVERITY_WORDS.get((meta.get('severity') ?? '').toLowerCase()) ?? severity;
}

function isRestored(meta: ReadonlyMap<string, string>): boolean {
  return meta.get('state') === 'restore';
}

/** Analytics write what they saw as tags: a label, and how many. */
function actorsOf(tags: readonly (readonly [string, string])[]): NonNullable<EventDetails['actors']> {
  return tags.filter(([, value]) => /^\d{1,4}$/.test(value)).map(([kind]) => ({ kind, confidence: null }));
}

function detailsOf(
  rule: EventRule,
  { alias, meta }: WireEvent,
  tags: readonly (readonly [string, string])[],
): EventDetails {
  const metadata = { ...(alias === null ? {} : { alias }), ...Object.fromEntries(tags) };
  switch (rule.family) {
    case 'ALARM':
      return { restoral: isRestored(meta), actors: actorsOf(tags), metadata };
    case 'ACCESS':
      return { outcome: rule.outcome ?? 'OTHER', metadata };
    case 'VIDEO':
      return { fault: rule.fault ?? rule.type, metadata };
    case 'SENSOR':
      return { actors: actorsOf(tags), metadata };
    case 'HEALTH':
    case 'SYSTEM':
    case 'SUPERVISION':
    case 'COMMAND':
    case 'INVENTORY':
      return { metadata };
    default:
      return rule.family satisfies never;
  }
}

/**
 * Where the recording of an event is. The links to recordings themselves are signed and short-lived, so that this is the
 * address which gives them anew, to whoever may log in there: see recorded-clip.ts.
 */
function mediaOf(origin: string, cameraId: string, at: Date): readonly MediaDraft[] {
  const url = URL.parse('/api/v2/storage/data/', origin);
  if (url === null || !/^https?:$/.test(url.protocol)) return [];
  const from = new Date(at.getTime() - BEFORE_MS);
  const until = new Date(at.getTime() + AFTER_MS);
  url.search = new URLSearchParams({
    camid: cameraId,
    start: formatTime(from),
    end: formatTime(until),
    order_by: 'time',
  }).toString();
  return [{ contentType: null, url: url.href, capturedAt: at }];
}
