// One connection to a broker, over a socket that the guard has judged. MQTT 3.1.1: every broker has it.
import { ErrorWithSubackPacket, type IPublishPacket, MqttClient } from 'mqtt';
import { abandoned, AdapterError } from '../../../adapter-kit/adapter-error.ts';
import type { HttpClient } from '../../../adapter-kit/http/http-client.ts';
import type { Login } from '../client.ts';

/** Between pings; a broker that is silent for one and a half of them is gone. */
const KEEPALIVE_SECONDS = 30;
/** Filters in one SUBSCRIBE: brokers bound the packet, and 500 topics fit everywhere. */
const MAX_FILTERS = 500;
/** CONNACK 4: bad user name or password. 5: not authorized. */
const REFUSED_LOGIN: ReadonlySet<number> = new Set([4, 5]);

export interface MqttMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly isRetained: boolean;
  /** Sent again, because the broker had no answer. */
  readonly isRepeat: boolean;
}

export interface MqttOptions {
  readonly http: HttpClient;
  readonly clientId: string;
  /** Keep the session at the broker, so that what comes while we are away waits for us. */
  readonly isKept: boolean;
  readonly login: Login | null;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** The broker gets its acknowledgement when this resolves; the next message waits for it. */
  readonly onMessage: (message: MqttMessage) => Promise<void> | void;
}

export interface MqttSession {
  /** @throws AdapterError FORBIDDEN for a filter that the broker refuses */
  subscribe(filters: readonly string[]): Promise<void>;
  publish(topic: string, payload: Buffer): Promise<void>;
  /** Resolves when the connection is over, for whatever reason. */
  readonly closed: Promise<AdapterError>;
  end(): void;
}

function codeOf(error: unknown): number | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : null;
}

/** @throws AdapterError */
export async function openMqtt(options: MqttOptions): Promise<MqttSession> {
  const { login, signal, timeoutMs } = options;
  const socket = await options.http.socket({ signal, timeoutMs });
  const client = new MqttClient(() => socket, {
    clientId: options.clientId,
    clean: !options.isKept,
    keepalive: KEEPALIVE_SECONDS,
    protocolVersion: 4,
    // Whoever opened it decides when to try again.
    reconnectPeriod: 0,
    connectTimeout: timeoutMs,
    resubscribe: false,
    queueQoSZero: false,
    ...(login === null ? {} : { username: login.username, password: login.password }),
  });
  async function take(message: MqttMessage, done: (error?: Error) => void): Promise<void> {
    let failure: Error | undefined;
    try {
      await options.onMessage(message);
    } catch (error) {
      failure = error instanceof Error ? error : new Error('a message was not taken');
    }
    done(failure);
  }
  client.handleMessage = (packet: IPublishPacket, done) => {
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
    void take({ topic: packet.topic, payload, isRetained: packet.retain, isRepeat: packet.dup }, done);
  };
  const { promise: closed, resolve: close } = Promise.withResolvers<AdapterError>();
  const end = (): void => {
    client.end(true);
    socket.destroy();
  };
  await connected(client, close, signal, timeoutMs).catch((error: unknown) => {
    end();
    throw error;
  });
  const abort = (): void => end();
  signal.addEventListener('abort', abort, { once: true });
  void closed.then(() => signal.removeEventListener('abort', abort));

  return {
    closed,
    end,
    async subscribe(filters) {
      for (let from = 0; from < filters.length; from += MAX_FILTERS) {
        const chunk = filters.slice(from, from + MAX_FILTERS);
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        client.subscribe(chunk, { qos: 1 }, (error) => {
          const isRefused = error instanceof ErrorWithSubackPacket;
          // The broker said 0x80 to one of them: it does not let us listen there.
          if (isRefused)
            reject(new AdapterError('FORBIDDEN', `the broker refuses to let us listen to ${chunk[0] ?? ''}`));
          else if (error !== null) reject(new AdapterError('UNREACHABLE', 'the broker took no subscription'));
          else resolve();
        });
        await Promise.race([promise, closed.then((error) => Promise.reject(error)), late(signal, timeoutMs)]);
      }
    },
    async publish(topic, payload) {
      await client.publishAsync(topic, payload, { qos: 0, retain: false });
    },
  };
}

function connected(
  client: MqttClient,
  close: (error: AdapterError) => void,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let failure = new AdapterError('UNREACHABLE', 'the broker ended the connection', { layer: 'http' });
  const abort = (): void => reject(abandoned(signal.reason));
  const timer = setTimeout(
    () => reject(new AdapterError('TIMEOUT', `the broker did not answer within ${timeoutMs} ms`)),
    timeoutMs,
  );
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  client.on('connect', () => resolve());
  client.on('error', (error) => {
    const code = codeOf(error);
    failure =
      code !== null && REFUSED_LOGIN.has(code)
        ? new AdapterError('UNAUTHENTICATED', 'the broker refused user name and password', { status: code })
        : new AdapterError('UNREACHABLE', 'the connection to the broker failed', { cause: error, status: code });
    reject(failure);
  });
  client.on('close', () => {
    reject(failure);
    close(failure);
  });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  });
}

function late(signal: AbortSignal, timeoutMs: number): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  const either = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const fail = (): void =>
    reject(
      signal.aborted
        ? abandoned(signal.reason)
        : new AdapterError('TIMEOUT', `the broker did not answer within ${timeoutMs} ms`),
    );
  if (either.aborted) fail();
  else either.addEventListener('abort', fail, { once: true });
  // Nobody listens any more when the answer was faster.
  promise.catch(() => undefined);
  return promise;
}
