// I/O with one OpenAccess server: typed answers, one session, refused tokens replaced once.
import type { ZodType } from 'zod';
import type { WebSocket } from 'ws';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { AdapterOptions } from '../../adapter-kit/define-vendor.ts';
import type { HttpRequest } from '../../adapter-kit/http/http-client.ts';
import { type Calls, createCalls, OpenAccessError } from './calls.ts';
import type { Properties } from './properties.ts';
import { createSession, type Session } from './session.ts';
import type { OnGuardSettings } from './settings.ts';
import { WireMethodResult, WirePage, WireRecords, WireSegmentation, WireSubscription, WireVersion } from './wire.ts';

/** What we ask of one server at once: OpenAccess answers for the operators' consoles too. */
const MAX_CONCURRENT = 4;
/** Most that `page_size` may be. */
export const PAGE_SIZE = 100;
/** A hundred records of fifty properties are far below it. */
const MAX_ANSWER_BYTES = 8 * 1_024 * 1_024;
/** A burst of 300 events a second, a second late, in one frame. */
const MAX_FRAME_BYTES = 1_024 * 1_024;

/**
 * The only methods that are ever executed: they read. A slip elsewhere must not be able to open a door, so that the list is
 * here, at the last place before the wire.
 */
const READING_METHODS = ['UpdateHardwareStatus', 'GetHardwareStatus'] as const;
export type ReadingMethod = (typeof READING_METHODS)[number];

export interface InstanceQuery {
  readonly typeName: string;
  readonly filter?: string | undefined;
  readonly orderBy?: string | undefined;
  /** From 1. */
  readonly page: number;
}

export interface OnGuardClient {
  readonly session: Session;
  /** An answer of any kind proves the connection; sent without credentials. */
  reach(signal: AbortSignal): Promise<void>;
  version(signal: AbortSignal): Promise<{ readonly name: string | null; readonly version: string | null }>;
  instances(query: InstanceQuery, signal: AbortSignal): Promise<WirePage>;
  /** @throws AdapterError NOT_SUPPORTED for a method that does more than read */
  execute(typeName: string, method: ReadingMethod, key: object, signal: AbortSignal): Promise<Properties>;
  isSegmented(signal: AbortSignal): Promise<boolean>;
  subscriptions(page: number, signal: AbortSignal): Promise<{ readonly records: readonly unknown[] }>;
  createSubscription(description: string, isDurable: boolean, signal: AbortSignal): Promise<WireSubscription>;
  loggedEvents(filter: string, page: number, signal: AbortSignal): Promise<{ readonly records: readonly unknown[] }>;
  keepAlive(signal: AbortSignal): Promise<void>;
  /** A call of the event bridge below `eventbridge/signalr`. */
  bridge<T>(request: Omit<HttpRequest, 'path'> & { readonly name: string }, schema: ZodType<T>): Promise<T>;
  bridgeSocket(query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<WebSocket>;
  close(): Promise<void>;
}

/** @throws AdapterError BLOCKED_ADDRESS or MISCONFIGURED for an address or TLS policy that cannot be used */
export function createOnGuardClient(options: AdapterOptions<OnGuardSettings>): OnGuardClient {
  const { baseUrl, settings, now } = options;
  if (baseUrl === null) throw new AdapterError('MISCONFIGURED', 'the address of the OpenAccess service is missing');
  const http = options.http({
    baseUrl,
    timeoutMs: settings.timeoutMs,
    maxConcurrent: MAX_CONCURRENT,
    maxResponseBytes: MAX_ANSWER_BYTES,
    tls: {
      ...(settings.tlsCa === undefined ? {} : { ca: settings.tlsCa }),
      ...(settings.tlsPinnedFingerprint === undefined ? {} : { pinnedFingerprint: settings.tlsPinnedFingerprint }),
    },
  });
  // Of their own, because a long poll would hold one of the few places for calls.
  const bridge = options.http({
    baseUrl,
    timeoutMs: settings.timeoutMs,
    maxConcurrent: 3,
    retries: 0,
    tls: {
      ...(settings.tlsCa === undefined ? {} : { ca: settings.tlsCa }),
      ...(settings.tlsPinnedFingerprint === undefined ? {} : { pinnedFingerprint: settings.tlsPinnedFingerprint }),
    },
  });
  const calls: Calls = createCalls(http, settings.applicationId);
  const session = createSession({ calls, credentials: options.credentials, settings, now });

  async function authorized<T>(request: HttpRequest, schema: ZodType<T>): Promise<T> {
    const token = await session.token(request.signal);
    try {
      return await calls.json({ ...request, token }, schema);
    } catch (error) {
      if (!(error instanceof OpenAccessError) || !error.isSession) throw error;
      session.drop(token);
      return calls.json({ ...request, token: await session.token(request.signal) }, schema);
    }
  }

  return {
    session,
    async reach(signal) {
      await calls.bare('version', signal);
    },
    async version(signal) {
      const wire = await calls.json({ path: 'version', signal }, WireVersion);
      return { name: wire.product_name ?? null, version: wire.product_version ?? null };
    },
    instances({ typeName, filter, orderBy, page }, signal) {
      const query = {
        type_name: typeName,
        filter,
        order_by: orderBy,
        page_number: page,
        page_size: PAGE_SIZE,
      };
      return authorized({ path: 'instances', query, signal }, WirePage);
    },
    execute(typeName, method, key, signal) {
      if (!READING_METHODS.includes(method))
        return Promise.reject(new AdapterError('NOT_SUPPORTED', 'only methods that read are executed'));
      const json = {
        type_name: typeName,
        method_name: method,
        property_value_map: key,
        in_parameter_value_map: {},
      };
      const request = { method: 'POST', path: 'execute_method', json, isIdempotent: true, signal } as const;
      return authorized(request, WireMethodResult);
    },
    isSegmented: (signal) => authorized({ path: 'settings/segmentation', signal }, WireSegmentation),
    subscriptions(page, signal) {
      const query = { page_number: page, page_size: PAGE_SIZE };
      return authorized({ path: 'event_subscriptions', query, signal }, WireRecords);
    },
    createSubscription(description, isDurable, signal) {
      const json = { description, filter: '', is_durable: isDurable };
      return authorized({ method: 'POST', path: 'event_subscriptions', json, signal }, WireSubscription);
    },
    loggedEvents(filter, page, signal) {
      const query = { filter, page_number: page, page_size: PAGE_SIZE, order_by: 'timestamp' };
      return authorized({ path: 'logged_events', query, signal }, WireRecords);
    },
    async keepAlive(signal) {
      await authorized({ path: 'keepalive', signal }, WireMethodResult);
    },
    bridge: ({ name, ...request }, schema) => bridge.json({ ...request, path: `eventbridge/signalr/${name}` }, schema),
    bridgeSocket: (query, signal) =>
      bridge.webSocket({ path: 'eventbridge/signalr/connect', query, signal, maxFrameBytes: MAX_FRAME_BYTES }),
    async close() {
      await session.close();
      await Promise.all([http.close(), bridge.close()]);
    },
  };
}
