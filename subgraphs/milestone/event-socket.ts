/**
 * One connection to the Events and State API: commands one at a time, events as they come. What is subscribed to, and what
 * events mean, is left to others.
 *
 * @see MIP VMS API, Events and State WebSocket API v1
 */
import { WebSocket } from 'ws';
import { abandoned, AdapterError } from '../../adapter-kit/adapter-error.ts';
import { parseJson } from '../../adapter-kit/json-guard.ts';
import { WireFrame } from './wire.ts';

/** Sixteen thousand states have a hundred thousand members. */
const MAX_FRAME_KEYS = 2_000_000;
/** Most of the time nothing is sent at all: only pings tell a quiet line from a dead one. */
const PING_EVERY_MS = 30_000;
/** Pongs wait behind a large snapshot; real servers took more than twenty seconds. */
const DEAD_AFTER_MS = 180_000;
const COMMAND_TIMEOUT_MS = 15_000;
/** A snapshot of a few thousand cameras took two minutes. */
export const SNAPSHOT_TIMEOUT_MS = 180_000;

export interface EventBatch {
  /** As received. */
  readonly body: Uint8Array;
  readonly events: readonly unknown[];
}

export interface EventSocket {
  /** @throws AdapterError NOT_SUPPORTED for a refused command, UNREACHABLE for a lost connection */
  command(
    name: string,
    members: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
    timeoutMs?: number,
  ): Promise<WireFrame>;
  /** Returns when everything that the platform sent before has been received. @throws AdapterError */
  barrier(signal: AbortSignal, timeoutMs: number): Promise<void>;
  /** Resolves with the reason when the connection is gone. */
  readonly lost: Promise<AdapterError>;
  readonly isOpen: () => boolean;
  close(): void;
}

interface Outstanding {
  readonly id: number;
  readonly settle: PromiseWithResolvers<WireFrame>;
}

/** @param socket open and paused @param onEvents told of every batch, in order, before anything later is looked at */
export function createEventSocket(socket: WebSocket, onEvents: (batch: EventBatch) => void): EventSocket {
  const lost = Promise.withResolvers<AdapterError>();
  const pongs = new Map<string, PromiseWithResolvers<void>>();
  let failure: AdapterError | null = null;
  let outstanding: Outstanding | null = null;
  let turn: Promise<unknown> = Promise.resolve();
  let commandId = 0;
  let pings = 0;
  let heardAt = performance.now();

  function fail(error: AdapterError): void {
    if (failure !== null) return;
    failure = error;
    clearInterval(heartbeat);
    outstanding?.settle.reject(error);
    outstanding = null;
    for (const pong of pongs.values()) pong.reject(error);
    lost.resolve(error);
    socket.terminate();
  }

  const heartbeat = setInterval(() => {
    if (outstanding !== null) heardAt = performance.now();
    else if (performance.now() - heardAt > DEAD_AFTER_MS)
      fail(new AdapterError('TIMEOUT', 'the event socket fell silent', { layer: 'http' }));
    else socket.ping();
  }, PING_EVERY_MS);
  heartbeat.unref();

  function receive(body: Buffer): void {
    heardAt = performance.now();
    let frame: WireFrame;
    try {
      frame = WireFrame.parse(parseJson(body, { maxKeys: MAX_FRAME_KEYS }));
    } catch {
      fail(new AdapterError('BAD_PAYLOAD', 'the event socket sent what is no frame'));
      return;
    }
    if (frame.events !== undefined) onEvents({ body, events: frame.events });
    if (frame.commandId === undefined || frame.commandId !== outstanding?.id) return;
    outstanding.settle.resolve(frame);
    outstanding = null;
  }

  socket.on('message', (data) => {
    receive(Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]));
  });
  socket.on('pong', (data) => {
    heardAt = performance.now();
    pongs.get(data.toString())?.resolve();
  });
  socket.on('close', (code) => fail(new AdapterError('UNREACHABLE', `the event socket was closed (${code})`)));
  socket.resume();
  if (socket.readyState !== WebSocket.OPEN)
    fail(new AdapterError('UNREACHABLE', 'the event socket was closed at once'));

  /** Waits for one of the connection's own promises, for the caller's signal, or for the deadline. */
  async function within<T>(work: Promise<T>, what: string, signal: AbortSignal, timeoutMs: number): Promise<T> {
    const given = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => given.reject(new AdapterError('TIMEOUT', `${what} was not answered within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const abort = (): void => given.reject(abandoned(signal.reason));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await Promise.race([work, given.promise]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  async function run(
    name: string,
    members: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
    timeoutMs: number,
  ): Promise<WireFrame> {
    if (failure !== null) throw failure;
    commandId += 1;
    const settle = Promise.withResolvers<WireFrame>();
    settle.promise.catch(() => undefined);
    outstanding = { id: commandId, settle };
    socket.send(JSON.stringify({ command: name, commandId, ...members }));
    let frame: WireFrame;
    try {
      frame = await within(settle.promise, name, signal, timeoutMs);
    } catch (error) {
      // An answer that comes later would be taken for another's: the order of answers is not promised.
      fail(error instanceof AdapterError ? error : abandoned(error));
      throw error;
    }
    const status = frame.status ?? 0;
    if (status >= 200 && status <= 299) return frame;
    const detail = frame.error?.errorText === undefined ? '' : ': it gives a reason';
    throw new AdapterError('NOT_SUPPORTED', `${name} was refused with ${status}${detail}`, { status });
  }

  return {
    command(name, members, signal, timeoutMs = COMMAND_TIMEOUT_MS) {
      const mine = turn.then(() => run(name, members, signal, timeoutMs));
      turn = mine.catch(() => undefined);
      return mine;
    },
    async barrier(signal, timeoutMs) {
      if (failure !== null) throw failure;
      pings += 1;
      const id = `b${pings}`;
      const pong = Promise.withResolvers<void>();
      pong.promise.catch(() => undefined);
      pongs.set(id, pong);
      try {
        socket.ping(id);
        await within(pong.promise, 'the event socket', signal, timeoutMs);
      } finally {
        pongs.delete(id);
      }
    },
    lost: lost.promise,
    isOpen: () => failure === null,
    close: () => fail(new AdapterError('UNREACHABLE', 'the event socket was closed by us')),
  };
}
