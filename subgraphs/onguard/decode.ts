/**
 * Frames of the event bridge and records of `/logged_events` to events. Pure: what the listener knew of the event (its
 * device, the words of the site's event catalogue) travels in the message's headers.
 *
 * @see OpenAccess `LoggedEvents`; live events carry the same names
 */
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import { JsonGuardError, parseJson } from '../../adapter-kit/json-guard.ts';
import type { DecodeContext, EventDetails, EventDraft, InboundMessage, StatusClaim } from '../../adapter-kit/model.ts';
import { SEVERITIES, type Severity } from '../../schema/words.ts';
import {
  type EventRule,
  ruleOfAccessResult,
  ruleOfDescription,
  ruleOfType,
  ruleOfTypeName,
  stateWordOf,
} from './event-rules.ts';
import { nativeIdOf } from './kinds.ts';
import { boolOf, intOf, type Properties, propertiesOf, textOf } from './properties.ts';
import { OnGuardSettings } from './settings.ts';
import { itemOf, WireFrame } from './wire.ts';

/** Names of headers that the listener adds. */
export const HEADERS = {
  device: 'x-onguard-device',
  typeName: 'x-onguard-event-type',
  words: 'x-onguard-event-text',
} as const;

/** The callback that carries events. */
export const EVENT_CALLBACK = 'OnBusinessEventReceived';

/** A frame holds what came in some milliseconds; more than this is none of the bridge's. */
const MAX_EVENTS = 1_000;
const MAX_SUMMARY = 200;
const MAX_TYPE = 80;
const MAX_CODE = 100;
/** Enough of a credential to recognise it, and never all of it. */
const CREDENTIAL_HINT = 4;

/** Who passed which door: left out unless the operator wants it. */
const PERSONAL = /^(badge_|cardholder_(key|first_name|last_name)|asset_id)/;

/**
 * @throws DecodeError `PARSE` for what is not JSON within bounds, `SCHEMA` for what is no event, or an event without the
 *   numbers or the time that make its identity
 */
export function decode(message: InboundMessage, context: DecodeContext): readonly EventDraft[] {
  const events = eventsOf(parseBody(message.body));
  if (events.length === 0) throw new DecodeError('SCHEMA', 'the message has no event');
  if (events.length > MAX_EVENTS) throw new DecodeError('SCHEMA', `the message has more than ${MAX_EVENTS} events`);
  const settings = OnGuardSettings.parse(context.settings);
  // What the listener knew is about one event; it sends one at a time.
  const headers = events.length === 1 ? message.headers : {};
  return events.map((event) => decodeEvent(event, settings, headers));
}

function parseBody(body: Uint8Array): unknown {
  try {
    return parseJson(body);
  } catch (error) {
    if (error instanceof JsonGuardError) throw new DecodeError('PARSE', error.message, { cause: error });
    throw error;
  }
}

/** The events of a frame, or the one that a record is. */
export function eventsOf(body: unknown): readonly Properties[] {
  const properties = propertiesOf(itemOf(body));
  if (properties.has('m')) {
    const frame = WireFrame.safeParse(body);
    if (!frame.success) throw new DecodeError('SCHEMA', 'the frame is none of the event bridge');
    return (frame.data.M ?? []).flatMap(({ M, A }) =>
      M.toLowerCase() === EVENT_CALLBACK.toLowerCase()
        ? (A ?? []).slice(0, 1).map((one) => propertiesOf(itemOf(one)))
        : [],
    );
  }
  return properties.size === 0 ? [] : [properties];
}

/** Instant of an event; null for one that cannot be read, or names no offset: nobody could tell when it was then. */
export function instantOf(event: Properties): Date | null {
  const text = textOf(event, 'timestamp');
  if (text === null || !/(z|[+-]\d{2}:?\d{2})$/i.test(text)) return null;
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? null : at;
}

