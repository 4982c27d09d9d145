/**
 * The two ways to hold a connection of classic SignalR 2 (not ASP.NET Core's): WebSocket, and long polling where proxies
 * do not let it through. What is said over it is left to bridge.ts.
 *
 * @see SignalR 2.4 sources: negotiate, connect, start, poll, send, abort
 */
import { z } from 'zod';
import { abandoned, AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { OnGuardClient } from './client.ts';
import { WireFrame, type WireNegotiation } from './wire.ts';

/** Understood by every 2.x server; a server answers with what it resolved. */
const CLIENT_PROTOCOL = '1.5';
const HUBS = JSON.stringify([{ name: 'outbound' }]);
/** Beyond what the platform says a poll lasts. */
const POLL_GRACE_MS = 10_000;
const DEFAULT_POLL_MS = 110_000;

/** Where frames go, and where the end of the connection is told. */
export interface FrameSink {
  frame(text: Uint8Array): void;
  lost(error: AdapterError): void;
}

export interface Transport {
  readonly name: 'webSockets' | 'longPolling';
  send(message: object): Promise<void>;
  /** Tells the platform and lets go; never fails. */
  close(): Promise<void>;
}

export type Query = Readonly<Record<string, string>>;

export function bridgeQuery(transport?: Transport['name'], negotiation?: WireNegotiation): Query {
  return {
    clientProtocol: CLIENT_PROTOCOL,
    connectionData: HUBS,
    ...(transport === undefined ? {} : { transport }),
    ...(negotiation === undefined ? {} : { connectionToken: negotiation.ConnectionToken }),
  };
}

/**
 * What the bridge refuses is never about credentials, because its calls carry none: it restarted and no longer knows our
 * connection, or it is not there. Connecting again is what helps.
 */
export async function askBridge<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof AdapterError) || error.retryable || error.status === null) throw error;
    throw new AdapterError('UNREACHABLE', `the event bridge refused a call with ${error.status}`, {
      cause: error,
      status: error.status,
      layer: 'http',
    });
  }
}

const Started = z.object({ Response: z.string() });

async function start(client: OnGuardClient, query: Query, signal: AbortSignal): Promise<void> {
  const { Response } = await askBridge(client.bridge({ name: 'start', query, signal }, Started));
  if (Response !== 'started') throw new AdapterError('BAD_PAYLOAD', 'the event bridge did not start');
}

/** A close frame may take this long; then the connection is cut. */
const ABORT_TIMEOUT_MS = 1_000;

async function abort(client: OnGuardClient, query: Query): Promise<void> {
  const signal = AbortSignal.timeout(ABORT_TIMEOUT_MS);
  // It notices by itself that nobody is there.
  await client.bridge({ method: 'POST', name: 'abort', query, signal }, z.unknown()).catch(() => undefined);
}

/** @throws AdapterError when the upgrade is refused or lost on the way */
export async function openWebSocketTransport(
  client: OnGuardClient,
  negotiation: WireNegotiation,
  sink: FrameSink,
  signal: AbortSignal,
): Promise<Transport> {
  const query = bridgeQuery('webSockets', negotiation);
  const socket = await askBridge(client.bridgeSocket({ ...query, tid: '3' }, signal));
  const opened = Promise.withResolvers<void>();
  // When nobody waits for the first frame any more, its failure is told by `lost`.
  opened.promise.catch(() => undefined);
  let isInitialised = false;
  socket.on('message', (data) => {
    const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.isBuffer(data) ? data : Buffer.from(data);
    if (!isInitialised) {
      isInitialised = true;
      opened.resolve();
    }
    sink.frame(bytes);
  });
  socket.once('close', () => {
    const lost = new AdapterError('UNREACHABLE', 'the event bridge closed the connection', { layer: 'http' });
    opened.reject(lost);
    sink.lost(lost);
  });
  const giveUp = (): void => opened.reject(abandoned(signal.reason));
  signal.addEventListener('abort', giveUp, { once: true });
  socket.resume();
  try {
    await opened.promise;
    await start(client, query, signal);
  } catch (error) {
    socket.terminate();
    throw error;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
  return {
    name: 'webSockets',
    send: (message) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      socket.send(JSON.stringify(message), (error) => {
        if (error) reject(new AdapterError('UNREACHABLE', 'the connection of the event bridge is gone'));
        else resolve();
      });
      return promise;
    },
    async close() {
      await abort(client, query);
      socket.terminate();
    },
  };
}

/** One request is always open at the platform; what it answers is a frame. */
export async function openLongPollingTransport(
  client: OnGuardClient,
  negotiation: WireNegotiation,
  sink: FrameSink,
  signal: AbortSignal,
): Promise<Transport> {
  const query = bridgeQuery('longPolling', negotiation);
  const stopped = new AbortController();
  const pollMs = (negotiation.ConnectionTimeout ?? DEFAULT_POLL_MS / 1_000) * 1_000 + POLL_GRACE_MS;
  let cursor = '';
  let groups: string | null = null;

  function take(frame: unknown): void {
    const parsed = WireFrame.safeParse(frame);
    if (parsed.success) {
      cursor = parsed.data.C ?? cursor;
      groups = parsed.data.G ?? groups;
    }
    // Frames of a poll go on as text, as those of a socket come.
    sink.frame(Buffer.from(JSON.stringify(frame)));
  }

  async function poll(): Promise<void> {
    while (!stopped.signal.aborted) {
      // In the address: servers of every 2.x read it there, only later ones in a form.
      const place = { messageId: cursor, ...(groups === null ? {} : { groupsToken: groups }) };
      const request = { name: 'poll', query: { ...query, ...place }, signal: stopped.signal, timeoutMs: pollMs };
      take(await askBridge(client.bridge(request, z.unknown())));
    }
  }

  take(await askBridge(client.bridge({ name: 'connect', query, signal }, z.unknown())));
  await start(client, query, signal);
  const polling = poll().catch((error: unknown) => {
    if (stopped.signal.aborted) return;
    sink.lost(
      error instanceof AdapterError ? error : new AdapterError('BAD_PAYLOAD', 'the event bridge cannot be read'),
    );
  });
  return {
    name: 'longPolling',
    async send(message) {
      const form = { data: JSON.stringify(message) };
      const request = { method: 'POST', name: 'send', query, form, signal: stopped.signal } as const;
      const frame = await askBridge(client.bridge(request, z.unknown()));
      // Some servers answer a call here and not in the next poll.
      const answer = WireFrame.safeParse(frame);
      if (answer.success && answer.data.I !== undefined && answer.data.I !== null)
        sink.frame(Buffer.from(JSON.stringify(frame)));
    },
    async close() {
      stopped.abort();
      await abort(client, query);
      await polling;
    },
  };
}
