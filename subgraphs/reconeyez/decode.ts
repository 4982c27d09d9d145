/**
 * JSON deliveries to events. Pure; a delivery is understood as a whole or not at all. The vendor publishes a table of
 * events and no body, so that every member may be absent and may have another name (event-fields.ts).
 *
 * @see Reconeyez "JSON Webhook integration" (2023-08-11)
 */
import { createHash } from 'node:crypto';
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import { JsonGuardError, parseJson } from '../../adapter-kit/json-guard.ts';
import type {
  DecodeContext,
  EventDetails,
  EventDraft,
  InboundMessage,
  PositionDraft,
  TelemetryDraft,
} from '../../adapter-kit/model.ts';
import { type Actor, readActors, readNumber, readText, readTexts } from './event-values.ts';
import { siteIdOf, timezoneOf } from './areas.ts';
import { createFieldReader, type EventField, type FieldReader } from './event-fields.ts';
import { EVENT_TABLE, type EventName, eventNameOf, type EventRow, foldName, unknownEvent } from './event-table.ts';
import { readTime, type ReadTime } from './local-time.ts';
import { readPictures, webAddress, withoutPictures } from './pictures.ts';
import { ReconeyezSettings } from './settings.ts';
import { Guid } from './wire.ts';

/** Whether deliveries are ever batched is not documented; more than this is no batch of alarms. */
const MAX_EVENTS = 200;
/** An event of this platform cannot be so far ahead of us: it is a replay, or nonsense. */
const MAX_AHEAD_MS = 86_400_000;
const MAX_SUMMARY = 200;
/** As the store keeps it. */
const MAX_EVENT_ID = 200;

interface Reading {
  readonly settings: ReconeyezSettings;
  readonly fields: FieldReader;
  readonly ownNames: ReadonlyMap<string, EventName>;
}

const DEFAULTS = ReconeyezSettings.parse({});
const readings = new WeakMap<object, Reading>();

/** The same for the same settings: decoding asks for every delivery. */
function readingOf(settings: unknown): Reading {
  const key = typeof settings === 'object' && settings !== null ? settings : DEFAULTS;
  const known = readings.get(key);
  if (known !== undefined) return known;
  const parsed = ReconeyezSettings.catch(DEFAULTS).parse(key);
  const ownNames = new Map(Object.entries(parsed.eventNames).map(([word, name]) => [foldName(word), name]));
  const reading = { settings: parsed, fields: createFieldReader(parsed.aliases), ownNames };
  readings.set(key, reading);
  return reading;
}

/**
 * @throws DecodeError `PARSE` for what is not JSON within bounds, `SCHEMA` for an event that does not say what it is or is
 *   more than a day ahead, `MAPPING` for one that says of nothing where it was
 */
export function decode(message: InboundMessage, context: DecodeContext): readonly EventDraft[] {
  const body = parseBody(message.body);
  const events: readonly unknown[] = Array.isArray(body) ? body : [body];
  if (events.length === 0) throw new DecodeError('SCHEMA', 'the delivery has no event');
  if (events.length > MAX_EVENTS)
    throw new DecodeError('SCHEMA', `the delivery has ${events.length} events, more than ${MAX_EVENTS}`);
  const reading = readingOf(context.settings);
  return events.map((event) => decodeEvent(event, reading, context, message.receivedAt));
}

function parseBody(body: Uint8Array): unknown {
  try {
    return parseJson(body);
  } catch (error) {
    if (error instanceof JsonGuardError) throw new DecodeError('PARSE', error.message, { cause: error });
    throw error;
  }
}

function decodeEvent(source: unknown, reading: Reading, context: DecodeContext, receivedAt: Date): EventDraft {
  if (typeof source !== 'object' || source === null || Array.isArray(source))
    throw new DecodeError('SCHEMA', 'the event is not an object');
  const { settings, fields } = reading;
  const text = (field: EventField): string | null => fields.read(source, field, readText);

  const code = text('code');
  const word = text('name') ?? code;
  if (word === null) throw new DecodeError('SCHEMA', 'the event does not say what it is');
  const actors = fields.read(source, 'detections', readActors) ?? [];
  const words = code === null || code === word ? [word] : [word, code];
  const kinds = actors.map(({ kind }) => kind);
  const name = eventNameOf(words, reading.ownNames, kinds);
  const row = name === null ? unknownEvent(word) : EVENT_TABLE[name];

  const area = text('area');
  const zone = timezoneOf(area ?? '', settings);
  const time = fields.read(source, 'occurredAt', (value) => readTime(value, zone, receivedAt));
  const occurredAt = time?.at ?? receivedAt;
  if (occurredAt.getTime() > receivedAt.getTime() + MAX_AHEAD_MS)
    throw new DecodeError('SCHEMA', 'the time of the event is more than a day ahead');

  // What the platform says about itself is about no device, whichever it names.
  const guid = row.family === 'SYSTEM' ? null : fields.read(source, 'deviceId', readGuid);
  const link = fields.read(source, 'link', webAddress);
  const place = placeIn((field) => fields.read(source, field, readNumber));
  return {
    vendorEventId: eventIdOf(text('eventId'), time?.at ?? null, [guid, area, link, ...words]),
    family: row.family,
    type: row.type,
    vendorCode: words.toReversed().join('/'),
    ...(name === null ? { unknownCode: words.toReversed().join('/') } : {}),
    severity: row.severity,
    occurredAt,
    nativeOrgId: null,
    ...placeOf(row, guid, area, settings, context),
    claim:
      row.claim === undefined || guid === null
        ? null
        : { ...row.claim, vendorState: name ?? word, observedAt: occurredAt },
    isLifeSign: row.isLifeSign && guid !== null,
    telemetry: guid === null ? null : telemetryOf(row, (field) => fields.read(source, field, readNumber)),
    position: guid === null ? null : place,
    summary: summaryOf(row, text('deviceName'), area),
    details: {
      ...detailsOf(row, actors, code, link, text('zone')),
      ...remarksOf(time, place, text('account')),
    },
    media: readPictures(fields.read(source, 'pictures', readTexts) ?? [], link, occurredAt),
    raw: withoutPictures(source),
  };
}

