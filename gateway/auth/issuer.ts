import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JSONWebKeySet,
  type JWK,
  SignJWT,
} from 'jose';
import { z } from 'zod';
import type { Scope } from '../../schema/principal.ts';

/** What a token is to say. */
export interface TokenRequest {
  readonly sub: string;
  readonly scopes: readonly Scope[];
  readonly orgIds: 'all' | readonly string[];
  /** Absent: every site of the orgs. */
  readonly siteIds?: readonly string[];
  readonly ttlSeconds: number;
  /** Absent: now. */
  readonly issuedAt?: Date;
}

export interface TokenIssuer {
  readonly issuer: string;
  readonly audience: string;
  issue(request: TokenRequest): Promise<string>;
  /** The public half, for `createAuthenticator`. */
  jwks(): JSONWebKeySet;
}

const KeyFile = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), d: z.string() });

async function loadOrMakeKey(file: string): Promise<JWK> {
  if (existsSync(file)) return KeyFile.parse(JSON.parse(readFileSync(file, 'utf8')));
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const jwk = await exportJWK(privateKey);
  mkdirSync(dirname(file), { recursive: true });
  // Written aside and renamed: a process killed half-way leaves no half key behind.
  writeFileSync(`${file}.new`, JSON.stringify(jwk), { mode: 0o600 });
  chmodSync(`${file}.new`, 0o600);
  renameSync(`${file}.new`, file);
  return jwk;
}

/**
 * An issuer of our own for the sandbox, tests and benchmarks; the product verifies tokens of the operator's issuer.
 * The key stays in its file, so tokens outlive a restart.
 *
 * @param keyFile private key as JWK, mode 0600; made when absent
 */
export async function createTokenIssuer({
  keyFile,
  issuer = 'urn:convergraph:sandbox',
  audience = 'convergraph',
}: {
  readonly keyFile: string;
  readonly issuer?: string;
  readonly audience?: string;
}): Promise<TokenIssuer> {
  const { d, ...publicJwk } = await loadOrMakeKey(keyFile);
  const kid = await calculateJwkThumbprint(publicJwk);
  const privateKey = await importJWK({ ...publicJwk, ...(d === undefined ? {} : { d }) }, 'EdDSA');
  return {
    issuer,
    audience,
    issue({ sub, scopes, orgIds, siteIds, ttlSeconds, issuedAt = new Date() }) {
      return new SignJWT({
        scope: scopes.join(' '),
        org_ids: orgIds === 'all' ? ['*'] : orgIds,
        ...(siteIds === undefined ? {} : { site_ids: siteIds }),
      })
        .setProtectedHeader({ alg: 'EdDSA', kid, typ: 'at+jwt' })
        .setSubject(sub)
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt(issuedAt)
        .setExpirationTime(Math.floor(issuedAt.getTime() / 1_000) + ttlSeconds)
        .sign(privateKey);
    },
    jwks: () => ({ keys: [{ ...publicJwk, kid, alg: 'EdDSA', use: 'sig' }] }),
  };
}
