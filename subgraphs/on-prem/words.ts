// Words of adapters on site: which mean which of ours. Data; settings of an integration come before it.
// @see convergint/on-prem-to-cloud, README of 2026: sample inventory and health event of the adapter on site
import type { DeviceCapability, DeviceState, DeviceType, Severity } from '../../schema/words.ts';

/** Words differ in case and in what joins their parts. */
export function foldWord(word: string): string {
  return word
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, '_')
    .replaceAll(/^_+|_+$/g, '');
}

/** `camera`, `access_control` and `door` are the contract's own, section 5; the others are what adapters write beside them. */
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
]);

/** `online` and `offline` are the contract's own. */
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
  // Switched off by a person: OFFLINE would send a technician to a healthy device.
  ['disabled', 'UNKNOWN'],
  ['unknown', 'UNKNOWN'],
]);

/** The contract on site has one family of events. */
export const CAPABILITIES: readonly DeviceCapability[] = ['EMITS_HEALTH'];

/** How a state is told. */
export const TOLD: Readonly<Record<DeviceState, { readonly severity: Severity; readonly words: string }>> = {
  ONLINE: { severity: 'NOTICE', words: 'is online' },
  OFFLINE: { severity: 'WARNING', words: 'is offline' },
  DEGRADED: { severity: 'WARNING', words: 'has a fault' },
  UNKNOWN: { severity: 'NOTICE', words: 'is in an unknown state' },
};