function readGuid(value: unknown): string | null {
  const guid = Guid.safeParse(value);
  return guid.success ? guid.data : null;
}

/**
 * The vendor's id, or what stands for it: a retry has the same. Without a time nothing tells a retry from the next event
 * of its kind, and the content decides.
 */
function eventIdOf(id: string | null, at: Date | null, content: readonly (string | null)[]): string | null {
  if (id !== null) return id.slice(0, MAX_EVENT_ID);
  if (at === null) return null;
  const text = JSON.stringify([at.getTime(), ...content]);
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/**
 * An event of a device goes where the inventory has the device: GUIDs stay when areas are renamed. One without a device
 * goes to its area.
 */
function placeOf(
  row: EventRow,
  guid: string | null,
  area: string | null,
  settings: ReconeyezSettings,
  { onlySite }: DecodeContext,
): { readonly nativeSiteId: string | null; readonly nativeDeviceId: string | null } {
  if (guid !== null || row.family === 'SYSTEM') return { nativeSiteId: null, nativeDeviceId: guid };
  if (area !== null) return { nativeSiteId: siteIdOf(area, settings), nativeDeviceId: null };
  if (onlySite !== null) return { nativeSiteId: onlySite.nativeSiteId, nativeDeviceId: null };
  throw new DecodeError('MAPPING', 'the event names neither a device nor an area');
}

function telemetryOf(row: EventRow, read: (field: EventField) => number | null): TelemetryDraft | null {
  const battery = read('battery');
  const dbm = read('signalDbm');
  const asu = read('signalAsu');
  const telemetry = {
    ...row.telemetry,
    ...(battery === null || battery < 0 || battery > 100 ? {} : { batteryPercent: Math.round(battery) }),
    // ASU means another thing on each kind of network: the number is kept with its unit. 99 is its word for unknown.
    ...(dbm !== null
      ? { signal: dbm, signalUnit: 'dBm' }
      : asu !== null && asu !== 99
        ? { signal: asu, signalUnit: 'ASU' }
        : {}),
  };
  return Object.keys(telemetry).length === 0 ? null : telemetry;
}

function summaryOf(row: EventRow, deviceName: string | null, area: string | null): string {
  const place = area === null ? '' : ` in ${area}`;
  const text = row.family === 'SYSTEM' ? row.phrase : `${deviceName ?? 'A device'}${place} ${row.phrase}`;
  return text.slice(0, MAX_SUMMARY);
}

function detailsOf(
  row: EventRow,
  actors: readonly Actor[],
  code: string | null,
  link: string | null,
  zone: string | null,
): EventDetails {
  const siaCode = row.code ?? (code !== null && /^[A-Z]{2}$/.test(code) ? code : null);
  return {
    ...(actors.length === 0 ? {} : { actors }),
    ...(siaCode === null ? {} : { siaCode }),
    ...(link === null ? {} : { deepLink: link }),
    ...(zone === null ? {} : { zone }),
    ...(row.family === 'ALARM' ? { restoral: row.restoral === true } : {}),
  };
}

function placeIn(read: (field: EventField) => number | null): PositionDraft | null {
  const latitude = read('latitude');
  const longitude = read('longitude');
  if (latitude === null || longitude === null) return null;
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 ? { latitude, longitude } : null;
}

/** What has no member of its own: how the time was read, where it was, whose account it is. */
function remarksOf(
  time: ReadTime | null,
  place: PositionDraft | null,
  account: string | null,
): Pick<EventDetails, 'detail'> {
  const remarks = {
    ...(time === null ? { time: 'ARRIVAL' } : {}),
    ...(typeof time?.zone === 'string' ? { timezone: time.zone } : {}),
    ...(typeof time?.doubt === 'string' ? { timeDoubt: time.doubt } : {}),
    ...place,
    ...(account === null ? {} : { account }),
  };
  return Object.keys(remarks).length === 0 ? {} : { detail: remarks };
}
