import type { z } from 'zod';
import { AdapterError, type AdapterErrorCode } from '../../adapter-kit/adapter-error.ts';
import type { UserError, UserErrorCode } from '../../schema/words.ts';

/** What an operator can do about a platform that does not answer as it should. */
interface Advice {
  readonly code: UserErrorCode;
  readonly hint: string | null;
}

const WAIT = 'Nothing to do if it was short; look at the platform if it stays.';

const ADVICE: Readonly<Record<AdapterErrorCode, Advice>> = {
  UNREACHABLE: {
    code: 'UNREACHABLE',
    hint: 'Check the address, the firewall and the certificate.',
  },
  TIMEOUT: { code: 'TIMEOUT', hint: WAIT },
  RATE_LIMITED: { code: 'RATE_LIMITED', hint: 'We wait as long as the platform asks for.' },
  UNAUTHENTICATED: {
    code: 'UNAUTHENTICATED_AT_PLATFORM',
    hint: 'Give new credentials with updateIntegration.',
  },
  FORBIDDEN: {
    code: 'OTHER',
    hint: 'The credentials are good; give their owner the permission to read sites and inventory.',
  },
  NOT_FOUND: {
    code: 'OTHER',
    hint: 'Check the base address: the platform does not know this path.',
  },
  BAD_PAYLOAD: { code: 'OTHER', hint: 'Ask the vendor: the answer breaks its contract.' },
  TOO_LARGE: { code: 'OTHER', hint: 'Ask the vendor for smaller pages.' },
  NOT_SUPPORTED: { code: 'NOT_SUPPORTED', hint: null },
  BLOCKED_ADDRESS: {
    code: 'INVALID',
    hint: 'Private and local addresses must be allowed by the operator of this server.',
  },
  MISCONFIGURED: { code: 'INVALID', hint: 'Correct the settings with updateIntegration.' },
};

export function userError(
  code: UserErrorCode,
  message: string,
  path: string[] | null = null,
  hint: string | null = null,
): UserError {
  return { code, message, path, hint };
}

/** What is wrong with an input. The schema's messages go on from the name of a member: `must not be empty`. */
export function invalidInput({ issues }: z.ZodError): UserError[] {
  return issues.map(({ path, message }) => userError('INVALID', `${path.join('.')} ${message}.`, path.map(String)));
}

/** A failure of a platform as a business outcome. Errors that are not of a platform tell nothing of themselves. */
export function platformUserError(error: unknown): UserError {
  if (!(error instanceof AdapterError))
    return userError('OTHER', 'The platform could not be read because of a fault of ours.');
  const { code, hint } = ADVICE[error.code];
  return userError(code, error.message, null, hint);
}

/** Any failure as one of a platform: what an adapter throws that is no AdapterError is a payload it did not expect. */
export function asAdapterError(error: unknown): AdapterError {
  if (error instanceof AdapterError) return error;
  return new AdapterError('BAD_PAYLOAD', 'The platform answered in a way that its adapter does not understand', {
    cause: error,
  });
}
