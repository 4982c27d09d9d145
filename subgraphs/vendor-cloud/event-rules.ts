/**
 * What a vendor's events mean: our type for the vendor's words. Data, one row per type of ours.
 *
 * @see the vendor contract, sections 2 and 4, for families and event types; it leaves the words within `data` to the vendor,
 *   and the other words are what published APIs of such platforms call the same things
 */
import type { AccessOutcome, DeviceState, EventFamily, Severity } from '../../schema/words.ts';

export interface EventRule {
  readonly type: string;
  readonly family: EventFamily;
  readonly severity: Severity;
  /** What happened, to be put after the device's name. */
  readonly phrase: string;
  /** Words in `data` when `event_type` only names the family. Folded, separated by blanks. */
  readonly words: string;
  /** Words for the whole of it, in `event_type` itself, beside the type and the words behind the family's name. */
  readonly names?: string;
  readonly state?: DeviceState;
  readonly outcome?: AccessOutcome;
  readonly fault?: string;
  readonly restoral?: boolean;
  /** Whether the device itself must have been alive to say it; default true. */
  readonly isLifeSign?: boolean;
}

/** The vendor's words for a family, as `event_type` has them. */
export const FAMILY_WORDS: ReadonlyMap<string, EventFamily> = new Map([
  ...words(
    'HEALTH',
    'health status device_health device_status connectivity state status_change status_changed device_status_changed state_changed health_changed connectivity_changed',
  ),
  ...words('ALARM', 'alarm trouble tamper intrusion alarm_trouble security'),
  ...words('ACCESS', 'access access_control door access_event'),
  ...words('VIDEO', 'video vms video_health recording camera storage'),
  ...words('SENSOR', 'sensor reading measurement'),
  ...words('SYSTEM', 'system platform'),
  ...words('SUPERVISION', 'supervision heartbeat last_seen keepalive'),
]);

function words(family: EventFamily, list: string): readonly (readonly [string, EventFamily])[] {
  return list.split(' ').map((word) => [word, family] as const);
}

