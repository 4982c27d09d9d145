import { createServer, type RequestListener, type Server } from 'node:http';
import type { Limits } from '../../config.ts';
import { ListenError } from '../listen-error.ts';
import { capConnections, isLoopback } from './connection-caps.ts';

/** A token with some hundred ids has 8 KB. */
const MAX_HEADER_BYTES = 16_384;
/** Longer than the pauses of a busy vendor, shorter than those of most proxies. */
const KEEP_ALIVE_MS = 30_000;
/** A connection that has carried so many is renewed, so that load balancers can spread them again. */
const MAX_REQUESTS_PER_CONNECTION = 10_000;

/** How long a client may take to send. Node's own bounds are a minute and five, looked at every half minute. */
export interface SendTimeouts {
  readonly headersMs: number;
  /** Headers and body. */
  readonly requestMs: number;
  /** How often connections are looked at. */
  readonly lookEveryMs: number;
}

export const SEND_TIMEOUTS: SendTimeouts = { headersMs: 5_000, requestMs: 10_000, lookEveryMs: 1_000 };

/** An HTTP server that slow or many clients cannot occupy. */
export function createHttpServer(
  listener: RequestListener,
  limits: Pick<Limits, 'connections' | 'connectionsPerAddress'>,
  timeouts: SendTimeouts = SEND_TIMEOUTS,
): Server {
  const server = createServer(
    {
      headersTimeout: timeouts.headersMs,
      requestTimeout: timeouts.requestMs,
      connectionsCheckingInterval: timeouts.lookEveryMs,
      maxHeaderSize: MAX_HEADER_BYTES,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    listener,
  );
  server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION;
  capConnections(server, {
    total: limits.connections,
    perAddress: limits.connectionsPerAddress,
    isExempt: isLoopback,
  });
  return server;
}

/** @returns the port, which is another than asked for where that was 0 @throws ListenError */
export function listenOn(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(new ListenError(host, port, error));
    server.once('error', onError);
    server.listen(port, host, () => {
      server.off('error', onError);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}
