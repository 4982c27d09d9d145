// Pure: what sources list, to our drafts.
import type { DeviceDraft, LiveDevice, SiteDraft, StatusClaim } from '../../adapter-kit/model.ts';
import type { DeviceCapability, DeviceState, DeviceType } from '../../schema/words.ts';
import type { Listed } from './catalogue.ts';
import type { SensorsSettings } from './settings.ts';
import { DEVICE_TYPE, type SensorKind } from './words.ts';

export function normalizeSite(site: SensorsSettings['sites'][number], deviceCount: number | null): SiteDraft {
  const { latitude, longitude } = site;
  return {
    nativeOrgId: '',
    nativeId: site.id,
    name: site.name,
    address: site.address ?? null,
    coordinates: latitude === undefined || longitude === undefined ? null : { latitude, longitude },
    timezone: site.timezone ?? null,
    deviceCount,
  };
}

/** A name that the runtime has, else nobody could compute with it. */
export function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

function typeOf({ kind, isGateway, source }: Listed): DeviceType {
  if (isGateway) return 'BRIDGE';
  if (kind !== null) return DEVICE_TYPE[kind];
  // A Zigbee network has lamps and plugs, too; what an operator lists by hand is a sensor.
  return source.protocol === 'mqtt' ? 'OTHER' : 'SENSOR';
}

const STATE: Readonly<Record<Listed['presence'], DeviceState>> = {
  online: 'ONLINE',
  offline: 'OFFLINE',
  unknown: 'UNKNOWN',
};

function claimOf(device: Listed): StatusClaim | null {
  // Nobody was asked, or nobody can be: events alone make the status then.
  if (device.word === null) return null;
  const reason = device.isParentDown ? 'PARENT_DOWN' : device.presence === 'unknown' ? null : 'REPORTED';
  return {
    state: STATE[device.presence],
    reason,
    vendorState: device.word,
    observedAt: null,
    keepsDegraded: ['POWER'],
  };
}

const EMITS: Readonly<Record<SensorKind, DeviceCapability>> = {
  access: 'EMITS_ACCESS',
  fire: 'EMITS_ALARM',
  smoke: 'EMITS_ALARM',
  water: 'EMITS_ALARM',
  motion: 'EMITS_SENSOR',
  pos: 'EMITS_SENSOR',
  ai: 'EMITS_SENSOR',
};

export function normalizeDevice(device: Listed): DeviceDraft {
  const { sensor, kind } = device;
  return {
    nativeId: device.nativeId,
    nativeOrgId: '',
    nativeSiteId: device.siteId,
    name: device.name,
    type: typeOf(device),
    vendorType: device.vendorType,
    status: claimOf(device),
    externalIds: device.externalIds,
    hostname: device.host,
    manufacturer: device.manufacturer,
    model: device.model,
    firmware: device.firmware,
    serialNumber: device.serialNumber,
    zone: sensor?.zone === undefined ? null : { name: sensor.zone, kind: 'AREA' },
    parentNativeId: device.parentId,
    capabilities: ['EMITS_HEALTH', ...(kind === null ? [] : [EMITS[kind]])],
    tags: kind === null ? [] : [`sensor:${kind}`],
    links: (sensor?.cameras ?? []).map((camera) => ({
      relation: 'WATCHED_BY',
      integrationId: camera.integrationId ?? null,
      namespace: camera.namespace ?? null,
      value: camera.value,
    })),
  };
}

export function normalizeLive(device: Listed, lastReading: unknown, checkedAt: Date): LiveDevice {
  return {
    nativeId: device.nativeId,
    nativeSiteId: device.siteId,
    name: device.name,
    type: typeOf(device),
    state: STATE[device.presence],
    vendorState: device.word,
    checkedAt,
    extras: {
      protocol: device.protocol,
      topic: device.topic,
      linkedCameras: (device.sensor?.cameras ?? []).map(({ value, name }) => ({ id: value, name: name ?? null })),
      lastReading: lastReading ?? null,
    },
  };
}
