// Readings to events. Pure: the settings and the message are all it knows.
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import type { DecodeContext, EventDetails, EventDraft, InboundMessage, StatusClaim } from '../../adapter-kit/model.ts';
import type { DeviceState } from '../../schema/words.ts';
import { catalogueOf } from './catalogue.ts';
import { decodeEnvelope, type Envelope } from './envelope.ts';
import { readPushed } from './push.ts';
import { readMessage } from './read.ts';
import { type KnownDevice, keyOf, type Reading } from './reading.ts';
import { SensorsSettings } from './settings.ts';
import {
  ACCESS_RULES,
  ALARM_RULES,
  type EventRule,
  OTHER_ACCESS,
  OTHER_ALARM,
  OTHER_POS,
  POS_RULES,
  PRESENCE_RULES,
  REPORT,
  type SensorKind,
  STATE_RULES,
  VALUE,
} from './words.ts';

const STATES: ReadonlyMap<string, DeviceState> = new Map([
  ['online', 'ONLINE'],
  ['offline', 'OFFLINE'],
]);
const MAX_SUMMARY = 200;

/** Parsing settings costs more than a message: the same object is parsed once. */
const parsed = new WeakMap<object, SensorsSettings>();

function settingsOf({ settings }: DecodeContext): SensorsSettings {
  const key = typeof settings === 'object' && settings !== null ? settings : {};
  const known = parsed.get(key);
  if (known !== undefined) return known;
  const result = SensorsSettings.safeParse(settings);
  if (!result.success) throw new DecodeError('MAPPING', 'the settings are not those of sensors');
  parsed.set(key, result.data);
  return result.data;
}

/** @throws DecodeError */
export function decode(message: InboundMessage, context: DecodeContext): readonly EventDraft[] {
  const catalogue = catalogueOf(settingsOf(context));
  // Only our own listeners say STREAM: what is pushed cannot pass itself off as theirs.
  if (message.source !== 'STREAM') {
    return readPushed(message, catalogue).map(({ source, sensor, reading }) => {
      const device: KnownDevice = {
        nativeId: reading.nativeId,
        siteId: catalogue.siteOf(source, sensor),
        name: sensor.name ?? sensor.address,
        kind: sensor.kind ?? null,
      };
      return draftOf(reading, device, message.receivedAt);
    });
  }
  const envelope = decodeEnvelope(message.body);
  const receivedAt = new Date(envelope.at);
  const readings = readMessage(envelope, catalogue);
  const devices = devicesOf(envelope);
  const news = new Set(envelope.news);
  const drafts = readings.flatMap((reading) => {
    const device = devices.get(reading.nativeId);
    return device !== undefined && news.has(keyOf(reading)) ? [draftOf(reading, device, receivedAt)] : [];
  });
  return drafts.length > 0 ? drafts : [lifeSign(envelope, readings, receivedAt)];
}

function devicesOf({ device, children }: Envelope): ReadonlyMap<string, KnownDevice> {
  const behind = children.map(([nativeId, siteId, name]): KnownDevice => ({ nativeId, siteId, name, kind: null }));
  return new Map([...behind, device].map((each) => [each.nativeId, each]));
}

function lifeSign({ device }: Envelope, readings: readonly Reading[], at: Date): EventDraft {
  const telemetry = readings.find((reading) => reading.telemetry !== undefined)?.telemetry;
  return {
    ...common(device, null, at),
    family: REPORT.family,
    type: REPORT.type,
    vendorCode: null,
    severity: REPORT.severity,
    claim: null,
    summary: `${device.name} ${REPORT.phrase}`.slice(0, MAX_SUMMARY),
    details: {},
    telemetry: telemetry ?? null,
    raw: readings[0]?.metadata ?? null,
  };
}

function common(device: KnownDevice, vendorEventId: string | null, occurredAt: Date) {
  return {
    vendorEventId,
    occurredAt,
    nativeOrgId: null,
    nativeSiteId: device.siteId,
    nativeDeviceId: device.nativeId,
    isLifeSign: true,
  };
}

