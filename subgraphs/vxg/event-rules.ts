/**
 * What the events of a camera mean. Data, one row per type of ours.
 *
 * @see "API: Working with events" and "Integration with sensors" of the vendor's help; event names of its web client
 */
import type { AccessOutcome, EventFamily, Severity } from '../../schema/words.ts';

export interface EventRule {
  /** Ours, dotted. */
  readonly type: string;
  readonly family: EventFamily;
  readonly severity: Severity;
  /** What happened, to be put after the camera's name. */
  readonly phrase: string;
  /** Names of the service, of its cameras, and of sensor bridges that follow the vendor's page; separated by blanks. */
  readonly names: string;
  readonly fault?: string;
  readonly outcome?: AccessOutcome;
  /** The camera itself made it, so it was alive; default false: the service and sensors speak about a camera too. */
  readonly isLifeSign?: true;
}

export const EVENT_RULES: readonly EventRule[] = [
  // What the event says about the connection is not documented: the camera's state is asked for instead.
  row('health.connection_changed', 'HEALTH', 'NOTICE', 'reports a change of its connection', 'net network'),
  { ...row('video.stream_loss', 'VIDEO', 'WARNING', 'lost its stream', 'videoloss video_loss'), fault: 'stream_loss' },
  { ...row('video.recording', 'VIDEO', 'INFO', 'reports a recording', 'record'), fault: 'recording', isLifeSign: true },
  {
    ...row('video.storage', 'VIDEO', 'NOTICE', 'reports on its memory card', 'memorycard'),
    fault: 'memory_card',
    isLifeSign: true,
  },
  { ...row('sensor.motion', 'SENSOR', 'INFO', 'saw motion', 'motion'), isLifeSign: true },
  { ...row('sensor.sound', 'SENSOR', 'INFO', 'heard a sound', 'sound'), isLifeSign: true },
  camera('alarm.line_crossed', 'NOTICE', 'saw a line being crossed', 'linecross line_crossing'),
  camera('alarm.intrusion', 'CRITICAL', 'detected an intrusion', 'intrusion'),
  camera('alarm.crowd', 'NOTICE', 'detected a crowd', 'crowd_detection'),
  camera('alarm.vehicle_stopped', 'NOTICE', 'saw a vehicle stop', 'vehicle_stopped_detection'),
  row(
    'sensor.face',
    'SENSOR',
    'INFO',
    'recognised a face',
    'face_detection facial_analysis search_multiple_users_in_image_v2',
  ),
  row('sensor.license_plate', 'SENSOR', 'INFO', 'read a license plate', 'plate_recognition'),
  row(
    'sensor.objects',
    'SENSOR',
    'INFO',
    'detected objects',
    'object_and_scene_detection yolov4_detection post_object_and_scene_detection ai_detection',
  ),

  // Custom events, as sensor bridges name them.
  access('access.granted', 'INFO', 'was next to a door that granted access', 'GRANTED', 'access_granted'),
  access('access.denied', 'NOTICE', 'was next to a door that denied access', 'DENIED', 'access_denied'),
  access('access.forced_open', 'CRITICAL', 'was next to a door that was forced', 'FORCED_OPEN', 'door_forced'),
  access('access.held_open', 'WARNING', 'was next to a door that is held open', 'HELD_OPEN', 'door_held'),
  row('alarm.fire', 'ALARM', 'CRITICAL', 'was next to a fire alarm', 'fire_alarm smoke'),
  row('alarm.trouble', 'ALARM', 'WARNING', 'was next to a panel in trouble', 'fire_trouble sensor_offline'),
  row('alarm.technical', 'ALARM', 'WARNING', 'was next to a technical alarm', 'water_leak'),
  row('alarm.external_motion', 'ALARM', 'NOTICE', 'was next to a motion sensor that fired', 'ext_motion'),
  row('sensor.transaction', 'SENSOR', 'INFO', 'was next to a point of sale', 'pos_transaction'),
];

/** What is said of an event whose name no table has: somebody's custom event. */
export const OTHER_EVENT: EventRule = row('sensor.other', 'SENSOR', 'INFO', 'reports a custom event', '');

/** Pictures on a schedule: media and no event. */
export const IGNORED_NAMES: ReadonlySet<string> = new Set(['snapshot']);

/** By the service's name. A Map, not an object: "constructor" is a name too. */
export const RULE_BY_NAME: ReadonlyMap<string, EventRule> = new Map(
  EVENT_RULES.flatMap((rule) => rule.names.split(' ').map((name) => [name, rule] as const)),
);

export const RULE_BY_TYPE: ReadonlyMap<string, EventRule> = new Map(EVENT_RULES.map((rule) => [rule.type, rule]));

/** Values of the tag `severity`, as sensor bridges write it. */
export const SEVERITY_WORDS: ReadonlyMap<string, Severity> = new Map([
  ['info', 'INFO'],
  ['low', 'INFO'],
  ['notice', 'NOTICE'],
  ['medium', 'NOTICE'],
  ['warning', 'WARNING'],
  ['high', 'WARNING'],
  ['critical', 'CRITICAL'],
]);

/** Tags with which people work on an event in the vendor's web client; they say nothing about what happened. */
const WORKFLOW_TAGS: ReadonlySet<string> = new Set([
  'process',
  'result',
  'result_true',
  'result_false',
  'description',
  'user_id',
  'ip_address',
  'start_time',
  'end_time',
]);
const WORKFLOW_PREFIXES = ['status_', 'user_'];

export function isWorkflowTag(tag: string): boolean {
  return WORKFLOW_TAGS.has(tag) || WORKFLOW_PREFIXES.some((prefix) => tag.startsWith(prefix));
}

/** The tag by which our own custom events are told from others'. */
export const OWN_EVENT_PREFIX = 'evt_';

function row(type: string, family: EventFamily, severity: Severity, phrase: string, names: string): EventRule {
  return { type, family, severity, phrase, names };
}

function camera(type: string, severity: Severity, phrase: string, names: string): EventRule {
  return { ...row(type, 'ALARM', severity, phrase, names), isLifeSign: true };
}

function access(type: string, severity: Severity, phrase: string, outcome: AccessOutcome, names: string): EventRule {
  return { ...row(type, 'ACCESS', severity, phrase, names), outcome };
}
