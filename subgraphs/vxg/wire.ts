/**
 * What VXG's core API sends, in its own words. No other folder sees these names. What is not named here is dropped at this
 * edge: source addresses with passwords, share tokens, signed links.
 *
 * @see "REST API" and "API: Working with events" of the vendor's help; versions 2 to 6 of the core API
 */
import { z } from 'zod';
import { isSecretName } from '../../adapter-kit/redact.ts';

const Id = z.union([z.int().nonnegative(), z.string().regex(/^\d{1,19}$/)]).transform(String);
const Text = z
  .string()
  .nullish()
  .transform((text) => (text === undefined || text === null || text.trim() === '' ? null : text))
  .catch(null);
const Degrees = z.number().nullish().catch(null);

/** `on`, `true` and `1` mean the same in different versions. */
const Switch = z
  .unknown()
  .optional()
  .transform((value): boolean | null => {
    if (value === true || value === 1 || value === 'on' || value === 'true') return true;
    if (value === false || value === 0 || value === 'off' || value === 'false') return false;
    return null;
  });

/** Names that stand for who logs in where; the rest is what `isSecretName` knows. */
const LOGIN_NAME = /username$|login$/i;

/** Tags of a channel or an event: flat texts. Without the passwords that gateways leave in theirs. */
export const Tags = z
  .record(z.string(), z.unknown())
  .nullish()
  .catch(null)
  .transform((tags): ReadonlyMap<string, string> => {
    const entries = Object.entries(tags ?? {}).filter(([tag]) => !isSecretName(tag) && !LOGIN_NAME.test(tag));
    return new Map(entries.map(([tag, value]) => [tag, typeof value === 'string' ? value : JSON.stringify(value)]));
  });
export type Tags = z.infer<typeof Tags>;

/** Of a source address only its host is kept: it comes with user name and password. */
const SourceHost = z
  .unknown()
  .optional()
  .transform((url): string | null => {
    const host = typeof url === 'string' ? URL.parse(url)?.hostname : undefined;
    return host === undefined || host === '' ? null : host.replaceAll(/^\[|\]$/g, '');
  });

/** A camera, or what stands in its place: "channel" in later versions of the API. */
export const WireCamera = z
  .object({
    id: Id,
    name: Text,
    status: Text,
    rec_mode: Text,
    rec_status: Switch,
    recording: Switch,
    timezone: Text,
    latitude: Degrees,
    longitude: Degrees,
    cmngrid: z.union([z.int(), z.string()]).nullish().catch(null),
    url: SourceHost,
    meta: Tags,
  })
  .transform(({ rec_mode, rec_status, recording, cmngrid, url, latitude, longitude, ...camera }) => ({
    ...camera,
    recMode: rec_mode,
    isRecording: rec_status ?? recording,
    cameraManager: cmngrid === null || cmngrid === undefined ? null : String(cmngrid),
    sourceHost: url,
    // The vendor's own client writes 0/0 for a camera that nobody put on the map.
    coordinates:
      typeof latitude === 'number' && typeof longitude === 'number' && !(latitude === 0 && longitude === 0)
        ? { latitude, longitude }
        : null,
  }));
export type WireCamera = z.infer<typeof WireCamera>;

/** A channel group. Its token, which opens all its cameras, is dropped. */
export const WireGroup = z.object({ id: Id, name: Text, channels: z.array(Id).nullish().catch(null) });
export type WireGroup = z.infer<typeof WireGroup>;

/** A recording server of the customer. Its key and token are dropped. */
export const WireServer = z
  .object({ id: Id, uuid: z.string().min(1).max(100), name: Text, online: z.boolean().nullish(), version: Text })
  .transform(({ online, ...server }) => ({ ...server, isOnline: online ?? null }));
export type WireServer = z.infer<typeof WireServer>;

/** An event as the search gives it; its signed links are dropped. */
export const WireEvent = z.object({
  id: Id,
  camid: Id,
  name: z.string().min(1).max(200),
  alias: Text,
  time: z.string(),
  meta: Tags,
});
export type WireEvent = z.infer<typeof WireEvent>;

/** A record of the search before it is read: it goes to the inbox as it is. */
export const RawRecord = z.record(z.string(), z.unknown());
export type RawRecord = z.infer<typeof RawRecord>;

/** Members of an event that hold signed links. They differ in every answer, and whoever has one needs no key. */
const LINKS: ReadonlySet<string> = new Set(['thumb', 'filemeta', 'preview']);

export function withoutLinks(record: RawRecord): RawRecord {
  return Object.fromEntries(Object.entries(record).filter(([member]) => !LINKS.has(member)));
}

/** What `listen` delivers: a record of the search, and for events of the connection the state that was asked for then. */
export const PolledEvent = z.object({
  event: RawRecord,
  /** Address of the service, for links. */
  origin: z.url(),
  /** Present for the newest connection event of a camera. */
  camera: z
    .object({ status: z.string().max(200).nullable(), name: z.string().nullable(), checkedAt: z.iso.datetime() })
    .optional(),
});
export type PolledEvent = z.infer<typeof PolledEvent>;

export const WireEventType = z.object({
  name: z.string().min(1),
  custom: z.boolean().nullish(),
  notify: z.boolean().nullish(),
});
export type WireEventType = z.infer<typeof WireEventType>;

export const WireCreated = z.object({ id: Id });

/** Where a camera's own access tokens are told: one for the key of the account, one for the token of a group. */
export const WireCameraTokens = z.object({
  access_tokens: z
    .object({ all: z.string().min(1).nullish() })
    .nullish()
    .catch(null),
  token: z.string().min(1).nullish().catch(null),
});

/** A stretch of recording. The link is signed and short-lived: it is for whoever asked, and never kept. */
export const WireRecording = z.object({ start: z.string(), end: z.string(), url: z.url() });
export type WireRecording = z.infer<typeof WireRecording>;

export const WireClip = z.object({
  id: Id,
  status: Text,
  url: z.url().nullish().catch(null),
  thumb: z
    .object({ url: z.url().nullish().catch(null) })
    .nullish()
    .catch(null),
});
export type WireClip = z.infer<typeof WireClip>;

export const WireImage = z.object({ url: z.url(), expire: Text });
export type WireImage = z.infer<typeof WireImage>;

/** The envelope of every list. Older endpoints give the bare list. */
export const WireEnvelope = z.union([
  z.array(z.unknown()).transform((objects) => ({ objects, next: null, total: null })),
  z
    .object({
      meta: z
        .object({
          next: z.string().max(4_000).nullish().catch(null),
          total_count: z.int().nonnegative().nullish().catch(null),
        })
        .nullish(),
      objects: z.array(z.unknown()),
    })
    .transform(({ meta, objects }) => ({ objects, next: meta?.next ?? null, total: meta?.total_count ?? null })),
]);

/** One line that names places and rules, never values. */
export function describeIssues(error: z.ZodError): string {
  const [first, ...others] = error.issues;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  return `${first?.path.map(String).join('.') || 'the record'}: ${first?.code ?? 'is malformed'}${more}`;
}
