// Pure: frames of the event socket, what follows from them, and webhooks, to events.
import { z } from 'zod';
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import { JsonGuardError, parseJson } from '../../adapter-kit/json-guard.ts';
import type { DecodeContext, EventDetails, EventDraft, InboundMessage, StatusClaim } from '../../adapter-kit/model.ts';
import {
  builtInName,
  communicationMeaning,
  communicationSeverity,
  communicationWord,
  DEVICE_KINDS,
  type EventRule,
  foldName,
  isOwnType,
  NOT_A_DEVICE_KINDS,
  ruleOf,
  stateWord,
} from './event-types.ts';
import { Derived, HEADERS } from './inbound.ts';
import { COLLECTIONS, isGuid, parseTime, timeKey, WireEvent, WireWebhook } from './wire.ts';

/** Events in one delivery; our listener sends one at a time. */
const MAX_EVENTS = 1_000;
const MAX_KEYS = 50_000;
const MAX_SUMMARY = 200;
/** Of the platform's word in a type; the whole word is in `vendorCode`. */
const MAX_TYPE = 80;

const Body = z.looseObject({});
const Level = z.looseObject({ siteLevel: z.string().optional() });

/** What happened, with the platform's own names where they are known. */
interface Happening {
  readonly vendorEventId: string;
  readonly typeId: string | null;
  readonly name: string | null;
  readonly state: string | null;
  readonly group: string | null;
  /** Null: no device of ours. */
  readonly deviceId: string | null;
  readonly sourceName: string | null;
  readonly isParentDown: boolean;
  readonly at: Date;
  readonly data: unknown;
  readonly raw: unknown;
}

/**
 * @throws DecodeError `PARSE` for what is not JSON within bounds, `SCHEMA` for what is neither a frame of events, nor of
 *   states, nor a webhook
 */
export function decode(message: InboundMessage, context: DecodeContext): readonly EventDraft[] {
  const body = Body.safeParse(parseBody(message.body));
  if (!body.success) throw new DecodeError('SCHEMA', 'it is not an object');
  const { data } = body;
  if (data['Event'] !== undefined) return draftsOf(webhookOf(data), context);
  if (data['derived'] !== undefined) return derivedOf(data, context);
  const events = data['events'] ?? data['states'];
  if (!Array.isArray(events) || events.length === 0) throw new DecodeError('SCHEMA', 'it has no event');
  if (events.length > MAX_EVENTS)
    throw new DecodeError('SCHEMA', `it has ${events.length} events, more than ${MAX_EVENTS}`);
  return events.flatMap((event) => draftsOf(happeningOf(event, message.headers, context), context));
}

function parseBody(body: Uint8Array): unknown {
  try {
    return parseJson(body, { maxKeys: MAX_KEYS });
  } catch (error) {
    if (error instanceof JsonGuardError) throw new DecodeError('PARSE', error.message, { cause: error });
    throw error;
  }
}

function refuse(what: string, { issues }: z.ZodError): DecodeError {
  const place = issues[0]?.path.map(String).join('.').slice(0, 80);
  return new DecodeError('SCHEMA', `${what} is not as documented${place ? ` at ${place}` : ''}`);
}

function timeOf(value: string): Date {
  const at = parseTime(value);
  if (at === null) throw new DecodeError('SCHEMA', 'its time cannot be read');
  return at;
}

/** @returns the device's id; null for a source that is no device, as services and user-defined events are */
function deviceOf(source: string, context: DecodeContext): string | null {
  const [collection = '', id = '', ...rest] = source.split('/');
  const isDevice = COLLECTIONS.some((known) => known.toLowerCase() === collection.toLowerCase());
  if (!isDevice || rest.length > 0 || !isGuid(id)) return null;
  return collection.toLowerCase() === 'sites' && !listsManagementServer(context) ? null : id.toLowerCase();
}

function listsManagementServer({ settings }: DecodeContext): boolean {
  return Level.safeParse(settings).data?.siteLevel !== 'recording-server';
}

/**
 * One identity for one change of state, however it reached us: live, replayed, or found by reading states, where the
 * platform's own id is the nil GUID.
 */
function stateEventId(deviceOrSource: string, typeId: string, time: string): string {
  return `${deviceOrSource}|${typeId}|${timeKey(time)}`.toLowerCase();
}

