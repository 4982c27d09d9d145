// Pure: XProtect's records to ours.
import { isIP } from 'node:net';
import type { DeviceDraft, LiveDevice, PositionDraft, SiteDraft, StatusClaim } from '../../adapter-kit/model.ts';
import { normalizeMac } from '../../schema/scalars.ts';
import type { DeviceCapability, DeviceType } from '../../schema/words.ts';
import { type Collection, type DriverLeaf, parseTime, type WireRecord } from './wire.ts';
import { ianaZoneOf } from './windows-zones.ts';

/** XProtect knows no accounts: one management server is one customer's. */
export const NO_ACCOUNT = '';

// A Map, not an object: the key is the platform's string, and "constructor" is a string too.
const TYPES: ReadonlyMap<string, DeviceType> = new Map([
  ['sites', 'SERVER'],
  ['recordingServers', 'RECORDER'],
  // The box with the network address. What it sees and hears are its channels.
  ['hardware', 'BRIDGE'],
  ['cameras', 'CAMERA'],
  ['microphones', 'MICROPHONE'],
  ['speakers', 'SPEAKER'],
  ['metadata', 'SENSOR'],
  ['inputEvents', 'INPUT'],
  ['outputs', 'OUTPUT'],
]);

const CAPABILITIES: ReadonlyMap<DeviceType, readonly DeviceCapability[]> = new Map([
  ['CAMERA', ['EMITS_HEALTH', 'EMITS_VIDEO']],
  ['RECORDER', ['EMITS_HEALTH', 'EMITS_VIDEO']],
  ['INPUT', ['EMITS_HEALTH', 'EMITS_SENSOR']],
  ['OUTPUT', ['EMITS_HEALTH', 'EMITS_SENSOR']],
]);

/** What is around a record: where it belongs, and what other calls told about it. */
export interface Surroundings {
  readonly collection: Collection;
  readonly siteId: string;
  /** Itself, for hardware. */
  readonly hardware: WireRecord | null;
  readonly recordingServer: WireRecord | null;
  readonly driver: DriverLeaf | null;
  readonly zone: string | null;
  /** Whether the platform takes events of others at its cameras; default false. */
  readonly takesEvents?: boolean;
  /** Cameras' motion is subscribed to. */
  readonly tellsMotion?: boolean;
  readonly status: StatusClaim | null;
  readonly checkedAt: Date;
}

export function nameOf(record: Pick<WireRecord, 'displayName' | 'name'> & { readonly id: string }): string {
  return record.displayName || record.name || record.id;
}

/** A disabled hardware leaves the flags of its channels as they were. */
export function isEnabled(record: WireRecord, hardware: WireRecord | null): boolean {
  return record.enabled && (hardware?.enabled ?? true);
}

/** When the configuration was last changed of that which disables it. */
export function configuredAtOf(record: WireRecord, hardware: WireRecord | null): Date | null {
  return parseTime((record.enabled && hardware !== null ? hardware : record).lastModified);
}

function typeWordOf(record: WireRecord, collection: Collection): string {
  return record.relations.self?.type || collection;
}

/** `http://10.20.0.31:8080/`, a bare address or a name; the scheme is always http and says nothing. */
export function hostOf(address: string): { readonly ip: string | null; readonly hostname: string | null } {
  const url = URL.parse(address.includes('://') ? address : `http://${address}`);
  const host = (url?.hostname ?? '').replace(/^\[|\]$/g, '');
  if (host === '') return { ip: null, hostname: null };
  return isIP(host) === 0 ? { ip: null, hostname: host } : { ip: host, hostname: null };
}

function networkOf(record: WireRecord, { collection, hardware }: Surroundings) {
  if (collection === 'sites') return { ip: null, hostname: record.computerName || null };
  if (collection === 'recordingServers') return hostOf(record.hostName || record.webServerUri);
  return hardware === null ? { ip: null, hostname: null } : hostOf(hardware.address);
}

/** Twelve digits in any notation; all zeros is how drivers say "none". */
function macsOf(driver: DriverLeaf | null): readonly string[] {
  const mac = driver === null ? null : normalizeMac(driver.macAddress);
  return mac === null || mac === '00:00:00:00:00:00' ? [] : [mac];
}

