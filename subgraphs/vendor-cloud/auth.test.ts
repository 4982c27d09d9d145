import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt, importSPKI, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createAuthorization, mintToken } from './auth.ts';
import { connect, control, http, jwtOf, never, simulate } from './fixtures/rig.ts';
import type { VendorCloudSimulator } from './simulator.ts';

const pair = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const privateKeyPem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const publicKeyPem = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const credentials = { kind: 'signedJwt', issuer: 'us', privateKeyPem, ttlSeconds: 300 } as const;
const NOW = new Date('2026-02-04T14:32:00Z');

describe('a minted token', () => {
  it('is RS256 with iss, iat and exp, and verifies with the public key', async () => {
    const { token } = await mintToken(credentials, NOW);
    const key = await importSPKI(publicKeyPem, 'RS256');
    const { payload, protectedHeader } = await jwtVerify(token, key, { issuer: 'us', currentDate: NOW });
    expect(protectedHeader.alg).toBe('RS256');
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(300);
    expect(Object.keys(payload).toSorted()).toEqual(['exp', 'iat', 'iss']);
  });

  it.each([
    [7_200, 3_600],
    [3_600, 3_600],
    [1, 30],
  ])('of %i s asked for lives %i s', async (ttlSeconds, life) => {
    const { token } = await mintToken({ ...credentials, ttlSeconds }, NOW);
    const { exp = 0, iat = 0 } = decodeJwt(token);
    expect(exp - iat).toBe(life);
  });

  it.each([['none'], [publicKeyPem], [privateKeyPem.replace('MII', 'MIX')], ['']])(
    'is not made from a key that is none, and the key is not told',
    async (pem) => {
      const minting = mintToken({ ...credentials, privateKeyPem: pem }, NOW);
      await expect(minting).rejects.toMatchObject({ code: 'MISCONFIGURED' });
      await expect(minting).rejects.toThrow(/^the private key is not the PKCS#8 PEM/);
      await expect(minting).rejects.not.toHaveProperty('cause');
    },
  );
});

describe('authorization', () => {
  it('mints a token once until a tenth of its life is left', async () => {
    let now = NOW;
    const authorization = createAuthorization({ credentials, http, now: () => now });
    const first = await authorization.headers();
    now = new Date(NOW.getTime() + 260_000);
    expect(await authorization.headers()).toEqual(first);
    now = new Date(NOW.getTime() + 270_000);
    expect(await authorization.headers()).not.toEqual(first);
  });

  it('mints one token for calls beside each other', async () => {
    const authorization = createAuthorization({ credentials, http, now: () => NOW });
    const headers = await Promise.all([authorization.headers(), authorization.headers()]);
    expect(headers[0]).toEqual(headers[1]);
  });

  it('sends an API key as bearer token', async () => {
    const apiKey = { kind: 'apiKey', apiKey: 'k-1' } as const;
    const authorization = createAuthorization({ credentials: apiKey, http, now: () => NOW });
    expect(await authorization.headers()).toEqual({ authorization: 'Bearer k-1' });
    expect(authorization.renew()).toBe(false);
  });

  it.each([[null], [{ kind: 'basic', username: 'u', password: 'p' } as const]])('refuses %j', async (given) => {
    const authorization = createAuthorization({ credentials: given, http, now: () => NOW });
    await expect(authorization.headers()).rejects.toMatchObject({ code: 'MISCONFIGURED' });
  });
});

describe('a simulated vendor', () => {
  let simulator: VendorCloudSimulator;
  beforeAll(async () => {
    simulator = await simulate({ devices: 3, sites: 1 });
  });
  afterAll(() => simulator.close());

  const oauth = (over: { clientSecret?: string } = {}) => {
    const { clientId, clientSecret } = simulator.access.oauth;
    return { kind: 'oauthClient', clientId, clientSecret, tokenUrl: `${simulator.url}/oauth/token`, ...over } as const;
  };

  it('lets the API key in', async () => {
    const adapter = connect(simulator, { kind: 'apiKey', apiKey: simulator.access.apiKey });
    await expect(adapter.listSites(never())).resolves.toHaveLength(1);
    await adapter.close();
  });

  it('lets an OAuth client in, which asks for its token once', async () => {
    const adapter = connect(simulator, oauth());
    const before = simulator.calls();
    await adapter.listSites(never());
    await adapter.listSites(never());
    // One token; account and sites each time.
    expect(simulator.calls() - before).toBe(5);
    await adapter.close();
  });

  it('gets a new OAuth token when the old one is refused', async () => {
    const adapter = connect(simulator, oauth());
    await adapter.listSites(never());
    await control(simulator, 'faults', { status: 401, call: 'account', times: 1 });
    const before = simulator.calls();
    await expect(adapter.listSites(never())).resolves.toHaveLength(1);
    expect(simulator.calls() - before).toBe(4);
    await adapter.close();
  });

  it('turns a wrong OAuth client away at the check of the credentials', async () => {
    const adapter = connect(simulator, oauth({ clientSecret: 'wrong-wrong-wrong' }));
    const { checks } = await adapter.probe(never());
    expect(checks.find(({ state }) => state === 'FAIL')?.id).toBe('credentials');
    expect(JSON.stringify(checks)).not.toContain('wrong-wrong');
    await expect(adapter.listSites(never())).rejects.toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
    await adapter.close();
  });

  it.each([
    ['of another issuer', { issuer: 'somebody' }],
    ['of another key', { privateKeyPem }],
  ])('turns a token %s away', async (_, over) => {
    const adapter = connect(simulator, { ...jwtOf(simulator), ...over });
    await expect(adapter.listSites(never())).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await adapter.close();
  });

  it('takes no token of a key that it replaced, and any of the new one', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vendor-cloud-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const stateFile = join(folder, 'state.json');
    const before = await simulate({ devices: 3, sites: 1, stateFile });
    const adapter = connect(before, jwtOf(before));
    await adapter.listSites(never());
    await before.close();
    const state: unknown = JSON.parse(readFileSync(stateFile, 'utf8'));
    writeFileSync(stateFile, JSON.stringify({ ...Object(state), privateKeyPem, publicKeyPem }));
    const after = await simulate({ devices: 3, sites: 1, stateFile });
    onTestFinished(() => after.close());

    await expect(adapter.listSites(never())).rejects.toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
    await adapter.close();
    const renewed = connect(after, { ...jwtOf(after), privateKeyPem });
    await expect(renewed.listSites(never())).resolves.toHaveLength(1);
    await renewed.close();
  });

  it('turns a token away that is valid for more than an hour', async () => {
    const { token } = await mintToken({ ...jwtOf(simulator), ttlSeconds: 3_600 }, new Date());
    const { SignJWT, importPKCS8 } = await import('jose');
    const key = await importPKCS8(jwtOf(simulator).privateKeyPem, 'RS256');
    const long = new SignJWT({}).setProtectedHeader({ alg: 'RS256' }).setIssuer(simulator.access.issuer).setIssuedAt();
    const call = async (bearer: string) =>
      (await fetch(`${simulator.url}/api/v1/account`, { headers: { authorization: `Bearer ${bearer}` } })).status;
    expect(await call(token)).toBe(200);
    expect(await call(await long.setExpirationTime('61 minutes').sign(key))).toBe(401);
    expect(await call('')).toBe(401);
  });
});
