import { hash } from 'node:crypto';
import { createLocalJWKSet, createRemoteJWKSet, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { KeySource } from '../../config.ts';
import type { Logger } from '../../logger.ts';
import type { Principal } from '../../schema/principal.ts';
import { unauthenticated } from '../refusal.ts';
import { principalOf } from './claims.ts';

/** Asymmetric only: who can verify a token must not be able to make one. */
const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'];
/** Between our clock and the issuer's. */
const CLOCK_TOLERANCE_SECONDS = 5;
/** Longer than any token that fits into our headers. */
const MAX_TOKEN_CHARS = 8_192;
/** A verification takes 0.1 ms, a look-up 1 µs; each entry is about 1 KB. */
const CACHED_TOKENS = 10_000;

const KEYS_TIMEOUT_MS = 3_000;
/** An unknown key id makes us ask for the keys again, this often at most. */
const KEYS_COOLDOWN_MS = 30_000;
/** After the keys could not be read, nobody waits for them again for so long. */
const KEYS_FAILURE_PAUSE_MS = 2_000;

export interface Authenticator {
  /**
   * @param authorization value of the header, or of the connection parameter: `Bearer <token>`
   * @throws Refusal `UNAUTHENTICATED`, always the same, whatever was wrong
   */
  authenticate(authorization: string | undefined): Promise<Principal>;
}

/** Reads the keys from the issuer; while they cannot be read, every token fails at once instead of after the timeout. */
function remoteKeys(url: URL, now: () => number, logger: Logger): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(url, { timeoutDuration: KEYS_TIMEOUT_MS, cooldownDuration: KEYS_COOLDOWN_MS });
  let failure: { readonly at: number; readonly error: unknown } | null = null;
  return async (header, token) => {
    if (failure !== null && now() - failure.at < KEYS_FAILURE_PAUSE_MS) throw failure.error;
    try {
      const key = await keys(header, token);
      if (failure !== null) logger.info({ url: url.href }, 'The keys of the token issuer can be read again');
      failure = null;
      return key;
    } catch (error) {
      const isAboutToken = error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JOSENotSupported;
      if (!isAboutToken && !(error instanceof errors.JWKSMultipleMatchingKeys)) {
        if (failure === null)
          logger.error({ url: url.href, err: error }, 'The keys of the token issuer cannot be read');
        failure = { at: now(), error };
      }
      throw error;
    }
  };
}

/**
 * Verifies JSON Web Tokens: signature by one of the issuer's keys, pinned algorithms, issuer, audience, times, claims.
 *
 * @param now milliseconds since the epoch
 */
export function createAuthenticator({
  issuer,
  audience,
  keys,
  logger,
  now = Date.now,
}: {
  readonly issuer: string;
  readonly audience: string;
  readonly keys: KeySource;
  readonly logger: Logger;
  readonly now?: () => number;
}): Authenticator {
  const resolveKey: JWTVerifyGetKey = 'url' in keys ? remoteKeys(keys.url, now, logger) : createLocalJWKSet(keys.keys);
  // Keyed by hash: a memory dump shows no tokens. Kept until the token ends, so a withdrawn key outlives its withdrawal
  // by the life of the tokens it signed.
  const verified = new Map<string, Principal>();

  async function verify(token: string): Promise<Principal> {
    const result = await jwtVerify(token, resolveKey, {
      issuer,
      audience,
      algorithms: ALGORITHMS,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      requiredClaims: ['sub', 'exp'],
      currentDate: new Date(now()),
    }).catch(() => null);
    const principal = result === null ? null : principalOf(result.payload);
    if (principal === null) throw unauthenticated();
    return principal;
  }

  function remember(key: string, principal: Principal): void {
    const oldest = verified.size < CACHED_TOKENS ? undefined : verified.keys().next().value;
    if (oldest !== undefined) verified.delete(oldest);
    verified.set(key, principal);
  }

  return {
    async authenticate(authorization) {
      const token = /^bearer +([\w.~+/=-]+) *$/i.exec(authorization ?? '')?.[1];
      if (token === undefined || token.length > MAX_TOKEN_CHARS) throw unauthenticated();
      const key = hash('sha256', token, 'base64');
      const known = verified.get(key);
      if (known === undefined) {
        const principal = await verify(token);
        remember(key, principal);
        return principal;
      }
      const expiresAt = known.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
      if (now() < expiresAt + CLOCK_TOLERANCE_SECONDS * 1_000) return known;
      verified.delete(key);
      throw unauthenticated();
    },
  };
}
