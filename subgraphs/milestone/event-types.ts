/**
 * What XProtect's event types mean. Types are told apart by the names of `/eventTypes`, because names are the same on every
 * installation we know of and ids of system monitor types are not; the ids below serve the subscription, and stand in where
 * the names cannot be read.
 *
 * @see MIP VMS API, Events and State WebSocket API v1; "Events overview" of the Management Client manual
 */
import type { DeviceState, EventFamily, Severity, StatusReason } from '../../schema/words.ts';

/** Kinds of events that are many and say nothing about faults: only on request. */
export const ACTIVITIES = ['recording', 'motion'] as const;
export type Activity = (typeof ACTIVITIES)[number];

export interface EventRule {
  /** Ours, dotted. */
  readonly type: string;
  readonly family: EventFamily;
  readonly severity: Severity;
  /** What happened, to be put after the source's name. */
  readonly phrase: string;
  readonly fault?: string;
  readonly restoral?: true;
  /** Absent: always subscribed to. */
  readonly activity?: Activity;
  /** Whether the source itself must have been alive to cause it; default false: a recorder speaks about it. */
  readonly isLifeSign?: true;
}

type Known = readonly [name: string, id: string];

/** Built-in types: constants of the product. */
export const BUILT_IN: readonly Known[] = [
  ['CommunicationStarted', 'dd3e6464-7dc0-405a-a92f-6150587563e8'],
  ['CommunicationStopped', '0ee90664-2924-42a0-a816-4129d0ecabdc'],
  ['CommunicationError', 'a334af1c-4b4b-4957-9e5f-ab8ca07feab6'],
  ['Communication Started (Hardware)', '0553c396-5e16-4c22-b3d1-f548e42dfbb4'],
  ['Communication Stopped (Hardware)', '63ea1f06-5a83-4f39-9fab-49959fde7b66'],
  ['Communication Error (Hardware)', '6baad64b-c395-4f52-b6a3-dd1b64aa2f0f'],
  ['RecordingStarted', '4577f552-765a-438c-bc7d-e5ff1f754bc3'],
  ['RecordingStopped', '79a94f89-92de-4fca-8a43-5561d407423d'],
  ['MotionStarted', '6eb95dd6-7ccc-4bce-99f8-af0d0b582d77'],
  ['MotionStopped', '6f55a7a7-d21c-4629-ac18-af1975e395a2'],
  ['Motion Started (HW)', 'a7bd4b94-6eb0-4b5d-92d9-23f69bd23824'],
  ['Motion Stopped (HW)', 'e3dd8ed6-cf93-410d-818a-6c474414d885'],
  ['FeedOverflowStarted', '536ad730-05ae-42cd-b14c-07b07c293e79'],
  ['FeedOverflowStopped', '247fef11-15db-4c99-99db-de5475eae443'],
  ['LiveClientFeedRequested', 'eeda47ff-4f3d-459e-8143-69896c7c74ad'],
  ['LiveClientFeedTerminated', '66bdd008-b856-44b6-b385-b1f6c3f76f1b'],
  ['DatabaseDiskFull', 'a4935aa3-c4b6-42a3-b4c5-6d4c20b043cf'],
  ['DatabaseDiskUnavailable', '29986aa1-924b-4c8d-aac7-a876883dc82c'],
  ['DatabaseDiskAvailable', 'fab03c4d-0589-48c8-9328-e28b76c95af0'],
  ['ArchiveDiskUnavailable', '72c29aae-ddb2-46df-b6fd-7f728a85f292'],
  ['ArchiveDiskAvailable', 'b7f0003b-1392-450e-b6cc-9bbe6e7df065'],
  ['DatabaseRepair', 'b6c4b695-7404-414d-a229-33bf83ffe255'],
  ['HardwareSettingsChanged', 'a600c492-11c8-4d65-92db-6d46209ce9ea'],
  ['HardwareSettingsChangedError', '829a93ab-1ac0-4aeb-bda0-ed8f6d8f514b'],
  ['DeviceSettingsChanged', '4c8be5ed-80fa-43e7-bf5b-4e7570ad0025'],
  ['DeviceSettingsChangedError', '87be2a0d-c33b-4b5f-ae1f-afa6770a2497'],
  ['InputActivated', '836ca458-a833-4742-8ee0-64b2380984bd'],
  ['InputDeactivated', '8666e3dc-57a7-4f38-9611-51d774ee7358'],
  ['InputChanged', 'fda121b3-2070-4f31-a086-9f74e16580c0'],
  ['InputSensor', 'f84c8443-bfe3-4eca-b69b-07daebc63a02'],
  ['OutputActivated', '7a78f5bb-d8c3-4997-89b7-cae72713b7db'],
  ['OutputDeactivated', '35742498-bcc5-4f0a-9800-827c9388d1cd'],
  ['OutputChanged', '672f9f80-55fe-496f-bee4-6c870bab5064'],
  ['FailoverStarted', 'f951b1f0-2fed-48f7-88d3-49eb5999c923'],
  ['FailoverStopped', 'c7b9227a-8e11-451b-bc9c-8ea659731012'],
  ['SystemConfigurationChanged', '06c5010d-11f2-4d70-bd79-4cec3a20d589'],
  ['TemperatureAboveRange', '7ab98eae-949b-41ad-8a48-d01d374fb0f5'],
  ['Memory Usage Critical', '363741cf-4d7a-426d-9fe2-a201c4db51c0'],
  ['Used Space Critical', '766cf688-f3e2-4d2f-8d08-012193783739'],
  ['Free Space Critical', 'f80af822-6a89-4c2f-ab38-b55d0d2cd13a'],
  ['Retention Time Critical', 'd1603fbe-4bb8-49eb-9928-0e8eb3c736ce'],
];

