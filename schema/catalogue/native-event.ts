// An event of ours outside of the graph: what catalogue samples show, other formats are made of, and simulations send.
import { z } from 'zod';
import {
  ACCESS_OUTCOMES,
  DEVICE_STATES,
  EVENT_FAMILIES,
  type EventFamily,
  EVIDENCE_SOURCES,
  SEVERITIES,
  STATUS_REASONS,
} from '../words.ts';

/** JSON as it is: what a platform or sensor sent and we pass on unread. */
const Anything = z.json();
const Instant = z.iso.datetime({ offset: false, precision: 3 });

const common = {
  localTime: z
    .enum(['AMBIGUOUS', 'SKIPPED'])
    .exactOptional()
    .describe('Its local time came twice that day, or never: summer time ended or began.'),
  zone: z.string().exactOptional().describe('The detection point on the panel.'),
  actors: z
    .array(z.object({ kind: z.string(), confidence: z.number().nullable().describe('0 to 1.') }))
    .exactOptional()
    .describe('Who or what was detected.'),
  siaCode: z.string().exactOptional().describe('SIA DC-05 code, for example `BA`.'),
  contactIdCode: z.string().exactOptional().describe('Contact ID code, for example `1130`.'),
  restoral: z.boolean().exactOptional().describe('Back to normal.'),
  deepLink: z.string().exactOptional().describe("Where to look at it in the vendor's own application."),
  outcome: z.enum(ACCESS_OUTCOMES).exactOptional().describe('What happened at the door.'),
  credentialHint: z.string().exactOptional().describe('Enough of the credential to recognise it, never all.'),
  personName: z.string().exactOptional().describe('Who, when the platform tells.'),
  fault: z.string().exactOptional().describe('The fault, for example `stream_loss`.'),
  metadata: Anything.exactOptional().describe('Everything the sensor sent.'),
  detail: Anything.exactOptional().describe('More, where there is more.'),
  intervalSeconds: z.number().exactOptional().describe('How often the sign of life is expected.'),
  change: z.string().exactOptional().describe('What changed in the inventory.'),
};

/** What an event says beyond its envelope: all members may be absent; which ones a family always has, see nativeDataOf. */
export const NativeData = z.object(common);
export type NativeData = z.infer<typeof NativeData>;

const PLAIN = { member: null, data: NativeData } as const;

/** The member that every event of a family has, where it has one of its own, and its `data` with it. */
const FAMILIES = {
  HEALTH: PLAIN,
  ALARM: { member: 'restoral', data: NativeData.required({ restoral: true }) },
  ACCESS: { member: 'outcome', data: NativeData.required({ outcome: true }) },
  VIDEO: { member: 'fault', data: NativeData.required({ fault: true }) },
  SENSOR: { member: 'metadata', data: NativeData.required({ metadata: true }) },
  SYSTEM: PLAIN,
  SUPERVISION: PLAIN,
  COMMAND: PLAIN,
  INVENTORY: { member: 'change', data: NativeData.required({ change: true }) },
} as const satisfies Readonly<Record<EventFamily, { member: keyof NativeData | null; data: z.ZodObject }>>;

type OwnMember = NonNullable<(typeof FAMILIES)[EventFamily]['member']>;

/** `data` of a family: its own member is always there. */
export function nativeDataOf(family: EventFamily): z.ZodObject {
  return FAMILIES[family].data;
}

/** What every event of the family has, out of what an event of any family would have. */
export function ownData(
  family: EventFamily,
  values: Readonly<Record<OwnMember, unknown>>,
): Readonly<Record<string, unknown>> {
  const { member } = FAMILIES[family];
  return member === null ? {} : { [member]: values[member] };
}

export const NativeStatus = z.object({
  state: z.enum(DEVICE_STATES).describe('The state claimed.'),
  previousState: z.enum(DEVICE_STATES).nullable().describe('The state before, as far as we knew.'),
  reason: z.enum(STATUS_REASONS).nullable().describe('Why.'),
});

const Media = z.object({
  contentType: z.string().nullable(),
  url: z.string(),
  thumbnailUrl: z.string().nullable(),
  sizeBytes: z.number().nullable(),
  capturedAt: Instant.nullable(),
  sha256: z.string().nullable(),
});

/** An event in our own JSON. Instants are RFC 3339 in UTC with milliseconds; members that are added later are passed over. */
export const NativeEvent = z.object({
  id: z.string().min(1).describe('Stable over restarts; the same for every repetition of the event.'),
  type: z.string().min(1).describe('Stable dotted name, as the catalogue lists it.'),
  version: z.int().positive().describe('Of the type.'),
  family: z.enum(EVENT_FAMILIES).describe('What it is about.'),
  severity: z.enum(SEVERITIES).describe('How urgent it is.'),
  occurredAt: Instant.describe("When it happened, by the source's clock."),
  receivedAt: Instant.describe('When it reached us, by ours.'),
  clockSkewMs: z
    .int()
    .nullable()
    .describe("Our clock minus the source's at delivery, in milliseconds; null when the source tells no sending time."),
  late: z.boolean().describe('It was overtaken: a newer claim about the device had been accepted before.'),
  orgId: z.string().min(1).describe('The customer.'),
  siteId: z.string().nullable().describe('The premises; null for an event of the integration itself.'),
  deviceId: z.string().nullable().describe('The device; null for an event of a site or of the integration itself.'),
  integrationId: z.string().min(1).describe('The integration it came through.'),
  vendorEventId: z.string().nullable().describe("The vendor's own id of the event."),
  vendorCode: z.string().nullable().describe("The vendor's own code or word."),
  origin: z.enum(EVIDENCE_SOURCES).describe('How we learnt of it.'),
  summary: z.string().describe('One line for people, in English.'),
  status: NativeStatus.nullable().describe("What it says about the device's state; null when nothing."),
  media: z.array(Media).describe('Pictures and clips, in order.'),
  data: NativeData.describe('What events of the family have beside this.'),
});
export type NativeEvent = z.infer<typeof NativeEvent>;
