/**
 * What the platform's events mean: one row per event of the vendor. Data only; names of ours are on the right. Kinds that a
 * receiver of the vendor's may choose by themselves have a type of their own, so that ours may, too.
 *
 * @see Reconeyez "JSON Webhook integration" (2023-08-11), table of SIA codes: the rows with a code, complete
 * @see Reconeyez "Integration – technical overview" (2024-05-30), alarm types: the rows without one
 */
import type { StatusClaim, TelemetryDraft } from '../../adapter-kit/model.ts';
import type { EventFamily, Severity } from '../../schema/words.ts';

export const EVENT_NAMES = [
  'SystemStarted',
  'SystemStopped',
  'PersonDetected',
  'VehicleDetected',
  'MovementDetected',
  'RoutineCheck',
  'Tamper',
  'Armed',
  'Disarmed',
  'ConnectionLost',
  'DeviceConnected',
  'BatteryLow',
  'BatteryRestored',
  'CriticalBatteryShutdown',
  'LidOpened',
  'AuxiliaryPowerLost',
  'AuxiliaryPowerFound',
  'BatteryChargingFault',
  'BatteryChargingNormal',
  'BatteryRemoved',
  'Snapshot',
] as const;
export type EventName = (typeof EVENT_NAMES)[number];

export interface EventRow {
  /** The SIA code by which the event is told; null where the vendor has published none. */
  readonly code: string | null;
  readonly type: string;
  readonly family: EventFamily;
  readonly severity: Severity;
  /** What happened, to be put after the device's name. */
  readonly phrase: string;
  readonly claim?: Pick<StatusClaim, 'state' | 'reason' | 'keepsDegraded'>;
  /** The device itself must have spoken for it; arming and loss are the cloud's own doing. */
  readonly isLifeSign: boolean;
  readonly restoral?: boolean;
  readonly telemetry?: TelemetryDraft;
  /** Other spellings, folded, separated by blanks; the name itself counts anyway. */
  readonly names?: string;
}

/** It spoke: neither a low battery nor an open case is mended by that. */
const SPOKE = { state: 'ONLINE', reason: 'REPORTED', keepsDegraded: ['POWER', 'TAMPER'] } as const;

export const EVENT_TABLE: Readonly<Record<EventName, EventRow>> = {
  SystemStarted: { code: null, ...system('system.started', 'INFO', 'The platform started') },
  SystemStopped: { code: null, ...system('system.stopped', 'WARNING', 'The platform stopped') },

  PersonDetected: { code: 'BA', ...alarm('alarm.intrusion', 'CRITICAL', 'detected a person'), claim: SPOKE },
  VehicleDetected: { code: 'BA', ...alarm('alarm.intrusion', 'WARNING', 'detected a vehicle'), claim: SPOKE },
  MovementDetected: { code: 'BA', ...alarm('alarm.intrusion', 'WARNING', 'detected movement'), claim: SPOKE },
  Tamper: {
    code: 'TA',
    ...alarm('alarm.tamper', 'WARNING', 'is being tampered with'),
    claim: { state: 'DEGRADED', reason: 'TAMPER' },
    names: 'tamperalarm tampered theft',
  },
  Armed: {
    code: 'CL',
    ...alarm('alarm.armed', 'INFO', 'was armed'),
    isLifeSign: false,
    telemetry: { armed: true },
    names: 'devicearmed',
  },
  Disarmed: {
    code: 'OP',
    ...alarm('alarm.disarmed', 'INFO', 'was disarmed'),
    isLifeSign: false,
    telemetry: { armed: false },
    names: 'devicedisarmed',
  },

  RoutineCheck: {
    code: 'RP',
    type: 'supervision.last_seen',
    family: 'SUPERVISION',
    severity: 'INFO',
    phrase: 'made its routine check',
    // There is no event for the end of tampering: the next routine check ends it.
    claim: { ...SPOKE, keepsDegraded: ['POWER'] },
    isLifeSign: true,
  },
  ConnectionLost: {
    code: 'YC',
    ...health('health.offline', 'WARNING', 'lost its connection'),
    claim: { state: 'OFFLINE', reason: 'NETWORK' },
    isLifeSign: false,
  },
  DeviceConnected: {
    code: 'YK',
    ...health('health.online', 'NOTICE', 'is connected'),
    claim: SPOKE,
    names: 'connectionrestored',
  },
  BatteryLow: {
    code: 'XT',
    ...health('health.battery_low', 'WARNING', 'has a low battery'),
    claim: { state: 'DEGRADED', reason: 'POWER' },
    names: 'lowbattery',
  },
  BatteryRestored: {
    code: 'XR',
    ...health('health.battery_restored', 'NOTICE', 'has a good battery again'),
    claim: { ...SPOKE, keepsDegraded: ['TAMPER'] },
  },
  CriticalBatteryShutdown: {
    code: 'YT',
    ...health('health.battery_shutdown', 'CRITICAL', 'shut down: its battery is empty'),
    claim: { state: 'OFFLINE', reason: 'POWER' },
    isLifeSign: false,
  },

  LidOpened: { code: null, ...alarm('alarm.lid_opened', 'WARNING', 'has its lid open'), names: 'lidopen' },
  AuxiliaryPowerLost: {
    code: null,
    ...alarm('alarm.power_lost', 'NOTICE', 'lost its auxiliary power'),
    telemetry: { auxPower: false },
    names: 'auxpowerlost',
  },
  AuxiliaryPowerFound: {
    code: null,
    ...alarm('alarm.power_restored', 'NOTICE', 'has auxiliary power again'),
    restoral: true,
    telemetry: { auxPower: true },
    names: 'auxpowerfound',
  },
  BatteryChargingFault: {
    code: null,
    ...alarm('alarm.charging_fault', 'NOTICE', 'cannot charge its battery'),
    names: 'internalbatterychargingfault chargingfault',
  },
  BatteryChargingNormal: {
    code: null,
    ...alarm('alarm.charging_restored', 'NOTICE', 'charges its battery again'),
    restoral: true,
    names: 'internalbatterychargingnormal chargingnormal',
  },
  BatteryRemoved: { code: null, ...alarm('alarm.battery_removed', 'NOTICE', 'had its battery removed') },
  Snapshot: {
    code: null,
    type: 'video.snapshot',
    family: 'VIDEO',
    severity: 'INFO',
    phrase: 'took a picture',
    isLifeSign: true,
  },
};

