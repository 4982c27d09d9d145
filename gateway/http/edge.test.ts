import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SyncService } from '../../pipeline/sync/service.ts';
import { createFakeEngine, startTestGateway, type TestGateway } from '../testing.ts';
import { createAuthenticator } from '../auth/authenticator.ts';
import { createGateway } from '../create-gateway.ts';
import { createLogger } from '../../logger.ts';
import { DEFAULT_LIMITS } from '../../config.ts';
import { capConnections, isLoopback } from './connection-caps.ts';
import { SEND_TIMEOUTS } from './server.ts';

let test: TestGateway;
const checks = { database: () => Promise.resolve(), doorbell: () => Promise.resolve() };
const asked: Parameters<SyncService['syncIntegration']>[] = [];
const syncs: SyncService = {
  async syncIntegration(...question) {
    asked.push(question);
    const { integrationId } = question[1];
    if (integrationId === 'int_gone') {
      return {
        run: null,
        userErrors: [{ code: 'NOT_FOUND', message: 'No such integration.', path: null, hint: null }],
      };
    }
    const run = { id: 'sync_1', state: 'RUNNING', trigger: 'EXTERNAL', started_at: 0 };
    return { run: run as Awaited<ReturnType<SyncService['syncIntegration']>>['run'], userErrors: [] };
  },
};

beforeAll(async () => {
  test = await startTestGateway({
    readiness: checks,
    syncs,
    timeouts: { headersMs: 300, requestMs: 600, lookEveryMs: 100 },
  });
});
afterAll(() => test.close());