const NAME_OF: ReadonlyMap<string, string> = new Map(BUILT_IN.map(([name, id]) => [id, name]));

/** @param id in any case @returns the product's own name; undefined for a type that is not built in */
export function builtInName(id: string): string | undefined {
  return NAME_OF.get(id.toLowerCase());
}

/** `Communication Error (Hardware)` and `CommunicationError` are one name. */
export function foldName(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/\([^)]*\)/g, '')
    .replaceAll(/[^\p{L}\p{N}]+/gu, '');
}

const COMMUNICATION = /^communication[\s_-]*/i;

/** The word of a communication state: `Error` of `CommunicationError`. Null when the name is about something else. */
export function communicationWord(name: string): string | null {
  if (!COMMUNICATION.test(name)) return null;
  const word = name.replace(COMMUNICATION, '').replace(/\s*\([^)]*\)\s*$/, '');
  return word === '' ? null : word;
}

/** A state group's or an event type's own word for the state, without the name of the group before it. */
export function stateWord(state: string): string {
  return communicationWord(state) ?? state;
}

export interface CommunicationMeaning {
  readonly state: DeviceState;
  readonly reason: StatusReason | null;
}

const COMMUNICATION_MEANINGS: ReadonlyMap<string, CommunicationMeaning> = new Map([
  ['started', { state: 'ONLINE', reason: 'REPORTED' }],
  ['error', { state: 'OFFLINE', reason: 'NETWORK' }],
  // Stopped on purpose, by a person or with its recording server: it does not record, whatever the reason.
  ['stopped', { state: 'OFFLINE', reason: 'REPORTED' }],
]);

/** What a communication state means; UNKNOWN for a word that a newer release may bring. */
export function communicationMeaning(word: string): CommunicationMeaning {
  return COMMUNICATION_MEANINGS.get(word.trim().toLowerCase()) ?? { state: 'UNKNOWN', reason: null };
}

/** How urgent a communication state is: what was stopped on purpose is no failure. */
export function communicationSeverity(state: DeviceState, word: string): Severity {
  return state === 'OFFLINE' && word.toLowerCase() !== 'stopped' ? 'WARNING' : 'NOTICE';
}

