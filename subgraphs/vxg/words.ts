// The service's words for states and kinds of channels. Data.
import type { DeviceCapability, DeviceState, DeviceType, StatusReason } from '../../schema/words.ts';

export interface StatusMeaning {
  readonly state: DeviceState;
  readonly reason: StatusReason | null;
}

/** @see camera status of the vendor's cloud SDK. A Map, not an object: "constructor" is a word too. */
export const STATUS_WORDS: ReadonlyMap<string, StatusMeaning> = new Map<string, StatusMeaning>([
  ['active', { state: 'ONLINE', reason: 'REPORTED' }],
  // The camera answers and refuses the service's password: it works, and no video comes.
  ['unauthorized', { state: 'DEGRADED', reason: 'CREDENTIALS' }],
  ['offline', { state: 'OFFLINE', reason: 'REPORTED' }],
  // Switched off by a person or a schedule. OFFLINE would send a technician to a healthy camera.
  ['inactive', { state: 'UNKNOWN', reason: null }],
  ['inactive_by_scheduler', { state: 'UNKNOWN', reason: null }],
]);

/** Kinds of entries that the service's inventory has. */
export type Kind = 'camera' | 'gateway' | 'server';

export const TYPE_OF: Readonly<Record<Kind, DeviceType>> = { camera: 'CAMERA', gateway: 'BRIDGE', server: 'RECORDER' };

export const CAPABILITIES: Readonly<Record<Kind, readonly DeviceCapability[]>> = {
  camera: ['CUSTOM_EVENT', 'EMITS_ALARM', 'EMITS_HEALTH', 'EMITS_SENSOR', 'EMITS_VIDEO'],
  gateway: ['EMITS_HEALTH'],
  server: ['EMITS_HEALTH'],
};

/** Tags of a channel that mean something to us. @see the vendor's web client */
export const TAGS = {
  site: 'siteId',
  location: 'location',
  storage: 'isstorage',
  gateway: 'gateway',
  gatewayCamera: 'gateway_cam',
  gatewayId: 'gateway_id',
  gatewayMac: 'gateway_mac',
  gatewayIp: 'gateway_ip',
  recorder: 'dvr_id',
  group: 'group',
} as const;

/** Levels of the place hierarchy, from the largest. */
export const PLACE_LEVELS = ['Province', 'City', 'Zone', 'Circuit', 'Subcircuit'] as const;

/** Channel groups that the service made for a site are named so, with the site's id behind. */
export const SITE_GROUP_PREFIX = 'Site';
