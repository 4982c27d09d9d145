import { hash } from 'node:crypto';
import type { DeviceDraft, DeviceLinkDraft, PositionDraft, TelemetryDraft } from '../../adapter-kit/model.ts';
import { normalizeMac } from '../../schema/scalars.ts';
import type { DeviceRelation, DeviceState, StatusReason, ZoneKind } from '../../schema/words.ts';
import type { LISTED_FIELDS } from '../../storage/device-fields.ts';
import { deviceId } from '../../storage/ids.ts';
import type { DeviceRow } from '../../storage/rows.ts';
import { soundPosition } from './positions.ts';

/** Longest text kept of one field; platforms keep names well below, and indexes have their limits. */
const MAX_TEXT = 500;
/** Longest native id: it is part of unique indexes and of cursors. */
export const MAX_NATIVE_ID = 300;
/** Most tags, addresses, capabilities or further ids of one device; beyond it the vendor uses them for something else. */
const MAX_LIST = 50;
/** Longest search text; words beyond it are found by no one in practice. */
const MAX_SEARCH_TEXT = 2_000;

/** The columns of a device that a listing alone decides. */
export type ListedColumns = Pick<DeviceRow, keyof typeof LISTED_FIELDS | 'native_id' | 'content_hash'>;

/** What a listing claims about a device's state. */
export interface ListedClaim {
  readonly state: DeviceState;
  readonly reason: StatusReason | null;
  readonly vendorState: string | null;
  readonly observedAt: number;
  /** Reasons of a DEGRADED state that it does not end. */
  readonly keepsDegraded?: readonly StatusReason[];
}

/** How the device names another one; empty where the draft had null (see `DeviceLinkDraft`). */
export interface ListedLink {
  readonly relation: DeviceRelation;
  readonly integrationId: string;
  readonly namespace: string;
  readonly value: string;
}

/** One device of a listing, in the store's words. */
export interface DeviceRecord {
  readonly id: string;
  readonly columns: ListedColumns;
  readonly macs: readonly string[];
  readonly tags: readonly string[];
  readonly externalIds: readonly { readonly namespace: string; readonly value: string }[];
  readonly links: readonly ListedLink[];
  readonly zone: { readonly name: string; readonly kind: ZoneKind } | null;
  readonly claim: ListedClaim | null;
  readonly telemetry: TelemetryDraft | null;
  /** Not in the content hash: some metres more or less are no change. Null: nobody says. */
  readonly position: PositionDraft | null;
  readonly lastSeenAt: number | null;
}

// PostgreSQL refuses NUL in text, and a cut text must not end in half a character.
function clean(value: string | null | undefined): string | null {
  if (value === null || value === undefined) return null;
  const text = value.replaceAll('\0', '').trim();
  if (text.length === 0) return null;
  return text.length <= MAX_TEXT ? text : text.slice(0, MAX_TEXT).toWellFormed();
}

function instant(value: Date | null | undefined): number | null {
  const at = value?.getTime();
  return at === undefined || Number.isNaN(at) ? null : at;
}

function distinct(values: readonly (string | null)[]): string[] {
  return [...new Set(values.filter((value) => value !== null))].slice(0, MAX_LIST);
}

/** What a device is found by. Made where it is written: most devices of most listings are as they were. */
export function searchTextOf({ columns, macs, tags, externalIds }: DeviceRecord): string {
  const words = [
    columns.name,
    columns.native_id,
    columns.model,
    columns.manufacturer,
    columns.vendor_type,
    columns.serial_number,
    columns.hostname,
    columns.ip,
    ...macs,
    ...macs.map((mac) => mac.replaceAll(':', '')),
    ...tags,
    ...externalIds.map(({ value }) => value),
  ];
  return distinct(words).join(' ').toLowerCase().slice(0, MAX_SEARCH_TEXT).toWellFormed();
}

/** @returns why the draft cannot be stored, or null when it can */
export function refusal(draft: DeviceDraft): string | null {
  if (draft.nativeId.trim() === '') return 'it has no id';
  if (draft.nativeId.includes('\0')) return 'its id contains a NUL character';
  if (draft.nativeId.length > MAX_NATIVE_ID) return `its id is longer than ${MAX_NATIVE_ID} characters`;
  return null;
}

