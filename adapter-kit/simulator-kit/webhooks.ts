import { createHmac, randomUUID } from 'node:crypto';

/** Waits before the second and later attempts; a simulated platform gives up after the last. */
const RETRY_AFTER_MS = [50, 200, 1_000, 5_000];
const ATTEMPT_TIMEOUT_MS = 5_000;
/** Messages waiting for an address that does not answer; the oldest go first, as they would at a real platform. */
const MAX_QUEUED = 10_000;

/** Tells our address what happened, in order, signed as Standard Webhooks say, again and again until it is taken. */
export interface WebhookSender {
  readonly connect: (target: { readonly url: string; readonly secret: string }) => void;
  /** Does nothing before `connect`. */
  readonly send: (message: unknown) => void;
  readonly close: () => void;
}

export function createWebhookSender(now: () => Date): WebhookSender {
  let target: { readonly url: string; readonly key: Buffer } | null = null;
  const queue: string[] = [];
  const stopped = new AbortController();
  let isSending = false;

  async function deliver(body: string): Promise<void> {
    const id = randomUUID();
    for (const waitMs of [...RETRY_AFTER_MS, null]) {
      if (stopped.signal.aborted || target === null) return;
      const timestamp = String(Math.floor(now().getTime() / 1_000));
      const signature = createHmac('sha256', target.key).update(`${id}.${timestamp}.${body}`).digest('base64');
      const headers = {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${signature}`,
      };
      if (await post(target.url, headers, body, stopped.signal)) return;
      if (waitMs !== null) await pause(waitMs, stopped.signal);
    }
  }

  async function drain(): Promise<void> {
    if (isSending) return;
    isSending = true;
    for (let body = queue.shift(); body !== undefined; body = queue.shift()) await deliver(body);
    isSending = false;
  }

  return {
    connect({ url, secret }) {
      target = { url, key: Buffer.from(secret.replace(/^whsec_/, ''), 'base64') };
    },
    send(message) {
      if (target === null || stopped.signal.aborted) return;
      queue.push(JSON.stringify(message));
      if (queue.length > MAX_QUEUED) queue.shift();
      void drain();
    },
    close() {
      stopped.abort();
      queue.length = 0;
    },
  };
}

async function post(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(ATTEMPT_TIMEOUT_MS)]);
    const answer = await fetch(url, { method: 'POST', headers, body, signal: bounded, redirect: 'manual' });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    // Nobody there: the next attempt decides.
    return false;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  timer.unref();
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}
