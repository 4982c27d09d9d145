import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Adapter } from '../adapter.ts';
import type { EventDraft, InboundMessage } from '../model.ts';
import type { Rig } from './rig.ts';

/** A simulated platform tells within milliseconds; this only bounds a broken one. */
const ARRIVES_WITHIN_MS = 10_000;
/** How often a state is switched anew until a stream, which may connect at its leisure, has told of it. */
const SWITCH_EVERY_MS = 50;
const MAX_BODY_BYTES = 262_144;

/** What the platform told us, by its own way of telling. */
export interface Deliveries {
  readonly messages: readonly InboundMessage[];
  /** @throws Error when no message satisfies within ten seconds */
  until(satisfies: (message: InboundMessage) => boolean): Promise<InboundMessage>;
  stop(): Promise<void>;
}

function createMailbox() {
  const messages: InboundMessage[] = [];
  const waiting = new Set<() => void>();
  return {
    messages,
    put(message: InboundMessage): void {
      messages.push(message);
      for (const look of waiting) look();
    },
    until(satisfies: (message: InboundMessage) => boolean): Promise<InboundMessage> {
      const { promise, resolve, reject } = Promise.withResolvers<InboundMessage>();
      const timer = setTimeout(() => {
        waiting.delete(look);
        reject(
          new Error(`the platform told nothing of it within ${ARRIVES_WITHIN_MS} ms (${messages.length} messages)`),
        );
      }, ARRIVES_WITHIN_MS);
      const look = (): void => {
        const found = messages.find(satisfies);
        if (found === undefined) return;
        clearTimeout(timer);
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
      return promise;
    },
  };
}

/** Takes webhooks in as the front door does: any signature, but within its size. */
export async function receiveWebhooks(rig: Rig): Promise<Deliveries> {
  const mailbox = createMailbox();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      response.writeHead(body.length > MAX_BODY_BYTES ? 413 : 204).end();
      const headers = Object.fromEntries(
        Object.entries(request.headers).flatMap(([name, value]) =>
          typeof value === 'string' && !/authorization|cookie|signature/.test(name) ? [[name, value]] : [],
        ),
      );
      mailbox.put({ body, headers, source: 'WEBHOOK', receivedAt: new Date() });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  rig.simulator.connectWebhook({
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/webhooks/int_contract`,
    profile: rig.simulator.integration.signatureProfile ?? rig.vendor.signatureProfiles[0] ?? '',
    secret: `whsec_${randomBytes(32).toString('base64')}`,
  });
  return {
    ...mailbox,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Listens as a worker does, and stops as it does. */
export function receiveStream(adapter: Adapter): Deliveries {
  const mailbox = createMailbox();
  const controller = new AbortController();
  const ended = (async () => {
    for await (const { message } of adapter.listen?.(null, controller.signal) ?? []) mailbox.put(message);
  })();
  // A stream that breaks shows as messages that do not come; its own error is what `stop` reports.
  ended.catch(() => undefined);
  return {
    ...mailbox,
    async stop() {
      controller.abort();
      await ended;
    },
  };
}

/** Switches a device until a message tells of it: a stream that has just been opened may miss the first switch. */
export async function switched(
  rig: Rig,
  deliveries: Deliveries,
  nativeId: string,
  state: 'online' | 'offline',
  tells: (draft: EventDraft) => boolean,
): Promise<InboundMessage> {
  const other = state === 'online' ? 'offline' : 'online';
  const from = deliveries.messages.length;
  rig.simulator.setState(nativeId, state);
  const again = setInterval(() => {
    rig.simulator.setState(nativeId, other);
    rig.simulator.setState(nativeId, state);
  }, SWITCH_EVERY_MS);
  try {
    return await deliveries.until(
      (message) => deliveries.messages.indexOf(message) >= from && draftsOf(rig, message).some(tells),
    );
  } finally {
    clearInterval(again);
  }
}

export function draftsOf(rig: Rig, message: InboundMessage): readonly EventDraft[] {
  return rig.vendor.decode(message, contextOf(rig));
}

export function contextOf(rig: Rig): Parameters<Rig['vendor']['decode']>[1] {
  const { signatureProfile } = rig.simulator.integration;
  const profile = rig.vendor.signatureProfiles.find((known) => known === signatureProfile) ?? null;
  return { settings: rig.settings, onlySite: null, profile };
}