/** An event that no row knows: kept with the vendor's word. It may be the cloud's own, so it proves nothing. */
export function unknownEvent(word: string): EventRow {
  return { code: null, ...alarm('alarm.other', 'NOTICE', `reports ${word}`), isLifeSign: false };
}

/** `Connection Lost`, `connection_lost` and `ConnectionLost` are one word. */
export function foldName(name: string): string {
  return name.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '');
}

const byName = new Map(
  EVENT_NAMES.flatMap((name) => {
    const others = (EVENT_TABLE[name].names ?? '').split(' ').filter((other) => other !== '');
    return [foldName(name), ...others].map((folded) => [folded, name] as const);
  }),
);

/** Codes that mean one event. `BA` means three; see `detectionOf`. */
const byCode = new Map(
  EVENT_NAMES.flatMap((name) => {
    const { code } = EVENT_TABLE[name];
    return code === null || code === 'BA' ? [] : [[code, name] as const];
  }),
);

const DETECTION_CODE = 'BA';
const VEHICLES: ReadonlySet<string> = new Set(['vehicle', 'car', 'truck', 'bus', 'motorcycle', 'bicycle', 'boat']);

/** Which detection it is when only the code says so: a person outweighs a vehicle, a vehicle outweighs movement. */
function detectionOf(actors: readonly string[]): EventName {
  if (actors.includes('person')) return 'PersonDetected';
  return actors.some((actor) => VEHICLES.has(actor)) ? 'VehicleDetected' : 'MovementDetected';
}

/**
 * @param words what the delivery says of its kind, the most telling first: names and codes alike
 * @param own this tenant's words, folded
 * @param actors what was seen, in our words
 */
export function eventNameOf(
  words: readonly string[],
  own: ReadonlyMap<string, EventName>,
  actors: readonly string[],
): EventName | null {
  for (const word of words) {
    const name = own.get(foldName(word)) ?? byName.get(foldName(word));
    if (name !== undefined) return name;
  }
  for (const word of words) {
    const code = word.trim().toUpperCase();
    if (code === DETECTION_CODE) return detectionOf(actors);
    const name = byCode.get(code);
    if (name !== undefined) return name;
  }
  return null;
}

function system(type: string, severity: Severity, phrase: string) {
  return { type, family: 'SYSTEM', severity, phrase, isLifeSign: false } as const;
}

function alarm(type: string, severity: Severity, phrase: string) {
  return { type, family: 'ALARM', severity, phrase, isLifeSign: true } as const;
}

function health(type: string, severity: Severity, phrase: string) {
  return { type, family: 'HEALTH', severity, phrase, isLifeSign: true } as const;
}
