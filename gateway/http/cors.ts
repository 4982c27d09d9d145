import type { IncomingMessage, ServerResponse } from 'node:http';

const METHODS = 'GET, POST, OPTIONS';
const REQUEST_HEADERS = 'authorization, content-type, accept, idempotency-key, last-event-id, x-request-id';
const ANSWER_HEADERS = 'x-request-id, retry-after';
/** Seconds for which a browser need not ask again. */
const MAX_AGE = '600';

/** Pages of listed origins may read our answers; no cookies are ever involved. */
export interface Cors {
  /** Sets the headers for a listed origin. Others get none, and their browsers keep the answer from them. */
  apply(request: IncomingMessage, response: ServerResponse): void;
  /** Answers the question that a browser asks ahead. */
  preflight(response: ServerResponse): void;
  /** For WebSockets, which browsers do not guard: no origin (a program), ours, or a listed one. */
  isWelcome(request: IncomingMessage): boolean;
}

export function createCors(origins: readonly string[]): Cors {
  const listed = new Set(origins);
  return {
    apply({ headers: { origin } }, response) {
      if (listed.size > 0) response.setHeader('vary', 'origin');
      if (origin === undefined || !listed.has(origin)) return;
      response.setHeader('access-control-allow-origin', origin);
      response.setHeader('access-control-expose-headers', ANSWER_HEADERS);
    },
    preflight(response) {
      if (response.hasHeader('access-control-allow-origin')) {
        response.setHeader('access-control-allow-methods', METHODS);
        response.setHeader('access-control-allow-headers', REQUEST_HEADERS);
        response.setHeader('access-control-max-age', MAX_AGE);
      }
      response.writeHead(204).end();
    },
    isWelcome({ headers: { origin, host } }) {
      if (origin === undefined || listed.has(origin)) return true;
      return URL.canParse(origin) && new URL(origin).host === host;
    },
  };
}