/** By folded name. RecordingStopped is the rest position of motion-triggered recording, and so no fault. */
const RULES: ReadonlyMap<string, EventRule> = new Map(
  Object.entries({
    feedoverflowstarted: video('video.stream_loss', 'WARNING', 'drops frames: its feed overflows', 'stream_loss'),
    feedoverflowstopped: videoRestored('sends its whole feed again', 'stream_loss'),
    databasediskfull: video('video.storage_low', 'CRITICAL', 'has a full database disk', 'storage_low'),
    databasediskunavailable: video('video.storage_failure', 'CRITICAL', 'lost its database disk', 'storage_failure'),
    databasediskavailable: videoRestored('has its database disk back', 'storage_failure'),
    archivediskunavailable: video('video.storage_failure', 'CRITICAL', 'lost its archive disk', 'storage_failure'),
    archivediskavailable: videoRestored('has its archive disk back', 'storage_failure'),
    databaserepair: video('video.storage_failure', 'WARNING', 'repairs its database', 'database_repair'),
    recordingstarted: { ...video('video.recording_started', 'INFO', 'records'), activity: 'recording' },
    recordingstopped: { ...video('video.recording_stopped', 'INFO', 'does not record'), activity: 'recording' },
    motionstarted: { ...sensor('sensor.motion_started', 'sees motion'), activity: 'motion' },
    motionstopped: { ...sensor('sensor.motion_stopped', 'sees no motion'), activity: 'motion' },
    hardwaresettingschanged: inventory('has new settings'),
    devicesettingschanged: inventory('has new settings'),
    systemconfigurationchanged: inventory('was changed in its configuration'),
    hardwaresettingschangederror: system('system.settings_error', 'NOTICE', 'did not take its settings'),
    devicesettingschangederror: system('system.settings_error', 'NOTICE', 'did not take its settings'),
    inputactivated: sensor('sensor.input_activated', 'was activated'),
    inputdeactivated: sensor('sensor.input_deactivated', 'was deactivated'),
    inputchanged: sensor('sensor.input_changed', 'changed'),
    inputsensor: sensor('sensor.input_changed', 'changed'),
    outputactivated: sensor('sensor.output_activated', 'was switched on'),
    outputdeactivated: sensor('sensor.output_deactivated', 'was switched off'),
    outputchanged: sensor('sensor.output_changed', 'changed'),
    temperatureaboverange: sensor('sensor.temperature_high', 'is too warm', 'WARNING'),
    failoverstarted: system('system.failover_started', 'WARNING', 'runs on its failover server'),
    failoverstopped: system('system.failover_stopped', 'NOTICE', 'runs on its own server again'),
  } satisfies Record<string, EventRule>),
);

/** System monitor: `<what> <level>`. Its levels can be months old, so they are trouble with a time and never a state. */
const MONITORED: ReadonlyMap<
  string,
  { readonly name: string; readonly phrase: string; readonly fault: string; readonly isVideo?: true }
> = new Map(
  [
    { name: 'CPU Usage', phrase: 'processor load', fault: 'cpu' },
    { name: 'Memory Usage', phrase: 'memory use', fault: 'memory' },
    { name: 'GPU Memory', phrase: 'graphics memory', fault: 'gpu' },
    { name: 'GPU Rendering', phrase: 'graphics rendering', fault: 'gpu' },
    { name: 'GPU Decoding', phrase: 'graphics decoding', fault: 'gpu' },
    { name: 'Service Available', phrase: 'service', fault: 'service' },
    { name: 'Used Space', phrase: 'used space', fault: 'storage_low', isVideo: true as const },
    { name: 'Free Space', phrase: 'free space', fault: 'storage_low', isVideo: true as const },
    { name: 'Retention Time', phrase: 'retention time', fault: 'retention_short', isVideo: true as const },
    { name: 'Recording FPS', phrase: 'recording frame rate', fault: 'frame_rate', isVideo: true as const },
    { name: 'Live FPS', phrase: 'live frame rate', fault: 'frame_rate', isVideo: true as const },
  ].map((monitored) => [foldName(monitored.name), monitored]),
);

