/**
 * The calls of XProtect's API gateway: I/O only, returns what the wire says, throws AdapterError.
 *
 * @see MIP VMS API, Config REST v1
 */
import type { WebSocket } from 'ws';
import type { z } from 'zod';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { AdapterOptions } from '../../adapter-kit/define-vendor.ts';
import { JsonGuardError, parseJson } from '../../adapter-kit/json-guard.ts';
import type { MilestoneSettings } from './settings.ts';
import { createTokens } from './token.ts';
import {
  type Collection,
  type DriverLeaf,
  parseDriverSettings,
  WireArray,
  WireCreated,
  WireData,
  WireEventType,
  WireLicense,
  WireNamed,
  WireOwner,
  WireRecord,
  WireStateGroup,
  WireStoredEvent,
  WireTriggered,
} from './wire.ts';

/** Of calls under way at one gateway; the platform's own viewer allows itself ten. */
const MAX_CONCURRENT = 8;
/** A release that ignores paging sends twenty thousand cameras at once: about 1.2 KB and 45 members each. */
const MAX_ANSWER_BYTES = 64 * 1_024 * 1_024;
const MAX_ANSWER_KEYS = 2_000_000;
/** Sixteen thousand states were 4 MB in one frame of a real system. */
const MAX_FRAME_BYTES = 64 * 1_024 * 1_024;
/** Pages of one list. */
const MAX_PAGES = 10_000;
/** Of stored events of one camera since an attempt; beyond it, what was looked for is not found. */
const MAX_STORED_PAGES = 10;

export interface WirePage<T> {
  readonly items: readonly T[];
  /** Why entries of the page could not be read. */
  readonly rejected: readonly string[];
  readonly hasMore: boolean;
}

/** How long a call may take: what a person waits for, or what a listing of a large system needs. */
export type Patience = 'live' | 'list';

export interface MilestoneClient {
  /** Any answer at all to a call without credentials: proves name, connection and TLS. */
  reach(signal: AbortSignal): Promise<void>;
  login(): Promise<void>;
  /** @param page counted from 0 */
  page(collection: Collection, page: number, patience: Patience, signal: AbortSignal): Promise<WirePage<WireRecord>>;
  /** Every page of it, disabled entries included. @throws AdapterError BAD_PAYLOAD for a list without an end */
  walk(collection: Collection, patience: Patience, signal: AbortSignal): AsyncGenerator<WirePage<WireRecord>>;
  /** @returns null when it does not exist, or the user may not see it */
  record(collection: Collection, id: string, signal: AbortSignal): Promise<WireRecord | null>;
  /** @returns null for hardware whose driver has none */
  driverSettings(hardwareId: string, signal: AbortSignal): Promise<DriverLeaf | null>;
  eventTypes(signal: AbortSignal): Promise<readonly z.infer<typeof WireEventType>[]>;
  stateGroups(signal: AbortSignal): Promise<readonly z.infer<typeof WireStateGroup>[]>;
  cameraGroups(signal: AbortSignal): Promise<readonly WireNamed[]>;
  groupCameras(groupId: string, signal: AbortSignal): Promise<readonly string[]>;
  /** The owner's record, whose keys are the platform's; null where it cannot be read. */
  owner(signal: AbortSignal): Promise<Readonly<Record<string, unknown>> | null>;
  /** The licence code, the only thing that tells systems apart; null where it cannot be read. */
  licence(signal: AbortSignal): Promise<string | null>;
  userDefinedEvents(signal: AbortSignal): Promise<readonly WireNamed[]>;
  /** Not idempotent, and never repeated by itself. @returns its id, which is its event type's, too @throws AdapterError */
  createUserDefinedEvent(name: string, signal: AbortSignal): Promise<string>;
  /**
   * Not idempotent, and never repeated by itself: see `createCustomEvents` for what to do about an unknown outcome.
   *
   * @param source `{collection}/{guid}`
   * @returns the event's id in lower case; null when the platform took it and did not say
   */
  triggerEvent(typeId: string, source: string, signal: AbortSignal): Promise<string | null>;
  /** Newest first, of one source; none where the platform stores none or the user may not see them. */
  storedEvents(sourceId: string, since: Date, signal: AbortSignal): Promise<readonly WireStoredEvent[]>;
  /** Whether there are user-defined events and an Events API, as far as the user may see. @throws AdapterError */
  takesEvents(signal: AbortSignal): Promise<boolean>;
  /** @throws AdapterError NOT_FOUND before 2023 R3, which has no event socket */
  openEvents(signal: AbortSignal): Promise<WebSocket>;
  close(): Promise<void>;
}

