/**
 * The Web Event Bridge: classic SignalR 2 over WebSocket and long polling, its hub `Outbound`, durable queues.
 *
 * @see SignalR 2.4 sources; OpenAccess, Web Event Bridge
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import type { FaultBoard } from './faults.ts';
import type { Sessions } from './sessions.ts';
import type { LoggedEvent, StateFile } from './state.ts';

const KEEP_ALIVE_MS = 5_000;
/** A long poll comes back by itself after this. */
const POLL_MS = 10_000;
/** What a durable queue keeps. */
const MAX_QUEUE = 5_000;

const Call = z.object({ H: z.string(), M: z.string(), A: z.array(z.unknown()), I: z.union([z.string(), z.number()]) });
const ConnectionInfo = z.object({ SessionToken: z.string(), ApplicationId: z.string() });
const Given = z.looseObject({ id: z.number() });

interface Connection {
  readonly id: string;
  /** Frames for the next poll; null: a socket takes them at once. */
  outbox: object[] | null;
  socket: WebSocket | null;
  waiting: ServerResponse | null;
  timer: NodeJS.Timeout | undefined;
  subscriptionId: number | null;
  isStarted: boolean;
}

export interface Hub {
  answer(request: IncomingMessage, response: ServerResponse, url: URL, name: string, body: string): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, url: URL): void;
  publish(event: LoggedEvent): void;
  /** Cuts every connection. */
  drop(): void;
  setBroker(isUp: boolean): void;
  /** Calls every client. */
  call(method: string, args: readonly unknown[]): void;
  readonly stats: () => { readonly connections: number; readonly attached: number; readonly heartbeats: number };
  close(): void;
}

