// Pure: OnGuard's objects to drafts and live devices.
import type { DeviceDraft, LiveDevice, SiteDraft } from '../../adapter-kit/model.ts';
import type { DeviceType } from '../../schema/words.ts';
import type { Instance } from './inventory.ts';
import { panelTypeOf } from './kinds.ts';
import { boolOf, intOf, ipOf, textLike, textOf } from './properties.ts';
import { DISABLED, type HardwareStatus } from './status-words.ts';

/** OnGuard knows no accounts: one system belongs to one customer. */
export const NO_ACCOUNT = '';
/** Where there are no segments, or a device is in none that we know: the system as a whole. */
export const WHOLE_SYSTEM = '0';

/** What a device's place in the system is called. */
export interface Surroundings {
  readonly panels: ReadonlyMap<number, Instance>;
  readonly segments: ReadonlyMap<number, string>;
  /** Ids that are listed: a parent that is not is none. */
  readonly nativeIds: ReadonlySet<string> | null;
}

export function normalizeSites(segments: ReadonlyMap<number, string>, systemName: string): readonly SiteDraft[] {
  const entries: (readonly [string, string])[] =
    segments.size === 0 ? [[WHOLE_SYSTEM, systemName]] : [...segments].map(([id, name]) => [String(id), name] as const);
  return entries.map(([nativeId, name]) => ({
    nativeOrgId: NO_ACCOUNT,
    nativeId,
    name,
    address: null,
    coordinates: null,
    timezone: null,
    deviceCount: null,
  }));
}

/** A device belongs to its panel's segment; only panels and a few others have one. */
function segmentOf({ properties, place }: Instance, { panels, segments }: Surroundings): number | null {
  const panel = panels.get(place.panelId);
  const id = intOf(properties, 'SegmentId') ?? (panel === undefined ? null : intOf(panel.properties, 'SegmentId'));
  return id !== null && segments.has(id) ? id : null;
}

function siteOf(instance: Instance, surroundings: Surroundings): string {
  const segment = segmentOf(instance, surroundings);
  return segment === null ? WHOLE_SYSTEM : String(segment);
}

function vendorTypeOf({ kind, properties }: Instance): string {
  return (kind.name === 'panel' ? textOf(properties, 'PanelType') : null) ?? kind.typeName;
}

function typeOf(instance: Instance): DeviceType {
  return instance.kind.name === 'panel' ? panelTypeOf(vendorTypeOf(instance)) : instance.kind.type;
}

export function nameOf(instance: Instance): string {
  const { place, properties } = instance;
  return (
    textOf(properties, 'Name') ?? `${vendorTypeOf(instance)} #${place.subdeviceId || place.deviceId || place.panelId}`
  );
}

/** The device it reports through. */
function parentOf({ kind, place }: Instance, nativeIds: ReadonlySet<string> | null): string | null {
  if (kind.name === 'panel') return null;
  const panel = String(place.panelId);
  if (place.subdeviceId === 0) return nativeIds?.has(panel) === true ? panel : null;
  const device = `${panel}-${place.deviceId}`;
  // An input belongs to the board of its number even where a reader has the same.
  const isPartOfReader = /^lnl_reader/i.test(kind.typeName);
  const candidates = isPartOfReader ? [device, panel] : [`${device}-board`, device, panel];
  return candidates.find((id) => nativeIds?.has(id) ?? false) ?? null;
}

/** @param status null: the platform was not asked, events alone make it */
export function normalizeDevice(
  instance: Instance,
  status: HardwareStatus | null,
  observedAt: Date | null,
  surroundings: Surroundings,
): DeviceDraft {
  const { kind, nativeId, place, properties } = instance;
  const vendorType = vendorTypeOf(instance);
  const isDisabled = boolOf(properties, 'IsOnline') === false;
  const told = status ?? (isDisabled ? DISABLED : null);
  const objectId = intOf(properties, 'ID');
  const numbers = [place.panelId, place.deviceId, ...(place.subdeviceId === 0 ? [] : [place.subdeviceId])].join('-');
  const mac = textLike(properties, /^mac_?(address)?$/);
  return {
    nativeId,
    nativeOrgId: NO_ACCOUNT,
    nativeSiteId: siteOf(instance, surroundings),
    name: nameOf(instance),
    type: typeOf(instance),
    vendorType,
    status:
      told === null
        ? null
        : { state: told.state, reason: told.reason, vendorState: told.vendorState, observedAt: observedAt },
    lastSeenAt: told?.state === 'ONLINE' && kind.status !== null ? observedAt : null,
    externalIds: [
      ...(kind.name === 'camera'
        ? []
        : [
            {
              namespace: place.subdeviceId === 0 ? 'onguard:panelid-deviceid' : 'onguard:panelid-deviceid-subdeviceid',
              value: place.subdeviceId === 0 ? numbers : `${numbers}${kind.name === 'output' ? 'o' : 'i'}`,
            },
          ]),
      ...(objectId === null || kind.name === 'board'
        ? []
        : [{ namespace: `onguard:${kind.typeName.toLowerCase()}`, value: String(objectId) }]),
    ],
    // No release is known to have these; one that does is taken at its word.
    macAddresses: mac === null ? [] : [mac],
    firmware: textLike(properties, /firmware/),
    serialNumber: textLike(properties, /^serial_?(number|no)?$/),
    ip: ipOf(properties, 'PrimaryIPAddress', 'IPAddress', 'primary_ip_address'),
    hostname: textOf(properties, 'ComputerName'),
    manufacturer: /^lnl-/i.test(vendorType) ? 'LenelS2' : null,
    model:
      kind.name === 'panel'
        ? textOf(properties, 'PanelType')
        : kind.name === 'camera'
          ? textOf(properties, 'CameraTypeName')
          : null,
    zone: null,
    // Which communication server owns it: when that one stops, all of its panels fall silent together.
    system: textOf(properties, 'Workstation') ?? textOf(properties, 'HostName'),
    parentNativeId: parentOf(instance, surroundings.nativeIds),
    capabilities: kind.capabilities,
    tags: isDisabled ? ['disabled'] : [],
  };
}

export function normalizeLive(
  instance: Instance,
  status: HardwareStatus,
  checkedAt: Date,
  surroundings: Surroundings,
): LiveDevice {
  const { kind, nativeId, place, properties } = instance;
  const panel = surroundings.panels.get(place.panelId);
  const segment = segmentOf(instance, surroundings);
  const isOfReader = kind.name === 'reader' || /^lnl_reader/i.test(kind.typeName);
  return {
    nativeId,
    nativeSiteId: siteOf(instance, surroundings),
    name: nameOf(instance),
    type: typeOf(instance),
    state: status.state,
    vendorState: status.vendorState,
    checkedAt,
    extras: {
      panel: panel === undefined ? null : { id: panel.nativeId, name: nameOf(panel) },
      readerId: isOfReader ? place.deviceId : null,
      segment: segment === null ? null : { id: String(segment), name: surroundings.segments.get(segment) ?? null },
      commServer: textOf(properties, 'Workstation') ?? textOf(properties, 'HostName'),
      controlType: intOf(properties, 'ControlType'),
      isDisabled:
        boolOf(properties, 'IsOnline') === false ||
        (panel !== undefined && boolOf(panel.properties, 'IsOnline') === false),
      troubles: status.troubles,
    },
  };
}
