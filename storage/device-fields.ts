import { z } from 'zod';
import type { DeviceRow } from './rows.ts';

// The fields of a device whose changes are kept, in the API's words. What is written here can be undone, so that a
// device can be shown as it was.

/** One changed field, as `InventoryChange.fields` shows it. */
export const FieldChange = z.object({
  /** The API's name of the field. */
  name: z.string(),
  before: z.string().nullable(),
  after: z.string().nullable(),
  /** The value before as it was stored, where it cannot be told from `before`. */
  raw: z.string().optional(),
});
export type FieldChange = z.infer<typeof FieldChange>;

export const FieldChanges = z.array(FieldChange);

/** What a listing decides, by the column that keeps it. */
export const LISTED_FIELDS = {
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
} as const satisfies Partial<Record<keyof DeviceRow, string>>;

type Column = keyof typeof LISTED_FIELDS;
type Value = string | number | null;

const INSTANTS: ReadonlySet<string> = new Set(['warranty_expires_at', 'end_of_support_at']);
const LISTS: ReadonlySet<string> = new Set(['mac_addresses', 'capabilities', 'tags']);
/** Columns that cannot be null: a change that says otherwise is none of ours. */
const REQUIRED: ReadonlySet<string> = new Set(['name', 'type', 'vendor_org_id', 'vendor_site_id']);
const BETWEEN = ', ';
/** Two columns in one field: latitude and longitude. */
const COORDINATES = 'coordinates';

const Texts = z.array(z.string());

function isColumn(name: string): name is Column {
  return Object.hasOwn(LISTED_FIELDS, name);
}

const COLUMNS: readonly Column[] = Object.keys(LISTED_FIELDS).filter(isColumn);
const COLUMN_OF: ReadonlyMap<string, Column | 'site_id' | 'zone_id'> = new Map([
  ...COLUMNS.map((column) => [LISTED_FIELDS[column], column] as const),
  ['site', 'site_id'] as const,
  ['zone', 'zone_id'] as const,
]);

function shown(column: Column, value: Value): string | null {
  if (value === null) return null;
  if (INSTANTS.has(column)) return new Date(Number(value)).toISOString();
  return LISTS.has(column) ? Texts.parse(JSON.parse(String(value))).join(BETWEEN) : String(value);
}

/** A list whose entries hold what stands between entries is kept as it was as well. */
function rawOf(column: Column, value: Value): { readonly raw?: string } {
  if (value === null || !LISTS.has(column)) return {};
  const isPlain = Texts.parse(JSON.parse(String(value))).every((text) => text !== '' && !text.includes(BETWEEN));
  return isPlain ? {} : { raw: String(value) };
}

/** What is different between a stored device and what was listed now, in the API's field names. */
export function fieldChanges(
  before: Readonly<Record<Column, Value>>,
  after: Readonly<Record<Column, Value>>,
): readonly FieldChange[] {
  return COLUMNS.filter((column) => before[column] !== after[column]).map((column) => ({
    name: LISTED_FIELDS[column],
    before: shown(column, before[column]),
    after: shown(column, after[column]),
    ...rawOf(column, before[column]),
  }));
}

function storedValue(column: string, { before, raw }: FieldChange): Value | undefined {
  if (before === null) return REQUIRED.has(column) || LISTS.has(column) ? undefined : null;
  if (INSTANTS.has(column)) return Date.parse(before);
  if (!LISTS.has(column)) return before;
  return raw ?? JSON.stringify(before === '' ? [] : before.split(BETWEEN));
}

/** The device as it was before a change; fields that a newer release recorded are passed over. */
export function undoFields(device: DeviceRow, fields: readonly FieldChange[]): DeviceRow {
  const undone: Partial<Record<keyof DeviceRow, Value>> = {};
  for (const field of fields) {
    if (field.name === COORDINATES) {
      const [latitude = Number.NaN, longitude = Number.NaN] = (field.before ?? '').split(BETWEEN).map(Number);
      const isPlace = field.before !== null && Number.isFinite(latitude) && Number.isFinite(longitude);
      Object.assign(undone, isPlace ? { latitude, longitude } : { latitude: null, longitude: null });
      continue;
    }
    const column = COLUMN_OF.get(field.name);
    const value = column === undefined ? undefined : storedValue(column, field);
    if (column !== undefined && value !== undefined) undone[column] = value;
  }
  return { ...device, ...undone } as DeviceRow;
}

/** What remains of several changes of one device, oldest first: from the first value before to the last one after. */
export function netFields(changes: readonly (readonly FieldChange[])[]): readonly FieldChange[] {
  const net = new Map<string, FieldChange>();
  for (const field of changes.flat()) {
    const first = net.get(field.name);
    net.set(field.name, {
      name: field.name,
      before: first === undefined ? field.before : first.before,
      after: field.after,
    });
  }
  return [...net.values()].filter(({ before, after }) => before !== after);
}
