// The contract's records in our member names, after aliases.ts has read them. Unknown members are dropped here; who
// needs the vendor's own record keeps it beside.
import { z } from 'zod';
import { Id, Instant, lenient, readDay, readInstant, readNumber, readText, readTimezone, readWord } from './fields.ts';

const text = lenient(readText);
const optionalId = Id.optional().catch(undefined);
const count = lenient(readNumber(0, Number.MAX_SAFE_INTEGER));

/** More would not be read by anybody. */
const MAX_MACS = 16;
const MAX_TAGS = 50;

function readList(max: number): (value: unknown) => readonly string[] | null {
  return (value) => {
    const list = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [];
    return list
      .map(readText)
      .filter((item) => item !== null)
      .slice(0, max);
  };
}

const Position = z.object({ latitude: z.number(), longitude: z.number() });
const ShortPosition = z
  .object({ lat: z.number(), lng: z.number().optional(), lon: z.number().optional() })
  .transform(({ lat, lng, lon }) => ({ latitude: lat, longitude: lng ?? lon ?? Number.NaN }));

function readCoordinates(value: unknown): { latitude: number; longitude: number } | null {
  const { success, data } = z.union([Position, ShortPosition]).safeParse(value);
  return success && Math.abs(data.latitude) <= 90 && Math.abs(data.longitude) <= 180 ? data : null;
}

/** The account that a credential belongs to. */
export const ContractAccount = z.object({ accountId: Id, name: text, version: text });
export type ContractAccount = z.infer<typeof ContractAccount>;

export const ContractSite = z
  .object({
    siteId: Id,
    accountId: optionalId,
    name: text,
    address: text,
    coordinates: lenient(readCoordinates),
    latitude: lenient(readNumber(-90, 90)),
    longitude: lenient(readNumber(-180, 180)),
    timezone: lenient(readTimezone),
    deviceCount: count,
  })
  .transform(({ latitude, longitude, ...site }) => ({
    ...site,
    coordinates: site.coordinates ?? (latitude === null || longitude === null ? null : { latitude, longitude }),
  }));
export type ContractSite = z.infer<typeof ContractSite>;

/** A device as an inventory page tells it. Only its id can cost it its place. */
export const ContractDevice = z.object({
  deviceId: Id,
  systemId: optionalId,
  accountId: optionalId,
  siteId: optionalId,
  // What a device says of its site: never believed over the site's own record, but compared with it.
  siteName: text,
  siteAddress: text,
  siteCoordinates: lenient(readCoordinates),
  siteTimezone: lenient(readTimezone),
  name: text,
  type: text,
  status: lenient(readWord),
  statusAt: lenient(readInstant),
  lastSeen: lenient(readInstant),
  macAddresses: lenient(readList(MAX_MACS)),
  ip: text,
  hostname: text,
  manufacturer: text,
  model: text,
  firmware: text,
  serialNumber: text,
  zone: text,
  parentId: optionalId,
  batteryPercent: lenient(readNumber(0, 100)),
  warrantyExpiresAt: lenient(readDay),
  endOfSupportAt: lenient(readDay),
  tags: lenient(readList(MAX_TAGS)),
});
export type ContractDevice = z.infer<typeof ContractDevice>;

/** An event of either envelope. What an event must carry for its family is the decoder's business. */
export const ContractEvent = z.object({
  eventId: Id.optional(),
  eventType: lenient(readText),
  deviceId: Id.optional(),
  systemId: Id.optional(),
  timestamp: Instant,
  accountId: Id.optional(),
  siteId: Id.optional(),
  data: z.record(z.string(), z.unknown()).optional().catch(undefined),
  status: lenient(readWord),
  lastSeen: lenient(readInstant),
  reason: text,
  subtype: text,
  restoral: lenient((value) => (typeof value === 'boolean' ? value : null)),
  severity: text,
  deviceName: text,
  zone: text,
  siaCode: text,
  contactIdCode: text,
  personName: text,
  credential: text,
  deepLink: text,
  imageUrl: text,
  clipUrl: text,
  intervalSeconds: lenient(readNumber(1, 31_536_000)),
});
export type ContractEvent = z.infer<typeof ContractEvent>;

/** What surrounds a list. All of it may be absent: the list is one page then. */
export const ContractPage = z.object({
  items: z.array(z.unknown()),
  page: count,
  totalPages: count,
  totalCount: count,
});
export type ContractPage = z.infer<typeof ContractPage>;
