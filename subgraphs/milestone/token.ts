/**
 * Tokens of the identity provider, for a basic user: they last an hour and cannot be refreshed.
 *
 * @see MIP VMS API, "Authentication": password grant with the client GrantValidatorClient
 */
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Credentials } from '../../adapter-kit/define-vendor.ts';
import type { HttpClient } from '../../adapter-kit/http/http-client.ts';
import { WireToken, WireTokenRefusal } from './wire.ts';

/** Renewed so long before the end; the platform's own client does the same. */
const MARGIN_MS = 60_000;
/** A wrong password stays wrong: asking in a loop locks the account for its people too. */
const WRONG_FOR_MS = 60_000;
/** A locked account opens by itself after a while, or a person opens it. */
const LOCKED_FOR_MS = 15 * 60_000;

const REFUSALS: ReadonlyMap<string, { readonly message: string; readonly forMs: number }> = new Map([
  ['InvalidCredentials', { message: 'the user name or password is wrong', forMs: WRONG_FOR_MS }],
  ['LockedOut', { message: 'the account is locked after failed logins', forMs: LOCKED_FOR_MS }],
  ['ChangePassword', { message: 'the password must be changed first', forMs: LOCKED_FOR_MS }],
]);

export interface Tokens {
  /** A token for at least another minute. @throws AdapterError UNAUTHENTICATED without asking again for a while */
  current(): Promise<string>;
  /** The platform refused this token before its time. */
  drop(token: string): void;
}

export interface TokensOptions {
  /** Of the management server or its gateway. */
  readonly http: HttpClient;
  readonly path: string;
  readonly credentials: Credentials | null;
  readonly now: () => Date;
}

interface Held {
  readonly token: string;
  readonly until: number;
}

export function createTokens({ http, path, credentials, now }: TokensOptions): Tokens {
  let held: Held | null = null;
  let refused: { readonly error: AdapterError; readonly until: number } | null = null;
  let asking: Promise<Held> | null = null;

  async function ask(): Promise<Held> {
    if (credentials?.kind !== 'basic')
      throw new AdapterError('MISCONFIGURED', 'XProtect needs the name and password of a basic user');
    const { username, password } = credentials;
    const { status, body } = await http.request({
      method: 'POST',
      path,
      form: { grant_type: 'password', username, password, client_id: 'GrantValidatorClient' },
      answers: [400, 401],
      // Nobody's alone: whoever needs the token next must not lose it to one caller's impatience.
      signal: new AbortController().signal,
    });
    const answer = parse(body);
    if (status === 400 || status === 401) throw refusal(WireTokenRefusal.safeParse(answer).data, status);
    const token = WireToken.safeParse(answer);
    if (!token.success) throw new AdapterError('BAD_PAYLOAD', 'the identity provider gave no token', { status });
    const { access_token: value, expires_in: seconds } = token.data;
    // A token that lives shorter than the margin is used once.
    return { token: value, until: now().getTime() + seconds * 1_000 - Math.min(MARGIN_MS, seconds * 500) };
  }

  function refusal(body: { error: string; error_code: string } | undefined, status: number): AdapterError {
    const known = REFUSALS.get(body?.error_code ?? '');
    if (known === undefined && body?.error !== 'invalid_grant' && status !== 401)
      return new AdapterError('UNREACHABLE', `the identity provider answered ${status} without a known reason`, {
        status,
      });
    const { message, forMs } = known ?? { message: 'the identity provider refused the user', forMs: WRONG_FOR_MS };
    const error = new AdapterError('UNAUTHENTICATED', message, { status, layer: 'http' });
    refused = { error, until: now().getTime() + forMs };
    return error;
  }

  return {
    async current() {
      const at = now().getTime();
      if (held !== null && at < held.until) return held.token;
      if (refused !== null && at < refused.until) throw refused.error;
      asking ??= ask().finally(() => {
        asking = null;
      });
      held = await asking;
      return held.token;
    },
    drop(token) {
      if (held?.token === token) held = null;
    },
  };
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    // A proxy's page: its status says what there is to say.
    return null;
  }
}
