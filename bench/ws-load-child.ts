import { randomBytes, randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { answerCalls } from './child.ts';

// Many WebSocket clients that cost little: they read frames and count them. The first one of each call does more: it keeps
// its messages, or reads when the events in them happened.

const TEXT = 1;
const CLOSE = 8;
const PING = 9;

interface Client {
  readonly socket: Socket;
  readonly say: (message: object) => void;
}

let clients: Client[] = [];
let received = 0;
let firstAt = 0;
let lastAt = 0;
let kept: string[] = [];
/** When events happened by what they say, and how long ago that was when they came; both in milliseconds. */
let happened: number[] = [];
let late: number[] = [];
let closed = 0;
let onFrame: () => void = () => undefined;

type Role = 'counts' | 'keeps' | 'times';

const OCCURRED = '"occurredAt":"';
const INSTANT_LENGTH = '2026-11-20T12:00:00.000Z'.length;

function time(message: string): void {
  const at = message.indexOf(OCCURRED) + OCCURRED.length;
  if (at < OCCURRED.length) return;
  const occurredAt = Date.parse(message.slice(at, at + INSTANT_LENGTH));
  happened.push(occurredAt);
  late.push(Date.now() - occurredAt);
}

/** A client's frame, masked with zeros: the bytes stay what they are. */
function frame(opcode: number, payload: Buffer): Buffer {
  const long = payload.length >= 126;
  const head = Buffer.alloc(long ? 8 : 6);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (long ? 126 : payload.length);
  if (long) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

/** Calls back for each frame of a stream of bytes. */
function frameReader(onEach: (opcode: number, payload: () => string) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (;;) {
      if (bytes.length - at < 2) break;
      const short = (bytes[at + 1] ?? 0) & 0x7f;
      const head = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (bytes.length - at < head) break;
      const length = short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? bytes.readUIntBE(at + 4, 6) : short;
      const start = at + head;
      if (bytes.length - start < length) break;
      onEach((bytes[at] ?? 0) & 0x0f, () => bytes.toString('utf8', start, start + length));
      at = start + length;
    }
    rest = bytes.subarray(at);
  };
}

function open(port: number, path: string, subprotocol: string, role: Role, onOpen: (client: Client) => void) {
  return new Promise<Client>((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const client: Client = {
      socket,
      say: (message) => socket.write(frame(TEXT, Buffer.from(JSON.stringify(message)))),
    };
    let isUpgraded = false;
    let isReady = false;
    const read = frameReader((opcode, payload) => {
      if (opcode === TEXT && isReady) {
        received += 1;
        lastAt = performance.now();
        if (received === 1) firstAt = lastAt;
        if (role === 'keeps') kept.push(payload());
        else if (role === 'times') time(payload());
        onFrame();
      } else if (opcode === TEXT) {
        if (!payload().includes('connection_ack')) return reject(new Error(payload()));
        isReady = true;
        resolve(client);
      } else if (opcode === PING) {
        socket.write(frame(10, Buffer.alloc(0)));
      } else if (opcode === CLOSE) {
        closed += 1;
        reject(new Error(`closed: ${payload()}`));
      }
    });
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      if (isUpgraded) return read(chunk);
      const end = chunk.indexOf('\r\n\r\n');
      if (!chunk.toString('latin1').startsWith('HTTP/1.1 101')) return reject(new Error(chunk.toString()));
      isUpgraded = true;
      onOpen(client);
      if (chunk.length > end + 4) read(chunk.subarray(end + 4));
    });
    socket.write(
      `GET ${path} HTTP/1.1\r\nhost: bench\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n` +
        `sec-websocket-key: ${randomBytes(16).toString('base64')}\r\n${subprotocol}\r\n`,
    );
  });
}

/** Clients that are made at once: a server's backlog of new connections is some hundred. */
const AT_ONCE = 50;

async function openMany(count: number, one: (number: number) => Promise<Client>): Promise<void> {
  for (let from = 0; from < count; from += AT_ONCE) {
    const batch = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, at) => one(from + at));
    clients.push(...(await Promise.all(batch)));
  }
}

const calls = {
  /** Each client subscribes once, with an id of its own, as client libraries do. */
  async subscribe(options: {
    readonly port: number;
    readonly clients: number;
    readonly token: string;
    readonly query: string;
    readonly variables: Readonly<Record<string, unknown>>;
    /** Of the first one; default `keeps`. */
    readonly role?: Role;
  }): Promise<void> {
    const { query, variables, role = 'keeps' } = options;
    const before = clients.length;
    await openMany(options.clients, (number) =>
      open(
        options.port,
        '/graphql',
        'sec-websocket-protocol: graphql-transport-ws\r\n',
        number === 0 ? role : 'counts',
        (client) => client.say({ type: 'connection_init', payload: { authorization: `Bearer ${options.token}` } }),
      ),
    );
    for (const { say } of clients.slice(before))
      say({ type: 'subscribe', id: randomUUID(), payload: { query, variables } });
  },

  /** Clients of a server that sends by itself. */
  async listen(options: {
    readonly port: number;
    readonly clients: number;
    /** Of the first one; default `keeps`. */
    readonly role?: Role;
    /** Default `/`. */
    readonly path?: string;
  }): Promise<void> {
    const { path = '/', role = 'keeps' } = options;
    await openMany(options.clients, (number) =>
      open(options.port, path, '', number === 0 ? role : 'counts', () => undefined),
    );
  },

  /** Forgets what came so far. */
  reset(): void {
    received = 0;
    kept = [];
    happened = [];
    late = [];
  },

  /** Resolves when so many frames have come to all clients together. @throws Error when a client was closed */
  async collect(frames: number) {
    await new Promise<void>((resolve, reject) => {
      onFrame = () => {
        if (received >= frames || closed > 0) resolve();
      };
      setTimeout(
        () => reject(new Error(`${received} of ${frames} frames came, ${closed} clients were closed`)),
        60_000,
      ).unref();
      onFrame();
    });
    if (closed > 0) throw new Error(`${closed} clients were closed`);
    return { received, ms: lastAt - firstAt, messages: kept };
  },

  /** What the clients that read times have seen since `reset`. */
  times: () => ({ happened, late }),

  /** Clients that were closed by the server. */
  closed: () => closed,

  /** How many messages have come to all clients together. */
  received: () => received,

  /** The first client takes nothing from the network any more. */
  stall(): void {
    clients[0]?.socket.pause();
  },

  leave(): void {
    for (const { socket } of clients) socket.destroy();
    clients = [];
    closed = 0;
  },
};

export type WsLoadCalls = typeof calls;

answerCalls(calls, () => calls.leave());
