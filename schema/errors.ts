import { GraphQLError } from 'graphql';

/** Stable codes of faults that clients see in `errors[].extensions.code`. Business outcomes are `userErrors` instead. */
export type FaultCode =
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'BAD_USER_INPUT'
  | 'BAD_CURSOR'
  | 'PAGE_TOO_LARGE'
  | 'QUERY_TOO_COMPLEX'
  | 'PLATFORM_UNREACHABLE'
  | 'PLATFORM_TIMEOUT'
  | 'PLATFORM_REFUSED'
  | 'PLATFORM_BAD_ANSWER'
  | 'SUBGRAPH_UNAVAILABLE'
  | 'TIMEOUT'
  | 'INTERNAL_SERVER_ERROR';

/**
 * A fault that may be shown to a client as it is.
 *
 * @param message in plain words; never a credential, a payload, a stack or a hint of what the caller may not see
 */
export function fault(
  code: FaultCode,
  message: string,
  extensions: Readonly<Record<string, unknown>> = {},
): GraphQLError {
  return new GraphQLError(message, { extensions: { ...extensions, code } });
}