export function normalizeDevice(record: WireRecord, around: Surroundings): DeviceDraft {
  const { collection, hardware, recordingServer, driver, status, zone } = around;
  const vendorType = typeWordOf(record, collection);
  const type = TYPES.get(vendorType) ?? 'OTHER';
  const isServer = collection === 'sites' || collection === 'recordingServers';
  return {
    nativeId: record.id,
    nativeOrgId: NO_ACCOUNT,
    nativeSiteId: around.siteId,
    name: nameOf(record),
    type,
    vendorType,
    status,
    ...(status?.state === 'ONLINE' ? { lastSeenAt: around.checkedAt } : {}),
    // The platform's own path of it: what its events name as their source.
    externalIds: [{ namespace: 'milestone:source', value: `${collection}/${record.id}` }],
    macAddresses: macsOf(driver),
    ...networkOf(record, around),
    model: driver?.detectedModelName || hardware?.model || null,
    firmware: driver?.firmwareVersion || (isServer ? record.version : '') || null,
    serialNumber: driver?.serialNumber || null,
    zone: zone === null ? null : { name: zone, kind: 'AREA' },
    system: recordingServer === null ? null : nameOf(recordingServer),
    parentNativeId: parentOf(around),
    position: positionOf(record.gisPoint),
    capabilities: capabilitiesOf(type, around),
  };
}

const POINT = /^POINT\s*Z?\s*\(\s*(-?\d{1,3}(?:\.\d{1,15})?)\s+(-?\d{1,2}(?:\.\d{1,15})?)(?:\s+-?[\d.]{1,20})?\s*\)$/i;

/** Well-known text, longitude first; `POINT EMPTY` is nowhere. */
export function positionOf(text: string): PositionDraft | null {
  const [, longitude, latitude] = POINT.exec(text.trim()) ?? [];
  return longitude === undefined || latitude === undefined
    ? null
    : { latitude: Number(latitude), longitude: Number(longitude) };
}

function capabilitiesOf(
  type: DeviceType,
  { collection, takesEvents, tellsMotion }: Surroundings,
): readonly DeviceCapability[] {
  const own = CAPABILITIES.get(type) ?? ['EMITS_HEALTH'];
  if (collection !== 'cameras') return own;
  return [
    ...(takesEvents === true ? (['CUSTOM_EVENT'] as const) : []),
    ...own,
    ...(tellsMotion === true ? (['EMITS_SENSOR'] as const) : []),
  ];
}

/** Only of what is listed: an orphan is shown without a parent. */
function parentOf({ collection, hardware, recordingServer }: Surroundings): string | null {
  if (collection === 'hardware') return recordingServer?.id ?? null;
  if (collection === 'sites' || collection === 'recordingServers') return null;
  return hardware?.id ?? null;
}

export function normalizeLive(record: WireRecord, around: Surroundings): LiveDevice {
  const { collection, hardware, recordingServer, status } = around;
  const isServer = collection === 'sites' || collection === 'recordingServers';
  return {
    nativeId: record.id,
    nativeSiteId: around.siteId,
    name: nameOf(record),
    type: TYPES.get(typeWordOf(record, collection)) ?? 'OTHER',
    state: status?.state ?? 'UNKNOWN',
    vendorState: status?.vendorState ?? null,
    checkedAt: around.checkedAt,
    extras: {
      recordingServer: recordingServer === null || isServer ? null : namedRef(recordingServer),
      hardware: hardware === null || collection === 'hardware' ? null : namedRef(hardware),
      driver: around.driver?.productID || hardware?.model || null,
      channel: record.channel ?? null,
      enabled: isEnabled(record, hardware),
    },
  };
}

export function namedRef(record: WireRecord): { readonly id: string; readonly name: string } {
  return { id: record.id, name: nameOf(record) };
}

/** A management or a recording server as a site. */
export function normalizeSite(record: WireRecord, address: string | null): SiteDraft {
  return {
    nativeOrgId: NO_ACCOUNT,
    nativeId: record.id,
    name: nameOf(record),
    address,
    coordinates: null,
    timezone: ianaZoneOf(record.timeZone || record.timeZoneName),
    deviceCount: null,
  };
}

const ADDRESS_PARTS = ['address.Address', 'address.ZipCode', 'address.City', 'address.Country'] as const;

/** The owner's record: keys are `[guid]/address.Address` and the like, may repeat, and are usually empty. */
export function addressOf(owner: Readonly<Record<string, unknown>>): string | null {
  const parts = ADDRESS_PARTS.map((part) => {
    const entry = Object.entries(owner).find(
      ([key, value]) =>
        key.slice(key.lastIndexOf('/') + 1) === part && typeof value === 'string' && value.trim() !== '',
    );
    return entry === undefined ? null : String(entry[1]).trim();
  });
  const given = parts.filter((part) => part !== null);
  return given.length === 0 ? null : given.join(', ');
}