function get(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${test.url}${path}`, init);
}

/** Sends bytes and collects what comes back until the other side closes. */
function talk(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(test.port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (bytes) => {
      answer += String(bytes);
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

describe('front door', () => {
  it('says that it lives and whether it is ready, and not why it is not', async () => {
    expect(await (await get('/livez')).json()).toEqual({ status: 'ok' });
    expect(await (await get('/readyz')).json()).toEqual({
      status: 'ready',
      checks: { database: 'ok', doorbell: 'ok' },
    });
    const { database } = checks;
    checks.database = () => Promise.reject(new Error('password authentication failed for user "graph"'));
    const answer = await get('/readyz');
    checks.database = database;
    expect(answer.status).toBe(503);
    expect(await answer.json()).toEqual({ status: 'not ready', checks: { database: 'failed', doorbell: 'ok' } });
  });

  it('shows metrics to this machine, and not through a proxy on it', async () => {
    await get('/livez');
    const metrics = await (await get('/metrics')).text();
    expect(metrics).toMatch(/convergraph_http_answers_total\{route="livez",status="200"\} \d+/);
    expect(metrics).toContain('convergraph_websocket_connections 0');
    expect((await get('/metrics', { headers: { 'x-forwarded-for': '203.0.113.9' } })).status).toBe(403);
  });

  it('asks for the token of the metrics where there is one', async () => {
    const config = {
      host: '127.0.0.1',
      port: 0,
      corsOrigins: [],
      metricsToken: 'a-token-for-metrics',
      limits: DEFAULT_LIMITS,
    };
    const guarded = await startTestGateway({ config });
    const status = async (headers: Record<string, string>) =>
      (await fetch(`${guarded.url}/metrics`, { headers })).status;
    expect(await status({})).toBe(401);
    expect(await status({ authorization: 'Bearer another' })).toBe(401);
    expect(await status({ authorization: 'Bearer a-token-for-metrics' })).toBe(200);
    await guarded.close();
  });

  it('hands deliveries to the intake, whatever follows in the path', async () => {
    const delivered = await get('/webhooks/int_1', { method: 'POST', body: '{}' });
    expect(delivered.status).toBe(202);
    expect(await delivered.json()).toEqual({ integrationId: 'int_1', rest: '', method: 'POST' });
    const rest = await get('/webhooks/int_1/path-secret/more?x=1', { method: 'POST', body: '{}' });
    expect(await rest.json()).toMatchObject({ integrationId: 'int_1', rest: 'path-secret/more' });
    expect((await get('/webhooks/int_1')).status).toBe(404);
  });

  it('hands questions for receipts to the intake, with the secret that may stand before them', async () => {
    const plain = await get('/webhooks/int_1/receipts?eventId=e1');
    expect(await plain.json()).toEqual({ asked: 'int_1', rest: 'receipts', method: 'GET' });
    const withSecret = await get('/webhooks/int_1/path-secret/receipts?eventId=e1');
    expect(await withSecret.json()).toMatchObject({ asked: 'int_1', rest: 'path-secret/receipts' });
    expect((await get('/webhooks/int_1/receipt')).status).toBe(404);
    const posted = await get('/webhooks/int_1/receipts', { method: 'POST', body: '{}' });
    expect(await posted.json()).toMatchObject({ rest: 'receipts', method: 'POST' });
  });

  it.each(['/nothing', '/webhooks/', '/webhooks/a%2fb', '/graphql/x', '/integrations/int_1'])(
    'has nothing at %s',
    async (path) => {
      const answer = await get(path, { method: 'POST' });
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({
        errors: [{ extensions: { code: 'NOT_FOUND', requestId: answer.headers.get('x-request-id') } }],
      });
    },
  );

  it('sends headers that keep browsers and caches careful', async () => {
    for (const path of ['/livez', '/graphql', '/nothing']) {
      const { headers } = await get(path);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('x-request-id')).toBeTruthy();
    }
  });

  it('lets pages of listed origins in, and no others', async () => {
    const preflight = (origin: string) =>
      get('/graphql', { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } });
    const listed = await preflight('https://app.example');
    expect(listed.status).toBe(204);
    expect(listed.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(listed.headers.get('access-control-allow-headers')).toContain('authorization');
    expect(listed.headers.get('access-control-allow-credentials')).toBeNull();
    for (const origin of ['https://evil.example', 'null', 'https://app.example.evil.example']) {
      const other = await preflight(origin);
      expect(other.headers.get('access-control-allow-origin')).toBeNull();
      expect(other.headers.get('vary')).toBe('origin');
    }
  });

  describe('sync by another system', () => {
    it('starts a run for who may, and passes on the key', async () => {
      const authorization = await test.authorization();
      const answer = await get('/integrations/int_1/sync', {
        method: 'POST',
        headers: { authorization, 'idempotency-key': 'nightly-1' },
      });
      expect(answer.status).toBe(202);
      expect(await answer.json()).toEqual({
        run: { id: 'sync_1', state: 'RUNNING', trigger: 'EXTERNAL', startedAt: '1970-01-01T00:00:00.000Z' },
      });
      expect(asked.at(-1)).toMatchObject([
        { id: 'alice' },
        { integrationId: 'int_1', idempotencyKey: 'nightly-1' },
        'EXTERNAL',
      ]);
    });

    it('refuses a call without token, key or object', async () => {
      const authorization = await test.authorization();
      const status = async (headers: Record<string, string>, id = 'int_1', method = 'POST') =>
        (await get(`/integrations/${id}/sync`, { method, headers })).status;
      expect(await status({ 'idempotency-key': 'k' })).toBe(401);
      expect(await status({ authorization })).toBe(400);
      expect(await status({ authorization, 'idempotency-key': 'k'.repeat(201) })).toBe(400);
      expect(await status({ authorization, 'idempotency-key': 'k' }, 'int_gone')).toBe(404);
      expect(await status({ authorization, 'idempotency-key': 'k' }, 'int_1', 'GET')).toBe(405);
    });
  });

  it('cuts who sends headers slowly, while others are served', async () => {
    const sockets: Socket[] = [];
    const cut: Promise<unknown>[] = [];
    for (let count = 0; count < 50; count++) {
      const socket = connect(test.port, '127.0.0.1', () => socket.write('GET /livez HTTP/1.1\r\nhost: x\r\n'));
      socket.resume();
      sockets.push(socket);
      cut.push(new Promise((resolve) => socket.on('close', resolve).on('error', () => undefined)));
    }
    expect((await get('/livez')).status).toBe(200);
    const startedAt = performance.now();
    await Promise.all(cut);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  it('cuts who sends a body slowly', async () => {
    const authorization = await test.authorization();
    const head = `POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n`;
    const startedAt = performance.now();
    expect(await talk(`${head}{"query"`)).toContain('408');
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  it('gives nobody longer than 5 seconds for headers and 10 for all', () => {
    expect(SEND_TIMEOUTS).toEqual({ headersMs: 5_000, requestMs: 10_000, lookEveryMs: 1_000 });
  });

  it('reads no more of a body without end than it may, and says so', async () => {
    const authorization = await test.authorization();
    const socket = connect(test.port, '127.0.0.1');
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    let sent = 0;
    let answer = '';
    const send = (): void => {
      while (!socket.destroyed && socket.write(chunk)) sent += 1;
      sent += 1;
    };
    socket.on('drain', send);
    socket.on('data', (bytes) => {
      answer += String(bytes);
    });
    socket.on('error', () => undefined);
    socket.write(
      `POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\n` +
        'content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
    );
    send();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(answer).toContain('HTTP/1.1 413');
    expect(answer).toContain('PAYLOAD_TOO_LARGE');
    expect(sent).toBeGreaterThan(4);
  });

  it('refuses headers of more than 16 KB and a path that is none', async () => {
    expect(await talk(`GET /livez HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(16_384)}\r\n\r\n`)).toContain('431');
    expect(await talk('GET http://[ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')).toContain('400 Bad Request');
  });

  it('names a port that is taken in one line', async () => {
    const second = createGateway({
      config: { host: '127.0.0.1', port: test.port, corsOrigins: [], metricsToken: null, limits: DEFAULT_LIMITS },
      logger: createLogger('silent'),
      engine: createFakeEngine(),
      authenticator: createAuthenticator({
        issuer: 'i',
        audience: 'a',
        keys: { keys: { keys: [] } },
        logger: createLogger('silent'),
      }),
      intake: { handle: () => Promise.resolve(), ask: () => Promise.resolve() },
      syncs,
      readiness: {},
    });
    await expect(second.listen()).rejects.toMatchObject({
      name: 'ListenError',
      code: 'PORT_TAKEN',
      message: `Cannot listen on 127.0.0.1 port ${test.port}: another program listens there; stop it, or set PORT.`,
    });
    await second.close();
  });

  it('finishes what is under way when it stops, and takes nothing new', async () => {
    const stopping = await startTestGateway();
    const authorization = await stopping.authorization();
    const slow = fetch(`${stopping.url}/graphql`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: '{"query":"{ slow }"}',
    });
    await expect.poll(() => stopping.engine.waiting).toBe(1);
    const stopped = stopping.gateway.close();
    await expect(fetch(`${stopping.url}/livez`)).rejects.toThrow('fetch failed');
    stopping.engine.release();
    expect(await (await slow).json()).toMatchObject({ data: { slow: 'done' } });
    await stopped;
    await stopping.close();
  });
});

describe('server-sent events at the end', () => {
  it('are cut without `complete`, so that clients come back', async () => {
    const stopping = await startTestGateway();
    const response = await fetch(`${stopping.url}/graphql`, {
      method: 'POST',
      headers: {
        authorization: await stopping.authorization(),
        'content-type': 'application/json',
        accept: 'text/event-stream',
      },
      body: '{"query":"subscription { ticks }"}',
    });
    const startedAt = performance.now();
    await Promise.all([stopping.close(), expect(response.text()).resolves.toBe(':\n\n')]);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(stopping.engine.sinks.size).toBe(0);
  });
});

describe('connection caps', () => {
  it('cut one address off, without shutting others out', async () => {
    const server = createServer((_, response) => response.end('ok'));
    capConnections(server, { total: 100, perAddress: 2, isExempt: (address) => address === '127.0.0.2' });
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const open = (localAddress: string) =>
      new Promise<string>((resolve) => {
        const socket = connect({ port, host: '127.0.0.1', localAddress }, () =>
          socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'),
        );
        sockets.push(socket);
        socket.once('data', () => resolve('served'));
        socket.once('close', () => resolve('cut'));
        socket.on('error', () => undefined);
      });
    const sockets: Socket[] = [];
    expect(await open('127.0.0.1')).toBe('served');
    expect(await open('127.0.0.1')).toBe('served');
    expect(await open('127.0.0.1')).toBe('cut');
    expect(await open('127.0.0.3')).toBe('served');
    for (let count = 0; count < 3; count++) expect(await open('127.0.0.2')).toBe('served');
    sockets[0]?.destroy();
    await expect.poll(() => open('127.0.0.1')).toBe('served');
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  it.each([
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['10.0.0.1', false],
    ['::ffff:10.0.0.1', false],
    [undefined, false],
  ])('know whether %s is this machine', (address, expected) => {
    expect(isLoopback(address)).toBe(expected);
  });
});
