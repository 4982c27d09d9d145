import type { DeviceRow } from '../../storage/rows.ts';
import type { ListedColumns } from './device-record.ts';

/** One changed field, as `InventoryChange.fields` shows it. */
export interface FieldChange {
  /** The API's name of the field. */
  readonly name: string;
  readonly before: string | null;
  readonly after: string | null;
}

type Compared = Omit<ListedColumns, 'native_id' | 'content_hash' | 'search_text'>;

// The Record keeps a new column from compiling until someone says how clients know it.
const FIELDS: Readonly<Record<keyof Compared, string>> = {
  name: 'name',
  type: 'type',
  vendor_type: 'vendorType',
  vendor_org_id: 'vendorOrgId',
  vendor_site_id: 'vendorSiteId',
  parent_id: 'parent',
  system: 'system',
  ip: 'network.ip',
  hostname: 'network.hostname',
  mac_addresses: 'network.macAddresses',
  manufacturer: 'manufacturer',
  model: 'model',
  firmware: 'firmware',
  serial_number: 'serialNumber',
  capabilities: 'capabilities',
  tags: 'tags',
  warranty_expires_at: 'warrantyExpiresAt',
  end_of_support_at: 'endOfSupportAt',
};
const INSTANTS = new Set(['warranty_expires_at', 'end_of_support_at']);
const LISTS = new Set(['mac_addresses', 'capabilities', 'tags']);

function isColumn(name: string): name is keyof Compared {
  return Object.hasOwn(FIELDS, name);
}

function shown(column: keyof Compared, value: string | number | null): string | null {
  if (value === null) return null;
  if (INSTANTS.has(column)) return new Date(Number(value)).toISOString();
  if (!LISTS.has(column)) return String(value);
  const list: unknown = JSON.parse(String(value));
  return Array.isArray(list) ? list.join(', ') : String(value);
}

/** What is different between a stored device and what was listed now, in the API's field names. */
export function fieldChanges(before: Compared, after: Compared): readonly FieldChange[] {
  return Object.keys(FIELDS)
    .filter(isColumn)
    .filter((column) => before[column] !== after[column])
    .map((column) => ({
      name: FIELDS[column],
      before: shown(column, before[column]),
      after: shown(column, after[column]),
    }));
}

/** A move, as a field change. */
export function siteChange(before: DeviceRow['site_id'], after: DeviceRow['site_id']): FieldChange {
  return { name: 'site', before, after };
}

/** Another part of the site, by id. */
export function zoneChange(before: DeviceRow['zone_id'], after: DeviceRow['zone_id']): FieldChange {
  return { name: 'zone', before, after };
}
