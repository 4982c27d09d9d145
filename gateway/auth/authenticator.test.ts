import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CryptoKey, exportJWK, generateKeyPair, type JSONWebKeySet, type JWTPayload, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { KeySource } from '../../config.ts';
import { createLogger } from '../../logger.ts';
import { Refusal } from '../refusal.ts';
import { createAuthenticator } from './authenticator.ts';
import { createTokenIssuer, type TokenIssuer } from './issuer.ts';

const NOW = Date.parse('2026-11-20T12:00:00Z');
const logger = createLogger('silent');
const directory = mkdtempSync(join(tmpdir(), 'issuer-'));
let issuer: TokenIssuer;

beforeAll(async () => {
  issuer = await createTokenIssuer({ keyFile: join(directory, 'key.json') });
});
afterAll(() => rmSync(directory, { recursive: true }));

function authenticator({
  now = () => NOW,
  keys = { keys: issuer.jwks() },
}: {
  now?: () => number;
  keys?: KeySource;
} = {}) {
  return createAuthenticator({ issuer: issuer.issuer, audience: issuer.audience, keys, logger, now });
}

function token(overrides: Partial<Parameters<TokenIssuer['issue']>[0]> = {}): Promise<string> {
  return issuer.issue({
    sub: 'alice',
    scopes: ['inventory:read'],
    orgIds: ['org_b', 'org_a', 'org_b'],
    ttlSeconds: 60,
    issuedAt: new Date(NOW),
    ...overrides,
  });
}

