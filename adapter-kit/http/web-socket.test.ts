import { once } from 'node:events';
import { createServer } from 'node:http';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { createHttpClientFactory } from './create-http-client.ts';
import type { HttpClient } from './http-client.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** Says back what it hears; refuses the upgrade with `refusal` when it is given one. */
async function platform(refusal?: number): Promise<URL> {
  const sockets = new WebSocketServer({ noServer: true });
  const server = createServer();
  server.on('upgrade', (request, socket, head) => {
    if (refusal !== undefined) return socket.end(`HTTP/1.1 ${refusal} No\r\ncontent-length: 0\r\n\r\n`);
    return sockets.handleUpgrade(request, socket, head, (open) => {
      open.send(JSON.stringify([request.url, request.headers.authorization]));
      open.on('message', (data) => open.send(data));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    for (const open of sockets.clients) open.terminate();
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  const address = server.address();
  return new URL(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/base`);
}

function client(baseUrl: URL, allow = ['127.0.0.0/8']): HttpClient {
  const made = createHttpClientFactory({
    network: { allow, allowHttp: true },
    logger: pino({ level: 'silent' }),
    now: () => new Date(),
    random: () => 0,
    resolve: (_, __, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
  })({ baseUrl, headers: () => ({ authorization: 'Bearer t' }) });
  closers.push(() => made.close());
  return made;
}

const signal = new AbortController().signal;

describe('webSocket', () => {
  it('opens below the base with the headers of the client, and is cut when the client is closed', async () => {
    const http = client(await platform());
    const socket = await http.webSocket({ path: '/ws', query: { a: 'b c' }, signal });
    socket.resume();
    const [first] = await once(socket, 'message');
    expect(JSON.parse(String(first))).toEqual(['/base/ws?a=b+c', 'Bearer t']);
    const closed = once(socket, 'close');
    await http.close();
    await closed;
    await expect(http.webSocket({ path: '/ws', signal })).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it.each([
    [401, 'UNAUTHENTICATED'],
    [404, 'NOT_FOUND'],
    [503, 'UNREACHABLE'],
  ])('names a refused upgrade: %i is %s', async (status, code) => {
    const http = client(await platform(status));
    await expect(http.webSocket({ path: '/ws', signal })).rejects.toMatchObject({ code, status });
  });

  it('goes to no address that is closed to us, not even by a name', async () => {
    const url = await platform();
    url.hostname = 'platform.example';
    const http = client(url, []);
    await expect(http.webSocket({ path: '/ws', signal })).rejects.toMatchObject({ code: 'BLOCKED_ADDRESS' });
  });

  it('ends with its deadline, and with its caller', async () => {
    const deaf = createServer();
    deaf.on('upgrade', () => undefined);
    deaf.listen(0, '127.0.0.1');
    await once(deaf, 'listening');
    const address = deaf.address();
    closers.push(async () => {
      deaf.close();
      deaf.closeAllConnections();
      await Promise.resolve();
    });
    const http = client(new URL(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`));
    await expect(http.webSocket({ path: '/ws', signal, timeoutMs: 50 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    const caller = new AbortController();
    const opening = http.webSocket({ path: '/ws', signal: caller.signal });
    caller.abort();
    await expect(opening).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  it('closes the connection at a frame beyond its bound', async () => {
    const http = client(await platform());
    const socket = await http.webSocket({ path: '/ws', signal, maxFrameBytes: 100 });
    const { promise: closed, resolve } = Promise.withResolvers<number>();
    socket.once('close', resolve);
    socket.resume();
    socket.send('x'.repeat(101));
    expect(await closed).toBe(1006);
  });
});
