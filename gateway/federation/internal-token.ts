import { errors, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { type Principal, SCOPES } from '../../schema/principal.ts';

// Between the gateway and a subgraph on another machine the principal travels as a token that only the two can make.
// Clients' own tokens never get there, and a subgraph answers nobody without one.

/** Carries the token: an HTTP header, and a key of a WebSocket's connection parameters. */
export const PRINCIPAL_HEADER = 'x-convergraph-principal';
export const REQUEST_ID_HEADER = 'x-request-id';
/** JSON of what the client's operation costs; only with what is made for one request alone. */
export const BUDGET_HEADER = 'x-convergraph-budget';
/** Of a socket: `true` asks for places among the items of streams, told in `extensions.place` of a message without data. */
export const PLACES_PARAMETER = 'x-convergraph-places';

const ISSUER = 'convergraph-gateway';
/** Long enough for a request under way, too short to be worth stealing. */
const LIFETIME_SECONDS = 60;
/** A token is made anew when less than this of its life is left. */
const RENEWAL_SECONDS = 30;
/** HMAC-SHA-256 is as strong as its key. */
const MIN_SECRET_BYTES = 32;

const Claims = z.object({
  sub: z.string(),
  kind: z.enum(['USER', 'SERVICE', 'API_KEY']),
  scopes: z.array(z.enum(SCOPES)),
  orgIds: z.union([z.literal('all'), z.array(z.string())]),
  siteIds: z.array(z.string()).nullable(),
  principalExpiresAt: z.number().nullable(),
});

/** The caller did not prove who is asking. */
export class InternalTokenError extends Error {
  override readonly name = 'InternalTokenError';
  readonly code = 'UNAUTHENTICATED';
}

export interface InternalTokens {
  /** A token for one subgraph, valid for 60 seconds. Reused while it has at least half of that left. */
  issue(principal: Principal, audience: string): Promise<string>;
  /** @throws InternalTokenError when the token is not authentic, not for this audience, or has expired */
  verify(token: string, audience: string): Promise<Principal>;
}

/**
 * @param secret shared by gateway and subgraphs, at least 32 bytes
 * @param now milliseconds since the epoch
 * @throws RangeError when the secret is too short
 */
export function createInternalTokens(secret: Uint8Array, now: () => number = Date.now): InternalTokens {
  if (secret.byteLength < MIN_SECRET_BYTES)
    throw new RangeError(`the internal secret needs at least ${MIN_SECRET_BYTES} bytes`);
  const issued = new WeakMap<Principal, Map<string, { readonly token: string; readonly renewAt: number }>>();

  return {
    async issue(principal, audience) {
      const tokens = issued.get(principal) ?? new Map<string, { readonly token: string; readonly renewAt: number }>();
      issued.set(principal, tokens);
      const seconds = Math.floor(now() / 1_000);
      const known = tokens.get(audience);
      if (known !== undefined && seconds < known.renewAt) return known.token;
      const claims = {
        kind: principal.kind,
        scopes: [...principal.scopes],
        orgIds: principal.access.orgIds,
        siteIds: principal.access.siteIds,
        principalExpiresAt: principal.expiresAt?.getTime() ?? null,
      };
      const token = await new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject(principal.id)
        .setIssuer(ISSUER)
        .setAudience(audience)
        .setIssuedAt(seconds)
        .setExpirationTime(seconds + LIFETIME_SECONDS)
        .sign(secret);
      tokens.set(audience, { token, renewAt: seconds + LIFETIME_SECONDS - RENEWAL_SECONDS });
      return token;
    },

    async verify(token, audience) {
      try {
        const { payload } = await jwtVerify(token, secret, {
          algorithms: ['HS256'],
          issuer: ISSUER,
          audience,
          requiredClaims: ['exp', 'sub'],
          currentDate: new Date(now()),
        });
        const claims = Claims.parse(payload);
        return {
          id: claims.sub,
          kind: claims.kind,
          scopes: new Set(claims.scopes),
          access: { orgIds: claims.orgIds, siteIds: claims.siteIds },
          expiresAt: claims.principalExpiresAt === null ? null : new Date(claims.principalExpiresAt),
        };
      } catch (cause) {
        if (!(cause instanceof errors.JOSEError) && !(cause instanceof z.ZodError)) throw cause;
        throw new InternalTokenError('the internal token is not valid', { cause });
      }
    },
  };
}
