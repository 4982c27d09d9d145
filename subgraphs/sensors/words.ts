// What sensors say, as data: kinds, what each platform calls them, and what a reading means as an event of ours.
import type { AccessOutcome, DeviceType, EventFamily, Severity } from '../../schema/words.ts';

/** The seven sensor types; `null` in our code stands for equipment that is none of them. */
export const SENSOR_KINDS = ['access', 'fire', 'smoke', 'water', 'motion', 'pos', 'ai'] as const;
export type SensorKind = (typeof SENSOR_KINDS)[number];

/** What a reading is about. All but the last four are states: they are told when they change. */
export const SIGNALS = [
  'presence',
  'alarm',
  'trouble',
  'supervisory',
  'tamper',
  'test',
  'battery',
  'access',
  'pos',
  'detection',
  'value',
] as const;
export type Signal = (typeof SIGNALS)[number];

/** States that an operator's point map may name. */
export const POINT_SIGNALS = ['alarm', 'trouble', 'supervisory', 'tamper', 'test', 'battery'] as const;
export type PointSignal = (typeof POINT_SIGNALS)[number];

export const DEVICE_TYPE: Readonly<Record<SensorKind, DeviceType>> = {
  access: 'CONTROLLER',
  fire: 'PANEL',
  smoke: 'DETECTOR',
  water: 'DETECTOR',
  motion: 'DETECTOR',
  pos: 'SENSOR',
  ai: 'SENSOR',
};

/**
 * Zigbee2MQTT `exposes` names to kind, first match wins.
 * @see zigbee2mqtt.io, "MQTT topics and messages", and its device pages
 */
export const EXPOSES: ReadonlyMap<string, SensorKind> = new Map([
  ['smoke', 'smoke'],
  ['gas', 'smoke'],
  ['carbon_monoxide', 'smoke'],
  ['water_leak', 'water'],
  ['occupancy', 'motion'],
  ['presence', 'motion'],
  ['vibration', 'motion'],
  ['contact', 'access'],
  ['lock_state', 'access'],
]);

export interface MemberRule {
  readonly signal: PointSignal;
  /** The value that means active. `contact` is the trap: false is an open door. */
  readonly activeWhen: boolean;
}

/** Members of a Zigbee2MQTT state message. */
export const ZIGBEE_MEMBERS: ReadonlyMap<string, MemberRule> = new Map([
  ['smoke', { signal: 'alarm', activeWhen: true }],
  ['gas', { signal: 'alarm', activeWhen: true }],
  ['carbon_monoxide', { signal: 'alarm', activeWhen: true }],
  ['water_leak', { signal: 'alarm', activeWhen: true }],
  ['occupancy', { signal: 'alarm', activeWhen: true }],
  ['presence', { signal: 'alarm', activeWhen: true }],
  ['vibration', { signal: 'alarm', activeWhen: true }],
  ['contact', { signal: 'alarm', activeWhen: false }],
  ['tamper', { signal: 'tamper', activeWhen: true }],
  ['battery_low', { signal: 'battery', activeWhen: true }],
  ['test', { signal: 'test', activeWhen: true }],
  ['fault', { signal: 'trouble', activeWhen: true }],
]);

/** Last level of a Sparkplug metric's name, without case, `_` and blanks. Names are the edge's own: settings override. */
export const METRICS: ReadonlyMap<string, PointSignal> = new Map([
  ['alarm', 'alarm'],
  ['leak', 'alarm'],
  ['leakdetected', 'alarm'],
  ['smoke', 'alarm'],
  ['fire', 'alarm'],
  ['motion', 'alarm'],
  ['occupancy', 'alarm'],
  ['trouble', 'trouble'],
  ['fault', 'trouble'],
  ['cablebreak', 'trouble'],
  ['supervisory', 'supervisory'],
  ['tamper', 'tamper'],
  ['test', 'test'],
  ['batterylow', 'battery'],
  ['lowbattery', 'battery'],
]);

/** Words for presence in any platform's spelling, folded to lower case. */
export const PRESENCE: ReadonlyMap<string, 'online' | 'offline'> = new Map([
  ['online', 'online'],
  ['up', 'online'],
  ['true', 'online'],
  ['offline', 'offline'],
  ['down', 'offline'],
  ['false', 'offline'],
]);

export interface EventRule {
  readonly type: string;
  readonly family: EventFamily;
  readonly severity: Severity;
  /** To be put after the device's name. */
  readonly phrase: string;
  readonly restoral?: boolean;
}

type Pair = { readonly active: EventRule; readonly clear: EventRule };

function alarm(type: string, severity: Severity, phrase: string): EventRule {
  return { type, family: 'ALARM', severity, phrase };
}

function over(type: string, phrase: string): EventRule {
  return { type, family: 'ALARM', severity: 'NOTICE', phrase, restoral: true };
}

const RESTORED = over('alarm.restored', 'is back to normal');

function sensor(type: string, severity: Severity, phrase: string): EventRule {
  return { type, family: 'SENSOR', severity, phrase };
}

