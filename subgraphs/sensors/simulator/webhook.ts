// Pushes what happened to our address, in order, until it is taken. The address has the secret in its path.
const RETRY_MS = [50, 200, 1_000, 5_000];
const TIMEOUT_MS = 5_000;
const MAX_QUEUED = 10_000;

export interface Pusher {
  connect(target: { readonly url: string; readonly profile: string; readonly secret: string }): void;
  send(body: string, headers: Readonly<Record<string, string>>): void;
  close(): void;
}

export function createPusher(): Pusher {
  let url: string | null = null;
  let isSending = false;
  const queue: { readonly body: string; readonly headers: Readonly<Record<string, string>> }[] = [];
  const stopped = new AbortController();

  async function deliver(
    to: string,
    { body, headers }: { readonly body: string; readonly headers: Readonly<Record<string, string>> },
  ): Promise<void> {
    for (const waitMs of [...RETRY_MS, 0]) {
      if (stopped.signal.aborted) return;
      try {
        const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(TIMEOUT_MS)]);
        const answer = await fetch(to, { method: 'POST', headers: { ...headers }, body, signal, redirect: 'manual' });
        await answer.body?.cancel();
        if (answer.ok) return;
      } catch {
        // Nobody there: the next attempt decides.
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, waitMs);
      stopped.signal.addEventListener('abort', () => resolve(), { once: true });
      await promise;
      clearTimeout(timer);
    }
  }

  async function drain(): Promise<void> {
    if (isSending) return;
    isSending = true;
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) if (url !== null) await deliver(url, next);
    isSending = false;
  }

  return {
    connect({ url: address, profile, secret }) {
      const hasSecret = address.includes(encodeURIComponent(secret));
      url = profile === 'PATH_SECRET' && !hasSecret ? `${address}/${encodeURIComponent(secret)}` : address;
    },
    send(body, headers) {
      if (url === null || stopped.signal.aborted) return;
      queue.push({ body, headers });
      if (queue.length > MAX_QUEUED) queue.shift();
      void drain();
    },
    close() {
      stopped.abort();
      queue.length = 0;
    },
  };
}
