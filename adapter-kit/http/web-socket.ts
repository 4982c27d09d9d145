import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { abandoned, AdapterError } from '../adapter-error.ts';
import type { GuardedConnector } from './connector.ts';
import { statusFailure } from './failure.ts';
import type { WebSocketRequest } from './http-client.ts';
import { describeTarget, targetOf } from './target.ts';

/** A frame beyond it costs the connection; platforms that send snapshots in one frame need more and say so. */
const DEFAULT_MAX_FRAME_BYTES = 4 * 1_024 * 1_024;

export interface WebSocketOpening {
  readonly baseUrl: URL;
  readonly connector: GuardedConnector;
  /** The client's own headers; the request's come on top. */
  readonly headers: Readonly<Record<string, string>>;
  /** Fires when the deadline of the opening passes, or its caller gives up. */
  readonly signal: AbortSignal;
}

/**
 * Opens a WebSocket over a guarded connection: what may be connected to, and which certificate is accepted, is judged as for
 * every other call of the client. Compression is not offered: unpacking is how small frames become large ones.
 *
 * @throws AdapterError as the client's calls do; the status of a refused upgrade means what it means for a call
 */
export function openWebSocket(opening: WebSocketOpening, request: WebSocketRequest): Promise<WebSocket> {
  const { baseUrl, connector, signal } = opening;
  const what = describeTarget(request);
  const url = new URL(targetOf(baseUrl, request), baseUrl.origin);
  if (signal.aborted) return Promise.reject(abandoned(signal.reason));
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
  let failure: AdapterError | null = null;
  const socket = new WebSocket(url.href.replace(/^http/, 'ws'), [...(request.protocols ?? [])], {
    headers: { ...opening.headers, ...request.headers },
    maxPayload: request.maxFrameBytes ?? DEFAULT_MAX_FRAME_BYTES,
    perMessageDeflate: false,
    followRedirects: false,
    createConnection: connectionOf(url, connector, (error) => {
      failure = error;
    }),
  });

  const settle = (error: AdapterError | null): void => {
    signal.removeEventListener('abort', abort);
    if (error === null) return resolve(socket);
    reject(error);
    socket.terminate();
  };
  function abort(): void {
    settle(abandoned(signal.reason));
  }
  signal.addEventListener('abort', abort, { once: true });
  // Stays for the life of the socket: an error that nobody listens for would end the process.
  socket.on('error', (error) => {
    settle(failure ?? new AdapterError('UNREACHABLE', `${what} was cut off`, { cause: error, layer: 'http' }));
  });
  socket.once('unexpected-response', (_, response) => {
    response.resume();
    settle(statusFailure(response.statusCode ?? 0, what, null));
  });
  socket.once('open', () => {
    // Until its owner listens: a platform may speak first.
    socket.pause();
    settle(null);
  });
  return promise;
}

type Connect = (options: unknown, done: (error: Error | null, socket: Socket) => void) => Socket;

function connectionOf(url: URL, connector: GuardedConnector, onFailure: (error: AdapterError) => void): Connect {
  const isSecure = url.protocol === 'https:' || url.protocol === 'wss:';
  const connect = (_: unknown, done: (error: Error | null, socket?: Socket) => void): undefined => {
    connector.connect(
      {
        hostname: url.hostname.replace(/^\[|\]$/g, ''),
        host: url.host,
        protocol: isSecure ? 'https:' : 'http:',
        port: url.port === '' ? (isSecure ? '443' : '80') : url.port,
      },
      (error, socket) => {
        if (error === null) return done(null, socket);
        onFailure(error instanceof AdapterError ? error : new AdapterError('UNREACHABLE', 'no connection'));
        done(error);
      },
    );
    return undefined;
  };
  // Node takes a socket that comes later, by callback; the types of `ws` only know the one that is returned.
  return connect as unknown as Connect;
}
