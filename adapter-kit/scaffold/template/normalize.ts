import type { DeviceDraft, LiveDevice, SiteDraft } from '../../../adapter-kit/model.ts';
import type { DeviceState, DeviceType } from '../../../schema/words.ts';
import type { AcmeVmsDevice, AcmeVmsSite } from './wire.ts';

// Maps, not objects: the key is a vendor's string, and "constructor" is a string too.
const TYPES = new Map<string, DeviceType>([
  ['camera', 'CAMERA'],
  ['door', 'DOOR'],
  ['recorder', 'RECORDER'],
]);

/** The platform's own words. */
export const STATES = new Map<string, DeviceState>([
  ['up', 'ONLINE'],
  ['down', 'OFFLINE'],
  ['fault', 'DEGRADED'],
]);

export function normalizeState(word: string): DeviceState {
  return STATES.get(word) ?? 'UNKNOWN';
}

export function normalizeSite(site: AcmeVmsSite): SiteDraft {
  return {
    nativeOrgId: site.account,
    nativeId: site.id,
    name: site.label,
    address: site.address ?? null,
    coordinates: null,
    timezone: site.timezone ?? null,
    deviceCount: null,
  };
}

export function normalizeDevice(device: AcmeVmsDevice): DeviceDraft {
  return {
    nativeId: device.id,
    nativeOrgId: device.account,
    nativeSiteId: device.site,
    name: device.label,
    type: TYPES.get(device.kind) ?? 'OTHER',
    vendorType: device.kind,
    status: { state: normalizeState(device.state), reason: 'REPORTED', vendorState: device.state, observedAt: null },
    model: device.model ?? null,
    macAddresses: typeof device.mac === 'string' ? [device.mac] : [],
  };
}

export function normalizeLive(device: AcmeVmsDevice, checkedAt: Date): LiveDevice {
  return {
    nativeId: device.id,
    nativeSiteId: device.site,
    name: device.label,
    type: TYPES.get(device.kind) ?? 'OTHER',
    state: normalizeState(device.state),
    vendorState: device.state,
    checkedAt,
    extras: { framesPerSecond: device.fps ?? null },
  };
}
