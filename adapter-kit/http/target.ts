import { AdapterError } from '../adapter-error.ts';
import type { HttpRequest } from './http-client.ts';

/** `.` and `..` as the URL parser sees them: with its percent-encoded spellings, after either slash. */
const DOT_SEGMENT = /(^|[\\/])(\.|%2e){1,2}([\\/?#]|$)/i;

/**
 * The request target below the base URL's own path. Ids of a platform end up in paths, so a path that would leave the base
 * (dot segments, another host) is refused instead of resolved.
 *
 * @returns path and query, as they go over the wire
 * @throws AdapterError BAD_PAYLOAD
 */
export function targetOf(baseUrl: URL, request: Pick<HttpRequest, 'path' | 'query'>): string {
  if (DOT_SEGMENT.test(request.path.split(/[?#]/, 1)[0] ?? ''))
    throw new AdapterError('BAD_PAYLOAD', 'a path must not contain dot segments');
  const base = baseUrl.pathname.replace(/\/+$/, '');
  const url = new URL(`${base}/${request.path.replace(/^[\\/]+/, '')}`, baseUrl.origin);
  if (url.origin !== baseUrl.origin) throw new AdapterError('BAD_PAYLOAD', 'a path must stay on its platform');
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) url.searchParams.append(name, String(value));
  }
  return url.pathname + url.search;
}

/** For messages: what was called, without the query (it may carry a token), and no longer than a line. */
export function describeTarget(request: Pick<HttpRequest, 'method' | 'path'>): string {
  const [path = ''] = request.path.split(/[?#]/, 1);
  return `${request.method ?? 'GET'} ${path.length > 120 ? `${path.slice(0, 120)}…` : path}`;
}
