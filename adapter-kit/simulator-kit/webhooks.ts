import { createHmac, randomUUID } from 'node:crypto';
import type { Posting } from './poster.ts';
import { createSequentialSender } from './sequential-sender.ts';

const RETRY_AFTER_MS = [50, 200, 1_000, 5_000];

/** Tells our address what happened, in order, signed as Standard Webhooks say, again and again until it is taken. */
export interface WebhookSender {
  readonly connect: (target: { readonly url: string; readonly secret: string }) => void;
  /** Does nothing before `connect`. */
  readonly send: (message: unknown) => void;
  readonly close: () => void;
}

export function createWebhookSender(now: () => Date): WebhookSender {
  let target: { readonly url: string; readonly key: Buffer } | null = null;
  const sender = createSequentialSender({
    retryAfterMs: RETRY_AFTER_MS,
    isFinal: (status) => status >= 200 && status <= 299,
    messagesOf(body) {
      const first = target;
      const id = randomUUID();
      return first === null ? [] : [{ body, request: () => signed(target ?? first, id, body) }];
    },
  });

  function signed(to: { readonly url: string; readonly key: Buffer }, id: string, body: string): Posting {
    const timestamp = String(Math.floor(now().getTime() / 1_000));
    const signature = createHmac('sha256', to.key).update(`${id}.${timestamp}.${body}`).digest('base64');
    return {
      url: to.url,
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${signature}`,
      },
    };
  }

  return {
    connect({ url, secret }) {
      target = { url, key: Buffer.from(secret.replace(/^whsec_/, ''), 'base64') };
    },
    send(message) {
      if (target !== null) sender.send(JSON.stringify(message));
    },
    close: sender.close,
  };
}
