import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Logger } from '../../logger.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import type { Cors } from '../http/cors.ts';
import type { Operations } from '../operations.ts';
import type { PrincipalCaps } from '../principal-caps.ts';
import { requestIdOf } from '../request-id.ts';
import { type Connection, createConnection, type Wire } from './connection.ts';
import { createNextFrames } from './frames.ts';
import { CLOSE, type CloseReason, SUBPROTOCOL } from './protocol.ts';

/** An operation with its variables; bulk mutations go over HTTP. */
const MAX_MESSAGE_BYTES = 65_536;
/** A client that reads slower than we write is cut off here; it comes back with its last cursor. */
export const MAX_BUFFERED_BYTES = 1_048_576;
/** Proxies cut what is silent for a minute, often less; a peer that has missed a whole round is gone. */
const PING_EVERY_MS = 15_000;
/** Items of one turn of the event loop go out together; a socket that holds more than this of them is flushed before. */
const MAX_HELD_BYTES = 65_536;
/** For the peer to answer our close. */
const CLOSE_MS = 2_000;

/** Streams and connections that were ended before their clients wanted it. */
export interface CutCounts {
  readonly tooSlow: number;
  readonly tokenExpired: number;
}

export interface GraphQLSockets {
  /** Connections that are open. */
  connections(): number;
  /** Operations open on them. */
  operations(): number;
  /** `next` messages sent so far. */
  delivered(): number;
  /** Connections that we ended, by why. */
  cut(): CutCounts;
  /** Tells every client to come back, and resolves when all are gone. */
  close(): Promise<void>;
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}

/** Serves graphql-transport-ws on `/graphql` of a server. */
export function serveGraphQLSockets(
  server: Server,
  {
    operations,
    authenticator,
    caps,
    cors,
    logger,
    now,
    maxBufferedBytes = MAX_BUFFERED_BYTES,
  }: {
    readonly operations: Operations;
    readonly authenticator: Authenticator;
    readonly caps: PrincipalCaps;
    readonly cors: Cors;
    readonly logger: Logger;
    readonly now: () => number;
    readonly maxBufferedBytes?: number;
  },
): GraphQLSockets {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    // Without ours among them the connection is made and closed, so that the client learns why.
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });
  const frames = createNextFrames();
  const open = new Map<WebSocket, Connection>();
  const silent = new WeakSet<WebSocket>();
  /** Sockets that hold items of this turn. */
  let held = new Set<Duplex>();
  let delivered = 0;
  const cut = { tooSlow: 0, tokenExpired: 0 };
  let isStopping = false;

  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    if (isStopping) return refuseUpgrade(socket, '503 Service Unavailable');
    if ((request.url ?? '').split('?', 1)[0] !== '/graphql') return refuseUpgrade(socket, '404 Not Found');
    if (!cors.isWelcome(request)) return refuseUpgrade(socket, '403 Forbidden');
    sockets.handleUpgrade(request, socket, head, (webSocket) => accept(webSocket, socket, request));
  });

  /** One write to the kernel costs more than everything before it: items that come together share it. */
  function hold(socket: Duplex): void {
    if (held.has(socket)) {
      if (socket.writableLength <= MAX_HELD_BYTES) return;
      socket.uncork();
      socket.cork();
      return;
    }
    if (held.size === 0) setImmediate(releaseAll);
    held.add(socket);
    socket.cork();
  }

  function releaseAll(): void {
    const released = held;
    held = new Set();
    for (const socket of released) socket.uncork();
  }

  function wireOf(webSocket: WebSocket, socket: Duplex): Wire {
    const close: Wire['close'] = (told) => {
      if (webSocket.readyState !== webSocket.OPEN) return;
      count(told);
      webSocket.close(told.code, told.reason);
      setTimeout(() => webSocket.terminate(), CLOSE_MS).unref();
    };
    const assertFast = (): void => {
      if (socket.writableLength <= maxBufferedBytes) return;
      open.get(webSocket)?.closed();
      close(CLOSE.tooSlow);
    };
    const count = (reason: CloseReason): void => {
      if (reason === CLOSE.tooSlow) cut.tooSlow += 1;
      if (reason === CLOSE.tokenExpired) cut.tokenExpired += 1;
    };
    return {
      close,
      waiting: () => socket.writableLength,
      send(message) {
        if (webSocket.readyState !== webSocket.OPEN) return;
        webSocket.send(JSON.stringify(message));
        assertFast();
      },
      sendNext(id, prefix, text) {
        if (webSocket.readyState !== webSocket.OPEN) return;
        // Past `webSocket.send`, which would frame the same bytes again for each socket. Without compression it keeps
        // no state of its own between frames, so ours may stand between its.
        hold(socket);
        socket.write(frames.frame(id, prefix, text));
        delivered += 1;
        assertFast();
      },
    };
  }

  function accept(webSocket: WebSocket, socket: Duplex, request: IncomingMessage): void {
    const requestId = requestIdOf(request.headers['x-request-id']);
    const wire = wireOf(webSocket, socket);
    // A frame that breaks the protocol, or a message that is too long: ws closes with the code for it.
    webSocket.on('error', () => undefined);
    if (webSocket.protocol !== SUBPROTOCOL) return wire.close(CLOSE.subprotocol);
    const connection = createConnection(wire, {
      operations,
      authenticator,
      caps,
      requestId,
      authorization: request.headers.authorization,
      now,
      onError: (err) => logger.error({ err, requestId }, 'A WebSocket operation failed'),
    });
    open.set(webSocket, connection);
    webSocket.on('message', (data, isBinary) =>
      connection.receive(isBinary || !Buffer.isBuffer(data) ? '' : data.toString()),
    );
    webSocket.on('pong', () => silent.delete(webSocket));
    webSocket.on('close', () => {
      connection.closed();
      open.delete(webSocket);
    });
  }

  const pings = setInterval(() => {
    for (const webSocket of open.keys()) {
      if (silent.has(webSocket)) {
        webSocket.terminate();
      } else {
        silent.add(webSocket);
        webSocket.ping();
      }
    }
  }, PING_EVERY_MS);
  pings.unref();

  return {
    connections: () => open.size,
    operations: () => open.values().reduce((sum, { operationCount }) => sum + operationCount, 0),
    delivered: () => delivered,
    cut: () => cut,
    async close() {
      isStopping = true;
      clearInterval(pings);
      await Promise.all(
        [...open].map(
          ([webSocket, connection]) =>
            new Promise<void>((resolve) => {
              webSocket.on('close', () => resolve());
              connection.closed();
              webSocket.close(CLOSE.goingAway.code, CLOSE.goingAway.reason);
              setTimeout(() => webSocket.terminate(), CLOSE_MS).unref();
            }),
        ),
      );
      sockets.close();
    },
  };
}