function happeningOf(source: unknown, headers: InboundMessage['headers'], context: DecodeContext): Happening {
  const parsed = WireEvent.safeParse(source);
  if (!parsed.success) throw refuse('an event', parsed.error);
  const event = parsed.data;
  const deviceId = deviceOf(event.source, context);
  const isStateful = event.stategroupid !== undefined || event.id === undefined || /^[0-]*$/.test(event.id);
  return {
    vendorEventId:
      isStateful || event.id === undefined
        ? stateEventId(deviceId ?? event.source, event.type, event.time)
        : event.id.toLowerCase(),
    typeId: event.type,
    name: headers[HEADERS.name] || builtInName(event.type) || null,
    state: headers[HEADERS.state] || null,
    group: headers[HEADERS.group] || null,
    deviceId,
    sourceName: headers[HEADERS.source] || null,
    isParentDown: headers[HEADERS.parent] === 'down',
    at: timeOf(event.time),
    data: event.data,
    raw: source,
  };
}

function webhookOf(body: Readonly<Record<string, unknown>>): Happening {
  const parsed = WireWebhook.safeParse(body);
  if (!parsed.success) throw refuse('the webhook', parsed.error);
  const header = parsed.data.Event.EventHeader;
  const { ObjectId: objectId, Kind: kind } = header.Source.FQID;
  // Names can be changed by administrators; what the id says is built in.
  const name = (header.MessageId && builtInName(header.MessageId)) || header.Name || header.Message || null;
  const isKnown = name !== null && (communicationWord(name) !== null || ruleOf(name) !== null);
  // A kind that we do not know is a device when the event is one that devices have.
  const isDevice = kind === undefined || (DEVICE_KINDS.has(kind) ? true : isKnown && !NOT_A_DEVICE_KINDS.has(kind));
  const isSite = kind === undefined && objectId === undefined;
  const deviceId = isDevice && !isSite && isKnown ? (objectId ?? null) : null;
  const isState =
    deviceId !== null && header.MessageId !== undefined && name !== null && communicationWord(name) !== null;
  return {
    vendorEventId:
      isState && header.MessageId !== undefined
        ? stateEventId(deviceId, header.MessageId, header.Timestamp)
        : header.ID.toLowerCase(),
    typeId: header.MessageId ?? null,
    name,
    state: null,
    group: null,
    deviceId,
    sourceName: header.Source.Name || null,
    isParentDown: false,
    at: timeOf(header.Timestamp),
    data: { message: header.Message, priority: header.PriorityName },
    raw: body,
  };
}

/** The communication word, by the name of the type or by its group; null when it is about something else. */
function wordOf({ name, state, group }: Happening): string | null {
  const byName = name === null ? null : communicationWord(name);
  if (byName !== null) return state === null ? byName : stateWord(state);
  const isGroup = group !== null && communicationWord(`${group} x`) !== null;
  return isGroup ? stateWord(state ?? name ?? 'unknown') : null;
}

/** None of an event that we raised ourselves: what it tells of is known already, from whoever sensed it. */
function draftsOf(happening: Happening, context: DecodeContext): readonly EventDraft[] {
  return happening.name !== null && isOwnType(happening.name) ? [] : [draftOf(happening, context)];
}

function draftOf(happening: Happening, context: DecodeContext): EventDraft {
  const word = wordOf(happening);
  if (word !== null && happening.deviceId !== null) return healthOf(happening, word);
  const known = happening.name === null ? null : ruleOf(happening.name);
  const rule = known ?? unknownRule(happening.name ?? 'unknown');
  const code = happening.name ?? happening.typeId;
  const device = rule.family === 'INVENTORY' ? null : happening.deviceId;
  return {
    vendorEventId: happening.vendorEventId,
    family: rule.family,
    type: rule.type,
    vendorCode: code,
    ...(known === null && code !== null ? { unknownCode: code } : {}),
    severity: rule.severity,
    occurredAt: happening.at,
    ...placeOf(device, context),
    nativeDeviceId: device,
    claim: null,
    isLifeSign: device !== null && rule.isLifeSign === true,
    summary: `${happening.sourceName ?? (device === null ? 'The system' : 'Device')} ${rule.phrase}`.slice(
      0,
      MAX_SUMMARY,
    ),
    details: detailsOf(rule, happening),
    raw: happening.raw,
  };
}

