/**
 * The other side of this integration: what an adapter at the customer's site sends with. Outbound only; a queue in order,
 * batches, gzip, signatures, as many attempts as it takes, and a heartbeat while nothing happens. Runs apart from the
 * product: in the simulator here, and in whatever process an integrator writes.
 *
 * @see the vendor contract, sections 4 and 5
 */
import { createHmac, randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

export interface PushTarget {
  readonly url: string;
  /** As the API names it, in either notation: `STANDARD_WEBHOOKS`, `timestamped-hmac`. */
  readonly profile: string;
  readonly secret: string;
}

/** One entry of the queue; a device's events keep their order because the queue has only one. */
export type PushItem =
  | { readonly kind: 'EVENT'; readonly value: Readonly<Record<string, unknown>> }
  /** A body of its own. */
  | { readonly kind: 'BODY'; readonly value: Readonly<Record<string, unknown>> };

export interface PushClientOptions {
  readonly now: () => Date;
  /** Sends one request. @returns its status; rejects when nobody answered. Default: fetch. */
  readonly post?: (url: string, headers: Readonly<Record<string, string>>, body: Uint8Array) => Promise<number>;
  /** Waits, or returns early when the signal fires. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** After every change of the queue, for who keeps it over restarts. */
  readonly onQueue?: (items: readonly PushItem[]) => void;
  /** A batch that was refused for good: it is not sent again, and whoever must not lose it keeps it. */
  readonly onRefused?: (batch: readonly PushItem[], status: number) => void;
  /** What was left in the queue before a restart. */
  readonly backlog?: readonly PushItem[];
  /**
   * How often the receiver hears of us when there is nothing else to tell, in milliseconds; default HEARTBEAT_MS. Well
   * below the silence that the integration expects (15 minutes unless its settings say otherwise).
   */
  readonly heartbeatMs?: number;
  /** Runs a job again and again. @returns how to stop it. Default: a timer that keeps no process alive. */
  readonly every?: (ms: number, job: () => void) => () => void;
}

export interface PushClient {
  readonly connect: (target: PushTarget) => void;
  /** @returns false when the queue is full: the caller tells the whole list again when there is room */
  readonly send: (item: PushItem) => boolean;
  /** Resolves when everything that was sent has been taken or refused for good; heartbeats are not counted. */
  readonly idle: () => Promise<void>;
  readonly counts: () => { readonly taken: number; readonly attempts: number; readonly refused: number };
  readonly close: () => void;
}

/** Many of them may be lost before a quiet site counts as missing. */
export const HEARTBEAT_MS = 60_000;
/** Two hours of a busy site: ten events a second. */
export const MAX_QUEUED = 100_000;
/** Events of one delivery: small enough to be sent within seconds on a poor line. */
export const MAX_BATCH = 100;
/** Smaller bodies do not shrink. */
const GZIP_FROM_BYTES = 1_024;
const FIRST_WAIT_MS = 500;
/** A receiver that is back is noticed within half a minute. */
const MAX_WAIT_MS = 30_000;
const ATTEMPT_TIMEOUT_MS = 10_000;
/** Answers that another attempt cannot change. The others can: a secret may be entered late, a store may be full. */
const HOPELESS: ReadonlySet<number> = new Set([400, 404, 413, 415]);

const compress = promisify(gzip);

async function postByFetch(url: string, headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<number> {
  const answer = await fetch(url, {
    method: 'POST',
    headers,
    body: Buffer.from(body),
    signal: AbortSignal.timeout(ATTEMPT_TIMEOUT_MS),
    redirect: 'manual',
  });
  await answer.body?.cancel();
  return answer.status;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  timer.unref();
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}

function repeat(ms: number, job: () => void): () => void {
  const timer = setInterval(job, ms).unref();
  return () => clearInterval(timer);
}

function hmac(key: string | Buffer, ...parts: readonly (string | Uint8Array)[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** Signs the bytes as they are sent, compressed or not, anew for every attempt. */
export function signatureHeaders(
  { profile, secret }: Pick<PushTarget, 'profile' | 'secret'>,
  messageId: string,
  at: Date,
  body: Uint8Array,
): Readonly<Record<string, string>> {
  const seconds = String(Math.floor(at.getTime() / 1_000));
  const name = profile.toLowerCase().replaceAll('_', '-');
  if (name === 'standard-webhooks') {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    const mac = hmac(key, `${messageId}.${seconds}.`, body).toString('base64');
    return { 'webhook-id': messageId, 'webhook-timestamp': seconds, 'webhook-signature': `v1,${mac}` };
  }
  const mac = name === 'timestamped-hmac' ? hmac(secret, `${seconds}.`, body) : hmac(secret, body);
  return { 'x-webhook-timestamp': seconds, 'x-webhook-signature': `sha256=${mac.toString('hex')}` };
}

export function createPushClient(options: PushClientOptions): PushClient {
  const { now, post = postByFetch, sleep = pause, heartbeatMs = HEARTBEAT_MS, every = repeat } = options;
  const queue: PushItem[] = [...(options.backlog ?? [])];
  const stopped = new AbortController();
  let target: PushTarget | null = null;
  let draining: Promise<void> | null = null;
  let taken = 0;
  let attempts = 0;
  let refused = 0;
  let takenAt = Number.NEGATIVE_INFINITY;
  let beating: Promise<void> = Promise.resolve();

  /** The next delivery: a body alone, or the events up to the next body. */
  function nextBatch(): readonly PushItem[] {
    const end = queue.findIndex(({ kind }) => kind === 'BODY');
    if (end === 0) return queue.slice(0, 1);
    return queue.slice(0, Math.min(end === -1 ? queue.length : end, MAX_BATCH));
  }

  function contentOf(batch: readonly PushItem[]): unknown {
    const [first] = batch;
    return batch.length === 1 ? first?.value : { events: batch.map(({ value }) => value) };
  }

  /** @returns when the batch was taken, or refused for good */
  async function deliver(batch: readonly PushItem[]): Promise<void> {
    const text = Buffer.from(JSON.stringify(contentOf(batch)));
    const isLong = text.byteLength >= GZIP_FROM_BYTES;
    const body = isLong ? await compress(text) : text;
    const messageId = `msg_${randomUUID()}`;
    for (let waitMs = FIRST_WAIT_MS; !stopped.signal.aborted; waitMs = Math.min(waitMs * 2, MAX_WAIT_MS)) {
      const to = target;
      if (to !== null) {
        attempts += 1;
        const headers = {
          'content-type': 'application/json',
          ...(isLong ? { 'content-encoding': 'gzip' } : {}),
          ...signatureHeaders(to, messageId, now(), body),
        };
        const status = await post(to.url, headers, body).catch(() => null);
        if (status !== null && status >= 200 && status < 300) {
          taken += batch.length;
          takenAt = now().getTime();
          return;
        }
        if (status !== null && HOPELESS.has(status)) {
          refused += batch.length;
          options.onRefused?.(batch, status);
          return;
        }
      }
      await sleep(waitMs, stopped.signal);
    }
  }

  async function drain(): Promise<void> {
    while (queue.length > 0 && !stopped.signal.aborted) {
      const batch = nextBatch();
      await deliver(batch);
      if (stopped.signal.aborted) break;
      // Only now: what is under way when the process ends is sent again, and known by its bytes.
      queue.splice(0, batch.length);
      options.onQueue?.(queue);
    }
    draining = null;
  }

  function wake(): void {
    if (target !== null && queue.length > 0 && !stopped.signal.aborted) draining ??= drain();
  }

  /**
   * Whatever was taken was a sign of life too, and what waits will be one. Not queued: a heartbeat that is late is none.
   */
  async function beat(): Promise<void> {
    const to = target;
    const at = now();
    if (to === null || queue.length > 0 || at.getTime() - takenAt < heartbeatMs) return;
    const heartbeat = { sent_at: at.toISOString(), interval_seconds: Math.round(heartbeatMs / 1_000) };
    const body = Buffer.from(JSON.stringify({ heartbeat }));
    const signature = signatureHeaders(to, `msg_${randomUUID()}`, at, body);
    await post(to.url, { 'content-type': 'application/json', ...signature }, body).catch(() => null);
  }

  const stopBeating = every(heartbeatMs, () => (beating = beat()));

  return {
    connect(to) {
      target = to;
      wake();
    },
    send(item) {
      if (stopped.signal.aborted || queue.length >= MAX_QUEUED) return false;
      queue.push(item);
      options.onQueue?.(queue);
      wake();
      return true;
    },
    async idle() {
      while (draining !== null) await draining;
      await beating;
    },
    counts: () => ({ taken, attempts, refused }),
    close() {
      stopBeating();
      stopped.abort();
    },
  };
}
