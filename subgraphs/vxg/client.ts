/**
 * The calls of VXG's core API: I/O only, returns wire types, throws AdapterError. Beside what the adapter lives from, it has
 * what raising custom events and showing media of an event takes; links are signed and short-lived, so they are answers
 * and nothing to keep.
 *
 * @see "REST API", "How to Create or Trigger an Event", "How to Get Video, Clips and Images" of the vendor's help
 */
import { z } from 'zod';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { AdapterOptions } from '../../adapter-kit/define-vendor.ts';
import type { HttpClientOptions } from '../../adapter-kit/http/http-client.ts';
import { type AccessKey, checkTokenHost, parseAccessKey } from './access-key.ts';
import { parsePage, type Query, walk, type WirePage } from './paging.ts';
import type { VxgSettings } from './settings.ts';
import { formatTime } from './time.ts';
import {
  RawRecord,
  WireCamera,
  WireCameraTokens,
  WireClip,
  WireCreated,
  WireEventType,
  WireGroup,
  WireImage,
  WireRecording,
  WireServer,
} from './wire.ts';

/** No limit of the service is known: what its own tools use at once is about this. */
const MAX_CONCURRENT = 4;
/** Camera tokens kept, so that a camera's second event costs one call. */
const MAX_TOKENS = 5_000;
/** Recordings and clips around one event. */
const MEDIA_LIMIT = 50;

export interface EventQuery {
  /** Absent: all that the key opens. */
  readonly cameraIds?: readonly string[];
  readonly names?: readonly string[];
  /** Tags that must all be there. Values cannot be searched for. */
  readonly tags?: readonly string[];
  readonly from?: Date;
  readonly until?: Date;
}

export interface NewEvent {
  readonly cameraId: string;
  /** A type that the camera has; see `createEventType`. */
  readonly name: string;
  readonly at: Date;
  readonly tags: Readonly<Record<string, string>>;
}

export interface VxgClient {
  readonly key: AccessKey;

  /** The first page's query for cameras; those that only stand for storage are left out. */
  cameraQuery(limit: number, offset?: number): Query;
  cameras(query: Query, signal: AbortSignal): Promise<WirePage<WireCamera>>;
  /** Gateways only: few, and needed before the cameras that report through them. */
  gateways(signal: AbortSignal): Promise<readonly WireCamera[]>;
  /** @throws AdapterError NOT_FOUND */
  camera(id: string, signal: AbortSignal): Promise<WireCamera>;
  /** Empty for keys that do not open the account. */
  groups(signal: AbortSignal): Promise<readonly WireGroup[]>;
  /** @throws AdapterError NOT_FOUND, FORBIDDEN or NOT_SUPPORTED where the installation has none for us */
  servers(signal: AbortSignal): Promise<readonly WireServer[]>;

  /** Oldest first, with tags, as the service sent them. */
  searchEvents(query: EventQuery, limit: number, signal: AbortSignal): AsyncGenerator<WirePage<RawRecord>>;
  eventTypes(cameraId: string, signal: AbortSignal): Promise<readonly WireEventType[]>;
  /** Idempotent: a type that exists is what was asked for. */
  createEventType(cameraId: string, name: string, signal: AbortSignal): Promise<void>;
  /**
   * Not idempotent and never repeated by itself: see `createCustomEvents` for what to do about an unknown outcome.
   *
   * @returns the event's id @throws AdapterError BAD_PAYLOAD for a type that the camera does not have
   */
  createEvent(event: NewEvent, signal: AbortSignal): Promise<string>;
  /** Adds a tag to an event, or changes its value. */
  setEventTag(eventId: string, tag: string, value: string, signal: AbortSignal): Promise<void>;

  /** Recordings that overlap the span. */
  recordings(cameraId: string, from: Date, until: Date, signal: AbortSignal): Promise<readonly WireRecording[]>;
  /** Clips that were made for this instant. */
  clipsAt(at: Date, signal: AbortSignal): Promise<readonly WireClip[]>;
  /** Starts making a clip; ask `clip` until its status is no longer `pending`. */
  createClip(
    clip: { readonly cameraId: string; readonly title: string; readonly from: Date; readonly until: Date },
    signal: AbortSignal,
  ): Promise<WireClip>;
  clip(cameraId: string, id: string, signal: AbortSignal): Promise<WireClip>;
  /** A picture of now. */
  liveImage(cameraId: string, signal: AbortSignal): Promise<WireImage>;