describe('authenticator', () => {
  it('turns a token into a principal', async () => {
    expect(await authenticator().authenticate(`Bearer ${await token()}`)).toEqual({
      id: 'alice',
      kind: 'USER',
      scopes: new Set(['inventory:read']),
      access: { orgIds: ['org_a', 'org_b'], siteIds: null },
      expiresAt: new Date(NOW + 60_000),
    });
  });

  it('reads all orgs and single sites', async () => {
    const all = await authenticator().authenticate(`bearer ${await token({ orgIds: 'all', siteIds: ['site_1'] })}`);
    expect(all.access).toEqual({ orgIds: 'all', siteIds: ['site_1'] });
    const none = await authenticator().authenticate(`Bearer ${await token({ orgIds: [], siteIds: [] })}`);
    expect(none.access).toEqual({ orgIds: [], siteIds: [] });
  });

  describe('with tokens of another maker', () => {
    async function signed(
      alg: string,
      claims: JWTPayload,
      { key, header = {} }: { key?: CryptoKey | Uint8Array; header?: object } = {},
    ): Promise<{ token: string; jwks: JSONWebKeySet }> {
      const pair = await generateKeyPair(alg === 'HS256' ? 'RS256' : alg, { extractable: true });
      const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: alg === 'HS256' ? 'RS256' : alg };
      const made = await new SignJWT({ iss: issuer.issuer, aud: issuer.audience, sub: 'bob', ...claims })
        .setProtectedHeader({ alg, kid: 'k1', ...header })
        .sign(key ?? pair.privateKey);
      return { token: made, jwks: { keys: [jwk] } };
    }
    const exp = NOW / 1_000 + 60;

    it.each(['RS256', 'ES256', 'EdDSA'])('accepts %s', async (alg) => {
      const { token: made, jwks } = await signed(alg, { exp });
      expect((await authenticator({ keys: { keys: jwks } }).authenticate(`Bearer ${made}`)).id).toBe('bob');
    });

    it.each<[string, string, JWTPayload]>([
      ['of an algorithm that is not pinned', 'PS256', { exp }],
      ['of another issuer', 'ES256', { exp, iss: 'https://evil.example' }],
      ['for another audience', 'ES256', { exp, aud: 'payroll' }],
      ['that has ended', 'ES256', { exp: NOW / 1_000 - 6 }],
      ['that never ends', 'ES256', {}],
      ['that is not valid yet', 'ES256', { exp, nbf: NOW / 1_000 + 30 }],
      ['of nobody', 'ES256', { exp, sub: '' }],
      ['whose orgs are no list', 'ES256', { exp, org_ids: 'org_a' }],
      ['whose sites are no list', 'ES256', { exp, org_ids: ['*'], site_ids: 'all' }],
      ['whose scope is no text', 'ES256', { exp, scope: ['admin'] }],
    ])('refuses one %s', async (_, alg, claims) => {
      const { token: made, jwks } = await signed(alg, claims);
      const refused = authenticator({ keys: { keys: jwks } }).authenticate(`Bearer ${made}`);
      await expect(refused).rejects.toMatchObject({ status: 401, code: 'UNAUTHENTICATED', details: {} });
    });

    it('refuses one that is signed with the public key as a shared secret', async () => {
      const { jwks } = await signed('RS256', { exp });
      const secret = new TextEncoder().encode(JSON.stringify(jwks.keys[0]));
      const { token: forged } = await signed('HS256', { exp }, { key: secret });
      await expect(authenticator({ keys: { keys: jwks } }).authenticate(`Bearer ${forged}`)).rejects.toThrow(Refusal);
    });

    it('calls a program that asks for itself a service', async () => {
      const { token: made, jwks } = await signed('ES256', { exp, client_id: 'bob', scope: 'admin root' });
      const principal = await authenticator({ keys: { keys: jwks } }).authenticate(`Bearer ${made}`);
      expect(principal).toMatchObject({ kind: 'SERVICE', scopes: new Set(['admin']) });
    });
  });

  it.each([
    ['nothing', () => undefined],
    ['an empty header', () => ''],
    ['another scheme', (good: string) => `Basic ${good}`],
    ['no scheme', (good: string) => good],
    ['an altered token', (good: string) => `Bearer ${good.slice(0, -3)}AAA`],
    ['a token without a signature', (good: string) => `Bearer ${good.split('.').slice(0, 2).join('.')}.`],
    ['two tokens', (good: string) => `Bearer ${good} ${good}`],
    ['an endless token', () => `Bearer ${'a'.repeat(8_193)}`],
  ])('refuses %s, always in the same words', async (_, header) => {
    const refused = authenticator().authenticate(header(await token()));
    await expect(refused).rejects.toMatchObject({
      status: 401,
      code: 'UNAUTHENTICATED',
      message: 'A valid bearer token is needed.',
    });
  });

  it('refuses a token that it knows, once it has ended', async () => {
    let now = NOW;
    const known = authenticator({ now: () => now });
    const header = `Bearer ${await token()}`;
    const first = await known.authenticate(header);
    now += 64_999;
    expect(await known.authenticate(header)).toBe(first);
    now += 1;
    await expect(known.authenticate(header)).rejects.toThrow(Refusal);
  });

  describe('with keys read from the issuer', () => {
    let server: Server | undefined;
    let asked = 0;

    afterEach(() => new Promise((resolve) => (server === undefined ? resolve(null) : server.close(resolve))));

    function serve(status: number): Promise<URL> {
      asked = 0;
      const made = createServer((_, response) => {
        asked += 1;
        response.writeHead(status, { connection: 'close' }).end(JSON.stringify(issuer.jwks()));
      });
      server = made;
      return new Promise((resolve) => {
        made.listen(0, '127.0.0.1', () => {
          const address = made.address();
          resolve(new URL(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/jwks`));
        });
      });
    }

    it('asks once for many tokens', async () => {
      const remote = authenticator({ keys: { url: await serve(200) } });
      for (const sub of ['a', 'b', 'c']) await remote.authenticate(`Bearer ${await token({ sub })}`);
      expect(asked).toBe(1);
    });

    it('fails closed and does not ask again at once when the keys cannot be read', async () => {
      let now = NOW;
      const remote = authenticator({ keys: { url: await serve(500) }, now: () => now });
      const error = vi.spyOn(logger, 'error');
      for (const sub of ['a', 'b', 'c']) {
        await expect(remote.authenticate(`Bearer ${await token({ sub })}`)).rejects.toThrow(Refusal);
      }
      expect(asked).toBe(1);
      expect(error).toHaveBeenCalledTimes(1);
      now += 2_000;
      await expect(remote.authenticate(`Bearer ${await token()}`)).rejects.toThrow(Refusal);
      expect(asked).toBe(2);
    });
  });
});

describe('token issuer', () => {
  it('keeps its key in a file that nobody else can read', async () => {
    const keyFile = join(directory, 'kept', 'key.json');
    const first = await createTokenIssuer({ keyFile });
    const again = await createTokenIssuer({ keyFile });
    expect(again.jwks()).toEqual(first.jwks());
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    expect(JSON.stringify(first.jwks())).not.toContain('"d"');
  });
});
