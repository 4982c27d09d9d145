import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { ZodType } from 'zod';

/** How TLS certificates of a platform are judged. Verification is on unless an operator pinned a certificate. */
export interface TlsPolicy {
  /** PEM of additional authorities. */
  readonly ca?: string;
  /** Accept exactly the certificate with this SHA-256 fingerprint (hex), whatever its chain. Its use is logged. */
  readonly pinnedFingerprint?: string;
}

export interface HttpClientOptions {
  readonly baseUrl: URL;
  /** Default 3,000 ms for the whole call, answer included. */
  readonly timeoutMs?: number;
  /** Default 4 MiB; beyond it the answer is cut and TOO_LARGE thrown. */
  readonly maxResponseBytes?: number;
  /** Attempts after the first for idempotent calls; default 2, with full jitter, honouring Retry-After up to 30 s. */
  readonly retries?: number;
  /** Calls under way at once; default 8. */
  readonly maxConcurrent?: number;
  readonly tls?: TlsPolicy;
  /** Asked before every attempt, so that tokens can be renewed. */
  readonly headers?: () => Promise<Readonly<Record<string, string>>> | Readonly<Record<string, string>>;
  /** Told the headers of every answer, also of one that is a failure: lower-case names. */
  readonly onAnswer?: (headers: Readonly<Record<string, string>>) => void;
}

export interface HttpRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Relative to the base URL. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  /** `application/x-www-form-urlencoded`. */
  readonly form?: Readonly<Record<string, string>>;
  /** Any other body, with its type: XML, for example. */
  readonly text?: { readonly contentType: string; readonly body: string };
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
  /** GET, PUT and DELETE are, unless said otherwise. */
  readonly isIdempotent?: boolean;
  /** Statuses beside 2xx that are answers and no failures, for platforms that explain a refusal in its body. */
  readonly answers?: readonly number[];
}

export interface WebSocketRequest extends Pick<HttpRequest, 'path' | 'query' | 'headers' | 'signal' | 'timeoutMs'> {
  readonly protocols?: readonly string[];
  /** Default 4 MiB. */
  readonly maxFrameBytes?: number;
}

export interface SocketRequest {
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** An answer whose body is read as it comes. */
export interface HttpDownload {
  readonly headers: Readonly<Record<string, string>>;
  /** To be read once. Throws AdapterError as a request does, also when deadline or cap are reached in the middle. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Gives up what was not read; nothing when all of it was. */
  cancel(): void;
}

/**
 * Bounded HTTP to one platform. Redirects are not followed. Every failure is an AdapterError: connection, TLS and 5xx
 * UNREACHABLE, 401 UNAUTHENTICATED, 403 FORBIDDEN, 404 NOT_FOUND, 405 and 501 NOT_SUPPORTED, 408 TIMEOUT, 429
 * RATE_LIMITED, 3xx and other 4xx BAD_PAYLOAD, deadline TIMEOUT, cap TOO_LARGE, refused address BLOCKED_ADDRESS. A signal
 * that fires ends the call with its reason when that is an AdapterError, else with TIMEOUT.
 */
export interface HttpClient {
  request(request: HttpRequest): Promise<HttpAnswer>;
  /**
   * A GET whose 2xx answer is not held in memory. Deadline and cap are for all of it; whoever opens it reads it to the end
   * or cancels it. Only the opening is tried again.
   */
  download(request: Omit<HttpRequest, 'method' | 'json' | 'form' | 'text' | 'answers'>): Promise<HttpDownload>;
  /** Parses the answer; BAD_PAYLOAD when it is not JSON or not of the schema. */
  json<T>(request: HttpRequest, schema: ZodType<T>): Promise<T>;
  /**
   * An open WebSocket on the same platform, by the same guard, TLS policy and headers. It comes paused: listen, then call
   * `resume()`. `signal` and deadline bound the opening; what is open is the caller's to close, and is cut when the client
   * is closed. Errors later on show as `close`.
   */
  webSocket(request: WebSocketRequest): Promise<WebSocket>;
  /**
   * A plain connection to the host of the base URL, for platforms that do not speak HTTP: TCP for `http:`, TLS for
   * `https:` (which offers `http/1.1` by ALPN, as all calls do), by the same guard and TLS policy. `signal` and deadline
   * bound the opening; what is open is the caller's to destroy, and is cut when the client is closed. Errors later on show
   * as `close`.
   */
  socket(request: SocketRequest): Promise<Socket>;
  close(): Promise<void>;
}

export type HttpClientFactory = (options: HttpClientOptions) => HttpClient;
