import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { AdapterError } from '../adapter-error.ts';
import { createHttpClientFactory, type HttpClientDeps } from './create-http-client.ts';
import type { HttpClient, HttpClientOptions } from './http-client.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, call: number) => void;

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function platform(handler: Handler): Promise<{ url: URL; calls: () => number; server: Server }> {
  let calls = 0;
  const server = createServer((request, response) => handler(request, response, (calls += 1)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: new URL(`http://127.0.0.1:${address.port}/base/`), calls: () => calls, server };
}

function client(options: HttpClientOptions, deps: Partial<HttpClientDeps> = {}): HttpClient {
  const made = createHttpClientFactory({
    network: { allow: ['127.0.0.0/8', '::1/128'], allowHttp: true },
    logger: pino({ level: 'silent' }),
    now: () => new Date('2026-02-04T14:32:00Z'),
    random: () => 0,
    ...deps,
  })(options);
  open.push(async () => made.close());
  return made;
}

const signal = new AbortController().signal;

function json(response: ServerResponse, status: number, value: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

describe('HTTP client', () => {
  it('tells the headers of every answer, also of a refusal', async () => {
    const { url } = await platform((_, response, call) =>
      json(response, call === 1 ? 200 : 429, {}, { 'RateLimit-Remaining': String(2 - call) }),
    );
    const told: (string | undefined)[] = [];
    const http = client({ baseUrl: url, retries: 0, onAnswer: (headers) => told.push(headers['ratelimit-remaining']) });
    await http.request({ path: '/a', signal });
    await expect(http.request({ path: '/b', signal })).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    expect(told).toEqual(['1', '0']);
  });

  it('sends path below the base, query, headers and JSON, and parses the answer', async () => {
    const { url } = await platform((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () =>
        json(response, 200, {
          target: request.url,
          method: request.method,
          token: request.headers.authorization,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    const http = client({ baseUrl: url, headers: () => ({ authorization: 'Bearer t' }) });
    const schema = z.object({ target: z.string(), method: z.string(), token: z.string(), body: z.string() });
    const call = {
      method: 'POST' as const,
      path: '/api/v1/things',
      query: { page: 1, none: undefined },
      json: { a: 1 },
    };
    await expect(http.json({ ...call, signal }, schema)).resolves.toEqual({
      target: '/base/api/v1/things?page=1',
      method: 'POST',
      token: 'Bearer t',
      body: '{"a":1}',
    });
  });

  it.each([
    [401, 'UNAUTHENTICATED', false],
    [403, 'FORBIDDEN', false],
    [404, 'NOT_FOUND', false],
    [405, 'NOT_SUPPORTED', false],
    [409, 'BAD_PAYLOAD', false],
    [429, 'RATE_LIMITED', true],
    [500, 'UNREACHABLE', true],
    [503, 'UNREACHABLE', true],
  ])('turns status %i into %s', async (status, code, retryable) => {
    const { url } = await platform((_, response) => json(response, status, {}));
    const call = client({ baseUrl: url, retries: 0 }).request({ path: 'x', signal });
    await expect(call).rejects.toMatchObject({ name: 'AdapterError', code, retryable, status, layer: 'http' });
  });

  it('retries an idempotent call that fails and gives up after its attempts', async () => {
    const failing = await platform((_, response) => json(response, 500, {}));
    const once2 = await platform((_, response, call) => json(response, call < 3 ? 503 : 200, { call }));
    await expect(client({ baseUrl: failing.url }).request({ path: 'x', signal })).rejects.toThrow(AdapterError);
    expect(failing.calls()).toBe(3);
    await expect(client({ baseUrl: once2.url }).request({ path: 'x', signal })).resolves.toMatchObject({ status: 200 });
  });

  it('sends a call that is not idempotent once', async () => {
    const { url, calls } = await platform((_, response) => json(response, 500, {}));
    const call = client({ baseUrl: url }).request({ method: 'POST', path: 'x', json: {}, signal });
    await expect(call).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(calls()).toBe(1);
  });

  it.each([
    ['2', 2_000],
    ['Wed, 04 Feb 2026 14:32:02 GMT', 2_000],
  ])('waits out a Retry-After of "%s"', async (retryAfter, waitMs) => {
    const waits: number[] = [];
    const { url } = await platform((_, response, call) =>
      json(response, call === 1 ? 429 : 200, {}, { 'retry-after': retryAfter }),
    );
    const http = client(
      { baseUrl: url, timeoutMs: 10_000 },
      {
        sleep: async (ms) => {
          waits.push(ms);
        },
      },
    );
    await expect(http.request({ path: 'x', signal })).resolves.toMatchObject({ status: 200 });
    expect(waits).toEqual([waitMs]);
  });

  it.each([
    ['longer than 30 seconds', '31', 60_000, 31_000],
    ['longer than the deadline', '5', 1_000, 5_000],
  ])('hands a Retry-After %s to its caller at once', async (_, retryAfter, timeoutMs, retryAfterMs) => {
    const { url, calls } = await platform((__, response) => json(response, 429, {}, { 'retry-after': retryAfter }));
    const call = client({ baseUrl: url, timeoutMs }).request({ path: 'x', signal });
    await expect(call).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfterMs });
    expect(calls()).toBe(1);
  });

  it('asks for headers before every attempt, so that a token can be renewed', async () => {
    const seen: (string | undefined)[] = [];
    const { url } = await platform((request, response, call) => {
      seen.push(request.headers.authorization);
      json(response, call === 1 ? 500 : 200, {});
    });
    let minted = 0;
    const http = client({ baseUrl: url, headers: async () => ({ authorization: `Bearer ${(minted += 1)}` }) });
    await http.request({ path: 'x', signal });
    expect(seen).toEqual(['Bearer 1', 'Bearer 2']);
  });

  it('reports credentials that cannot be minted as MISCONFIGURED, once', async () => {
    const { url, calls } = await platform((_, response) => json(response, 200, {}));
    const http = client({
      baseUrl: url,
      headers: () => {
        throw new Error('not a key');
      },
    });
    await expect(http.request({ path: 'x', signal })).rejects.toMatchObject({ code: 'MISCONFIGURED' });
    expect(calls()).toBe(0);
  });

  it('ends with TIMEOUT when no answer comes', async () => {
    const { url } = await platform(() => undefined);
    const call = client({ baseUrl: url, timeoutMs: 60 }).request({ path: 'x', signal });
    await expect(call).rejects.toMatchObject({ code: 'TIMEOUT', retryable: true });
  });

  it('ends with TIMEOUT when an answer trickles and never ends', async () => {
    const { url } = await platform((_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write(' '), 5);
      response.on('close', () => clearInterval(timer));
    });
    const call = client({ baseUrl: url, timeoutMs: 100 }).request({ path: 'x', signal });
    await expect(call).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  it('cuts a never-ending answer at its cap and closes the connection', async () => {
    const closed = Promise.withResolvers<void>();
    const { url } = await platform((_, response) => {
      response.writeHead(200);
      const flood = (): void => {
        while (response.write(Buffer.alloc(16_384))) if (response.destroyed) return;
      };
      response.on('drain', flood);
      response.on('close', () => closed.resolve());
      flood();
    });
    const call = client({ baseUrl: url, maxResponseBytes: 100_000 }).request({ path: 'x', signal });
    await expect(call).rejects.toMatchObject({ code: 'TOO_LARGE', retryable: false });
    await closed.promise;
  });

  it('refuses an announced 10 MB answer before reading it', async () => {
    const { url } = await platform((_, response) =>
      response.writeHead(200, { 'content-length': '10000000' }).flushHeaders(),
    );
    const call = client({ baseUrl: url }).request({ path: 'x', signal });
    await expect(call).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  it('refuses an endless header block', async () => {
    const { url } = await platform((_, response) => response.writeHead(200, { 'x-long': 'a'.repeat(20_000) }).end());
    await expect(client({ baseUrl: url, retries: 0 }).request({ path: 'x', signal })).rejects.toMatchObject({
      code: 'TOO_LARGE',
    });
  });

  it('refuses an answer that is compressed though we asked for identity', async () => {
    const { url } = await platform((_, response) => json(response, 200, {}, { 'content-encoding': 'gzip' }));
    await expect(client({ baseUrl: url }).request({ path: 'x', signal })).rejects.toMatchObject({
      code: 'BAD_PAYLOAD',
    });
  });

  it.each([301, 302, 303, 307, 308])('does not follow a %i to a private address', async (status) => {
    const secret = await platform((_, response) => json(response, 200, { secret: true }));
    const { url } = await platform((_, response) => json(response, status, {}, { location: secret.url.href }));
    const call = client({ baseUrl: url }).request({ path: 'x', signal });
    await expect(call).rejects.toMatchObject({
      code: 'BAD_PAYLOAD',
      status,
      message: expect.stringContaining(`${status}`),
    });
    expect(secret.calls()).toBe(0);
  });

  it('refuses JSON that is no JSON, too deep, or against the schema, without quoting it', async () => {
    const answers = ['<html>secret</html>', `${'['.repeat(40)}${']'.repeat(40)}`, '{"id":"secret"}', ''];
    const { url } = await platform((_, response, call) => response.end(answers[call - 1]));
    const http = client({ baseUrl: url });
    for (const _ of answers) {
      const failure: unknown = await http
        .json({ path: 'x', signal }, z.object({ id: z.number() }))
        .catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'BAD_PAYLOAD' });
      expect(failure instanceof Error ? failure.message : '').not.toContain('secret');
    }
  });

  it('keeps no more calls under way than its cap', async () => {
    let underWay = 0;
    let most = 0;
    const held: ServerResponse[] = [];
    const { url } = await platform((_, response) => {
      underWay += 1;
      most = Math.max(most, underWay);
      held.push(response);
      setImmediate(() => {
        underWay -= 1;
        held.shift()?.end();
      });
    });
    const http = client({ baseUrl: url, maxConcurrent: 3 });
    await Promise.all(Array.from({ length: 30 }, () => http.request({ path: 'x', signal })));
    expect(most).toBeLessThanOrEqual(3);
  });

  it('counts the wait for a place into the deadline', async () => {
    const { url, calls } = await platform(() => undefined);
    const http = client({ baseUrl: url, maxConcurrent: 1, timeoutMs: 80 });
    const results = await Promise.allSettled([1, 2, 3].map(() => http.request({ path: 'x', signal })));
    expect(results.map((result) => result.status === 'rejected' && result.reason.code)).toEqual([
      'TIMEOUT',
      'TIMEOUT',
      'TIMEOUT',
    ]);
    expect(calls()).toBe(1);
  });

  it('ends at once when its caller gives up', async () => {
    const controller = new AbortController();
    const { url } = await platform(() => controller.abort());
    const call = client({ baseUrl: url, timeoutMs: 20_000 }).request({ path: 'x', signal: controller.signal });
    await expect(call).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  it('makes no call for a signal that has fired already', async () => {
    const { url, calls } = await platform((_, response) => response.end());
    const call = client({ baseUrl: url }).request({ path: 'x', signal: AbortSignal.abort() });
    await expect(call).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(calls()).toBe(0);
  });

  it('says that nobody listens with the layer it failed in', async () => {
    const { url, server } = await platform(() => undefined);
    server.close();
    await once(server, 'close');
    open.length = 0;
    const call = client({ baseUrl: url, retries: 0 }).request({ path: 'x', signal });
    await expect(call).rejects.toMatchObject({ code: 'UNREACHABLE', layer: 'tcp' });
  });

  it('says that a name does not exist with the layer it failed in', async () => {
    const missing = Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
    let lookups = 0;
    const http = client(
      { baseUrl: new URL('http://platform.test') },
      {
        resolve: (_, __, done) => {
          lookups += 1;
          done(missing, []);
        },
      },
    );
    await expect(http.request({ path: 'x', signal })).rejects.toMatchObject({ code: 'UNREACHABLE', layer: 'dns' });
    // It will not exist a moment later either.
    expect(lookups).toBe(1);
  });

  it('reports a connection that is cut in the middle of an answer', async () => {
    const { url } = await platform((_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.destroy());
    });
    const call = client({ baseUrl: url, retries: 0 }).request({ path: 'x', signal });
    await expect(call).rejects.toMatchObject({ code: 'UNREACHABLE', retryable: true });
  });

  it.each(['../admin', 'a/../../admin', '%2e%2E/admin', 'a\\..\\admin', '..', 'a/.%2e'])(
    'does not let the path %s leave the base URL',
    async (path) => {
      const { url, calls } = await platform((_, response) => response.end());
      await expect(client({ baseUrl: url }).request({ path, signal })).rejects.toMatchObject({ code: 'BAD_PAYLOAD' });
      expect(calls()).toBe(0);
    },
  );

  it.each(['//evil.test/x', '/\\evil.test/x', 'https://evil.test/x'])('keeps %s on its platform', async (path) => {
    const { url } = await platform((request, response) => json(response, 200, request.url));
    await expect(client({ baseUrl: url }).json({ path, signal }, z.string())).resolves.toMatch(/^\/base\//);
  });

  it('refuses calls once closed and leaves no connection behind', async () => {
    const { url, server } = await platform((_, response) => json(response, 200, {}));
    const connected: Promise<[Socket]> = once(server, 'connection').then(([socket]) => [socket]);
    const http = client({ baseUrl: url });
    await http.request({ path: 'x', signal });
    const [socket] = await connected;
    const closed = socket.closed ? Promise.resolve() : once(socket, 'close');
    await http.close();
    await http.close();
    await closed;
    await expect(http.request({ path: 'x', signal })).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  describe('download', () => {
    const bytes = Buffer.alloc(300_000, 7);

    async function read(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(chunk);
      return Buffer.concat(chunks);
    }

    it('hands on an answer as it comes, with the query as it was written', async () => {
      const { url } = await platform((request, response) => {
        response.writeHead(200, { 'content-type': 'image/jpeg', 'x-target': request.url ?? '' }).end(bytes);
      });
      const { headers, body } = await client({ baseUrl: url }).download({ path: 'a.jpg?sig=a%2Fb+c&sig=d', signal });
      expect(headers).toMatchObject({ 'content-type': 'image/jpeg', 'x-target': '/base/a.jpg?sig=a%2Fb+c&sig=d' });
      expect((await read(body)).equals(bytes)).toBe(true);
    });

    it('refuses what is not an answer, before there is anything to read', async () => {
      const { url } = await platform((_, response) => response.writeHead(404).end('gone'));
      await expect(client({ baseUrl: url }).download({ path: 'x', signal })).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
    });

    it('is cut at its cap, whether it was announced or not', async () => {
      const { url } = await platform((_, response, call) => {
        if (call === 1) response.setHeader('content-length', bytes.length);
        response.write(bytes.subarray(0, 1_000));
        response.end(bytes.subarray(1_000));
      });
      const http = client({ baseUrl: url, maxResponseBytes: 2_000 });
      await expect(http.download({ path: 'x', signal })).rejects.toMatchObject({ code: 'TOO_LARGE' });
      const { body } = await http.download({ path: 'x', signal });
      await expect(read(body)).rejects.toMatchObject({ code: 'TOO_LARGE' });
    });

    it('ends at its deadline in the middle of the body', async () => {
      const { url } = await platform((_, response) => {
        response.writeHead(200);
        response.write('a little');
      });
      const { body } = await client({ baseUrl: url }).download({ path: 'x', signal, timeoutMs: 100 });
      await expect(read(body)).rejects.toMatchObject({ code: 'TIMEOUT' });
    });

    it('fails when the platform breaks off', async () => {
      const { url } = await platform((_, response) => {
        response.writeHead(200, { 'content-length': 100 });
        response.write('a little', () => response.destroy());
      });
      const { body } = await client({ baseUrl: url }).download({ path: 'x', signal });
      await expect(read(body)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    });

    it('keeps its place among the calls until it was read or given up', async () => {
      const { url, calls } = await platform((_, response) => response.end(bytes));
      const http = client({ baseUrl: url, maxConcurrent: 1 });
      const first = await http.download({ path: 'x', signal });
      const second = http.download({ path: 'x', signal });
      const isWaiting = await Promise.race([second.then(() => false), read(first.body).then(() => true)]);
      expect([isWaiting, calls()]).toEqual([true, 1]);
      (await second).cancel();
      await expect(http.request({ path: 'x', signal })).resolves.toMatchObject({ status: 200 });
    });
  });
});
