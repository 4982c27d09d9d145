import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Dispatcher, Pool } from 'undici';
import type { WebSocket } from 'ws';
import { abandoned, AdapterError } from '../adapter-error.ts';
import { createAddressGuard, type NetworkPolicy, type ResolveName } from '../network/address-guard.ts';
import { acceptAnswer, boundedBody, cut, parseAnswer, plainHeaders, readAnswer } from './answer.ts';
import { createGuardedConnector, type GuardedConnector } from './connector.ts';
import { isWorthRetrying, transportFailure } from './failure.ts';
import { createGate } from './gate.ts';
import type {
  HttpAnswer,
  HttpClient,
  HttpClientFactory,
  HttpClientOptions,
  HttpDownload,
  HttpRequest,
  SocketRequest,
  WebSocketRequest,
} from './http-client.ts';
import { openSocket } from './open-socket.ts';
import { backoffMs, MAX_HONOURED_RETRY_AFTER_MS } from './retry.ts';
import { describeTarget, targetOf } from './target.ts';
import { openWebSocket } from './web-socket.ts';

const DEFAULT_TIMEOUT_MS = 3_000;
const DEFAULT_MAX_RESPONSE_BYTES = 4 * 1_024 * 1_024;
const DEFAULT_RETRIES = 2;
const DEFAULT_MAX_CONCURRENT = 8;
/** Calls waiting for a place, per client: beyond it the platform is hopelessly behind and waiting helps nobody. */
const MAX_WAITING = 1_000;
const MAX_HEADER_BYTES = 16_384;
/** Calls under way when a client is closed may finish; then their connections are cut. */
const CLOSE_GRACE_MS = 2_000;