  close(): Promise<void>;
}

/** Any answer, to a call without credentials: proves name, connection and certificate. */
export async function reachService(
  baseUrl: URL,
  { http, settings }: Pick<AdapterOptions<VxgSettings>, 'http' | 'settings'>,
  signal: AbortSignal,
): Promise<void> {
  const bare = http({ ...transport(baseUrl, settings), retries: 0 });
  try {
    await bare.request({ path: 'api/v2/cameras/', query: { limit: 1 }, signal });
  } finally {
    await bare.close();
  }
}

/** @throws AdapterError MISCONFIGURED or BLOCKED_ADDRESS for an address or a key that cannot be used */
export function createVxgClient(baseUrl: URL, options: AdapterOptions<VxgSettings>): VxgClient {
  const { credentials, settings } = options;
  if (credentials?.kind !== 'apiKey')
    throw new AdapterError('MISCONFIGURED', 'the service takes a license key or an access token as API key');
  const key = parseAccessKey(credentials.apiKey);
  checkTokenHost(key, baseUrl, settings.tokenHosts);
  const http = options.http({ ...transport(baseUrl, settings), headers: () => ({ authorization: key.header }) });
  const tokens = new Map<string, Promise<string>>();

  async function page<T>(path: string, schema: z.ZodType<T>, query: Query, signal: AbortSignal): Promise<WirePage<T>> {
    return parsePage(await http.json({ path, query, signal }, z.unknown()), schema, baseUrl);
  }

  async function all<T>(path: string, schema: z.ZodType<T>, query: Query, signal: AbortSignal): Promise<T[]> {
    const found: T[] = [];
    for await (const { page: each } of walk((at) => page(path, schema, at, signal), query))
      found.push(...each.items.map(({ value }) => value));
    return found;
  }

  async function fetchToken(cameraId: string): Promise<string> {
    // The client's own deadline bounds it; nobody who waits for the token may end it for the others.
    const { signal } = new AbortController();
    if (key.scheme === 'Acc') {
      if (key.cameraId === cameraId && key.isFull) return key.header;
      throw new AdapterError('FORBIDDEN', `the access token is not for writing to camera ${cameraId}`);
    }
    const version = key.scheme === 'LKey' ? 'v3' : 'v5';
    const path = `api/${version}/channels/${encodeURIComponent(cameraId)}/`;
    const { access_tokens: own, token } = await http.json({ path, signal }, WireCameraTokens);
    const text = own?.all ?? token;
    if (text === null || text === undefined)
      throw new AdapterError('FORBIDDEN', `the service gives us no access token of camera ${cameraId}`);
    const made = parseAccessKey(text);
    checkTokenHost(made, baseUrl, settings.tokenHosts);
    return made.header;
  }

  /** Calls on one camera go with that camera's own token, as the vendor's pages do. One that was revoked is replaced once. */
  async function asCamera<T>(
    cameraId: string,
    call: (headers: Readonly<Record<string, string>>) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      const known = tokens.get(cameraId);
      const token = known ?? fetchToken(cameraId);
      if (known === undefined) remember(cameraId, token);
      try {
        return await call({ authorization: await token });
      } catch (error) {
        const isRefused = error instanceof AdapterError && error.code === 'UNAUTHENTICATED';
        if (isRefused && tokens.get(cameraId) === token) tokens.delete(cameraId);
        if (!isRefused || known === undefined || attempt > 0) throw error;
      }
    }
  }

  function remember(cameraId: string, token: Promise<string>): void {
    if (tokens.size >= MAX_TOKENS) tokens.clear();
    tokens.set(cameraId, token);
    token.catch(() => {
      if (tokens.get(cameraId) === token) tokens.delete(cameraId);
    });
  }

  const cameraQuery = (limit: number, offset = 0): Query => ({
    detail: 'detail',
    include_meta: 'true',
    meta_not: 'isstorage',
    limit,
    offset,
  });

  return {
    key,
    cameraQuery,
    cameras: (query, signal) => page('api/v2/cameras/', WireCamera, query, signal),
    gateways: (signal) =>
      all('api/v2/cameras/', WireCamera, { ...cameraQuery(settings.pageSize), meta: 'gateway' }, signal),
    camera: (id, signal) =>
      http.json(
        {
          path: `api/v2/cameras/${encodeURIComponent(id)}/`,
          query: { detail: 'detail', include_meta: 'true' },
          signal,
        },
        WireCamera,
      ),
    async groups(signal) {
      if (key.scheme !== 'LKey') return [];
      const query = { limit: settings.pageSize, include_all_channels: 'true', include_meta: 'true' };
      return all('api/v3/channel_groups/', WireGroup, query, signal);
    },
    servers: (signal) =>
      all('api/v6/servers/', WireServer, { detail: 'detail', limit: settings.pageSize, is_owner: 'true' }, signal),

    async *searchEvents({ cameraIds, names, tags, from, until }, limit, signal) {
      const query: Query = {
        camid: cameraIds?.join(','),
        events: names?.join(','),
        meta: tags?.join(','),
        start: from === undefined ? undefined : formatTime(from),
        end: until === undefined ? undefined : formatTime(until),
        order_by: 'time',
        include_meta: 'true',
        limit,
      };
      const read = (at: Query): Promise<WirePage<RawRecord>> => page('api/v2/storage/events/', RawRecord, at, signal);
      for await (const { page: each } of walk(read, query)) yield each;
    },
    eventTypes: (cameraId, signal) => all(typesPath(cameraId), WireEventType, { limit: settings.pageSize }, signal),
    async createEventType(cameraId, name, signal) {
      await asCamera(cameraId, (headers) =>
        // 400: it exists.
        http.request({
          method: 'POST',
          path: typesPath(cameraId),
          json: { name, notify: true },
          headers,
          signal,
          answers: [400],
        }),
      );
    },
    async createEvent({ cameraId, name, at, tags }, signal) {
      const json = { camid: Number(cameraId), name, time: formatTime(at), meta: tags };
      const { id } = await asCamera(cameraId, (headers) =>
        http.json({ method: 'POST', path: 'api/v2/storage/events/', json, headers, signal }, WireCreated),
      );
      return id;
    },
    async setEventTag(eventId, tag, value, signal) {
      const path = `api/v2/storage/events/${encodeURIComponent(eventId)}/meta/`;
      const made = await http.request({
        method: 'POST',
        path,
        json: { tag, data: value },
        signal,
        isIdempotent: true,
        answers: [400],
      });
      if (made.status !== 400) return;
      // It exists already: to be changed then.
      await http.request({ method: 'PUT', path: `${path}${encodeURIComponent(tag)}`, json: { data: value }, signal });
    },

    async recordings(cameraId, from, until, signal) {
      const span = { start: formatTime(from), end: formatTime(until) };
      const query = { camid: cameraId, ...span, order_by: 'time', limit: MEDIA_LIMIT };
      const { items } = await page('api/v2/storage/data/', WireRecording, query, signal);
      return items.map(({ value }) => value);
    },
    async clipsAt(at, signal) {
      const query = { event_time: formatTime(at), order_by: '-event_time', limit: MEDIA_LIMIT };
      const { items } = await page('api/v2/storage/clips/', WireClip, query, signal);
      return items.map(({ value }) => value);
    },
    createClip({ cameraId, title, from, until }, signal) {
      const json = { title, start: formatTime(from), end: formatTime(until) };
      return asCamera(cameraId, (headers) =>
        http.json({ method: 'POST', path: 'api/v4/clips/', json, headers, signal }, WireClip),
      );
    },
    clip: (cameraId, id, signal) =>
      asCamera(cameraId, (headers) =>
        http.json({ path: `api/v4/clips/${encodeURIComponent(id)}/`, headers, signal }, WireClip),
      ),
    liveImage: (cameraId, signal) =>
      asCamera(cameraId, (headers) => http.json({ path: 'api/v4/live/image/', headers, signal }, WireImage)),

    close: () => http.close(),
  };
}

function typesPath(cameraId: string): string {
  return `api/v2/cameras/${encodeURIComponent(cameraId)}/event_processing/events/`;
}

function transport(baseUrl: URL, settings: VxgSettings): HttpClientOptions {
  return {
    baseUrl,
    timeoutMs: settings.timeoutMs,
    maxConcurrent: MAX_CONCURRENT,
    tls: {
      ...(settings.tlsCa === undefined ? {} : { ca: settings.tlsCa }),
      ...(settings.tlsPinnedFingerprint === undefined ? {} : { pinnedFingerprint: settings.tlsPinnedFingerprint }),
    },
  };
}