function decodeEvent(
  event: Properties,
  settings: OnGuardSettings,
  headers: Readonly<Record<string, string>>,
): EventDraft {
  const occurredAt = instantOf(event);
  if (occurredAt === null) throw new DecodeError('SCHEMA', 'the event has no timestamp with an offset');
  const serial = intOf(event, 'serial_number');
  const controller = intOf(event, 'controller_id');
  if (serial === null || controller === null)
    throw new DecodeError('SCHEMA', 'the event has no serial_number or no controller_id');
  const words = headers[HEADERS.words] ?? textOf(event, 'description') ?? '';
  const { rule, isCovered } = understand(event, settings, words, headers[HEADERS.typeName] ?? '');
  const nativeDeviceId = deviceOf(event, controller, settings, headers[HEADERS.device]);
  const segment = intOf(event, 'segment_id');
  const word = words === '' ? `${intOf(event, 'event_type') ?? '?'}/${intOf(event, 'event_subtype') ?? '?'}` : words;
  return {
    // Serial numbers are a panel's own, and start again when it is replaced.
    vendorEventId: `${controller}:${serial}:${occurredAt.getTime()}`,
    family: rule.family,
    type: rule.type,
    vendorCode: codeOf(event, word),
    ...(isCovered && rule.type !== 'health.unknown' ? {} : { unknownCode: codeOf(event, word) }),
    severity: severityOf(event, rule, settings),
    occurredAt,
    nativeOrgId: null,
    // A device's site is known by its panel; only what names no device needs the segment.
    nativeSiteId: nativeDeviceId === null && segment !== null && segment > 0 ? String(segment) : null,
    nativeDeviceId,
    claim: claimOf(event, rule, words, nativeDeviceId, occurredAt),
    isLifeSign: nativeDeviceId !== null && isCovered && rule.isLifeSign !== false,
    summary: `${subjectOf(event)} ${rule.phrase}`.slice(0, MAX_SUMMARY),
    details: detailsOf(event, rule, settings, words),
    raw: rawOf(event, settings),
  };
}

interface Understood {
  readonly rule: EventRule;
  /** One of our rules, not only words that are kept. */
  readonly isCovered: boolean;
}

function understand(event: Properties, settings: OnGuardSettings, words: string, typeName: string): Understood {
  const typeId = intOf(event, 'event_type');
  const subTypeId = intOf(event, 'event_subtype');
  // The override of a subtype comes before that of its whole type, whatever their order in the settings.
  const override = settings.eventOverrides
    .filter((each) => each.typeId === typeId && (each.subTypeId === undefined || each.subTypeId === subTypeId))
    .toSorted((left, right) => Number(left.subTypeId === undefined) - Number(right.subTypeId === undefined))[0];
  const own = textOf(event, 'description') ?? '';
  const rule =
    (override === undefined ? null : ruleOfType(override.type)) ??
    (boolOf(event, 'duress') === true ? ruleOfType('alarm.panic') : null) ??
    ruleOfDescription(words) ??
    ruleOfDescription(own) ??
    ruleOfTypeName(typeName, words) ??
    ruleOfAccessResult(intOf(event, 'access_result'));
  return rule === null ? { rule: unknownRule(words), isCovered: false } : { rule, isCovered: true };
}

/** An event that no table has is kept, not refused. */
function unknownRule(words: string): EventRule {
  const name = words
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_+|_+$/g, '')
    .slice(0, MAX_TYPE);
  return {
    type: `vendor.${name === '' ? 'unknown' : name}`,
    family: 'SYSTEM',
    severity: 'INFO',
    phrase: words === '' ? 'reports an event' : `reports ${words}`,
  };
}

/** The numbers of an event lead to a device by themselves; what the listener found in the inventory comes first. */
function deviceOf(
  event: Properties,
  panelId: number,
  { types }: OnGuardSettings,
  found: string | undefined,
): string | null {
  if (found !== undefined && found !== '') return found;
  if (panelId <= 0) return null;
  const deviceId = Math.max(0, intOf(event, 'device_id') ?? 0);
  const subdevice = Math.max(0, intOf(event, 'subdevice_id') ?? 0);
  const isOutput = /output|relay/i.test(textOf(event, 'subdevice_name') ?? '');
  const isListed = isOutput ? types.outputs : types.inputs;
  return nativeIdOf(isOutput ? 'output' : deviceId === 0 ? 'panel' : 'input', {
    panelId,
    deviceId,
    subdeviceId: isListed ? subdevice : 0,
  });
}