/** Whose listing it is, and when it was asked for. */
export interface ListingContext {
  readonly integrationId: string;
  readonly vendor: string;
  /** When the listing started: claims without a time of their own are of then. */
  readonly startedAt: number;
}

/**
 * Turns what a platform listed into what the store keeps. The content hash covers all that an operator would call the
 * device's data, and neither its status, nor its readings, nor our binding of its site.
 */
export function toRecord(draft: DeviceDraft, { integrationId, vendor, startedAt }: ListingContext): DeviceRecord {
  const macs = distinct((draft.macAddresses ?? []).map(normalizeMac));
  const tags = distinct((draft.tags ?? []).map(clean)).toSorted();
  const externalIds = [
    { namespace: `${vendor}:device-id`, value: draft.nativeId },
    ...(draft.externalIds ?? []).flatMap((id) => {
      const [namespace, value] = [clean(id.namespace), clean(id.value)];
      return namespace === null || value === null ? [] : [{ namespace, value }];
    }),
  ].slice(0, MAX_LIST);
  const links = linksOf(draft.links ?? []);
  const zoneName = clean(draft.zone?.name);
  const zone = zoneName === null || !draft.zone ? null : { name: zoneName, kind: draft.zone.kind };
  const parent = draft.parentNativeId ?? null;
  const content = {
    native_id: draft.nativeId,
    vendor_org_id: clean(draft.nativeOrgId) ?? '',
    vendor_site_id: clean(draft.nativeSiteId) ?? '',
    parent_id: parent === null || parent === draft.nativeId ? null : deviceId(integrationId, parent),
    system: clean(draft.system),
    name: clean(draft.name) ?? draft.nativeId,
    type: draft.type,
    vendor_type: clean(draft.vendorType),
    ip: clean(draft.ip),
    hostname: clean(draft.hostname),
    manufacturer: clean(draft.manufacturer),
    model: clean(draft.model),
    firmware: clean(draft.firmware),
    serial_number: clean(draft.serialNumber),
    mac_addresses: JSON.stringify(macs),
    capabilities: JSON.stringify(distinct([...(draft.capabilities ?? [])]).toSorted()),
    tags: JSON.stringify(tags),
    warranty_expires_at: instant(draft.warrantyExpiresAt),
    end_of_support_at: instant(draft.endOfSupportAt),
  };
  return {
    id: deviceId(integrationId, draft.nativeId),
    columns: {
      ...content,
      // Most devices name no other, and theirs must not look changed because others do.
      content_hash: hash(
        'sha256',
        JSON.stringify([Object.values(content), externalIds, zone, ...(links.length === 0 ? [] : [links])]),
        'base64url',
      ),
    },
    macs,
    tags,
    externalIds,
    links,
    zone,
    claim: toClaim(draft, startedAt),
    telemetry: draft.telemetry ?? null,
    position: soundPosition(draft.position),
    lastSeenAt: instant(draft.lastSeenAt),
  };
}

function linksOf(drafts: readonly DeviceLinkDraft[]): readonly ListedLink[] {
  const links = new Map<string, ListedLink>();
  for (const { relation, integrationId, namespace, value } of drafts) {
    const named = clean(value);
    if (named === null || links.size >= MAX_LIST) continue;
    const link = {
      relation,
      integrationId: clean(integrationId) ?? '',
      namespace: clean(namespace) ?? '',
      value: named,
    };
    links.set(JSON.stringify(Object.values(link)), link);
  }
  return [...links].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, link]) => link);
}

function toClaim({ status }: DeviceDraft, startedAt: number): ListedClaim | null {
  if (status === null) return null;
  return {
    state: status.state,
    reason: status.reason,
    vendorState: clean(status.vendorState),
    // A platform whose clock is ahead must not lock the state against events that happen until then.
    observedAt: Math.min(instant(status.observedAt) ?? startedAt, startedAt),
    ...(status.keepsDegraded === undefined ? {} : { keepsDegraded: status.keepsDegraded }),
  };
}
