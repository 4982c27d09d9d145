// The seed contract of adapters on site: its words and shapes, one table for both ways.
// @see the on-prem push contract of 2026: sample inventory and health event of the adapter on site
import type { DeviceState, DeviceType } from '../words.ts';

/** A device of the contract's inventory, `{ "devices": [...] }`. Members without a value are left out. */
export interface OnSiteDevice {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly customer_id: string;
  readonly status: string;
  readonly mac_address?: string;
  readonly ip?: string;
}

/** The contract's health event. */
export interface OnSiteHealth {
  readonly device_id: string;
  readonly status: string;
  /** RFC 3339, in UTC. */
  readonly timestamp: string;
}

/** Words differ in case and in what joins their parts. */
export function foldWord(word: string): string {
  return word
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, '_')
    .replaceAll(/^_+|_+$/g, '');
}

/**
 * `camera`, `access_control` and `door` are the contract's own; the others are what adapters write beside them. Of a type's
 * words the first is the one that we write.
 */
export const TYPE_WORDS: ReadonlyMap<string, DeviceType> = new Map<string, DeviceType>([
  ['camera', 'CAMERA'],
  ['access_control', 'CONTROLLER'],
  ['controller', 'CONTROLLER'],
  ['door', 'DOOR'],
  ['reader', 'READER'],
  ['panel', 'PANEL'],
  ['alarm_panel', 'PANEL'],
  ['recorder', 'RECORDER'],
  ['nvr', 'RECORDER'],
  ['input', 'INPUT'],
  ['output', 'OUTPUT'],
  ['sensor', 'SENSOR'],
  ['detector', 'DETECTOR'],
  ['intercom', 'INTERCOM'],
  ['siren', 'SIREN'],
  ['server', 'SERVER'],
  ['bridge', 'BRIDGE'],
  ['microphone', 'MICROPHONE'],
  ['speaker', 'SPEAKER'],
  ['other', 'OTHER'],
]);

/** `online` and `offline` are the contract's own. Of a state's words the first is the one that we write. */
export const STATUS_WORDS: ReadonlyMap<string, DeviceState> = new Map<string, DeviceState>([
  ['online', 'ONLINE'],
  ['up', 'ONLINE'],
  ['connected', 'ONLINE'],
  ['ok', 'ONLINE'],
  ['offline', 'OFFLINE'],
  ['down', 'OFFLINE'],
  ['disconnected', 'OFFLINE'],
  ['unreachable', 'OFFLINE'],
  ['degraded', 'DEGRADED'],
  ['fault', 'DEGRADED'],
  ['warning', 'DEGRADED'],
  ['unknown', 'UNKNOWN'],
  // Switched off by a person: OFFLINE would send a technician to a healthy device.
  ['disabled', 'UNKNOWN'],
]);

function firstWords<T extends string>(table: ReadonlyMap<string, T>): ReadonlyMap<T, string> {
  const words = new Map<T, string>();
  for (const [word, meaning] of table) if (!words.has(meaning)) words.set(meaning, word);
  return words;
}

const WORD_OF_TYPE = firstWords(TYPE_WORDS);
const WORD_OF_STATE = firstWords(STATUS_WORDS);

export function typeWord(type: DeviceType): string {
  return WORD_OF_TYPE.get(type) ?? 'other';
}

export function statusWord(state: DeviceState): string {
  return WORD_OF_STATE.get(state) ?? 'unknown';
}
