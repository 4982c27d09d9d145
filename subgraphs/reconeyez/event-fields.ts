/**
 * Where a delivery says what. The vendor publishes no sample of a body: the first place of each list was seen in
 * production by others, the rest are spellings that cost nothing to accept. Data only; `settings.aliases` go first.
 *
 * @see Reconeyez "JSON Webhook integration" (2023-08-11), list of metadata
 */
export const EVENT_FIELDS = [
  'code',
  'name',
  'eventId',
  'occurredAt',
  'link',
  'deviceId',
  'deviceName',
  'area',
  'battery',
  'signalDbm',
  'signalAsu',
  'account',
  'zone',
  'latitude',
  'longitude',
  'detections',
  'pictures',
] as const;
export type EventField = (typeof EVENT_FIELDS)[number];

const PLACES: Readonly<Record<EventField, readonly string[]>> = {
  code: ['event_type', 'eventType', 'type', 'event_code', 'eventCode', 'sia_code', 'siaCode', 'code'],
  name: ['event_name', 'eventName', 'event_type_name', 'eventTypeName'],
  eventId: ['event_guid', 'eventGuid', 'event_id', 'eventId'],
  occurredAt: [
    'observed_at',
    'event_time',
    'eventTime',
    'timestamp',
    'time',
    'created_at',
    'date_time',
    'observedAt',
    'createdAt',
    'dateTime',
    'alarm_time',
    'alarmTime',
  ],
  link: ['url', 'event_url', 'eventUrl', 'link'],
  deviceId: ['device_info.guid', 'deviceInfo.guid', 'device.guid', 'device_guid', 'deviceGuid'],
  deviceName: ['device_info.name', 'deviceInfo.name', 'device.name', 'device_name', 'deviceName'],
  area: ['device_info.area', 'deviceInfo.area', 'device.area', 'area_name', 'areaName'],
  battery: [
    'device_info.battery_percentage',
    'deviceInfo.batteryPercentage',
    'device.battery_percentage',
    'battery_percentage',
    'batteryPercentage',
  ],
  signalDbm: [
    'device_info.signal_strength_dbm',
    'deviceInfo.signalStrengthDbm',
    'device.signal_strength_dbm',
    'signal_strength_dbm',
    'signalStrengthDbm',
  ],
  signalAsu: [
    'device_info.signal_strength_asu',
    'deviceInfo.signalStrengthAsu',
    'device.signal_strength_asu',
    'signal_strength_asu',
    'signalStrengthAsu',
  ],
  account: ['account.site', 'account.account', 'site_id', 'siteId', 'account_number', 'accountNumber'],
  zone: ['account.zone', 'zone'],
  latitude: ['device_info.latitude', 'deviceInfo.latitude', 'location.latitude', 'gps.latitude', 'latitude', 'lat'],
  longitude: [
    'device_info.longitude',
    'deviceInfo.longitude',
    'location.longitude',
    'gps.longitude',
    'longitude',
    'lon',
    'lng',
  ],
  detections: ['detections', 'detected', 'actors', 'objects'],
  pictures: ['binary', 'binaries', 'pictures', 'images', 'attachments'],
};

/** Where an envelope would put all of it. */
const ENVELOPES = ['event', 'data'];

type Path = readonly string[];

function pathsOf(places: readonly string[]): readonly Path[] {
  const plain = places.map((place) => place.split('.'));
  return [...plain, ...ENVELOPES.flatMap((envelope) => plain.map((path) => [envelope, ...path]))];
}

function at(body: unknown, path: Path): unknown {
  let value = body;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = Reflect.get(value, name);
  }
  return value;
}

/** What a field may hold where it stands: a place with something else is passed over. */
type Accepts<T> = (value: unknown) => T | null;

export interface FieldReader {
  /** The first usable value, or null. */
  read<T>(body: unknown, field: EventField, accepts: Accepts<T>): T | null;
}

/** @param own this tenant's places, which come before ours */
export function createFieldReader(own: Readonly<Partial<Record<EventField, readonly string[]>>>): FieldReader {
  const paths = new Map(EVENT_FIELDS.map((field) => [field, pathsOf([...(own[field] ?? []), ...PLACES[field]])]));
  return {
    read(body, field, accepts) {
      for (const path of paths.get(field) ?? []) {
        const value = at(body, path);
        const accepted = value === undefined || value === null ? null : accepts(value);
        if (accepted !== null) return accepted;
      }
      return null;
    },
  };
}