export function createHub(file: StateFile, board: FaultBoard, sessions: Sessions, applicationId: string): Hub {
  const connections = new Map<string, Connection>();
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  let made = 0;
  let cursor = 0;
  let hasBroker = true;
  let heartbeats = 0;

  const keepAlive = setInterval(() => {
    for (const { socket } of connections.values()) if (!board.faults().mute) socket?.send('{}');
  }, KEEP_ALIVE_MS);
  keepAlive.unref();

  function send(connection: Connection, frame: object): void {
    if (board.faults().mute) return;
    if (connection.socket !== null) connection.socket.send(JSON.stringify(frame));
    else {
      connection.outbox?.push(frame);
      flush(connection);
    }
  }

  /** Answers a waiting poll with all that there is, in one frame. */
  function flush(connection: Connection): void {
    const { waiting, outbox } = connection;
    if (waiting === null || outbox === null || outbox.length === 0) return;
    // Results and calls do not share a frame.
    const first = outbox[0];
    const isResult = first !== undefined && 'I' in first;
    const frame = isResult ? first : { C: nextCursor(), M: [] as unknown[] };
    if (isResult) outbox.shift();
    else {
      while (outbox[0] !== undefined && 'M' in outbox[0]) {
        const next = outbox.shift();
        if (next !== undefined && 'M' in next && Array.isArray(next.M) && 'M' in frame) frame.M.push(...next.M);
      }
    }
    clearTimeout(connection.timer);
    connection.waiting = null;
    json(waiting, 200, frame);
  }

  function nextCursor(): string {
    cursor += 1;
    return `d-2,${cursor}|b,0`;
  }

  function callOf(method: string, args: readonly unknown[]): object {
    return { C: nextCursor(), M: [{ H: 'Outbound', M: method, A: args }] };
  }

  function attached(subscriptionId: number): Connection | undefined {
    return [...connections.values()].find((each) => each.subscriptionId === subscriptionId && each.isStarted);
  }

  function publish(event: LoggedEvent): void {
    for (const { id, is_durable: isDurable } of file.state.subscriptions) {
      const connection = attached(id);
      if (connection !== undefined && hasBroker) send(connection, callOf('OnBusinessEventReceived', [event]));
      else if (isDurable) {
        const queue = (file.state.queues[String(id)] ??= []);
        queue.push(event);
        if (queue.length > MAX_QUEUE) queue.shift();
      }
    }
  }

  function deliverQueue(connection: Connection): void {
    const key = String(connection.subscriptionId);
    const queue = file.state.queues[key] ?? [];
    delete file.state.queues[key];
    for (const event of queue) send(connection, callOf('OnBusinessEventReceived', [event]));
    if (queue.length > 0) file.save();
  }

  function establish(connection: Connection): void {
    send(connection, callOf('OnConnectionToMessageBusEstablished', []));
    deliverQueue(connection);
  }

  function hubError(id: string | number, message: string, code: string): object {
    return { I: id, H: true, E: message, D: { code } };
  }

  function invoked(connection: Connection, data: string): void {
    const call = Call.safeParse(JSON.parse(data));
    if (!call.success) return;
    const { M: method, A: args, I: id } = call.data;
    if (method === 'StopSubscription') {
      connection.subscriptionId = null;
      send(connection, { I: id });
      return;
    }
    const info = ConnectionInfo.safeParse(args[0]);
    if (!info.success || info.data.ApplicationId !== applicationId || !sessions.isGood(info.data.SessionToken, false)) {
      const code = 'openaccess.general.invalidsessiontoken';
      send(connection, hubError(id, 'The session token is not valid.', code));
      return;
    }
    const given = Given.safeParse(args[1]);
    const subscription = file.state.subscriptions.find((each) => each.id === (given.success ? given.data.id : null));
    if (subscription === undefined) {
      send(connection, hubError(id, 'The subscription was not found.', 'system.not_found'));
      return;
    }
    if (method === 'ConnectionHeartbeat') {
      heartbeats += 1;
      send(connection, { I: id });
    } else {
      send(connection, { I: id, R: subscription });
    }
    if (connection.subscriptionId === subscription.id) return;
    connection.subscriptionId = subscription.id;
    if (hasBroker) establish(connection);
  }

  function add(socket: WebSocket | null, token: string): Connection {
    const connection: Connection = {
      id: token,
      outbox: socket === null ? [] : null,
      socket,
      waiting: null,
      timer: undefined,
      subscriptionId: null,
      isStarted: false,
    };
    connections.set(token, connection);
    return connection;
  }

  function end(connection: Connection): void {
    clearTimeout(connection.timer);
    connections.delete(connection.id);
    connection.socket?.terminate();
    connection.waiting?.destroy();
  }

  function poll(connection: Connection, response: ServerResponse): void {
    connection.waiting = response;
    connection.timer = setTimeout(() => {
      connection.waiting = null;
      json(response, 200, { C: nextCursor(), M: [] });
    }, POLL_MS).unref();
    flush(connection);
  }

  function negotiation(): object {
    made += 1;
    return {
      Url: '/api/access/onguard/openaccess/eventbridge/signalr',
      ConnectionToken: `token+${made}/=`,
      ConnectionId: `00000000-0000-4000-8000-${String(made).padStart(12, '0')}`,
      KeepAliveTimeout: 20.0,
      DisconnectTimeout: 30.0,
      ConnectionTimeout: POLL_MS / 1_000,
      TryWebSockets: board.faults().webSockets !== 'off',
      ProtocolVersion: '1.5',
      TransportConnectTimeout: 5.0,
      LongPollDelay: 0.0,
    };
  }

  return {
    answer(_, response, url, name, body) {
      const token = url.searchParams.get('connectionToken') ?? '';
      const isLongPoll = url.searchParams.get('transport') === 'longPolling';
      const hubs = url.searchParams.get('connectionData') ?? '';
      if (!hubs.toLowerCase().includes('outbound') && name !== 'ping') return json(response, 400, {});
      if (name === 'ping') return json(response, 200, { Response: 'pong' });
      if (name === 'negotiate') return json(response, 200, negotiation());
      if (name === 'connect' && isLongPoll) {
        add(null, token);
        return json(response, 200, { C: nextCursor(), S: 1, M: [] });
      }
      const connection = connections.get(token);
      if (connection === undefined) return json(response, 403, { error: 'unknown connection' });
      switch (name) {
        case 'start':
          connection.isStarted = true;
          return json(response, 200, { Response: 'started' });
        case 'poll':
          if ((url.searchParams.get('messageId') ?? '') === '') return json(response, 400, {});
          return poll(connection, response);
        case 'send':
          invoked(connection, new URLSearchParams(body).get('data') ?? '');
          return json(response, 200, {});
        case 'abort':
          end(connection);
          return json(response, 200, {});
        default:
          return json(response, 404, {});
      }
    },
    upgrade(request, socket, head, url) {
      const token = url.searchParams.get('connectionToken');
      if (board.faults().webSockets === 'refused' || token === null) {
        socket.end('HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
        return;
      }
      sockets.handleUpgrade(request, socket, head, (open) => {
        const connection = add(open, token);
        open.on('message', (data) => invoked(connection, Buffer.isBuffer(data) ? data.toString('utf8') : ''));
        open.on('error', () => undefined);
        open.once('close', () => connections.delete(token));
        send(connection, { C: nextCursor(), S: 1, M: [] });
      });
    },
    publish,
    drop() {
      for (const connection of connections.values()) end(connection);
    },
    setBroker(isUp) {
      if (hasBroker === isUp) return;
      hasBroker = isUp;
      for (const connection of connections.values()) {
        if (!isUp) send(connection, callOf('OnConnectionFromMessageBusLost', []));
        else if (connection.subscriptionId !== null) establish(connection);
      }
    },
    call(method, args) {
      for (const connection of connections.values()) send(connection, callOf(method, args));
    },
    stats: () => ({
      connections: connections.size,
      attached: [...connections.values()].filter(({ subscriptionId }) => subscriptionId !== null).length,
      heartbeats,
    }),
    close() {
      clearInterval(keepAlive);
      for (const connection of connections.values()) end(connection);
      sockets.close();
    },
  };
}

function json(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=UTF-8' }).end(JSON.stringify(value));
}
