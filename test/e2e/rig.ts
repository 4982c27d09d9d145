import { createHmac, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, createClient } from 'graphql-ws';
import { pino } from 'pino';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../sandbox/sandbox.ts';
import { vendors } from '../../subgraphs/index.ts';

/** What no condition takes longer for, on a loaded machine. */
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 20;

/** Resolves with the first result that is not undefined. @param patienceMs gives up after it; default a minute */
export async function eventually<T>(
  look: () => T | undefined | Promise<T | undefined>,
  what: string,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`gave up waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** What an answer holds. A test that reads a field that is not there fails, which is what a type would have told it. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any;

export type Answer = {
  data?: Json;
  extensions?: Json;
  errors?: { message: string; path?: unknown[]; extensions?: Record<string, unknown> }[];
};

export function operation(name: string): string {
  return readFileSync(new URL(`../../gateway/playground/operations/${name}.graphql`, import.meta.url), 'utf8');
}

export const SimulatedDevices = z.array(
  z.object({
    nativeId: z.string(),
    name: z.string(),
    type: z.string(),
    state: z.enum(['online', 'offline']),
    siteId: z.string(),
    accountId: z.string(),
  }),
);

/** A sandbox of its own in a folder of its own. */
export async function openSandbox(options: Partial<SandboxOptions> = {}): Promise<Sandbox & { readonly dir: string }> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'convergraph-e2e-'));
  const sandbox = await startSandbox({
    vendors: allVendors.filter(({ slug }) => slug === 'vendor-cloud'),
    dir,
    host: '127.0.0.1',
    port: 0,
    devices: 60,
    isStill: true,
    reset: false,
    logger: pino({ level: 'silent' }),
    ...options,
  });
  return {
    ...sandbox,
    dir,
    async close() {
      await sandbox.close();
      if (options.dir === undefined) rmSync(dir, { recursive: true, force: true });
    },
  };
}

export const allVendors = vendors;

export async function query(
  sandbox: Pick<Sandbox, 'credentials'>,
  document: string,
  variables: unknown = {},
  token = 'admin',
): Promise<Answer> {
  const { graphqlUrl, tokens } = sandbox.credentials;
  const response = await fetch(graphqlUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens[token] ?? token}` },
    body: JSON.stringify({ query: document, variables }),
  });
  return (await response.json()) as Answer;
}

/** Collects what a subscription delivers. */
export interface Watch {
  readonly items: Json[];
  readonly errors: unknown[];
  close(): Promise<void>;
}

export function openSocket(sandbox: Pick<Sandbox, 'credentials'>, token = 'admin'): Client {
  const { wsUrl, tokens } = sandbox.credentials;
  return createClient({
    url: wsUrl,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: { authorization: `Bearer ${tokens[token] ?? token}` },
  });
}

export function watch(
  sandbox: Pick<Sandbox, 'credentials'>,
  document: string,
  variables: Record<string, unknown>,
  token = 'admin',
): Watch {
  const client = openSocket(sandbox, token);
  const items: unknown[] = [];
  const errors: unknown[] = [];
  client.subscribe(
    { query: document, variables },
    { next: (item) => items.push(item), error: (error) => errors.push(error), complete: () => undefined },
  );
  return { items, errors, close: async () => client.dispose() };
}

/** One health event in the words of the vendor contract. */
export function healthEvent(
  device: z.infer<typeof SimulatedDevices>[number],
  status: string,
  at = new Date(),
  id: string = randomUUID(),
): string {
  return JSON.stringify({
    event_id: id,
    event_type: 'health',
    device_id: device.nativeId,
    timestamp: at.toISOString(),
    account_id: device.accountId,
    site_id: device.siteId,
    data: { status },
  });
}

type Integration = Sandbox['credentials']['integrations'][number];

/** Signs as the integration's profile says. */
export function sign(
  { signatureProfile, webhookSecret }: Pick<Integration, 'signatureProfile' | 'webhookSecret'>,
  body: string,
  at = new Date(),
): Record<string, string> {
  const secret = webhookSecret ?? '';
  const timestamp = String(Math.floor(at.getTime() / 1_000));
  if (signatureProfile === 'STANDARD_WEBHOOKS') {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    const id = `msg_${randomUUID()}`;
    const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
    return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${mac}` };
  }
  const signed = signatureProfile === 'TIMESTAMPED_HMAC' ? `${timestamp}.${body}` : body;
  const mac = createHmac('sha256', secret).update(signed).digest('hex');
  return { 'x-webhook-signature': `sha256=${mac}`, 'x-webhook-timestamp': timestamp };
}

export async function deliver(
  integration: Integration,
  body: string,
  headers = sign(integration, body),
): Promise<{ status: number; answer: Json }> {
  const response = await fetch(integration.webhookUrl ?? '', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: response.status, answer: await response.json() };
}
