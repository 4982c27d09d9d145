// One connection with the Web Event Bridge: calls of its hub, its callbacks, and the proof that it is still there.
import type { Logger } from 'pino';
import { abandoned, AdapterError } from '../../adapter-kit/adapter-error.ts';
import { JsonGuardError, parseJson } from '../../adapter-kit/json-guard.ts';
import {
  askBridge,
  bridgeQuery,
  type FrameSink,
  openLongPollingTransport,
  openWebSocketTransport,
  type Transport,
} from './bridge-transport.ts';
import { hubRefusal } from './calls.ts';
import type { OnGuardClient } from './client.ts';
import type { OnGuardSettings } from './settings.ts';
import { WireFrame, type WireInvocation, WireNegotiation } from './wire.ts';

const HUB = 'outbound';
/** A call of the hub; the platform's own bound on requests is 30 s. */
const INVOKE_TIMEOUT_MS = 10_000;
/** Calls that wait for their result: heartbeats and a few others, one at a time. */
const MAX_INVOCATIONS = 16;
/** A server that sends no keep-alives is taken to be there for so long. */
const DEFAULT_SILENCE_MS = 60_000;

export interface BridgeEvents {
  /** The hub called us. @param frame verbatim, with this and maybe other calls */
  called(calls: readonly WireInvocation[], frame: Uint8Array): void;
  lost(error: AdapterError): void;
}

export interface Bridge {
  readonly transport: Transport['name'];
  /** @throws AdapterError; OpenAccessError with the platform's code when the hub refuses */
  invoke(method: string, args: readonly unknown[], signal: AbortSignal): Promise<unknown>;
  close(): Promise<void>;
}

export interface BridgeOptions {
  readonly client: OnGuardClient;
  readonly transport: OnGuardSettings['events']['transport'];
  readonly logger: Logger;
  readonly events: BridgeEvents;
}

/** Negotiates and connects. @throws AdapterError */
export async function openBridge(options: BridgeOptions, signal: AbortSignal): Promise<Bridge> {
  const { client, events } = options;
  const negotiation = await negotiate(client, signal);
  const results = new Map<string, PromiseWithResolvers<unknown>>();
  let invocations = 0;
  let isOver = false;
  let silence: NodeJS.Timeout | undefined;

  function lost(error: AdapterError): void {
    if (isOver) return;
    isOver = true;
    clearTimeout(silence);
    for (const { reject } of results.values()) reject(error);
    results.clear();
    events.lost(error);
  }

  function heard(): void {
    if (silence !== undefined) {
      silence.refresh();
      return;
    }
    const silenceMs =
      negotiation.KeepAliveTimeout === null || negotiation.KeepAliveTimeout === undefined
        ? DEFAULT_SILENCE_MS
        : negotiation.KeepAliveTimeout * 1_000;
    silence = setTimeout(() => {
      lost(new AdapterError('TIMEOUT', `the event bridge was silent for ${silenceMs} ms`, { layer: 'http' }));
    }, silenceMs);
  }

  function settle(frame: WireFrame): void {
    const id = frame.I === undefined || frame.I === null ? null : String(frame.I);
    const waiting = id === null ? undefined : results.get(id);
    if (id === null || waiting === undefined) return;
    results.delete(id);
    // The shape of error data is not documented: whatever it is, the code is in its text.
    if (frame.E !== undefined && frame.E !== null)
      waiting.reject(hubRefusal('a call', `${JSON.stringify(frame.D ?? null)} ${frame.E}`));
    else waiting.resolve(frame.R);
  }

  const sink: FrameSink = {
    frame(bytes) {
      if (isOver) return;
      // A poll that waits is alive until its own deadline; a socket proves itself with every frame.
      if (transportName === 'webSockets') heard();
      const frame = parseFrame(bytes);
      if (frame === null) {
        lost(new AdapterError('BAD_PAYLOAD', 'a frame of the event bridge cannot be read', { layer: 'http' }));
        return;
      }
      settle(frame);
      if (frame.M !== undefined && frame.M !== null && frame.M.length > 0) events.called(frame.M, bytes);
      if (frame.T === 1) lost(new AdapterError('UNREACHABLE', 'the event bridge asks us to connect again'));
    },
    lost,
  };

  let transportName: Transport['name'] = 'longPolling';

  async function connect(): Promise<Transport> {
    const wantsSocket =
      options.transport === 'webSockets' || (options.transport === 'auto' && negotiation.TryWebSockets !== false);
    if (wantsSocket) {
      transportName = 'webSockets';
      try {
        return await openWebSocketTransport(client, negotiation, sink, signal);
      } catch (error) {
        if (options.transport === 'webSockets' || signal.aborted || isOver) throw error;
        options.logger.warn({ err: error }, 'No WebSocket to the event bridge; it is polled instead');
        transportName = 'longPolling';
        clearTimeout(silence);
        silence = undefined;
        const again = await negotiate(client, signal);
        return openLongPollingTransport(client, again, sink, signal);
      }
    }
    return openLongPollingTransport(client, negotiation, sink, signal);
  }

  let transport: Transport;
  try {
    transport = await connect();
  } catch (error) {
    isOver = true;
    clearTimeout(silence);
    throw error;
  }

  return {
    transport: transport.name,
    async invoke(method, args, caller) {
      if (isOver) throw new AdapterError('UNREACHABLE', 'the connection of the event bridge is gone');
      if (caller.aborted) throw abandoned(caller.reason);
      if (results.size >= MAX_INVOCATIONS)
        throw new AdapterError('TIMEOUT', 'the event bridge answers no calls', { layer: 'http' });
      const id = String(invocations);
      invocations += 1;
      const waiting = Promise.withResolvers<unknown>();
      results.set(id, waiting);
      const abort = (): void => waiting.reject(abandoned(caller.reason));
      const timer = setTimeout(() => {
        waiting.reject(
          new AdapterError('TIMEOUT', `${method} was not answered within ${INVOKE_TIMEOUT_MS} ms`, { layer: 'http' }),
        );
      }, INVOKE_TIMEOUT_MS);
      caller.addEventListener('abort', abort, { once: true });
      try {
        const [, result] = await Promise.all([transport.send({ H: HUB, M: method, A: args, I: id }), waiting.promise]);
        return result;
      } finally {
        clearTimeout(timer);
        caller.removeEventListener('abort', abort);
        results.delete(id);
      }
    },
    async close() {
      isOver = true;
      clearTimeout(silence);
      for (const { reject } of results.values()) reject(new AdapterError('UNREACHABLE', 'the adapter is closed'));
      results.clear();
      await transport.close();
    },
  };
}

function negotiate(client: OnGuardClient, signal: AbortSignal): Promise<WireNegotiation> {
  return askBridge(client.bridge({ name: 'negotiate', query: bridgeQuery(), signal }, WireNegotiation));
}

function parseFrame(bytes: Uint8Array): WireFrame | null {
  try {
    const parsed = WireFrame.safeParse(parseJson(bytes));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    if (error instanceof JsonGuardError) return null;
    throw error;
  }
}