function draftOf(reading: Reading, device: KnownDevice, receivedAt: Date): EventDraft {
  const occurredAt = reading.occurredAt ?? receivedAt;
  const id = reading.vendorEventId === undefined ? null : `${reading.nativeId}|${reading.vendorEventId}`;
  const base = {
    ...common(device, id, occurredAt),
    vendorCode: reading.word,
    telemetry: reading.telemetry ?? null,
    raw: reading.metadata,
  };
  if (reading.signal === 'presence') return { ...base, ...presenceOf(reading, device) };
  const rule = ruleOf(reading, device.kind);
  const point = reading.point === 'device' ? '' : ` (${reading.point})`;
  return {
    ...base,
    ...(isKnown(reading) ? {} : { unknownCode: `${reading.signal} ${reading.value}` }),
    family: rule.family,
    type: rule.type,
    severity: rule.severity,
    claim: claimOf(reading),
    summary: `${device.name} ${rule.phrase}${point}`.slice(0, MAX_SUMMARY),
    details: detailsOf(reading, rule, device),
  };
}

function presenceOf(reading: Reading, device: KnownDevice) {
  const state = STATES.get(reading.value) ?? 'UNKNOWN';
  const rule = ruleOf(reading, device.kind);
  const isDerived = reading.point === 'parent' && state !== 'ONLINE';
  const claim: StatusClaim = {
    state,
    reason: isDerived && state === 'UNKNOWN' ? 'PARENT_DOWN' : state === 'UNKNOWN' ? null : 'REPORTED',
    vendorState: reading.word,
    observedAt: reading.occurredAt,
    // It speaks: that does not make its battery better.
    ...(state === 'ONLINE' ? { keepsDegraded: ['POWER'] as const } : {}),
  };
  return {
    family: rule.family,
    type: rule.type,
    severity: rule.severity,
    claim,
    isLifeSign: state === 'ONLINE' && reading.point === 'device',
    summary: `${device.name} ${rule.phrase}`.slice(0, MAX_SUMMARY),
    details: { detail: reading.metadata },
  };
}

/** Values of doors and tills are the sources' own; those of other signals are made by the dialects. */
function isKnown({ signal, value }: Reading): boolean {
  if (signal === 'access') return ACCESS_RULES.has(value);
  return signal !== 'pos' || POS_RULES.has(value);
}

function claimOf(reading: Reading): StatusClaim | null {
  if (reading.signal !== 'battery') return null;
  const isLow = reading.value === 'active';
  return {
    state: isLow ? 'DEGRADED' : 'ONLINE',
    reason: isLow ? 'POWER' : 'REPORTED',
    vendorState: reading.word,
    observedAt: reading.occurredAt,
  };
}

/** What a reading of a sensor of this kind is. */
export function ruleOf(reading: Pick<Reading, 'signal' | 'value'>, kind: SensorKind | null): EventRule {
  const side = reading.value === 'clear' ? 'clear' : 'active';
  switch (reading.signal) {
    case 'alarm':
      return (kind === null ? OTHER_ALARM : ALARM_RULES[kind])[side];
    case 'access':
      return ACCESS_RULES.get(reading.value) ?? OTHER_ACCESS;
    case 'pos':
      return POS_RULES.get(reading.value) ?? OTHER_POS;
    case 'detection':
      return ALARM_RULES.ai[reading.value === 'ended' || reading.value === 'clear' ? 'clear' : 'active'];
    case 'presence':
      return PRESENCE_RULES[reading.value === 'online' || reading.value === 'offline' ? reading.value : 'unknown'];
    case 'value':
      return VALUE;
    case 'trouble':
    case 'supervisory':
    case 'tamper':
    case 'test':
    case 'battery':
      return STATE_RULES[reading.signal][side];
    default:
      return reading.signal satisfies never;
  }
}

function detailsOf(reading: Reading, rule: EventRule, { kind }: KnownDevice): EventDetails {
  const { actor, credentialHint, personName } = reading;
  const outcome =
    reading.signal === 'access'
      ? (ACCESS_RULES.get(reading.value)?.outcome ?? 'OTHER')
      : rule.type === 'access.closed'
        ? 'CLOSED'
        : 'OTHER';
  return {
    // Whole, for whoever passes it on: a camera's timeline gets what the sensor said.
    metadata: {
      kind,
      signal: reading.signal,
      point: reading.point,
      value: reading.value,
      word: reading.word,
      source: reading.metadata,
    },
    ...(reading.point === 'device' ? {} : { zone: reading.point }),
    ...(rule.family === 'ALARM' ? { restoral: rule.restoral === true } : {}),
    ...(rule.family === 'ACCESS' ? { outcome } : {}),
    ...(actor === undefined ? {} : { actors: [actor] }),
    ...(credentialHint === undefined ? {} : { credentialHint }),
    ...(personName === undefined ? {} : { personName }),
  };
}
