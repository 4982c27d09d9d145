import type { EventDraft } from '../../adapter-kit/model.ts';
import type { Tx } from '../../storage/database.ts';
import { deviceId } from '../../storage/ids.ts';
import type { DeviceRow, SiteBindingRow } from '../../storage/rows.ts';
import { STATUS_COLUMNS } from '../status/device-row.ts';
import { inChunks } from './chunks.ts';

const DEVICE_COLUMNS = [
  'id',
  'site_id',
  'name',
  'type',
  'last_seen_at',
  'telemetry',
  'evidence',
  'maintenance_id',
  'suppressed_by',
  'incident_id',
  'silence_due_at',
  'removed_at',
  ...STATUS_COLUMNS,
] as const satisfies readonly (keyof DeviceRow)[];

/** What the writer needs of a device to fold claims into it. */
export type KnownDevice = Pick<DeviceRow, (typeof DEVICE_COLUMNS)[number]>;

export type Resolution =
  | { readonly siteId: string | null; readonly device: KnownDevice | null }
  | { readonly stage: 'BINDING' | 'MAPPING'; readonly reason: string };

/** What one integration's drafts can be resolved with: read once per batch. */
export interface ResolutionView {
  readonly integrationId: string;
  readonly bindings: readonly SiteBindingRow[];
  readonly devices: ReadonlyMap<string, KnownDevice>;
}

/** Reads the integration's bindings and the devices that these drafts name. */
export async function readResolutionView(
  tx: Tx,
  integrationId: string,
  drafts: readonly EventDraft[],
): Promise<ResolutionView> {
  const bindings = await tx
    .selectFrom('site_bindings')
    .selectAll()
    .where('integration_id', '=', integrationId)
    .execute();
  const ids = new Set<string>();
  for (const { nativeDeviceId } of drafts)
    if (nativeDeviceId !== null) ids.add(deviceId(integrationId, nativeDeviceId));
  return { integrationId, bindings, devices: await readDevices(tx, [...ids]) };
}

/** Devices by id, as far as they exist. */
export async function readDevices(tx: Tx, ids: readonly string[]): Promise<ReadonlyMap<string, KnownDevice>> {
  const devices = new Map<string, KnownDevice>();
  for (const chunk of inChunks(ids)) {
    const rows = await tx.selectFrom('devices').select(DEVICE_COLUMNS).where('id', 'in', chunk).execute();
    for (const row of rows) devices.set(row.id, row);
  }
  return devices;
}

function isSameAccount(binding: SiteBindingRow, nativeOrgId: string | null): boolean {
  // Platforms without accounts bind with an empty account, and some events name the site only.
  return (
    nativeOrgId === null || nativeOrgId === '' || binding.vendor_org_id === '' || binding.vendor_org_id === nativeOrgId
  );
}

/**
 * Ties a draft to our site and device. Never guesses: an event of a vendor site that is not bound, or of a device that
 * no sync has listed, is given back with what is missing. An event that names neither belongs to the integration.
 */
export function resolveDraft(view: ResolutionView, draft: EventDraft): Resolution {
  const { nativeOrgId, nativeSiteId, nativeDeviceId } = draft;
  const device = nativeDeviceId === null ? null : view.devices.get(deviceId(view.integrationId, nativeDeviceId));

  let siteId: string | null = null;
  if (nativeSiteId !== null) {
    const bound = view.bindings.filter(
      (binding) => binding.vendor_site_id === nativeSiteId && isSameAccount(binding, nativeOrgId),
    );
    const [binding] = bound;
    if (binding === undefined)
      return { stage: 'BINDING', reason: `vendor site "${quoted(nativeSiteId)}" is not bound to a site` };
    if (bound.length > 1) {
      return {
        stage: 'BINDING',
        reason: `vendor site "${quoted(nativeSiteId)}" is bound in several accounts and the event names none`,
      };
    }
    siteId = binding.site_id;
  }
  if (device === undefined) {
    return { stage: 'MAPPING', reason: `device "${quoted(nativeDeviceId)}" is not in the inventory` };
  }
  if (device === null) {
    return draft.claim === null
      ? { siteId, device: null }
      : { stage: 'MAPPING', reason: 'the event claims a state and names no device' };
  }
  if (nativeSiteId === null) {
    if (device.site_id === null) {
      return {
        stage: 'BINDING',
        reason: `the vendor site of device "${quoted(nativeDeviceId)}" is not bound to a site`,
      };
    }
    siteId = device.site_id;
  }
  return { siteId, device };
}

const MAX_QUOTED = 80;

function quoted(id: string | null): string {
  return (id ?? '').replaceAll(/[\p{Cc}"]/gu, '?').slice(0, MAX_QUOTED);
}
