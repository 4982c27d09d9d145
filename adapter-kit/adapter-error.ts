/**
 * Why a platform could not answer. The code decides what happens next; the message is for people.
 *
 * - `UNREACHABLE` name, connection, TLS or a 5xx answer
 * - `TIMEOUT` no answer, or not the whole of it, within the deadline
 * - `RATE_LIMITED` the platform asks us to slow down; see `retryAfterMs`
 * - `UNAUTHENTICATED` the credentials were refused: a person must act
 * - `FORBIDDEN` the credentials are good and not allowed to do this: a person must act
 * - `NOT_FOUND` the thing asked for does not exist there
 * - `BAD_PAYLOAD` an answer that is not what the platform's contract says
 * - `TOO_LARGE` an answer beyond its bound
 * - `NOT_SUPPORTED` the platform cannot do this
 * - `BLOCKED_ADDRESS` the address is not one we connect to (see the SSRF guard)
 * - `MISCONFIGURED` the integration's settings cannot work
 */
export type AdapterErrorCode =
  | 'UNREACHABLE'
  | 'TIMEOUT'
  | 'RATE_LIMITED'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'BAD_PAYLOAD'
  | 'TOO_LARGE'
  | 'NOT_SUPPORTED'
  | 'BLOCKED_ADDRESS'
  | 'MISCONFIGURED';

/**
 * How far a call came before it failed: name lookup, connection, TLS handshake, or an answer that was not the right one.
 * Credential tests turn it into the name of the check that failed.
 */
export type AdapterErrorLayer = 'dns' | 'tcp' | 'tls' | 'http';

export interface AdapterErrorOptions extends ErrorOptions {
  readonly retryAfterMs?: number | null;
  readonly status?: number | null;
  readonly layer?: AdapterErrorLayer | null;
}

/** Can waiting help, or must a person act? The Record keeps a new code from compiling until someone decides. */
const RETRYABLE: Readonly<Record<AdapterErrorCode, boolean>> = {
  UNREACHABLE: true,
  TIMEOUT: true,
  RATE_LIMITED: true,
  UNAUTHENTICATED: false,
  FORBIDDEN: false,
  NOT_FOUND: false,
  BAD_PAYLOAD: false,
  TOO_LARGE: false,
  NOT_SUPPORTED: false,
  BLOCKED_ADDRESS: false,
  MISCONFIGURED: false,
};

export class AdapterError extends Error {
  override readonly name = 'AdapterError';
  readonly code: AdapterErrorCode;
  readonly retryable: boolean;
  /** How long the platform asked us to wait; null when it did not say. */
  readonly retryAfterMs: number | null;
  /** HTTP status that the platform answered; null when it did not answer or does not speak HTTP. */
  readonly status: number | null;
  /** How far the call came; null when nobody can tell. */
  readonly layer: AdapterErrorLayer | null;

  /** @param message what was attempted and what came back; never a credential, never a payload */
  constructor(code: AdapterErrorCode, message: string, options: AdapterErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.retryable = RETRYABLE[code];
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.status = options.status ?? null;
    this.layer = options.layer ?? null;
  }
}

/** What a signal ended a call with: its reason when that is an AdapterError, else TIMEOUT with the reason as its cause. */
export function abandoned(reason: unknown): AdapterError {
  return reason instanceof AdapterError
    ? reason
    : new AdapterError('TIMEOUT', 'the call was given up by who asked for it', { cause: reason });
}

/** What became of one delivery that cannot be used, as far as its vendor can tell. */
export type DecodeStage = 'PARSE' | 'SCHEMA' | 'BINDING' | 'MAPPING';

/** A delivery that cannot be decoded. It becomes a dead letter at this stage and can be replayed after a repair. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  readonly stage: DecodeStage;

  /** @param message what is wrong and where; never a credential, never the payload */
  constructor(stage: DecodeStage, message: string, options?: ErrorOptions) {
    super(message, options);
    this.stage = stage;
  }
}
