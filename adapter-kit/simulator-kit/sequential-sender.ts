import { createPoster, type Posting } from './poster.ts';

const ATTEMPT_TIMEOUT_MS = 5_000;
/** Messages waiting for an address that does not answer; the oldest go first, as they would at a real platform. */
const MAX_QUEUED = 10_000;

/** One message to one address. */
export interface Message {
  readonly body: string;
  /** Made anew for each attempt. */
  readonly request: () => Posting;
}

export interface SequentialSenderOptions {
  /** Waits before the second and later attempts, in milliseconds; given up after the last. */
  readonly retryAfterMs: readonly number[];
  /** Whether this status ends the attempts. */
  readonly isFinal: (status: number) => boolean;
  /** Whom to tell, one after the other; looked up when the message's turn comes. */
  readonly messagesOf: (body: string) => readonly Message[];
}

/** Sends one message after the other, each until it is taken or given up; forgets all of them when it is closed. */
export interface SequentialSender {
  readonly send: (body: string) => void;
  readonly close: () => void;
}

export function createSequentialSender(options: SequentialSenderOptions): SequentialSender {
  const poster = createPoster(ATTEMPT_TIMEOUT_MS);
  const stopped = new AbortController();
  const queue: string[] = [];
  let isSending = false;

  async function deliver({ body, request }: Message): Promise<void> {
    for (const waitMs of [...options.retryAfterMs, null]) {
      if (stopped.signal.aborted) return;
      if (options.isFinal(await poster.post(request(), body))) return;
      if (waitMs !== null) await pause(waitMs, stopped.signal);
    }
  }

  async function drain(): Promise<void> {
    if (isSending) return;
    isSending = true;
    for (let body = queue.shift(); body !== undefined; body = queue.shift())
      for (const message of options.messagesOf(body)) await deliver(message);
    isSending = false;
  }

  return {
    send(body) {
      if (stopped.signal.aborted) return;
      queue.push(body);
      if (queue.length > MAX_QUEUED) queue.shift();
      void drain();
    },
    close() {
      stopped.abort();
      poster.close();
      queue.length = 0;
    },
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  timer.unref();
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}