/** The address as operators type it: the host, or the gateway's own `https://host/api/`. */
function rootOf(baseUrl: URL): URL {
  const root = new URL(baseUrl);
  root.pathname = root.pathname.replace(/\/api\/*$/i, '/');
  return root;
}

/** What is not there, or not to be seen, is no fault where a call is optional. */
function isAbsent(error: unknown): boolean {
  return (
    error instanceof AdapterError &&
    (['NOT_FOUND', 'FORBIDDEN', 'NOT_SUPPORTED'].includes(error.code) || error.status === 400)
  );
}

export function createMilestoneClient(
  baseUrl: URL,
  options: Pick<AdapterOptions<MilestoneSettings>, 'http' | 'settings' | 'credentials' | 'now'>,
): MilestoneClient {
  const { http, settings, credentials, now } = options;
  const tls = {
    ...(settings.tlsCa === undefined ? {} : { ca: settings.tlsCa }),
    ...(settings.tlsPinnedFingerprint === undefined ? {} : { pinnedFingerprint: settings.tlsPinnedFingerprint }),
  };
  const root = rootOf(baseUrl);
  const shared = { baseUrl: root, timeoutMs: settings.timeoutMs, tls };
  // Not retried: a second try of a login counts against the account.
  const bare = http({ ...shared, retries: 0, maxConcurrent: 2 });
  const tokenPath = `${settings.identityProviderPath}/connect/token`;
  const tokens = createTokens({ http: bare, path: tokenPath, credentials, now });
  const client = http({
    ...shared,
    maxConcurrent: MAX_CONCURRENT,
    maxResponseBytes: MAX_ANSWER_BYTES,
    headers: async () => ({ authorization: `Bearer ${await tokens.current()}` }),
  });
  const rest = `${settings.gatewayPath}/rest/v1`;

  /** A token that was revoked early is replaced once; a second refusal is the answer. */
  async function authorized<T>(call: () => Promise<T>): Promise<T> {
    const before = await tokens.current();
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof AdapterError) || error.code !== 'UNAUTHENTICATED' || error.status !== 401) throw error;
      tokens.drop(before);
      return call();
    }
  }

  async function get<T>(path: string, schema: z.ZodType<T>, patience: Patience, signal: AbortSignal): Promise<T> {
    if (signal.aborted) throw new AdapterError('TIMEOUT', 'the call was given up by who asked for it');
    const timeoutMs = patience === 'live' ? settings.timeoutMs : settings.listTimeoutMs;
    const { body } = await authorized(() => client.request({ path: `${rest}${path}`, signal, timeoutMs }));
    return read(schema, body, `GET ${bareOf(path)}`);
  }

  async function post(path: string, json: unknown, signal: AbortSignal): Promise<Uint8Array> {
    if (signal.aborted) throw new AdapterError('TIMEOUT', 'the call was given up by who asked for it');
    const call = () => client.request({ method: 'POST', path: `${rest}${path}`, json, signal });
    return (await authorized(call)).body;
  }

  async function entries<T>(path: string, schema: z.ZodType<T>, signal: AbortSignal): Promise<readonly T[]> {
    const found = new Map<string, T>();
    let before: string | null = null;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const separator = path.includes('?') ? '&' : '?';
      const query = `${separator}page=${page}&size=${settings.pageSize}`;
      const { array } = await get(`${path}${query}`, WireArray, 'list', signal);
      const text = JSON.stringify(array[0] ?? null);
      // The same page again: paging is ignored.
      if (text === before) break;
      before = text;
      for (const [index, entry] of array.entries()) {
        const parsed = schema.safeParse(entry);
        if (parsed.success) found.set(`${page} ${index}`, parsed.data);
      }
      if (array.length !== settings.pageSize) break;
    }
    return [...found.values()];
  }

  async function optional<T>(call: () => Promise<T>): Promise<T | null> {
    try {
      return await call();
    } catch (error) {
      if (isAbsent(error)) return null;
      throw error;
    }
  }

  const page: MilestoneClient['page'] = async (collection, number, patience, signal) => {
    // `disabled` is a flag without a value: without it only enabled entries are listed.
    const path = `/${collection}?disabled&page=${number}&size=${settings.pageSize}`;
    const { array } = await get(path, WireArray, patience, signal);
    const items: WireRecord[] = [];
    const rejected: string[] = [];
    for (const entry of array) {
      const parsed = WireRecord.safeParse(entry);
      if (parsed.success) items.push(parsed.data);
      else rejected.push(`${collection}: no readable id`);
    }
    // More than was asked for: paging is ignored, and this is all there is.
    return { items, rejected, hasMore: array.length === settings.pageSize };
  };

  return {
    async reach(signal) {
      await bare.request({ path: `${settings.gatewayPath}/.well-known/uris`, signal });
    },
    async login() {
      await tokens.current();
    },
    page,
    async *walk(collection, patience, signal) {
      let before: string | undefined;
      for (let number = 0; number < MAX_PAGES; number += 1) {
        const found = await page(collection, number, patience, signal);
        const first = found.items[0]?.id;
        if (number > 0 && first === before) return;
        before = first;
        yield found;
        if (!found.hasMore) return;
      }
      throw new AdapterError('BAD_PAYLOAD', `${collection} has more than ${MAX_PAGES} pages`);
    },
    record: (collection, id, signal) =>
      optional(async () => {
        const { data } = await get(`/${collection}/${id}`, WireData, 'live', signal);
        const parsed = WireRecord.safeParse(data);
        if (parsed.success) return parsed.data;
        throw new AdapterError('BAD_PAYLOAD', `GET /${collection}/… answered a record without an id`);
      }),
    driverSettings: (hardwareId, signal) =>
      optional(async () => {
        const path = `${rest}/hardwareDriverSettings/${hardwareId}`;
        const timeoutMs = settings.listTimeoutMs;
        const { body } = await authorized(() => client.request({ path, signal, timeoutMs }));
        return parseDriverSettings(parseAnswer(body, `GET ${path}`));
      }),
    eventTypes: (signal) => entries('/eventTypes?disabled', WireEventType, signal),
    stateGroups: (signal) => entries('/stateGroups?disabled', WireStateGroup, signal),
    cameraGroups: async (signal) => (await optional(() => entries('/cameraGroups', WireNamed, signal))) ?? [],
    async groupCameras(groupId, signal) {
      const cameras = await optional(() => entries(`/cameraGroups/${groupId}/cameras?disabled`, WireNamed, signal));
      return (cameras ?? []).map(({ id }) => id);
    },
    owner: (signal) =>
      optional(async () => {
        const [first] = await entries('/owner', WireOwner, signal);
        return first ?? null;
      }),
    licence: async (signal) =>
      (await optional(() => entries('/licenseInformations', WireLicense, signal)))?.find(({ slc }) => slc !== '')
        ?.slc ?? null,
    userDefinedEvents: (signal) => entries('/userDefinedEvents', WireNamed, signal),
    async createUserDefinedEvent(name, signal) {
      const { result } = read(
        WireCreated,
        await post('/userDefinedEvents', { name }, signal),
        'POST /userDefinedEvents',
      );
      return result.id;
    },
    async triggerEvent(type, source, signal) {
      const body = await post('/events', { type, source }, signal);
      // Taken is taken, whatever the answer looks like.
      return WireTriggered.safeParse(tryParse(body)).data?.data.id.toLowerCase() ?? null;
    },
    async storedEvents(sourceId, since, signal) {
      const filter = (text: string): string => encodeURIComponent(text);
      const query = `time=${filter(`gt:'${since.toISOString()}'`)}&source.id=${filter(`equals:'${sourceId}'`)}`;
      const found: WireStoredEvent[] = [];
      for (let number = 0; number < MAX_STORED_PAGES; number += 1) {
        const path = `/events?${query}&orderBy=${filter("desc:'time'")}&page=${number}&size=${settings.pageSize}`;
        const answer = await optional(() => get(path, WireArray, 'live', signal));
        for (const entry of answer?.array ?? []) {
          const parsed = WireStoredEvent.safeParse(entry);
          if (parsed.success) found.push(parsed.data);
        }
        if (answer?.array.length !== settings.pageSize) break;
      }
      return found;
    },
    async takesEvents(signal) {
      const types = await optional(() => get('/userDefinedEvents?page=0&size=1', WireArray, 'live', signal));
      if (types === null) return false;
      try {
        await get('/events?page=0&size=1', WireArray, 'live', signal);
        return true;
      } catch (error) {
        if (!isAbsent(error)) throw error;
        // Who may not read stored events may be allowed to trigger them all the same.
        return error instanceof AdapterError && error.code !== 'NOT_FOUND' && error.code !== 'NOT_SUPPORTED';
      }
    },
    openEvents: (signal) =>
      authorized(() =>
        client.webSocket({ path: `${settings.gatewayPath}/ws/events/v1`, signal, maxFrameBytes: MAX_FRAME_BYTES }),
      ),
    async close() {
      await Promise.all([client.close(), bare.close()]);
    },
  };
}

function bareOf(path: string): string {
  return path.split('?', 1)[0] ?? path;
}

/** @throws AdapterError BAD_PAYLOAD */
function read<T>(schema: z.ZodType<T>, body: Uint8Array, call: string): T {
  const parsed = schema.safeParse(parseAnswer(body, call));
  if (parsed.success) return parsed.data;
  const place = parsed.error.issues[0]?.path.map(String).join('.').slice(0, 80) || 'the answer';
  throw new AdapterError('BAD_PAYLOAD', `${call} answered against its contract at ${place}`);
}

/** @returns undefined for what cannot be read */
function tryParse(body: Uint8Array): unknown {
  try {
    return parseAnswer(body, '');
  } catch {
    return undefined;
  }
}

/** @throws AdapterError BAD_PAYLOAD */
function parseAnswer(body: Uint8Array, call: string): unknown {
  try {
    return parseJson(body, { maxKeys: MAX_ANSWER_KEYS });
  } catch (error) {
    const detail = error instanceof JsonGuardError ? error.message : 'it cannot be read';
    throw new AdapterError('BAD_PAYLOAD', `${call} answered what is not JSON for us: ${detail}`);
  }
}
