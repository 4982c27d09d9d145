// Pure: the platform's devices to ours.
import type { DeviceDraft, LiveDevice, SiteDraft } from '../../adapter-kit/model.ts';
import type { DeviceCapability, DeviceType } from '../../schema/words.ts';
import { parseAccounts } from './account-routing.ts';
import { type AreaSettings, siteIdOf, timezoneOf } from './areas.ts';
import type { WireDevice } from './wire.ts';

/**
 * `detector_hdr_xrl`, `bridge_4g`, `siren_v1`: the set is open, its beginnings are not.
 *
 * @see Reconeyez "Reverse control API" (2024-02-27 and 2025-02-04), device types in its samples
 */
const TYPE_PREFIXES: readonly (readonly [string, DeviceType])[] = [
  ['detector', 'DETECTOR'],
  ['bridge', 'BRIDGE'],
  ['siren', 'SIREN'],
];

const CAPABILITIES: readonly DeviceCapability[] = ['EMITS_HEALTH', 'EMITS_ALARM'];
/** Detectors are cameras, too: a picture that was asked for is an event. */
const DETECTOR_CAPABILITIES: readonly DeviceCapability[] = [...CAPABILITIES, 'EMITS_VIDEO'];

/** The platform knows no accounts beside the user's own. */
const NO_ACCOUNT = '';

/** @returns null for a type that begins like none we know */
export function knownTypeOf({ type, name }: Pick<WireDevice, 'type' | 'name'>): DeviceType | null {
  // A device without a type still has the name that the platform gave it: `Siren: 9CF0`.
  const word = (type === '' ? name : type).trim().toLowerCase();
  return TYPE_PREFIXES.find(([prefix]) => word.startsWith(prefix))?.[1] ?? null;
}

export function normalizeDevice(device: WireDevice, settings: AreaSettings): DeviceDraft {
  const accounts = parseAccounts(device.description);
  const type = knownTypeOf(device) ?? 'OTHER';
  return {
    nativeId: device.guid,
    nativeOrgId: NO_ACCOUNT,
    nativeSiteId: siteIdOf(device.area, settings),
    name: device.name === '' ? device.guid : device.name,
    type,
    vendorType: device.type === '' ? null : device.type,
    // The control API says nothing about how a device is: its events do.
    status: null,
    externalIds: accounts.map(({ system, text }) => ({ namespace: `${system.toLowerCase()}:account`, value: text })),
    manufacturer: 'Reconeyez',
    model: device.type === '' ? null : device.type,
    capabilities: type === 'DETECTOR' ? DETECTOR_CAPABILITIES : CAPABILITIES,
  };
}

/** One site per area, in the order of their names. */
export function normalizeAreas(devices: readonly WireDevice[], settings: AreaSettings): readonly SiteDraft[] {
  const areas = Map.groupBy(devices, ({ area }) => siteIdOf(area, settings));
  return [...areas]
    .map(([nativeId, members]) => ({
      nativeOrgId: NO_ACCOUNT,
      nativeId,
      name: nativeId,
      address: null,
      coordinates: null,
      timezone: timezoneOf(members[0]?.area ?? '', settings),
      deviceCount: members.length,
    }))
    .toSorted((a, b) => (a.nativeId < b.nativeId ? -1 : 1));
}

/** Something of the platform that has a name, as the API's NamedRef. */
interface NamedRef {
  readonly id: string;
  readonly name: string;
}

/** The sirens of each area. */
export function sirensByArea(devices: readonly WireDevice[]): ReadonlyMap<string, readonly NamedRef[]> {
  const sirens = devices.filter((device) => knownTypeOf(device) === 'SIREN');
  const refs = Map.groupBy(sirens, ({ area }) => area);
  return new Map([...refs].map(([area, members]) => [area, members.map(({ guid, name }) => ({ id: guid, name }))]));
}

export function normalizeLive(
  device: WireDevice,
  sirens: ReturnType<typeof sirensByArea>,
  settings: AreaSettings,
  checkedAt: Date,
): LiveDevice {
  const { nativeId, nativeSiteId, name, type } = normalizeDevice(device, settings);
  return {
    nativeId,
    nativeSiteId,
    name,
    type,
    state: 'UNKNOWN',
    vendorState: null,
    checkedAt,
    extras: {
      area: device.area === '' ? null : device.area,
      description: device.description === '' ? null : device.description,
      vendorType: device.type === '' ? null : device.type,
      accounts: parseAccounts(device.description),
      // Devices that no area was given to have none in common.
      sirens: device.area === '' ? [] : (sirens.get(device.area) ?? []),
    },
  };
}