export interface HttpClientDeps {
  readonly network: NetworkPolicy;
  readonly logger: Logger;
  readonly now: () => Date;
  /** Uniform in [0, 1): the jitter of retries. */
  readonly random: () => number;
  /** The system's resolver when absent. */
  readonly resolve?: ResolveName;
  /** Waits between attempts; rejects when the signal fires. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

async function defaultSleep(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal });
}

/**
 * Makes the HTTP clients of all adapters of a process: one guard, one policy, no shared connections.
 *
 * @throws TypeError for a rule of the policy that is not a CIDR range. The factory throws AdapterError `BLOCKED_ADDRESS` or
 *   `MISCONFIGURED` for a base URL or TLS policy that cannot be used.
 */
export function createHttpClientFactory(deps: HttpClientDeps): HttpClientFactory {
  const guard = createAddressGuard(deps.network, deps.resolve);
  return (options) => {
    guard.checkUrl(options.baseUrl);
    const connector = createGuardedConnector(guard, options.tls);
    if (options.tls?.pinnedFingerprint !== undefined)
      deps.logger.warn({ host: options.baseUrl.host }, 'platform certificate is pinned, its chain is not verified');
    const pool = new Pool(options.baseUrl.origin, {
      connections: options.maxConcurrent ?? DEFAULT_MAX_CONCURRENT,
      pipelining: 1,
      connect: connector.connect,
      maxHeaderSize: MAX_HEADER_BYTES,
      // The deadline of the whole call rules; undici's own timers would only give it a second name.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    return createClient(options, deps, pool, connector);
  };
}

function createClient(
  options: HttpClientOptions,
  deps: HttpClientDeps,
  pool: Pool,
  connector: GuardedConnector,
): HttpClient {
  const gate = createGate(options.maxConcurrent ?? DEFAULT_MAX_CONCURRENT, MAX_WAITING);
  const retries = options.retries ?? DEFAULT_RETRIES;
  const maxBytes = options.maxResponseBytes ?? DEFAULT_MAX_RESPONSE_BYTES;
  const sleep = deps.sleep ?? defaultSleep;
  const sockets = new Set<WebSocket>();
  const plain = new Set<Socket>();
  let closing: Promise<void> | null = null;

  async function attempt<T>(
    request: HttpRequest,
    target: string,
    signal: AbortSignal,
    read: (response: Dispatcher.ResponseData, what: string) => Promise<T>,
  ): Promise<T> {
    const what = describeTarget(request);
    try {
      const headers = await orAborted(callHeaders(options), signal);
      const response = await pool.request({
        path: target,
        method: request.method ?? 'GET',
        headers: {
          accept: 'application/json',
          'accept-encoding': 'identity',
          ...headers,
          ...request.headers,
          ...typeOf(request),
        },
        body: bodyOf(request),
        signal,
      });
      options.onAnswer?.(plainHeaders(response.headers));
      return await read(response, what);
    } catch (error) {
      throw signal.aborted ? abandoned(signal.reason) : transportFailure(error, what);
    }
  }

  async function withRetries<T>(
    request: HttpRequest,
    signal: AbortSignal,
    endsAt: number,
    read: (response: Dispatcher.ResponseData, what: string) => Promise<T>,
  ): Promise<T> {
    const target = targetOf(options.baseUrl, request);
    const isIdempotent = request.isIdempotent ?? ['GET', 'PUT', 'DELETE'].includes(request.method ?? 'GET');
    for (let made = 0; ; made += 1) {
      try {
        return await attempt(request, target, signal, read);
      } catch (error) {
        const failure = transportFailure(error, describeTarget(request));
        const waitMs = (failure.retryAfterMs ?? 0) + backoffMs(made, deps.random);
        const isLast = closing !== null || !isIdempotent || made >= retries || !isWorthRetrying(failure);
        // A wait that ends after the deadline would turn a clear answer into a timeout.
        const isTooLong =
          (failure.retryAfterMs ?? 0) > MAX_HONOURED_RETRY_AFTER_MS || performance.now() + waitMs >= endsAt;
        if (signal.aborted || isLast || isTooLong) throw failure;
        await sleep(waitMs, signal);
      }
    }
  }

  /** Runs one call within its deadline, its caller's patience and the gate. */
  async function bounded<T>(
    call: Pick<HttpRequest, 'method' | 'path' | 'signal' | 'timeoutMs'>,
    run: (signal: AbortSignal, endsAt: number) => Promise<T>,
  ): Promise<T> {
    if (closing !== null) throw new AdapterError('UNREACHABLE', 'the client is closed');
    const timeoutMs = call.timeoutMs ?? options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const controller = new AbortController();
    const abort = (): void => controller.abort(abandoned(call.signal.reason));
    const timer = setTimeout(() => {
      const layer = connector.hasConnected() ? 'http' : 'tcp';
      const message = `${describeTarget(call)} was not answered in full within ${timeoutMs} ms`;
      controller.abort(new AdapterError('TIMEOUT', message, { layer }));
    }, timeoutMs);
    if (call.signal.aborted) abort();
    else call.signal.addEventListener('abort', abort, { once: true });
    let leave: (() => void) | null = null;
    try {
      leave = await gate.enter(controller.signal);
      return await run(controller.signal, performance.now() + timeoutMs);
    } catch (error) {
      throw controller.signal.aborted ? abandoned(controller.signal.reason) : error;
    } finally {
      leave?.();
      clearTimeout(timer);
      call.signal.removeEventListener('abort', abort);
    }
  }

  function request(call: HttpRequest): Promise<HttpAnswer> {
    return bounded(call, (signal, endsAt) =>
      withRetries(call, signal, endsAt, (response, what) =>
        readAnswer(response, what, maxBytes, deps.now(), call.answers),
      ),
    );
  }

  function download(call: HttpRequest): Promise<HttpDownload> {
    const { promise: opened, resolve, reject } = Promise.withResolvers<HttpDownload>();
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    // The place at the gate and the deadline are for the whole body, not only for its beginning.
    bounded(call, async (signal, endsAt) => {
      const [response, what, headers] = await withRetries(call, signal, endsAt, async (answer, name) => {
        const accepted = await acceptAnswer(answer, name, maxBytes, deps.now());
        return [answer, name, accepted] as const;
      });
      async function* body(): AsyncGenerator<Uint8Array, void, void> {
        try {
          yield* boundedBody(response, what, maxBytes);
        } catch (error) {
          throw signal.aborted ? abandoned(signal.reason) : transportFailure(error, what);
        } finally {
          end();
        }
      }
      const cancel = (): void => {
        cut(response);
        end();
      };
      resolve({ headers, body: body(), cancel });
      await orAborted(ended, signal);
    }).catch(reject);
    return opened;
  }

  function webSocket(call: WebSocketRequest): Promise<WebSocket> {
    return bounded(call, async (signal) => {
      const headers = await orAborted(callHeaders(options), signal);
      const socket = await openWebSocket({ baseUrl: options.baseUrl, connector, headers, signal }, call);
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      return socket;
    });
  }

  function socket({ signal: patience, timeoutMs }: SocketRequest): Promise<Socket> {
    const call = { path: 'connection', signal: patience, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
    return bounded(call, async (signal) => {
      const open = await openSocket(options.baseUrl, connector, signal);
      plain.add(open);
      open.once('close', () => plain.delete(open));
      return open;
    });
  }

  return {
    request,
    download,
    async json(call, schema) {
      const { body } = await request(call);
      return parseAnswer(body, schema, describeTarget(call));
    },
    webSocket,
    socket,
    close() {
      for (const open of sockets) open.terminate();
      for (const open of plain) open.destroy();
      closing ??= closePool(pool);
      return closing;
    },
  };
}

/** Tokens are minted here. What is wrong with a key is for a person, not for another attempt. */
async function callHeaders(options: HttpClientOptions): Promise<Readonly<Record<string, string>>> {
  try {
    return (await options.headers?.()) ?? {};
  } catch (error) {
    if (error instanceof AdapterError) throw error;
    // No cause: what a parser says about a key may quote it.
    throw new AdapterError('MISCONFIGURED', 'the credentials cannot be used as they are');
  }
}

async function closePool(pool: Pool): Promise<void> {
  const timer = setTimeout(() => void pool.destroy(), CLOSE_GRACE_MS);
  try {
    await pool.close();
  } finally {
    clearTimeout(timer);
  }
}

function typeOf(request: HttpRequest): Readonly<Record<string, string>> {
  if (request.json !== undefined) return { 'content-type': 'application/json' };
  if (request.text !== undefined) return { 'content-type': request.text.contentType };
  return request.form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' };
}

function bodyOf(request: HttpRequest): string | null {
  if (request.json !== undefined) return JSON.stringify(request.json);
  if (request.text !== undefined) return request.text.body;
  return request.form === undefined ? null : new URLSearchParams(request.form).toString();
}

async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
