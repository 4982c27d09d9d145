/**
 * How we log in to a vendor's cloud: an RS256 token that we mint from the key it handed over, its API key, or an OAuth 2
 * client. Tokens are kept until shortly before they end.
 *
 * @see the vendor contract, section 3; RFC 7519; RFC 6749, section 4.4
 */
import { importPKCS8, SignJWT } from 'jose';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Credentials } from '../../adapter-kit/define-vendor.ts';
import type { HttpClient, HttpClientFactory } from '../../adapter-kit/http/http-client.ts';
import { WireToken } from './wire.ts';

/** The contract's limit for the life of a token. */
const MAX_TTL_SECONDS = 3_600;
const MIN_TTL_SECONDS = 30;
/** Vendor clocks differ from ours: a token is issued a little in the past, and renewed when a tenth of its life is left. */
const SKEW_SECONDS = 5;
const RENEW_SHARE = 0.1;
/** What an OAuth answer without `expires_in` is taken to be good for. */
const DEFAULT_TOKEN_SECONDS = 300;

export interface Authorization {
  /** The header of the next call. @throws AdapterError MISCONFIGURED for a key that cannot sign, or as the token call fails */
  headers(): Promise<Readonly<Record<string, string>>>;
  /** The platform refused the token. @returns whether the next call gets one that may fare better */
  renew(): boolean;
  close(): Promise<void>;
}

interface Token {
  readonly text: string;
  /** Milliseconds since the epoch. */
  readonly renewAt: number;
}

export interface AuthorizationOptions {
  readonly credentials: Credentials | null;
  readonly http: HttpClientFactory;
  readonly now: () => Date;
}

function lasting(text: string, seconds: number, now: Date): Token {
  return { text, renewAt: now.getTime() + seconds * 1_000 * (1 - RENEW_SHARE) };
}

/** @throws AdapterError MISCONFIGURED */
export async function mintToken(
  credentials: Extract<Credentials, { kind: 'signedJwt' }>,
  now: Date,
): Promise<{ readonly token: string; readonly ttlSeconds: number }> {
  const ttlSeconds = Math.min(Math.max(Math.trunc(credentials.ttlSeconds), MIN_TTL_SECONDS), MAX_TTL_SECONDS);
  const issuedAt = Math.floor(now.getTime() / 1_000) - SKEW_SECONDS;
  try {
    const key = await importPKCS8(credentials.privateKeyPem, 'RS256');
    const token = await new SignJWT()
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
      .setIssuer(credentials.issuer)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + ttlSeconds)
      .sign(key);
    return { token, ttlSeconds: ttlSeconds - SKEW_SECONDS };
  } catch {
    // No cause: what a parser says about a private key may quote it.
    throw new AdapterError(
      'MISCONFIGURED',
      'the private key is not the PKCS#8 PEM of an RSA key of at least 2048 bits',
    );
  }
}

function createTokenSource({ credentials, http, now }: AuthorizationOptions): {
  readonly fetch: (() => Promise<Token>) | null;
  readonly client: HttpClient | null;
} {
  if (credentials?.kind === 'signedJwt') {
    return {
      client: null,
      fetch: async () => {
        const { token, ttlSeconds } = await mintToken(credentials, now());
        return lasting(token, ttlSeconds, now());
      },
    };
  }
  if (credentials?.kind !== 'oauthClient') return { fetch: null, client: null };
  const url = URL.parse(credentials.tokenUrl);
  if (url === null) throw new AdapterError('MISCONFIGURED', 'the address of the token call cannot be read');
  const client = http({ baseUrl: new URL(url.origin) });
  const request = {
    method: 'POST',
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    form: {
      grant_type: 'client_credentials',
      client_id: credentials.clientId,
      client_secret: credentials.clientSecret,
    },
    isIdempotent: true,
  } as const;
  return {
    client,
    fetch: async () => {
      // The client's own deadline bounds it; nobody who waits for the token may end it for the others.
      const { signal } = new AbortController();
      const answer = await client.json({ ...request, signal }, WireToken).catch((error: unknown) => {
        throw asRefusal(error);
      });
      return lasting(answer.access_token, answer.expires_in ?? DEFAULT_TOKEN_SECONDS, now());
    },
  };
}

/** RFC 6749, section 5.2: a token call says 400 for a client that it does not take, where others say 401. */
function asRefusal(error: unknown): unknown {
  if (!(error instanceof AdapterError) || (error.status !== 400 && error.status !== 403)) return error;
  const { status, layer } = error;
  return new AdapterError('UNAUTHENTICATED', error.message, { cause: error, status, layer });
}

export function createAuthorization(options: AuthorizationOptions): Authorization {
  const { credentials, now } = options;
  const source = createTokenSource(options);
  let token: Promise<Token> | null = null;

  async function current(fetch: () => Promise<Token>): Promise<Token> {
    const known = await token;
    if (known !== null && known.renewAt > now().getTime()) return known;
    const fresh = fetch();
    token = fresh;
    // A failure is the caller's; the next one tries again.
    fresh.catch(() => {
      if (token === fresh) token = null;
    });
    return fresh;
  }

  return {
    async headers() {
      if (credentials === null) throw new AdapterError('MISCONFIGURED', 'no credentials are stored');
      if (credentials.kind === 'apiKey') return { authorization: `Bearer ${credentials.apiKey}` };
      if (source.fetch === null) throw new AdapterError('MISCONFIGURED', 'this platform does not take a password');
      return { authorization: `Bearer ${(await current(source.fetch)).text}` };
    },
    renew() {
      token = null;
      // What we mint or were given would be the same again; a token server's may have been revoked early.
      return source.client !== null;
    },
    async close() {
      await source.client?.close();
    },
  };
}