export const EVENT_RULES: readonly EventRule[] = [
  health('health.online', 'NOTICE', 'is online', 'ONLINE', 'recovered device_online came_online'),
  health('health.offline', 'WARNING', 'went offline', 'OFFLINE', 'device_offline went_offline connection_lost'),
  health('health.degraded', 'WARNING', 'works with a fault', 'DEGRADED', 'device_degraded'),
  health('health.unknown', 'NOTICE', 'is in an unknown state', 'UNKNOWN', ''),
  {
    type: 'supervision.last_seen',
    family: 'SUPERVISION',
    severity: 'INFO',
    phrase: 'was heard',
    words: 'last_seen seen heartbeat alive ping keepalive',
    names: 'device_heartbeat',
  },

  alarm('alarm.triggered', 'CRITICAL', 'is in alarm', 'alarm triggered active activated'),
  alarm('alarm.intrusion', 'CRITICAL', 'detected an intrusion', 'intrusion burglary motion glass_break perimeter'),
  alarm('alarm.fire', 'CRITICAL', 'detected fire', 'fire smoke heat', 'fire_alarm'),
  alarm('alarm.panic', 'CRITICAL', 'reports panic', 'panic holdup hold_up duress', 'panic_alarm'),
  alarm('alarm.medical', 'CRITICAL', 'reports a medical emergency', 'medical'),
  alarm('alarm.technical', 'WARNING', 'reports a technical alarm', 'water flood gas temperature technical'),
  {
    ...alarm(
      'alarm.restored',
      'NOTICE',
      'is back to normal',
      'restored restoral restore cleared alarm_restored normal inactive',
    ),
    restoral: true,
  },
  alarm(
    'alarm.trouble',
    'WARNING',
    'reports trouble',
    'trouble fault ac_loss power_failure low_battery battery comm_failure',
    'trouble_alarm',
  ),
  {
    ...alarm(
      'alarm.trouble_restored',
      'NOTICE',
      'is free of trouble',
      'trouble_restored trouble_cleared fault_cleared ac_restored battery_restored',
    ),
    restoral: true,
  },
  alarm('alarm.tamper', 'CRITICAL', 'is being tampered with', 'tamper tampering cover_open enclosure_open masking'),
  {
    ...alarm(
      'alarm.tamper_restored',
      'NOTICE',
      'is no longer tampered with',
      'tamper_restored tamper_cleared cover_closed',
    ),
    restoral: true,
  },
  alarm('alarm.armed', 'INFO', 'was armed', 'armed arm'),
  alarm('alarm.disarmed', 'INFO', 'was disarmed', 'disarmed disarm'),

  access(
    'access.granted',
    'INFO',
    'granted access',
    'GRANTED',
    'granted grant allowed success admitted',
    'access_allowed',
  ),
  access(
    'access.denied',
    'NOTICE',
    'denied access',
    'DENIED',
    'denied deny rejected refused invalid_credential',
    'access_rejected',
  ),
  access(
    'access.forced_open',
    'CRITICAL',
    'was forced open',
    'FORCED_OPEN',
    'forced forced_open door_forced door_forced_open',
    'forced_open door_forced door_forced_open',
  ),
  access(
    'access.held_open',
    'WARNING',
    'is held open',
    'HELD_OPEN',
    'held held_open door_held door_held_open open_too_long',
    'held_open door_held door_held_open',
  ),
  access(
    'access.closed',
    'INFO',
    'was closed',
    'CLOSED',
    'closed close door_closed door_secured secured',
    'door_closed',
  ),
  access('access.unlocked', 'INFO', 'was unlocked', 'UNLOCKED', 'unlocked unlock door_unlocked', 'door_unlocked'),
  access('access.locked', 'INFO', 'was locked', 'LOCKED', 'locked lock door_locked', 'door_locked'),
  access('access.opened', 'INFO', 'was opened', 'OTHER', 'opened open door_opened door_open', 'door_opened'),

  video(
    'video.recording_failure',
    'recording_failure recording_failed recording_stopped not_recording recording_error failure',
    'lost its recording',
  ),
  video('video.stream_loss', 'stream_loss stream_lost video_loss signal_loss no_video no_signal', 'lost its stream'),
  video(
    'video.storage_failure',
    'storage_failure disk_failure disk_error raid_degraded storage_error',
    'has failing storage',
  ),
  video('video.storage_low', 'storage_low storage_full disk_full low_storage storage', 'is running out of storage'),
  video('video.obstructed', 'obstructed scene_change out_of_focus camera_tamper masking', 'sees an obstructed scene'),
  video('video.retention_short', 'retention_short retention retention_violation', 'keeps less than it should'),
  {
    ...video(
      'video.restored',
      'restored recovered recording_restored recording_started recording_resumed stream_restored storage_restored video_restored',
      'is recording again',
    ),
    severity: 'NOTICE',
    isLifeSign: true,
  },

  {
    type: 'sensor.reading',
    family: 'SENSOR',
    severity: 'INFO',
    phrase: 'sent a reading',
    words: 'reading measurement value',
    names: 'sensor_reading',
  },
  {
    type: 'system.test',
    family: 'SYSTEM',
    severity: 'INFO',
    phrase: 'sent a test',
    words: 'test ping',
    names: 'test webhook_test',
    isLifeSign: false,
  },
];

/** What is said when the family is known and the word is not: the event keeps its family, and its word in `vendorCode`. */
export const FAMILY_FALLBACKS: Readonly<Partial<Record<EventFamily, EventRule>>> = {
  ALARM: alarm('alarm.other', 'WARNING', 'reports an alarm', ''),
  ACCESS: access('access.other', 'INFO', 'reports an access event', 'OTHER', ''),
  VIDEO: video('video.other', '', 'reports a video fault'),
  SENSOR: { type: 'sensor.other', family: 'SENSOR', severity: 'INFO', phrase: 'reports an event', words: '' },
};

/** What a state is told as. */
export const RULE_BY_STATE: ReadonlyMap<DeviceState | undefined, EventRule> = new Map(
  EVENT_RULES.filter(({ family }) => family === 'HEALTH').map((rule) => [rule.state, rule]),
);

function health(type: string, severity: Severity, phrase: string, state: DeviceState, names: string): EventRule {
  // The words are those of the status table: states are looked up there.
  return {
    type,
    family: 'HEALTH',
    severity,
    phrase,
    words: '',
    names,
    state,
    isLifeSign: state === 'ONLINE' || state === 'DEGRADED',
  };
}

function alarm(type: string, severity: Severity, phrase: string, list: string, names = ''): EventRule {
  return { type, family: 'ALARM', severity, phrase, words: list, names };
}

function access(
  type: string,
  severity: Severity,
  phrase: string,
  outcome: AccessOutcome,
  list: string,
  names = '',
): EventRule {
  return { type, family: 'ACCESS', severity, phrase, words: list, names, outcome };
}

function video(type: string, list: string, phrase: string): EventRule {
  const fault = type.slice('video.'.length);
  // What a recorder says about a camera proves nothing about the camera.
  return { type, family: 'VIDEO', severity: 'WARNING', phrase, words: list, fault, isLifeSign: false };
}
