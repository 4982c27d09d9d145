// The names of the vendor contract's members: its two revisions and what vendors write instead. Data, so that one more
// name is a row here, or a setting of one integration, and never code.
import { z } from 'zod';

/**
 * Our name of a member, then the names it may have on the wire, the newer revision's first. The first one that carries
 * a value counts.
 */
export const CONTRACT_ALIASES = {
  account: {
    accountId: ['account_id', 'org_id', 'organization_id', 'customer_id', 'tenant_id', 'id'],
    name: ['name', 'account_name', 'org_name', 'customer_name'],
    version: ['api_version', 'version'],
  },
  site: {
    siteId: ['site_id', 'location_id', 'premises_id', 'id'],
    accountId: ['account_id', 'org_id', 'organization_id', 'customer_id', 'tenant_id'],
    name: ['name', 'site_name', 'location_name', 'label'],
    address: ['address', 'site_address', 'location_address'],
    coordinates: ['coordinates', 'position', 'geo', 'location'],
    latitude: ['latitude', 'lat'],
    longitude: ['longitude', 'lng', 'lon'],
    timezone: ['timezone', 'time_zone', 'tz'],
    deviceCount: ['device_count', 'devices_count'],
  },
  device: {
    deviceId: ['device_id', 'id'],
    systemId: ['system_id', 'server_id'],
    accountId: ['account_id', 'org_id', 'organization_id', 'customer_id', 'tenant_id'],
    siteId: ['site_id', 'location_id', 'premises_id'],
    siteName: ['site_name', 'location_name'],
    siteAddress: ['site_address', 'location_address'],
    siteCoordinates: ['site_coordinates', 'coordinates'],
    siteTimezone: ['site_timezone', 'timezone', 'time_zone', 'tz'],
    name: ['name', 'label', 'device_name', 'display_name'],
    type: ['type', 'device_type', 'kind', 'category'],
    status: ['status', 'state', 'connection_status', 'online', 'is_online'],
    // When the platform looked. `status_changed_at` is something else: since when it has been so.
    statusAt: ['status_at', 'status_timestamp', 'status_observed_at'],
    lastSeen: ['last_seen', 'last_seen_at'],
    macAddresses: ['mac_address', 'mac', 'mac_addresses', 'macs'],
    ip: ['ip', 'ip_address'],
    hostname: ['hostname', 'host_name', 'fqdn'],
    manufacturer: ['manufacturer', 'make', 'brand'],
    model: ['model', 'model_name', 'vendor_model'],
    firmware: ['firmware_version', 'firmware', 'fw_version'],
    serialNumber: ['serial_number', 'serial'],
    zone: ['zone', 'zone_name', 'area'],
    parentId: ['parent_id', 'parent_device_id', 'recorder_id', 'panel_id'],
    batteryPercent: ['battery_percent', 'battery_level', 'battery'],
    warrantyExpiresAt: ['warranty_expires_at', 'warranty_expiry_date', 'warranty_expiry'],
    endOfSupportAt: ['end_of_support_at', 'end_of_support_date', 'end_of_support'],
    tags: ['tags', 'labels'],
  },
  event: {
    eventId: ['event_id', 'event_uuid'],
    eventType: ['event_type', 'type', 'event'],
    deviceId: ['device_id', 'id', 'data.device_id'],
    systemId: ['system_id', 'server_id', 'data.system_id'],
    timestamp: ['timestamp', 'occurred_at', 'event_time', 'time'],
    accountId: ['account_id', 'org_id', 'organization_id', 'customer_id', 'tenant_id'],
    siteId: ['site_id', 'location_id', 'premises_id'],
    data: ['data', 'attributes', 'payload', 'details'],
    status: ['data.status', 'status', 'data.state', 'state'],
    lastSeen: ['data.last_seen', 'last_seen', 'data.last_seen_at', 'last_seen_at'],
    reason: ['data.reason', 'reason', 'data.cause'],
    subtype: [
      'data.event',
      'data.type',
      'data.subtype',
      'data.alarm_type',
      'data.fault',
      'data.outcome',
      'data.result',
      'data.action',
      'subtype',
      'data.status',
    ],
    restoral: ['data.restoral', 'data.restored', 'data.cleared'],
    severity: ['data.severity', 'severity', 'data.priority'],
    deviceName: ['device_name', 'data.device_name'],
    zone: ['data.zone', 'data.zone_name', 'data.area'],
    siaCode: ['data.sia_code', 'data.sia'],
    contactIdCode: ['data.contact_id_code', 'data.contact_id', 'data.cid'],
    personName: ['data.person_name', 'data.cardholder', 'data.user_name'],
    credential: ['data.credential', 'data.card_number', 'data.credential_id'],
    deepLink: ['data.deep_link', 'data.url', 'data.link'],
    imageUrl: ['data.image_url', 'data.snapshot_url'],
    clipUrl: ['data.clip_url', 'data.video_url'],
    intervalSeconds: ['data.interval_seconds', 'interval_seconds'],
  },
  page: {
    items: ['devices', 'sites', 'webhooks', 'items', 'results', 'data', 'assets', 'locations'],
    pagination: ['pagination', 'paging', 'meta'],
    page: ['pagination.page', 'paging.page', 'meta.page', 'page'],
    totalPages: ['pagination.total_pages', 'paging.total_pages', 'meta.total_pages', 'total_pages'],
    totalCount: ['pagination.total_count', 'paging.total_count', 'meta.total_count', 'total_count', 'total'],
  },
} as const;

