import type { Logger } from 'pino';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { ListenItem } from '../../adapter-kit/adapter.ts';
import type { Database } from '../../storage/database.ts';
import type { InboxWriter } from '../inbox/inbox-writer.ts';
import { storedHeaders } from '../inbox/stored-headers.ts';
import type { Clock } from './clock.ts';
import type { IntegrationRuntime, OpenIntegration } from './runtime.ts';
import { asAdapterError } from './user-errors.ts';

/** First wait after a lost connection, doubled with each further one, up to the longest. */
const FIRST_WAIT_MS = 1_000;
const MAX_WAIT_MS = 60_000;
/** How often the place to resume at is written down; what comes twice after a crash is recognised by the inbox. */
const TOKEN_EVERY_MS = 1_000;

/** How long an adapter may take to let go of its connection. */
const CLOSE_MS = 3_000;

export interface ListenerDeps {
  readonly db: Database;
  readonly runtime: IntegrationRuntime;
  readonly inbox: Pick<InboxWriter, 'append'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

export interface Listener {
  /** When something was last heard; null before the first. */
  lastHeardAt(): number | null;
  /** Ends the connection and waits for what was received. */
  close(): Promise<void>;
}

/**
 * Holds a platform's connection: what comes is appended to the inbox, durable before the next is taken. Connects again
 * after every loss; ends by itself when the platform refuses the credentials.
 *
 * @param onRefused the credentials were refused: nothing is tried again
 */
export function startListener(
  deps: ListenerDeps,
  integrationId: string,
  onRefused: (error: AdapterError) => Promise<void>,
): Listener {
  const { db, runtime, clock, logger } = deps;
  const stopped = new AbortController();
  let lastHeardAt: number | null = null;
  let losses = 0;

  async function connect(open: OpenIntegration): Promise<void> {
    const { adapter, integration, vendor } = open;
    if (adapter.listen === undefined) throw new AdapterError('NOT_SUPPORTED', `${vendor.name} cannot be listened to`);
    let token = integration.resume_token;
    let savedAt = clock.now();
    const save = async (): Promise<void> => {
      savedAt = clock.now();
      await db.write((tx) =>
        tx.updateTable('integrations').set({ resume_token: token }).where('id', '=', integrationId).execute(),
      );
    };
    try {
      for await (const item of adapter.listen(integration.resume_token, stopped.signal)) {
        await take(item, integration.org_id);
        token = item.resumeToken ?? token;
        if (token !== integration.resume_token && clock.now() - savedAt >= TOKEN_EVERY_MS) await save();
      }
    } finally {
      if (token !== integration.resume_token) await save();
    }
  }

  async function take({ message }: ListenItem, orgId: string): Promise<void> {
    await deps.inbox.append({
      orgId,
      integrationId,
      source: message.source,
      receivedAt: message.receivedAt.getTime(),
      headers: storedHeaders(message.headers),
      body: message.body,
    });
    lastHeardAt = clock.now();
    if (losses > 0) logger.info({ integrationId }, 'The platform is heard again');
    losses = 0;
  }

  async function wait(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => {
      resolve();
    };
    const cancel = clock.after(ms, wake);
    stopped.signal.addEventListener('abort', wake, { once: true });
    await promise;
    cancel();
    stopped.signal.removeEventListener('abort', wake);
  }

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        await runtime.use(integrationId, connect);
        if (stopped.signal.aborted) return;
        throw new AdapterError('UNREACHABLE', 'The platform ended the connection');
      } catch (caught) {
        if (stopped.signal.aborted) return;
        const error = asAdapterError(caught);
        if (error.code === 'UNAUTHENTICATED') {
          await onRefused(error);
          return;
        }
        losses += 1;
        if (losses === 1) logger.warn({ integrationId, code: error.code }, 'The connection to the platform was lost');
        const backoff = Math.min(FIRST_WAIT_MS * 2 ** (losses - 1), MAX_WAIT_MS) * (0.5 + deps.random() / 2);
        await wait(Math.max(backoff, error.retryAfterMs ?? 0));
      }
    }
  }

  const running = run().catch((error: unknown) => {
    logger.error({ err: error, integrationId }, 'A listener failed through a fault of ours');
  });

  return {
    lastHeardAt: () => lastHeardAt,
    async close() {
      stopped.abort(new AdapterError('UNREACHABLE', 'The server is shutting down'));
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const cancel = clock.after(CLOSE_MS, resolve);
      await Promise.race([running, late]);
      cancel();
    },
  };
}
