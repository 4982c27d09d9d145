/**
 * The contract's open vocabularies: which words mean which of ours. Data; settings of an integration come before it.
 *
 * @see the vendor contract, section 2: `online`, `offline`, `camera`, `door`, `panel` "or equivalent"; the equivalents are what
 *   published APIs of such platforms say
 */
import type { DeviceCapability, DeviceState, DeviceType, Severity, StatusReason } from '../../schema/words.ts';

/** Words that were folded before: a platform says the same few, several times in each event. */
const folded = new Map<string, string>();
/** More than a platform's vocabulary; one that makes words up has them folded each time. */
const MAX_FOLDED = 1_000;
const MAX_FOLDED_LENGTH = 100;

/** Words differ in case and in what joins their parts: `Access Control`, `access-control`. */
export function foldWord(word: string): string {
  const known = folded.get(word);
  if (known !== undefined) return known;
  const result = fold(word);
  if (folded.size < MAX_FOLDED && word.length <= MAX_FOLDED_LENGTH) folded.set(word, result);
  return result;
}

function fold(word: string): string {
  return word
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, '_')
    .replaceAll(/^_+|_+$/g, '');
}

function table<T>(rows: readonly (readonly [meaning: T, words: string])[]): ReadonlyMap<string, T> {
  return new Map(rows.flatMap(([meaning, words]) => words.split(' ').map((word) => [word, meaning] as const)));
}

export const TYPE_WORDS = table<DeviceType>([
  ['CAMERA', 'camera ip_camera video_camera cctv dome_camera bullet_camera ptz ptz_camera encoder_channel video'],
  ['DOOR', 'door access_point portal gate turnstile access_door'],
  ['READER', 'reader card_reader credential_reader access_reader keypad_reader'],
  ['PANEL', 'panel alarm_panel intrusion_panel fire_panel fire_alarm_panel control_panel intrusion'],
  ['CONTROLLER', 'controller access_control access_controller door_controller io_controller automation_controller'],
  ['INPUT', 'input zone monitored_input door_contact contact'],
  ['OUTPUT', 'output relay'],
  ['DETECTOR', 'detector motion motion_detector pir glass_break smoke_detector motion_sensor'],
  ['BRIDGE', 'bridge gateway hub edge_gateway'],
  ['SENSOR', 'sensor environmental environmental_sensor temperature_sensor air_quality_sensor'],
  ['RECORDER', 'recorder nvr dvr recording_server video_recorder storage'],
  ['SERVER', 'server vms management_server appliance'],
  ['INTERCOM', 'intercom door_station video_intercom'],
  ['SIREN', 'siren strobe sounder horn'],
  ['MICROPHONE', 'microphone mic audio_in'],
  ['SPEAKER', 'speaker audio_out'],
]);

export const STATUS_WORDS = table<DeviceState>([
  ['ONLINE', 'online up connected ok normal healthy active available responding reachable good running'],
  ['OFFLINE', 'offline down disconnected unreachable unavailable not_responding lost dead no_connection comm_failure'],
  ['DEGRADED', 'degraded warning fault faulty trouble error impaired partial low_battery tamper unstable'],
  // Switched off by a person: OFFLINE would send a technician to a healthy device.
  ['UNKNOWN', 'unknown disabled maintenance pending not_configured unset'],
]);

/** Words of a health event that only prove life. */
export const LIFE_SIGN_WORDS: ReadonlySet<string> = new Set([
  'last_seen',
  'seen',
  'heartbeat',
  'alive',
  'ping',
  'keepalive',
]);

export const REASON_WORDS = table<StatusReason>([
  ['POWER', 'power power_loss power_failure ac_loss battery battery_empty low_battery'],
  ['NETWORK', 'network network_loss network_lost connection_lost timeout unreachable no_link'],
  ['CREDENTIALS', 'credentials authentication auth_failed login_failed bad_password'],
  ['PARENT_DOWN', 'parent_down recorder_down panel_down gateway_down'],
  ['PLATFORM_DOWN', 'platform_down server_down service_down'],
  ['SILENCE', 'silence no_heartbeat missed_heartbeat'],
  ['TAMPER', 'tamper tampering'],
]);

export const SEVERITY_WORDS = table<Severity>([
  ['INFO', 'info information informational low debug'],
  ['NOTICE', 'notice minor medium'],
  ['WARNING', 'warning warn major high'],
  ['CRITICAL', 'critical emergency urgent alarm severe'],
]);

const VIDEO: readonly DeviceCapability[] = ['EMITS_HEALTH', 'EMITS_VIDEO'];
const ACCESS: readonly DeviceCapability[] = ['EMITS_HEALTH', 'EMITS_ACCESS'];
const ALARM: readonly DeviceCapability[] = ['EMITS_HEALTH', 'EMITS_ALARM'];

/** Which families a kind of equipment has events of; the rest only tell their health. */
const CAPABILITIES: ReadonlyMap<DeviceType, readonly DeviceCapability[]> = new Map([
  ['CAMERA', VIDEO],
  ['RECORDER', VIDEO],
  ['SERVER', VIDEO],
  ['DOOR', ACCESS],
  ['READER', ACCESS],
  ['CONTROLLER', ACCESS],
  ['INTERCOM', ACCESS],
  ['PANEL', ALARM],
  ['INPUT', ALARM],
  ['DETECTOR', ALARM],
  ['SENSOR', ['EMITS_HEALTH', 'EMITS_SENSOR']],
]);

export function capabilitiesOf(type: DeviceType): readonly DeviceCapability[] {
  return CAPABILITIES.get(type) ?? ['EMITS_HEALTH'];
}
