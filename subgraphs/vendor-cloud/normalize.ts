// Pure: the contract's records to ours.
import type { DeviceDraft, LiveDevice, SiteDraft, StatusClaim } from '../../adapter-kit/model.ts';
import type { ContractDevice, ContractSite } from '../../schema/contract/records.ts';
import { normalizeMac } from '../../schema/scalars.ts';
import type { DeviceType } from '../../schema/words.ts';
import type { Dialect } from './dialect.ts';
import type { Kept } from './wire.ts';
import { capabilitiesOf } from './words.ts';

/** Where a record was found: what it does not say itself. */
export interface Place {
  readonly accountId: string;
  readonly siteId: string;
}

export function normalizeSite(site: ContractSite, accountId: string): SiteDraft {
  return {
    nativeOrgId: site.accountId ?? accountId,
    nativeId: site.siteId,
    name: site.name ?? site.siteId,
    address: site.address,
    coordinates: site.coordinates,
    timezone: site.timezone,
    deviceCount: site.deviceCount,
  };
}

function typeOf(device: ContractDevice, dialect: Dialect): DeviceType {
  return (device.type === null ? null : dialect.typeOf(device.type)) ?? 'OTHER';
}

function claimOf(device: ContractDevice, dialect: Dialect): StatusClaim | null {
  if (device.status === null) return null;
  const state = dialect.stateOf(device.status);
  return {
    state: state ?? 'UNKNOWN',
    reason: state === null ? null : 'REPORTED',
    vendorState: device.status,
    observedAt: device.statusAt,
  };
}

/** Kept out of the draft when nobody told: an absent member and a null one mean the same, and hash the same. */
function macsOf(device: ContractDevice): readonly string[] {
  const macs = (device.macAddresses ?? []).map(normalizeMac).filter((mac) => mac !== null);
  return [...new Set(macs)];
}

export function nativeIdOf(device: ContractDevice, dialect: Dialect): string {
  return dialect.nativeIdOf(device.deviceId, device.systemId);
}

export function normalizeDevice({ value: device }: Kept<ContractDevice>, place: Place, dialect: Dialect): DeviceDraft {
  const type = typeOf(device, dialect);
  return {
    nativeId: nativeIdOf(device, dialect),
    nativeOrgId: device.accountId ?? place.accountId,
    nativeSiteId: device.siteId ?? place.siteId,
    name: device.name ?? device.hostname ?? device.deviceId,
    type,
    vendorType: device.type,
    status: claimOf(device, dialect),
    lastSeenAt: device.lastSeen,
    macAddresses: macsOf(device),
    ip: device.ip,
    hostname: device.hostname,
    manufacturer: device.manufacturer,
    model: device.model,
    firmware: device.firmware,
    serialNumber: device.serialNumber,
    zone: device.zone === null ? null : { name: device.zone, kind: 'AREA' },
    system: device.systemId ?? null,
    parentNativeId: device.parentId === undefined ? null : dialect.nativeIdOf(device.parentId, device.systemId),
    telemetry: device.batteryPercent === null ? null : { batteryPercent: device.batteryPercent },
    warrantyExpiresAt: device.warrantyExpiresAt,
    endOfSupportAt: device.endOfSupportAt,
    capabilities: capabilitiesOf(type),
    tags: device.tags ?? [],
  };
}

export function normalizeLive(
  record: Kept<ContractDevice>,
  place: Place,
  dialect: Dialect,
  checkedAt: Date,
): LiveDevice {
  const draft = normalizeDevice(record, place, dialect);
  return {
    nativeId: draft.nativeId,
    nativeSiteId: draft.nativeSiteId,
    name: draft.name,
    type: draft.type,
    state: draft.status?.state ?? 'UNKNOWN',
    vendorState: draft.status?.vendorState ?? null,
    checkedAt,
    extras: {
      systemId: draft.system,
      warrantyExpiresAt: record.value.warrantyExpiresAt,
      endOfSupportAt: record.value.endOfSupportAt,
      raw: record.raw,
    },
  };
}
