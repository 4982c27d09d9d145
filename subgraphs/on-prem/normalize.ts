// Pure: the contract's records to ours.
import type { DeviceDraft, EventDraft, StatusClaim } from '../../adapter-kit/model.ts';
import type { ContractDevice } from '../../schema/contract/records.ts';
import type { DeviceState } from '../../schema/words.ts';
import type { OnPremSettings } from './settings.ts';
import type { WireEvent } from './wire.ts';
import { foldWord, STATUS_WORDS, TYPE_WORDS } from '../../schema/contract/on-site.ts';
import { CAPABILITIES, TOLD } from './words.ts';

function own<T>(words: Readonly<Record<string, T>>, word: string): T | undefined {
  return Object.hasOwn(words, word) ? words[word] : undefined;
}

/** Whose the record is: the customer is the vendor's site, unless sites are named beside it. Null: it does not say. */
export function placeOf(
  customerId: string | undefined,
  siteId: string | undefined,
): { readonly nativeOrgId: string; readonly nativeSiteId: string } | null {
  if (siteId !== undefined) return { nativeOrgId: customerId ?? '', nativeSiteId: siteId };
  return customerId === undefined ? null : { nativeOrgId: '', nativeSiteId: customerId };
}

function stateOf(word: string, { statusWords }: OnPremSettings): DeviceState | undefined {
  return own(statusWords, word) ?? STATUS_WORDS.get(foldWord(word));
}

function claimOf(word: string, observedAt: Date | null, settings: OnPremSettings): StatusClaim {
  const state = stateOf(word, settings);
  return {
    state: state ?? 'UNKNOWN',
    reason: state === undefined || state === 'UNKNOWN' ? null : 'REPORTED',
    vendorState: word,
    observedAt,
  };
}

/** @returns null when nobody can tell whose it is */
export function normalizeDevice(device: ContractDevice, settings: OnPremSettings): DeviceDraft | null {
  const place = placeOf(device.accountId, device.siteId);
  if (place === null) return null;
  const word = device.type;
  const type = word === null ? undefined : (own(settings.typeWords, word) ?? TYPE_WORDS.get(foldWord(word)));
  return {
    nativeId: device.deviceId,
    ...place,
    name: device.name ?? device.hostname ?? device.deviceId,
    type: type ?? 'OTHER',
    vendorType: word,
    status: device.status === null ? null : claimOf(device.status, device.statusAt, settings),
    lastSeenAt: device.lastSeen,
    macAddresses: device.macAddresses ?? [],
    ip: device.ip,
    hostname: device.hostname,
    manufacturer: device.manufacturer,
    model: device.model,
    firmware: device.firmware,
    serialNumber: device.serialNumber,
    zone: device.zone === null ? null : { name: device.zone, kind: 'AREA' },
    system: device.systemId ?? null,
    parentNativeId: device.parentId ?? null,
    telemetry: device.batteryPercent === null ? null : { batteryPercent: device.batteryPercent },
    warrantyExpiresAt: device.warrantyExpiresAt,
    endOfSupportAt: device.endOfSupportAt,
    capabilities: CAPABILITIES,
    tags: device.tags ?? [],
  };
}

/** @returns null for what is no health event of a device */
export function normalizeEvent({ event, raw }: WireEvent, settings: OnPremSettings): EventDraft | null {
  const { deviceId, status } = event;
  if (deviceId === undefined || status === null) return null;
  const claim = claimOf(status, null, settings);
  const { severity, words } = TOLD[claim.state];
  // A device that is known stands where its list put it: an event need not repeat whose it is.
  const place = placeOf(event.accountId, event.siteId) ?? { nativeOrgId: null, nativeSiteId: null };
  return {
    vendorEventId: event.eventId ?? null,
    family: 'HEALTH',
    type: `health.${claim.state.toLowerCase()}`,
    vendorCode: status,
    ...(stateOf(status, settings) === undefined ? { unknownCode: status } : {}),
    severity,
    occurredAt: event.timestamp,
    ...place,
    nativeDeviceId: deviceId,
    claim,
    isLifeSign: claim.state === 'ONLINE' || claim.state === 'DEGRADED',
    summary: `${event.deviceName ?? 'Device'} ${words}`,
    details: {},
    raw,
  };
}
