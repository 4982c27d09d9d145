/**
 * What XProtect sends, in its own words. No other folder sees these names.
 *
 * @see MIP VMS API: Config REST v1, Events and State WebSocket v1, webhooks v1.0
 */
import { z } from 'zod';

const text = z.string().catch('');
const Guid = z.string().regex(/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/);
/** GUIDs come in either case; ours are lower. */
const guid = Guid.transform((id) => id.toLowerCase());

/** Tells bare GUIDs from everything else that a caller may hand us. */
export function isGuid(value: string): boolean {
  return Guid.safeParse(value).success;
}

/** Where devices are, in the order in which they are listed live. */
export const COLLECTIONS = [
  'sites',
  'recordingServers',
  'hardware',
  'cameras',
  'microphones',
  'speakers',
  'metadata',
  'inputEvents',
  'outputs',
] as const;
export type Collection = (typeof COLLECTIONS)[number];
/** Below a hardware. */
export const CHANNEL_COLLECTIONS = [
  'cameras',
  'microphones',
  'speakers',
  'metadata',
  'inputEvents',
  'outputs',
] as const;

const Reference = z.object({ type: text, id: guid });
const Relations = z.object({
  self: Reference.optional().catch(undefined),
  parent: Reference.optional().catch(undefined),
});

/** The members that all records share with what single kinds add; nothing but the id is certain in every release. */
export const WireRecord = z
  .object({
    id: guid.optional(),
    displayName: text,
    name: text,
    enabled: z.boolean().catch(true),
    channel: z.int().optional().catch(undefined),
    shortName: text,
    lastModified: text,
    /** Well-known text, longitude first; `POINT EMPTY` when not set. */
    gisPoint: text,
    recordingEnabled: z.boolean().optional().catch(undefined),
    // hardware
    address: text,
    model: text,
    // recordingServers
    hostName: text,
    webServerUri: text,
    timeZoneName: text,
    // sites: Windows zone name
    timeZone: text,
    version: text,
    computerName: text,
    lastStatusHandshake: text,
    relations: Relations.catch({}),
  })
  .transform((record, context) => {
    // Some kinds have no `id`, only a reference to themselves.
    const id = record.id ?? record.relations.self?.id;
    if (id !== undefined) return { ...record, id };
    context.addIssue({ code: 'custom', message: 'no id', path: ['id'] });
    return z.NEVER;
  });
export type WireRecord = z.infer<typeof WireRecord>;

/** Entries are judged one by one: one bad record must not cost the page. */
export const WireArray = z.object({ array: z.array(z.unknown()) });
export const WireData = z.object({ data: z.unknown() });

/** Camera groups, user-defined events, and whatever else only has a name. */
export const WireNamed = z.object({ id: guid, displayName: text, name: text });
export type WireNamed = z.infer<typeof WireNamed>;

/** What was created: its id is the only member that we need. */
export const WireCreated = z.object({ result: z.object({ id: guid }) });
/** The event that a trigger made; its id as far as it is told. */
export const WireTriggered = z.object({ data: z.object({ id: z.string().min(1).max(200) }) });

/** An event as it was stored; its source by path, as in frames, or by reference. */
export const WireStoredEvent = z
  .object({
    id: z.string().min(1).max(200),
    type: guid,
    source: z.union([z.string().min(1).max(200), Reference]),
    time: z.string().min(1).max(64),
  })
  .transform(({ id, type, source, time }) => {
    const path = typeof source === 'string' ? source : source.id;
    return { id: id.toLowerCase(), type, sourceId: path.slice(path.indexOf('/') + 1).toLowerCase(), time };
  });
export type WireStoredEvent = z.infer<typeof WireStoredEvent>;

export const WireEventType = z.object({
  id: guid,
  name: text,
  displayName: text,
  state: text,
  stateGroupId: guid.optional().catch(undefined),
});
export const WireStateGroup = z.object({ displayName: text, name: text, relations: Relations.catch({}) });

const DriverLeaf = z.object({
  detectedModelName: text,
  productID: text,
  macAddress: text,
  firmwareVersion: text,
  serialNumber: text,
});
export type DriverLeaf = z.infer<typeof DriverLeaf>;
const DriverHolder = z.looseObject({});

/** Three nestings occur: `data.hardwareDriverSettings`, the same with a capital, and `array[0]` with either. */
export function parseDriverSettings(body: unknown): DriverLeaf | null {
  const outer = DriverHolder.safeParse(body);
  if (!outer.success) return null;
  const list = outer.data['array'];
  const holder = DriverHolder.safeParse(outer.data['data'] ?? (Array.isArray(list) ? list[0] : undefined));
  if (!holder.success) return null;
  const leaf = holder.data['hardwareDriverSettings'] ?? holder.data['HardwareDriverSettings'] ?? holder.data;
  return DriverLeaf.safeParse(leaf).data ?? null;
}

export const WireToken = z.object({ access_token: z.string().min(1), expires_in: z.number().positive().catch(3_600) });
/** Samples read three names of one refusal. */
export const WireTokenRefusal = z.object({ error: text, error_description: text, error_code: text });

/** Keys carry GUIDs, so they are looked through by their ends. */
export const WireOwner = z.record(z.string(), z.unknown());

export const WireLicense = z.object({ slc: text });

export const WireEvent = z.object({
  id: z.string().optional().catch(undefined),
  type: guid,
  /** `{collection}/{guid}`; also `services/…` and `mipKinds/…`. */
  source: z.string().min(1).max(200),
  time: z.string().min(1).max(64),
  stategroupid: guid.optional().catch(undefined),
  data: z.unknown().optional(),
});
export type WireEvent = z.infer<typeof WireEvent>;

/** A frame is a response, or a batch of events; extra members are tolerated. */
export const WireFrame = z.object({
  commandId: z.number().optional(),
  status: z.number().optional(),
  sessionId: z.string().max(200).optional(),
  subscriptionId: z.string().max(200).optional(),
  error: z.object({ errorText: text }).optional().catch(undefined),
  states: z.array(z.unknown()).optional(),
  events: z.array(z.unknown()).optional(),
});
export type WireFrame = z.infer<typeof WireFrame>;

const FqId = z.object({
  ObjectId: guid.optional().catch(undefined),
  Kind: guid.optional().catch(undefined),
});
/** A webhook's body, structure v1.0. */
export const WireWebhook = z.object({
  Event: z.object({
    EventHeader: z.object({
      ID: z.string().min(1).max(200),
      Timestamp: z.string().min(1).max(64),
      Type: text,
      Name: text,
      Message: text,
      PriorityName: text,
      MessageId: guid.optional().catch(undefined),
      Source: z.object({ Name: text, FQID: FqId.catch({}) }).catch({ Name: '', FQID: {} }),
    }),
  }),
});

/**
 * An instant with up to seven digits of fraction. Null for what is none, and for the platform's "not set" (year 1).
 * Times without a zone are the platform's UTC.
 */
export function parseTime(value: string): Date | null {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?$/.exec(value);
  if (match === null || value.startsWith('0001')) return null;
  const at = new Date(`${match[1]}${(match[2] ?? '').slice(0, 4)}${match[3] ?? 'Z'}`);
  return Number.isNaN(at.getTime()) ? null : at;
}

/** One spelling for one instant: `.3690000Z` and `.369Z` are the same, and a Date would lose what is below a millisecond. */
export function timeKey(value: string): string {
  return value.replace(/(\.\d*?)0+(Z|[+-]\d\d:\d\d)?$/, '$1$2').replace(/\.(Z|[+-]\d\d:\d\d)?$/, '$1');
}