/** A device's own site is known; an event of none is the only site's, where there is only one. */
function placeOf(deviceId: string | null, { onlySite }: DecodeContext) {
  if (deviceId !== null || onlySite === null) return { nativeOrgId: null, nativeSiteId: null };
  return { nativeOrgId: onlySite.nativeOrgId, nativeSiteId: onlySite.nativeSiteId };
}

function healthOf(happening: Happening, word: string): EventDraft {
  const meaning = communicationMeaning(word);
  const claim: StatusClaim = happening.isParentDown
    ? { state: 'UNKNOWN', reason: 'PARENT_DOWN', vendorState: word, observedAt: happening.at }
    : { ...meaning, vendorState: word, observedAt: happening.at };
  return {
    vendorEventId: happening.vendorEventId,
    family: 'HEALTH',
    type: `health.${claim.state.toLowerCase()}`,
    vendorCode: happening.name ?? happening.typeId,
    ...(meaning.state === 'UNKNOWN' ? { unknownCode: `communication ${word}` } : {}),
    severity: communicationSeverity(claim.state, word),
    occurredAt: happening.at,
    nativeOrgId: null,
    nativeSiteId: null,
    nativeDeviceId: happening.deviceId,
    claim,
    isLifeSign: claim.state === 'ONLINE',
    summary: `${happening.sourceName ?? 'Device'} ${phraseOf(claim)}`.slice(0, MAX_SUMMARY),
    details: {},
    raw: happening.raw,
  };
}

function phraseOf({ state, reason }: StatusClaim): string {
  if (reason === 'PARENT_DOWN') return 'is out of sight: its recording server is down';
  return state === 'ONLINE' ? 'is online' : state === 'OFFLINE' ? 'went offline' : 'is in an unknown state';
}

/** A type that no table has is kept, not refused: integrations and administrators add their own. */
function unknownRule(name: string): EventRule {
  const slug =
    foldName(name)
      .replaceAll(/[^a-z0-9]+/g, '')
      .slice(0, MAX_TYPE) || 'unknown';
  return { type: `vendor.${slug}`, family: 'SYSTEM', severity: 'INFO', phrase: `reports ${name}` };
}

function detailsOf(rule: EventRule, { data, name }: Happening): EventDetails {
  if (rule.family === 'VIDEO')
    return { fault: rule.fault ?? rule.type, ...(rule.restoral === true ? { restoral: true } : {}) };
  if (rule.family === 'SENSOR') return { metadata: data ?? null };
  if (rule.family === 'INVENTORY') return { change: relatedItemOf(data) ?? name ?? rule.type };
  return { detail: data ?? null };
}

/** The changed item's path; the spelling of this member is not documented. */
function relatedItemOf(data: unknown): string | null {
  const parsed = Body.safeParse(data);
  if (!parsed.success) return null;
  for (const [key, value] of Object.entries(parsed.data)) {
    if (key.toLowerCase() === 'relateditemrestresource' && typeof value === 'string')
      return value.slice(0, MAX_SUMMARY);
    const inner = typeof value === 'object' && value !== null ? relatedItemOf(value) : null;
    if (inner !== null) return inner;
  }
  return null;
}

/** What a recording server's fall or return means for the devices behind it. */
function derivedOf(body: Readonly<Record<string, unknown>>, context: DecodeContext): readonly EventDraft[] {
  const parsed = Derived.safeParse(body);
  if (!parsed.success) throw refuse('the derived message', parsed.error);
  const { derived } = parsed.data;
  const parentAt = timeOf(derived.time);
  return derived.devices.map(({ source, word, time }) => {
    const deviceId = deviceOf(source, context);
    if (deviceId === null) throw new DecodeError('SCHEMA', 'the derived message names no device');
    const ownAt = parseTime(time);
    const at = ownAt !== null && ownAt > parentAt ? ownAt : parentAt;
    return healthOf(
      {
        // Ours: the platform has no event for it.
        vendorEventId: `${deviceId}|parent ${derived.isDown ? 'down' : 'up'}|${timeKey(derived.time)}`.toLowerCase(),
        typeId: null,
        name: `${derived.parent} ${derived.parentState}`,
        state: null,
        group: null,
        deviceId,
        sourceName: null,
        isParentDown: derived.isDown,
        at,
        data: null,
        raw: { derived: { ...derived, devices: [{ source, word, time }] } },
      },
      word,
    );
  });
}
