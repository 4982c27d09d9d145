import { once } from 'node:events';
import { createServer } from 'node:https';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { type CertificateOptions, createCertificate } from '../simulator-kit/certificate.ts';
import { createHttpClientFactory } from './create-http-client.ts';
import type { TlsPolicy } from './http-client.ts';

const DAY_MS = 86_400_000;
const good: CertificateOptions = {
  hosts: ['127.0.0.1'],
  notBefore: new Date(Date.now() - DAY_MS),
  notAfter: new Date(Date.now() + DAY_MS),
};
const expired: CertificateOptions = { ...good, notBefore: new Date(0), notAfter: new Date(Date.now() - DAY_MS) };

const stop: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of stop.splice(0).toReversed()) await close();
});

async function platform(options: CertificateOptions) {
  const { certificatePem, privateKeyPem, fingerprint } = createCertificate(options);
  let calls = 0;
  const server = createServer({ cert: certificatePem, key: privateKeyPem }, (_, response) => {
    calls += 1;
    response.end('{}');
  });
  // A client that refuses the certificate shows here as a broken handshake.
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stop.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return { url: new URL(`https://127.0.0.1:${port}`), certificatePem, fingerprint, calls: () => calls };
}

const logged: string[] = [];

async function get(baseUrl: URL, tls: TlsPolicy): Promise<unknown> {
  const http = createHttpClientFactory({
    network: { allow: ['127.0.0.0/8'], allowHttp: true },
    logger: pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) }),
    now: () => new Date(),
    random: () => 0,
  })({ baseUrl, tls });
  stop.push(() => http.close());
  return http.request({ path: '/', headers: { authorization: 'Bearer secret' }, signal: new AbortController().signal });
}

describe('TLS policy', () => {
  it('refuses a certificate that nobody vouches for, once, before a byte of the call', async () => {
    const { url, calls } = await platform(good);
    await expect(get(url, {})).rejects.toMatchObject({ code: 'UNREACHABLE', layer: 'tls' });
    expect(calls()).toBe(0);
  });

  it('accepts one that an additional authority vouches for', async () => {
    const { url, certificatePem } = await platform(good);
    await expect(get(url, { ca: certificatePem })).resolves.toMatchObject({ status: 200 });
  });

  it.each([
    ['has expired', expired, 'CERT_HAS_EXPIRED'],
    ['is for another host', { ...good, hosts: ['other.test'] }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])('refuses one that %s and says so', async (_, options, code) => {
    const { url, certificatePem, calls } = await platform(options);
    const message = expect.stringContaining(code);
    await expect(get(url, { ca: certificatePem })).rejects.toMatchObject({
      code: 'UNREACHABLE',
      layer: 'tls',
      message,
    });
    expect(calls()).toBe(0);
  });

  it.each([
    ['as Node prints it', (text: string) => text],
    ['in plain lower case', (text: string) => text.replaceAll(':', '').toLowerCase()],
  ])('accepts the pinned certificate whatever its chain, the pin %s, and logs it', async (_, print) => {
    logged.length = 0;
    const { url, fingerprint } = await platform(expired);
    await expect(get(url, { pinnedFingerprint: print(fingerprint) })).resolves.toMatchObject({ status: 200 });
    expect(logged).toEqual([expect.stringContaining('pinned')]);
  });

  it('refuses any other certificate than the pinned one, before a byte of the call', async () => {
    const { url, certificatePem, calls } = await platform(good);
    const pinnedFingerprint = createCertificate(good).fingerprint;
    const call = get(url, { ca: certificatePem, pinnedFingerprint });
    await expect(call).rejects.toMatchObject({ code: 'UNREACHABLE', layer: 'tls' });
    expect(calls()).toBe(0);
  });

  it('does not send in the clear what was to go to a pinned certificate', async () => {
    const { url, fingerprint } = await platform(good);
    const clear = new URL(url.href.replace('https:', 'http:'));
    await expect(get(clear, { pinnedFingerprint: fingerprint })).rejects.toMatchObject({ layer: 'tls' });
  });

  it.each(['', 'ab:cd', 'z'.repeat(64)])('refuses the fingerprint "%s"', async (pinnedFingerprint) => {
    await expect(get(new URL('https://127.0.0.1:8443'), { pinnedFingerprint })).rejects.toMatchObject({
      code: 'MISCONFIGURED',
    });
  });
});