/** An alarm means what the sensor is for. */
export const ALARM_RULES: Readonly<Record<SensorKind, Pair>> = {
  fire: { active: alarm('alarm.fire', 'CRITICAL', 'is in fire alarm'), clear: RESTORED },
  smoke: { active: alarm('alarm.smoke', 'CRITICAL', 'detected smoke'), clear: RESTORED },
  water: { active: alarm('alarm.water_leak', 'CRITICAL', 'detected a water leak'), clear: RESTORED },
  motion: {
    active: sensor('sensor.motion', 'NOTICE', 'sees motion'),
    clear: { ...sensor('sensor.motion_stopped', 'INFO', 'sees no motion any more'), restoral: true },
  },
  // A contact without a controller only knows open and closed; whether that was allowed is not known.
  access: {
    active: { type: 'access.opened', family: 'ACCESS', severity: 'INFO', phrase: 'was opened' },
    clear: { type: 'access.closed', family: 'ACCESS', severity: 'INFO', phrase: 'was closed', restoral: true },
  },
  pos: {
    active: sensor('sensor.pos_alarm', 'WARNING', 'raised an alarm'),
    clear: { ...sensor('sensor.pos_alarm_ended', 'INFO', 'ended its alarm'), restoral: true },
  },
  ai: {
    active: sensor('sensor.detection', 'NOTICE', 'detects something'),
    clear: { ...sensor('sensor.detection_ended', 'INFO', 'detects nothing any more'), restoral: true },
  },
};

/** What is not one of the seven and still alarms. */
export const OTHER_ALARM: Pair = {
  active: sensor('sensor.alarm', 'WARNING', 'is in alarm'),
  clear: { ...sensor('sensor.alarm_ended', 'NOTICE', 'is back to normal'), restoral: true },
};

export const STATE_RULES: Readonly<Record<Exclude<PointSignal, 'alarm'>, Pair>> = {
  trouble: {
    active: alarm('alarm.trouble', 'WARNING', 'reports trouble'),
    clear: over('alarm.trouble_restored', 'is free of trouble'),
  },
  supervisory: {
    active: alarm('alarm.supervisory', 'WARNING', 'reports a supervisory condition'),
    clear: over('alarm.supervisory_restored', 'is free of the supervisory condition'),
  },
  tamper: {
    active: alarm('alarm.tamper', 'CRITICAL', 'is being tampered with'),
    clear: over('alarm.tamper_restored', 'is no longer tampered with'),
  },
  // Never an alarm: the test button of many detectors looks like one.
  test: {
    active: alarm('alarm.test', 'INFO', 'is being tested'),
    clear: { ...over('alarm.test_ended', 'is no longer tested'), severity: 'INFO' },
  },
  battery: {
    active: { type: 'health.battery_low', family: 'HEALTH', severity: 'WARNING', phrase: 'has a low battery' },
    clear: { type: 'health.battery_restored', family: 'HEALTH', severity: 'INFO', phrase: 'has a good battery' },
  },
};

export interface AccessRule extends EventRule {
  readonly outcome: AccessOutcome;
}

function access(type: string, severity: Severity, phrase: string, outcome: AccessOutcome): AccessRule {
  return { type: `access.${type}`, family: 'ACCESS', severity, phrase, outcome };
}

/** What happens at a door or an access point, by the value of an `access` reading. */
export const ACCESS_RULES: ReadonlyMap<string, AccessRule> = new Map([
  ['granted', access('granted', 'INFO', 'granted access', 'GRANTED')],
  ['taken', access('taken', 'INFO', 'was passed', 'GRANTED')],
  ['not_taken', access('not_taken', 'INFO', 'granted access that nobody used', 'OTHER')],
  ['denied', access('denied', 'NOTICE', 'denied access', 'DENIED')],
  ['duress', access('duress', 'CRITICAL', 'reports access under duress', 'OTHER')],
  ['forced', access('forced_open', 'CRITICAL', 'was forced open', 'FORCED_OPEN')],
  ['held', access('held_open', 'WARNING', 'is held open', 'HELD_OPEN')],
  ['normal', access('closed', 'INFO', 'is back to normal', 'CLOSED')],
  ['opened', access('opened', 'INFO', 'was opened', 'OTHER')],
  ['closed', access('closed', 'INFO', 'was closed', 'CLOSED')],
  ['locked', access('locked', 'INFO', 'was locked', 'LOCKED')],
  ['unlocked', access('unlocked', 'INFO', 'was unlocked', 'UNLOCKED')],
]);

/** What a till does, by the value of a `pos` reading; other values are `sensor.pos`. */
export const POS_RULES: ReadonlyMap<string, EventRule> = new Map([
  ['transaction', sensor('sensor.pos', 'INFO', 'rang up a transaction')],
  ['void', sensor('sensor.pos_void', 'WARNING', 'voided a transaction')],
  ['refund', sensor('sensor.pos_refund', 'WARNING', 'paid a refund')],
  ['no_sale', sensor('sensor.pos_no_sale', 'WARNING', 'was opened without a sale')],
]);

export const OTHER_ACCESS: EventRule = {
  type: 'access.other',
  family: 'ACCESS',
  severity: 'INFO',
  phrase: 'reports something at a door',
};
export const OTHER_POS: EventRule = sensor('sensor.pos', 'INFO', 'reports');
export const VALUE: EventRule = sensor('sensor.reading', 'INFO', 'reports a value');
/** A message that says nothing new proves life. */
export const REPORT: EventRule = {
  type: 'supervision.report',
  family: 'SUPERVISION',
  severity: 'INFO',
  phrase: 'reported',
};

function presence(type: string, severity: Severity, phrase: string): EventRule {
  return { type, family: 'HEALTH', severity, phrase };
}

/** By the value of a `presence` reading. */
export const PRESENCE_RULES: Readonly<Record<'online' | 'offline' | 'unknown', EventRule>> = {
  online: presence('health.online', 'NOTICE', 'is online'),
  offline: presence('health.offline', 'WARNING', 'went offline'),
  unknown: presence('health.unknown', 'NOTICE', 'is in an unknown state'),
};
