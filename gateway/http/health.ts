import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Metrics } from '../metrics.ts';
import { Refusal } from '../refusal.ts';
import { sendJson } from './answer.ts';
import { isLoopback } from './connection-caps.ts';

/** A check that takes longer has failed; load balancers give up after some seconds. */
const CHECK_MS = 2_000;

/** Named checks of what the process needs; each resolves when all is well. */
export type ReadinessChecks = Readonly<Record<string, () => Promise<unknown>>>;

/** The process lives and answers. */
export function answerLive(response: ServerResponse): void {
  sendJson(response, 200, { status: 'ok' });
}

async function passes(check: () => Promise<unknown>): Promise<boolean> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('the check took too long')), CHECK_MS);
  try {
    await Promise.race([check(), late]);
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

/** Whether requests should come here: which checks pass, not why others do not, since anybody may ask. */
export async function answerReady(
  response: ServerResponse,
  checks: ReadinessChecks,
  isStopping: boolean,
): Promise<void> {
  const names = Object.keys(checks);
  const results = await Promise.all(Object.values(checks).map(passes));
  const isReady = !isStopping && results.every(Boolean);
  const words = results.map((result, index) => [names[index], result ? 'ok' : 'failed']);
  sendJson(response, isReady ? 200 : 503, {
    status: isReady ? 'ready' : isStopping ? 'stopping' : 'not ready',
    checks: Object.fromEntries(words),
  });
}

/** Compared by digest: equal lengths, and nothing to learn from the time it takes. */
function isToken(header: string | undefined, token: string): boolean {
  const given = hash('sha256', header ?? '', 'buffer');
  return timingSafeEqual(given, hash('sha256', `Bearer ${token}`, 'buffer'));
}

/**
 * Metrics for Prometheus. With a token whoever knows it may read them, without one only this machine, and nobody
 * through a proxy on it.
 *
 * @throws Refusal `UNAUTHENTICATED` or `FORBIDDEN`
 */
export async function answerMetrics(
  request: IncomingMessage,
  response: ServerResponse,
  { registry }: Metrics,
  token: string | null,
): Promise<void> {
  if (token !== null && !isToken(request.headers.authorization, token)) {
    throw new Refusal(401, 'UNAUTHENTICATED', 'The metrics need their own bearer token.');
  }
  const isProxied = request.headers['x-forwarded-for'] !== undefined || request.headers.forwarded !== undefined;
  if (token === null && (isProxied || !isLoopback(request.socket.remoteAddress))) {
    throw new Refusal(403, 'FORBIDDEN', 'Without METRICS_TOKEN only this machine may read the metrics.');
  }
  const text = await registry.metrics();
  response.writeHead(200, { 'content-type': registry.contentType }).end(text);
}
