import { GraphQLError } from 'graphql';
import { fault, type FaultCode } from '../schema/errors.ts';
import { AdapterError, type AdapterErrorCode } from './adapter-error.ts';

const FAULTS: Readonly<Record<AdapterErrorCode, readonly [FaultCode, string]>> = {
  UNREACHABLE: ['PLATFORM_UNREACHABLE', 'The platform cannot be reached.'],
  TIMEOUT: ['PLATFORM_TIMEOUT', 'The platform did not answer in time.'],
  RATE_LIMITED: ['PLATFORM_REFUSED', 'The platform asks us to slow down.'],
  UNAUTHENTICATED: ['PLATFORM_REFUSED', 'The platform refused our credentials.'],
  FORBIDDEN: ['PLATFORM_REFUSED', 'The platform does not let our credentials do this.'],
  NOT_FOUND: ['PLATFORM_REFUSED', 'The platform does not know what was asked for.'],
  BAD_PAYLOAD: ['PLATFORM_BAD_ANSWER', 'The platform answered something we cannot use.'],
  TOO_LARGE: ['PLATFORM_BAD_ANSWER', 'The platform answered more than we take.'],
  NOT_SUPPORTED: ['PLATFORM_REFUSED', 'The platform cannot do this.'],
  BLOCKED_ADDRESS: ['PLATFORM_REFUSED', 'The address of the platform is not one we connect to.'],
  MISCONFIGURED: ['PLATFORM_REFUSED', 'The settings of the integration cannot work.'],
};

/**
 * What a client sees of a live read that failed: a constant sentence, the integration, and whether waiting helps. Hosts,
 * paths and an adapter's own words stay in the log.
 *
 * @param error an AdapterError; anything else is a fault of ours and shown as such
 */
export function platformFault(error: unknown, integrationId: string): GraphQLError {
  if (error instanceof GraphQLError) return error;
  if (error instanceof AdapterError) {
    const [code, message] = FAULTS[error.code];
    const { retryable, retryAfterMs } = error;
    const wait = retryAfterMs === null ? {} : { retryAfterMs };
    return fault(code, message, { integrationId, retryable, reason: error.code, ...wait });
  }
  return new GraphQLError('The live read failed.', {
    extensions: { code: 'INTERNAL_SERVER_ERROR', integrationId, retryable: false },
    // For the log of whoever executes this; formatting leaves it out.
    originalError: error instanceof Error ? error : new Error(String(error)),
  });
}