export type ContractRecord = keyof typeof CONTRACT_ALIASES;
export type ContractMember<R extends ContractRecord> = keyof (typeof CONTRACT_ALIASES)[R];

/** Longest list of extra names for one member: an operator's list, not a vendor's. */
const MAX_EXTRA_NAMES = 10;
const MAX_NAME_LENGTH = 200;

function extraNames<R extends ContractRecord>(record: R) {
  const members: string[] = Object.keys(CONTRACT_ALIASES[record]);
  const name = z.string().min(1).max(MAX_NAME_LENGTH);
  return z
    .partialRecord(z.enum(members), z.array(name).min(1).max(MAX_EXTRA_NAMES))
    .describe(`Extra names (dots go into nested objects) for: ${members.join(', ')}.`)
    .optional();
}

/** What an operator adds for one vendor: our member name, then names or dotted paths, tried before those of the table. */
export const ContractAliasSettings = z.strictObject({
  account: extraNames('account'),
  site: extraNames('site'),
  device: extraNames('device'),
  event: extraNames('event'),
  page: extraNames('page'),
});
export type ContractAliasSettings = z.infer<typeof ContractAliasSettings>;

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function valueAt(record: Readonly<Record<string, unknown>>, path: readonly string[]): unknown {
  let value: unknown = record;
  for (const name of path) {
    // Own members only: `constructor` is a word that a vendor may send.
    if (!isRecord(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

/** Our member names, each with what the vendor sent for it; what carries no value is absent. */
export type AliasedRecord = Readonly<Record<string, unknown>>;

/** Reads a vendor's record in our member names, whatever revision it is written in. */
export type AliasReader = (record: Readonly<Record<string, unknown>>) => AliasedRecord;

/** @param extra names that this vendor uses, tried first */
export function createAliasReader(record: ContractRecord, extra: ContractAliasSettings = {}): AliasReader {
  const own: Readonly<Partial<Record<string, string[]>>> = extra[record] ?? {};
  const table: Readonly<Record<string, readonly string[]>> = CONTRACT_ALIASES[record];
  const members = Object.entries(table).map(([member, names]) => ({
    member,
    // A configured name may itself contain a dot: it is tried as one name first.
    paths: [
      ...(own[member] ?? []).flatMap((name) => [[name], name.split('.')]),
      ...names.map((name) => name.split('.')),
    ],
  }));
  return (source) => {
    const found: Record<string, unknown> = {};
    for (const { member, paths } of members) {
      for (const path of paths) {
        const value = valueAt(source, path);
        if (value === undefined || value === null || value === '') continue;
        found[member] = value;
        break;
      }
    }
    return found;
  };
}
