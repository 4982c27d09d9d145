import { AdapterError, type AdapterErrorCode } from '../adapter-error.ts';

const BY_STATUS = new Map<number, AdapterErrorCode>([
  [401, 'UNAUTHENTICATED'],
  [403, 'FORBIDDEN'],
  [404, 'NOT_FOUND'],
  [405, 'NOT_SUPPORTED'],
  [408, 'TIMEOUT'],
  [429, 'RATE_LIMITED'],
  [501, 'NOT_SUPPORTED'],
]);

/** What an answer that is not 2xx means. */
export function statusFailure(status: number, what: string, retryAfterMs: number | null): AdapterError {
  const code = BY_STATUS.get(status) ?? (status >= 500 ? 'UNREACHABLE' : 'BAD_PAYLOAD');
  const note = status >= 300 && status < 400 ? ', a redirect, and redirects are not followed' : '';
  return new AdapterError(code, `${what} answered ${status}${note}`, { status, retryAfterMs, layer: 'http' });
}

/** What undici throws, in our words. Its own messages name no content, so they may be a cause. */
export function transportFailure(error: unknown, what: string): AdapterError {
  if (error instanceof AdapterError) return error;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';
  if (code === 'UND_ERR_INVALID_ARG')
    return new AdapterError('MISCONFIGURED', `${what} cannot be sent as it is`, { cause: error });
  if (code === 'UND_ERR_HEADERS_OVERFLOW')
    return new AdapterError('TOO_LARGE', `${what} answered with too many headers`, { layer: 'http' });
  return new AdapterError('UNREACHABLE', `${what} was cut off (${code})`, { cause: error, layer: 'http' });
}

/** Whether another attempt may find it better. A bad certificate and an unknown name stay so for longer than we wait. */
export function isWorthRetrying(failure: AdapterError): boolean {
  if (!failure.retryable || failure.layer === 'tls' || failure.layer === 'dns') return false;
  return failure.status === null || [408, 429, 500, 502, 503, 504].includes(failure.status);
}