const LEVELS: readonly (readonly [ending: string, severity: Severity])[] = [
  ['critical', 'CRITICAL'],
  ['warning', 'WARNING'],
  ['normal', 'NOTICE'],
  ['undefined', 'INFO'],
];

/** Names of all event types of the system monitor that the table knows. */
export const MONITOR_NAMES: readonly string[] = [...MONITORED.values()].flatMap(({ name }) =>
  ['Critical', 'Warning', 'Normal', 'Undefined'].map((level) => `${name} ${level}`),
);

function monitorRule(folded: string): EventRule | null {
  const level = LEVELS.find(([ending]) => folded.endsWith(ending));
  if (level === undefined) return null;
  const [ending, severity] = level;
  const what = MONITORED.get(folded.slice(0, -ending.length));
  if (what === undefined) return null;
  const isRestored = ending === 'normal';
  const phrase = `${what.phrase} is ${ending}`;
  if (what.isVideo !== true) {
    return system(isRestored ? 'system.trouble_restored' : 'system.trouble', severity, phrase);
  }
  return isRestored
    ? { ...videoRestored(phrase, what.fault) }
    : video(`video.${what.fault}`, severity, phrase, what.fault);
}

/** The rule for an event type's name, communication states aside; null for a type that no table has. */
export function ruleOf(name: string): EventRule | null {
  const folded = foldName(name);
  return RULES.get(folded) ?? monitorRule(folded);
}

/** Whether we want to hear of events of this type, with these activities asked for. */
export function isWanted(name: string, group: string | null, activities: readonly Activity[]): boolean {
  if (communicationWord(name) !== null || communicationWord(`${group ?? ''} x`) !== null) return true;
  const rule = ruleOf(name);
  return rule !== null && (rule.activity === undefined || activities.includes(rule.activity));
}

/** Before the names of all types that we create: by it our own events are told from others'. */
export const OWN_TYPE_PREFIX = 'Convergraph ';

/** Whether an event type is one of ours, by its name. */
export function isOwnType(name: string): boolean {
  return name.startsWith(OWN_TYPE_PREFIX);
}

/** MIP kinds of a webhook's source: what `ObjectId` is the id of. */
export const NOT_A_DEVICE_KINDS: ReadonlySet<string> = new Set([
  'c9bdac3f-41dc-4afa-b057-61767a3914b7', // user-defined event
  '3f7f49e3-d027-450b-8bc5-590ec9aa5376', // alarm
]);
export const DEVICE_KINDS: ReadonlyMap<string, string> = new Map([
  ['3b25fe94-7c2f-499a-86df-2fa68aa3e1b5', 'recordingServers'],
  ['5135ba21-f1dc-4321-806a-6ce2017343c0', 'cameras'],
  ['df6284f6-18ee-4506-b8c4-65b5f31a140c', 'microphones'],
  ['b77d68fc-b231-441b-8eb5-901c89234111', 'speakers'],
  ['5fc737a9-bbf6-4473-a421-7e8075d45d9c', 'inputEvents'],
  ['cbaaa726-a089-4db6-8f0d-48772e595b1b', 'outputs'],
]);

function video(type: string, severity: Severity, phrase: string, fault?: string): EventRule {
  return { type, family: 'VIDEO', severity, phrase, ...(fault === undefined ? {} : { fault }) };
}

function videoRestored(phrase: string, fault: string): EventRule {
  return { type: 'video.restored', family: 'VIDEO', severity: 'NOTICE', phrase, fault, restoral: true };
}

function sensor(type: string, phrase: string, severity: Severity = 'INFO'): EventRule {
  return { type, family: 'SENSOR', severity, phrase, isLifeSign: true };
}

function system(type: string, severity: Severity, phrase: string): EventRule {
  return { type, family: 'SYSTEM', severity, phrase };
}

function inventory(phrase: string): EventRule {
  return { type: 'inventory.changed', family: 'INVENTORY', severity: 'INFO', phrase };
}
