// An MQTT 3.1.1 broker on loopback: login, retained messages, wills, kept sessions, QoS 0 and 1, and faults.
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import mqttPacket, { type IConnectPacket, type IPublishPacket, type ISubscribePacket, type Packet } from 'mqtt-packet';
import type { FaultBoard } from './faults.ts';

const MAX_QUEUED = 10_000;
const MAX_ID = 65_535;

interface Session {
  readonly clientId: string;
  readonly isKept: boolean;
  filters: Map<string, 0 | 1>;
  socket: Socket | null;
  /** Sent with QoS 1 and not acknowledged, or waiting for the client to come back. */
  readonly pending: Map<number, IPublishPacket>;
  nextId: number;
}

export interface Broker {
  readonly port: number;
  readonly calls: () => number;
  publish(topic: string, payload: string | Buffer, options?: { readonly retain?: boolean }): void;
  /** What clients publish, for those who simulate what listens. */
  onPublish(listener: (topic: string, payload: Buffer) => void): void;
  setDown(isDown: boolean): void;
  /** Cuts every connection, as a restart does. */
  cut(): void;
  /** How many clients are connected. */
  readonly connected: () => number;
  close(): Promise<void>;
}

export interface BrokerOptions {
  readonly port: number;
  readonly login: { readonly username: string; readonly password: string };
  readonly board: FaultBoard;
}

export function matches(filter: string, topic: string): boolean {
  const wanted = filter.split('/');
  const levels = topic.split('/');
  for (const [index, level] of wanted.entries()) {
    if (level === '#') return true;
    if (levels[index] === undefined || (level !== '+' && level !== levels[index])) return false;
  }
  return wanted.length === levels.length;
}

export async function startBroker({ port, login, board }: BrokerOptions): Promise<Broker> {
  const retained = new Map<string, Buffer>();
  const sessions = new Map<string, Session>();
  const sockets = new Set<Socket>();
  const listeners: ((topic: string, payload: Buffer) => void)[] = [];
  let calls = 0;
  let isDown = false;

  function write(socket: Socket, packet: Packet): void {
    if (socket.writable) socket.write(mqttPacket.generate(packet));
  }

  function send(session: Session, topic: string, payload: Buffer, qos: 0 | 1, retain: boolean): void {
    const packet: IPublishPacket = { cmd: 'publish', topic, payload, qos, retain, dup: false };
    if (qos === 0) {
      if (session.socket !== null) write(session.socket, packet);
      return;
    }
    session.nextId = (session.nextId % MAX_ID) + 1;
    const numbered = { ...packet, messageId: session.nextId };
    if (session.pending.size < MAX_QUEUED) session.pending.set(session.nextId, numbered);
    if (session.socket === null) return;
    write(session.socket, numbered);
    if (board.current.repeat) write(session.socket, { ...numbered, dup: true });
  }

  function publish(topic: string, payload: Buffer, retain: boolean): void {
    if (retain && payload.length === 0) retained.delete(topic);
    else if (retain) retained.set(topic, payload);
    for (const session of sessions.values()) {
      const found = [...session.filters].filter(([filter]) => matches(filter, topic)).map(([, qos]) => qos);
      if (found.length > 0 && (session.socket !== null || session.isKept))
        send(session, topic, payload, found.includes(1) ? 1 : 0, false);
    }
  }

  function connect(socket: Socket, packet: IConnectPacket): Session | null {
    const isKnown = packet.username === login.username && packet.password?.toString() === login.password;
    if (!isKnown) {
      write(socket, { cmd: 'connack', returnCode: packet.username === undefined ? 5 : 4, sessionPresent: false });
      socket.end();
      return null;
    }
    const isKept = packet.clean === false;
    const before = sessions.get(packet.clientId);
    before?.socket?.destroy();
    const present = isKept && before !== undefined && before.isKept;
    const session: Session = present
      ? before
      : { clientId: packet.clientId, isKept, filters: new Map(), socket: null, pending: new Map(), nextId: 0 };
    session.socket = socket;
    sessions.set(packet.clientId, session);
    write(socket, { cmd: 'connack', returnCode: 0, sessionPresent: present });
    for (const waiting of session.pending.values()) write(socket, { ...waiting, dup: true });
    return session;
  }

  function subscribe(session: Session, packet: ISubscribePacket): void {
    const { refuseFilter } = board.current;
    const granted = packet.subscriptions.map(({ topic, qos }) => {
      if (refuseFilter !== null && topic.startsWith(refuseFilter)) return 0x80;
      const level = qos > 0 ? 1 : 0;
      session.filters.set(topic, level);
      return level;
    });
    if (session.socket !== null) write(session.socket, { cmd: 'suback', messageId: packet.messageId ?? 0, granted });
    for (const { topic: filter } of packet.subscriptions) {
      const qos = session.filters.get(filter);
      if (qos === undefined) continue;
      const exact = retained.get(filter);
      if (exact !== undefined) send(session, filter, exact, qos, true);
      else if (/[+#]/.test(filter))
        for (const [topic, payload] of retained) if (matches(filter, topic)) send(session, topic, payload, qos, true);
    }
  }

  function serve(socket: Socket): void {
    if (isDown) return void socket.destroy();
    sockets.add(socket);
    socket.setNoDelay(true);
    let session: Session | null = null;
    let will: IConnectPacket['will'];
    const parser = mqttPacket.parser();
    socket.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      if (session?.socket === socket) {
        session.socket = null;
        if (!session.isKept) sessions.delete(session.clientId);
      }
      if (will !== undefined) publish(will.topic, Buffer.from(will.payload), will.retain === true);
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        parser.parse(chunk);
      } catch {
        socket.destroy();
      }
    });
    parser.on('error', () => socket.destroy());
    parser.on('packet', (packet: Packet) => {
      if (packet.cmd === 'connect' || packet.cmd === 'subscribe' || packet.cmd === 'publish') calls += 1;
      if (packet.cmd === 'connect') {
        session = connect(socket, packet);
        will = session === null ? undefined : packet.will;
      } else if (session === null) socket.destroy();
      else if (packet.cmd === 'subscribe') subscribe(session, packet);
      else if (packet.cmd === 'puback') session.pending.delete(packet.messageId ?? 0);
      else if (packet.cmd === 'pingreq') write(socket, { cmd: 'pingresp' });
      else if (packet.cmd === 'disconnect') {
        will = undefined;
        socket.end();
      } else if (packet.cmd === 'publish') {
        if (packet.qos > 0) write(socket, { cmd: 'puback', messageId: packet.messageId ?? 0 });
        const payload = Buffer.from(packet.payload);
        publish(packet.topic, payload, packet.retain);
        for (const listener of listeners) listener(packet.topic, payload);
      }
    });
  }

  const server = await listenOn(port, serve);
  const address = server.address();

  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    calls: () => calls,
    publish: (topic, payload, options = {}) => publish(topic, Buffer.from(payload), options.retain === true),
    onPublish: (listener) => void listeners.push(listener),
    setDown(down) {
      isDown = down;
      if (down) for (const socket of sockets) socket.destroy();
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    connected: () => [...sessions.values()].filter(({ socket }) => socket !== null).length,
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

/** On the port if it is free, else on another one: what was there last time may be somebody else's now. */
export async function listenOn(port: number, serve: (socket: Socket) => void): Promise<Server> {
  const server = createServer(serve);
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return server;
  } catch (error) {
    if (!isPortTaken(error) || port === 0) throw error;
    return listenOn(0, serve);
  }
}
