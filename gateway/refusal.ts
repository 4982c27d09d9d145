import type { FaultCode } from '../schema/errors.ts';
import type { AnswerError } from './federation/transport.ts';

/** Stable codes of what the front door itself refuses; they join the faults that the graph answers with. */
export type RefusalCode =
  | Extract<
      FaultCode,
      'UNAUTHENTICATED' | 'FORBIDDEN' | 'PAGE_TOO_LARGE' | 'QUERY_TOO_COMPLEX' | 'INTERNAL_SERVER_ERROR'
    >
  | 'BAD_REQUEST'
  | 'GRAPHQL_PARSE_FAILED'
  | 'BATCHING_NOT_SUPPORTED'
  | 'PAYLOAD_TOO_LARGE'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'NOT_ACCEPTABLE'
  | 'METHOD_NOT_ALLOWED'
  | 'NOT_FOUND'
  | 'RATE_LIMITED'
  | 'LINK_GONE'
  | 'MEDIA_UNAVAILABLE'
  | 'TOO_MANY_OPERATIONS'
  | 'TOO_MANY_CONNECTIONS'
  | 'TOKEN_EXPIRED'
  | 'TOO_SLOW'
  | 'OVERLOADED';

/** A request that goes no further. Its text may be shown to the client as it is. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly code: RefusalCode;
  readonly details: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;

  /**
   * @param status HTTP status of the answer; WebSocket operations get the same error without it
   * @param message for people; never a credential, a payload or a hint of what the caller may not see
   */
  constructor(
    status: number,
    code: RefusalCode,
    message: string,
    { details = {}, headers = {} }: { details?: Record<string, unknown>; headers?: Record<string, string> } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
    this.headers = headers;
  }

  /** As an entry of `errors`. */
  toGraphQLError(requestId: string): AnswerError {
    return { message: this.message, extensions: { ...this.details, code: this.code, requestId } };
  }
}

/** One answer for every way in which a token can be wrong: which way it was is nobody's business. */
export function unauthenticated(): Refusal {
  return new Refusal(401, 'UNAUTHENTICATED', 'A valid bearer token is needed.', {
    headers: { 'www-authenticate': 'Bearer' },
  });
}

/** What the client gets for an error that is ours: the log has the rest, under the same request id. */
export function internalError(): Refusal {
  return new Refusal(500, 'INTERNAL_SERVER_ERROR', 'Something went wrong on our side.');
}