function claimOf(
  event: Properties,
  rule: EventRule,
  words: string,
  nativeDeviceId: string | null,
  observedAt: Date,
): StatusClaim | null {
  if (rule.state === undefined || nativeDeviceId === null) return null;
  // The wires of an input say nothing on whether it is online.
  if (rule.family === 'ALARM' && (intOf(event, 'subdevice_id') ?? 0) > 0) return null;
  return {
    state: rule.state,
    reason: rule.reason ?? null,
    vendorState: words === '' ? null : stateWordOf(words).slice(0, MAX_CODE),
    observedAt,
    ...(rule.keepsDegraded === undefined ? {} : { keepsDegraded: rule.keepsDegraded }),
  };
}

function codeOf(event: Properties, word: string): string {
  const code = `${intOf(event, 'event_type') ?? '?'}/${intOf(event, 'event_subtype') ?? '?'}`;
  return (word === code ? code : `${code} ${word}`).slice(0, MAX_CODE);
}

/** The more severe of what we think of such an event and what the site does. */
function severityOf(event: Properties, rule: EventRule, { priorities }: OnGuardSettings): Severity {
  const priority = intOf(event, 'alarm_priority') ?? 0;
  const bySite: Severity =
    priority === 0
      ? 'INFO'
      : priority >= priorities.critical
        ? 'CRITICAL'
        : priority >= priorities.warning
          ? 'WARNING'
          : 'INFO';
  return SEVERITIES.indexOf(bySite) > SEVERITIES.indexOf(rule.severity) ? bySite : rule.severity;
}

function subjectOf(event: Properties): string {
  return (
    textOf(event, 'subdevice_name') ??
    textOf(event, 'device_name') ??
    textOf(event, 'controller_name') ??
    textOf(event, 'event_source_name') ??
    'A device'
  );
}

function detailsOf(event: Properties, rule: EventRule, settings: OnGuardSettings, words: string): EventDetails {
  const zone = textOf(event, 'subdevice_name');
  switch (rule.family) {
    case 'ALARM':
      return { restoral: rule.restoral === true, ...(zone === null ? {} : { zone }) };
    case 'ACCESS':
      return { outcome: rule.outcome ?? 'OTHER', ...personOf(event, settings) };
    case 'VIDEO':
      return { fault: rule.fault ?? 'other' };
    case 'SYSTEM':
      return { detail: { description: words, text: textOf(event, 'event_text') } };
    case 'HEALTH':
    case 'SENSOR':
    case 'SUPERVISION':
    case 'COMMAND':
    case 'INVENTORY':
      return {};
    default:
      return rule.family satisfies never;
  }
}

function personOf(event: Properties, { keepPersonalData }: OnGuardSettings): EventDetails {
  if (!keepPersonalData) return {};
  const names = [textOf(event, 'cardholder_first_name'), textOf(event, 'cardholder_last_name')];
  const name = names.filter((part) => part !== null).join(' ');
  const badge = textOf(event, 'badge_id_str') ?? String(intOf(event, 'badge_id') ?? '');
  return {
    ...(name === '' ? {} : { personName: name }),
    ...(badge === '' || badge === '0' ? {} : { credentialHint: hintOf(badge) }),
  };
}

function hintOf(credential: string): string {
  return credential.length <= CREDENTIAL_HINT ? '…' : `…${credential.slice(-CREDENTIAL_HINT)}`;
}

function rawOf(event: Properties, { keepPersonalData }: OnGuardSettings): unknown {
  return Object.fromEntries([...event].filter(([name]) => keepPersonalData || !PERSONAL.test(name)));
}
