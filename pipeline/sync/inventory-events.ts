import type { EventDraft } from '../../adapter-kit/model.ts';
import type { InventoryChangeKind, Severity } from '../../schema/words.ts';
import type { FieldChange } from '../../storage/device-fields.ts';
import type { DeviceRow } from '../../storage/rows.ts';

interface Told {
  readonly type: string;
  readonly severity: Severity;
  readonly words: string;
}

const TOLD: Readonly<Record<InventoryChangeKind, Told>> = {
  ADDED: { type: 'inventory.added', severity: 'INFO', words: 'was added' },
  UPDATED: { type: 'inventory.updated', severity: 'INFO', words: 'was changed' },
  MOVED: { type: 'inventory.moved', severity: 'INFO', words: 'came to another site' },
  REMOVED: { type: 'inventory.removed', severity: 'NOTICE', words: 'is no longer listed' },
  RESTORED: { type: 'inventory.restored', severity: 'NOTICE', words: 'is listed again' },
};

/** Fields named in a summary; the event's details have them all. */
const MAX_NAMED = 5;

/** The event that says how the inventory changed. @param at when we learnt of it, milliseconds since the epoch */
export function inventoryDraft(
  kind: InventoryChangeKind,
  device: Pick<DeviceRow, 'native_id' | 'vendor_org_id' | 'vendor_site_id' | 'name'>,
  fields: readonly FieldChange[],
  at: number,
): EventDraft {
  const { type, severity, words } = TOLD[kind];
  const named = fields.slice(0, MAX_NAMED).map(({ name }) => name);
  const which = kind === 'UPDATED' ? `: ${named.join(', ')}${fields.length > MAX_NAMED ? ', …' : ''}` : '';
  return {
    vendorEventId: null,
    family: 'INVENTORY',
    type,
    vendorCode: null,
    severity,
    occurredAt: new Date(at),
    nativeOrgId: device.vendor_org_id,
    nativeSiteId: device.vendor_site_id,
    nativeDeviceId: device.native_id,
    claim: null,
    isLifeSign: false,
    summary: `${device.name} ${words}${which}`,
    details: { change: kind, ...(fields.length === 0 ? {} : { detail: { fields } }) },
    raw: null,
  };
}
