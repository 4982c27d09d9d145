import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { createCertificate } from '../simulator-kit/certificate.ts';
import { createHttpClientFactory } from './create-http-client.ts';
import type { HttpClient, TlsPolicy } from './http-client.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

const certificate = createCertificate({
  hosts: ['127.0.0.1'],
  notBefore: new Date(Date.now() - 3_600_000),
  notAfter: new Date(Date.now() + 3_600_000),
});

/** Says back what it hears, over TCP or TLS. */
async function echo(scheme: 'http' | 'https'): Promise<URL> {
  const { privateKeyPem: key, certificatePem: cert } = certificate;
  const server = scheme === 'http' ? createServer() : createTlsServer({ key, cert });
  server.on(scheme === 'http' ? 'connection' : 'secureConnection', (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    server.close();
    await once(server, 'close');
  });
  const address = server.address();
  return new URL(`${scheme}://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
}

function client(baseUrl: URL, tls: TlsPolicy = {}, allow = ['127.0.0.0/8'], allowHttp = true): HttpClient {
  const made = createHttpClientFactory({
    network: { allow, allowHttp },
    logger: pino({ level: 'silent' }),
    now: () => new Date(),
    random: () => 0,
  })({ baseUrl, tls });
  closers.push(() => made.close());
  return made;
}

const signal = new AbortController().signal;

describe('socket', () => {
  it.each(['http', 'https'] as const)('carries bytes of any protocol over %s', async (scheme) => {
    const socket = await client(await echo(scheme), { ca: certificate.certificatePem }).socket({ signal });
    socket.write('\x10\x00');
    const [bytes] = await once(socket, 'data');
    expect(String(bytes)).toBe('\x10\x00');
  });

  it('is cut when the client is closed', async () => {
    const http = client(await echo('http'));
    const socket = await http.socket({ signal });
    const closed = once(socket, 'close');
    await http.close();
    await closed;
    await expect(http.socket({ signal })).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('goes to no address that is closed to us', async () => {
    const url = await echo('http');
    const http = client(new URL(url.href.replace('127.0.0.1', 'localhost')), {}, []);
    await expect(http.socket({ signal })).rejects.toMatchObject({ code: 'BLOCKED_ADDRESS' });
  });

  it('refuses a certificate that nobody vouches for', async () => {
    await expect(client(await echo('https')).socket({ signal })).rejects.toMatchObject({ layer: 'tls' });
  });

  it('is not opened for a caller that has gone', async () => {
    const http = client(await echo('http'));
    await expect(http.socket({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'TIMEOUT' });
  });
});

describe('text', () => {
  it('goes out as it is, with its type', async () => {
    const server = createHttpServer((request, response) => {
      request.setEncoding('utf8');
      let body = '';
      request.on('data', (chunk: string) => (body += chunk));
      request.on('end', () => response.end(`${request.headers['content-type']} ${body}`));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    });
    const address = server.address();
    const url = new URL(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
    const text = { contentType: 'application/soap+xml', body: '<a/>' };
    const { body } = await client(url).request({ method: 'POST', path: '/', text, signal });
    expect(Buffer.from(body).toString()).toBe('application/soap+xml <a/>');
  });
});
