import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { getIntrospectionQuery } from 'graphql';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { DEFAULT_LIMITS } from '../../config.ts';
import { startTestGateway, type TestGateway } from '../testing.ts';
import { MAX_BODY_BYTES } from './read-body.ts';

let test: TestGateway;
let authorization: string;

beforeAll(async () => {
  test = await startTestGateway();
  authorization = await test.authorization();
});
afterAll(() => test.close());

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: {
    data?: unknown;
    errors?: { message: string; extensions: Record<string, unknown> }[];
    extensions?: object;
  };
}

async function send(init: RequestInit, path = '/graphql'): Promise<Answer> {
  const response = await fetch(`${test.url}${path}`, init);
  return { status: response.status, headers: response.headers, body: JSON.parse((await response.text()) || '{}') };
}

function post(body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  return send({
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' || body instanceof Buffer ? body : JSON.stringify(body),
  });
}

function codeOf({ body }: Answer): unknown {
  return body.errors?.[0]?.extensions['code'];
}

describe('GraphQL over HTTP', () => {
  it('answers a query by POST, with its cost and the id of the request', async () => {
    const answer = await post({ query: 'query ($n: String) { hello(name: $n) }', variables: { n: 'you' } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(answer.body).toEqual({
      data: { hello: 'hello you' },
      extensions: { requestId: answer.headers.get('x-request-id'), cost: { requested: 0, maximum: 20_000 } },
    });
  });

  it('answers a query by GET', async () => {
    const params = new URLSearchParams({ query: 'query ($n: String) { hello(name: $n) }', variables: '{"n":"get"}' });
    const answer = await send({ headers: { authorization } }, `/graphql?${params}`);
    expect(answer).toMatchObject({ status: 200, body: { data: { hello: 'hello get' } } });
  });

  it.each([
    ['application/graphql-response+json', 'application/graphql-response+json; charset=utf-8'],
    ['application/json, application/graphql-response+json;q=0.5', 'application/graphql-response+json; charset=utf-8'],
    ['application/graphql-response+json;q=0, */*', 'application/json; charset=utf-8'],
    ['*/*', 'application/json; charset=utf-8'],
  ])('answers a client that accepts %s in a type it reads', async (accept, type) => {
    expect((await post({ query: '{ hello }' }, { accept })).headers.get('content-type')).toBe(type);
  });

  it('answers introspection to who may ask', async () => {
    expect(await post({ query: getIntrospectionQuery() })).toMatchObject({ status: 200 });
  });

  it('answers what went wrong in a field beside the data', async () => {
    const answer = await post({ query: '{ hello broken }' });
    expect(answer).toMatchObject({ status: 200, body: { data: { hello: 'hello world', broken: null } } });
  });

  it('takes over a sane request id and replaces any other', async () => {
    const given = await post({ query: '{ hello }' }, { 'x-request-id': 'client-7.a_b' });
    expect(given.headers.get('x-request-id')).toBe('client-7.a_b');
    const replaced = await post({ query: '{ nope }' }, { 'x-request-id': '<script>' });
    expect(replaced.headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/);
    expect(replaced.body.errors?.[0]?.extensions['requestId']).toBe(replaced.headers.get('x-request-id'));
  });

  it.each<[string, unknown, number, string]>([
    ['no JSON', '{"query":', 400, 'BAD_REQUEST'],
    ['no object', '"{ hello }"', 400, 'BAD_REQUEST'],
    ['no query', { variables: {} }, 400, 'BAD_REQUEST'],
    ['a query that is no text', { query: ['{ hello }'] }, 400, 'BAD_REQUEST'],
    ['variables that are a list', { query: '{ hello }', variables: [] }, 400, 'BAD_REQUEST'],
    ['variables that are a text', { query: '{ hello }', variables: '{}' }, 400, 'BAD_REQUEST'],
    ['an operation name that is no text', { query: '{ hello }', operationName: 1 }, 400, 'BAD_REQUEST'],
    ['extensions that are no object', { query: '{ hello }', extensions: 1 }, 400, 'BAD_REQUEST'],
    ['a batch', [{ query: '{ hello }' }], 400, 'BATCHING_NOT_SUPPORTED'],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 400, 'BAD_REQUEST'],
    ['a body of 256 KiB and one byte', ' '.repeat(MAX_BODY_BYTES + 1), 413, 'PAYLOAD_TOO_LARGE'],
    ['a syntax error', { query: '{ hello' }, 400, 'GRAPHQL_PARSE_FAILED'],
    ['an unknown field', { query: '{ nope }' }, 400, 'GRAPHQL_VALIDATION_FAILED'],
    ['an unknown operation', { query: 'query A { hello }', operationName: 'B' }, 400, 'BAD_REQUEST'],
    [
      'a query that is too deep',
      { query: `{ org(id: 1) ${'{ parent '.repeat(12)}{ id }${' }'.repeat(12)} }` },
      400,
      'QUERY_TOO_COMPLEX',
    ],
    [
      'too many aliases',
      { query: `{ ${Array.from({ length: 31 }, (_, i) => `a${i}: hello`).join(' ')} }` },
      400,
      'QUERY_TOO_COMPLEX',
    ],
    ['too many tokens', { query: `{ ${'hello '.repeat(1_000)} }` }, 400, 'QUERY_TOO_COMPLEX'],
    ['a page of 501', { query: '{ devices(first: 501) { nodes { id } } }' }, 400, 'PAGE_TOO_LARGE'],
    [
      'a page of 501 by variable',
      { query: 'query ($n: Int) { devices(first: $n) { nodes { id } } }', variables: { n: 501 } },
      400,
      'PAGE_TOO_LARGE',
    ],
    [
      'a prototype in its variables',
      '{"query":"query ($v: JSON) { settings(value: $v) }","variables":{"v":{"__proto__":{"admin":true}}}}',
      400,
      'BAD_REQUEST',
    ],
    [
      'too many values',
      { query: '{ hello }', variables: { v: Array.from({ length: 10_001 }, () => 0) } },
      400,
      'BAD_REQUEST',
    ],
  ])('refuses %s, and lives on', async (_, body, status, code) => {
    const answer = await post(body);
    expect([answer.status, codeOf(answer)]).toEqual([status, code]);
    expect(await post({ query: '{ hello }' })).toMatchObject({ status: 200 });
  });

  it('refuses a bomb of nested JSON within 50 ms', async () => {
    const bomb = `${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}`;
    const before = performance.now();
    const answer = await post(`{"query":"{ hello }","variables":${bomb}}`);
    expect([answer.status, codeOf(answer)]).toEqual([400, 'BAD_REQUEST']);
    expect(performance.now() - before).toBeLessThan(50);
  });

  it('refuses an operation that costs too much, and says how much that is', async () => {
    const dear = await startTestGateway({
      config: {
        host: '127.0.0.1',
        port: 0,
        corsOrigins: [],
        metricsToken: null,
        limits: {
          operationCost: 100,
          costPerMinute: 1_000,
          operationMs: 1_000,
          connections: 100,
          connectionsPerAddress: 100,
          connectionsPerPrincipal: 100,
          startCheckBytes: 0,
        },
      },
    });
    try {
      const response = await fetch(`${dear.url}/graphql`, {
        method: 'POST',
        headers: { authorization: await dear.authorization(), 'content-type': 'application/json' },
        body: JSON.stringify({ query: '{ devices(first: 100) { nodes { id } } }' }),
      });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({
        errors: [{ extensions: { code: 'QUERY_TOO_COMPLEX', limit: 'cost', value: 101, maximum: 100 } }],
      });
    } finally {
      await dear.close();
    }
  });

  it('refuses what a principal has no points left for, over HTTP and in streams, and says when to come back', async () => {
    const limits = { ...DEFAULT_LIMITS, costPerMinute: 1_000 };
    const config = { host: '127.0.0.1', port: 0, corsOrigins: [], metricsToken: null, limits };
    const poor = await startTestGateway({ config, now: () => 1_700_000_000_000 });
    try {
      const token = await poor.authorization({ issuedAt: new Date(1_700_000_000_000) });
      const ask = (query: string, accept = 'application/json') =>
        fetch(`${poor.url}/graphql`, {
          method: 'POST',
          headers: { authorization: token, accept, 'content-type': 'application/json' },
          body: JSON.stringify({ query }),
        });
      const page = '{ devices(first: 499) { nodes { id } } }';
      expect([(await ask(page)).status, (await ask(page)).status]).toEqual([200, 200]);
      expect(poor.engine.requests.map(({ budget }) => budget)).toMatchObject([
        { cost: 500, limit: 1_000, remaining: 500 },
        { cost: 500, limit: 1_000, remaining: 0 },
      ]);
      const answer = await ask('{ hello }');
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '1']);
      expect(await answer.json()).toMatchObject({ errors: [{ extensions: { code: 'RATE_LIMITED', remaining: 0 } }] });
      expect(await (await ask('subscription { ticks }', 'text/event-stream')).text()).toContain('RATE_LIMITED');
      expect(poor.engine.requests).toHaveLength(2);
    } finally {
      await poor.close();
    }
  });

  it.each(['gzip', 'br', 'deflate'])('refuses a body compressed with %s', async (encoding) => {
    const answer = await post(gzipSync('{"query":"{ hello }"}'), { 'content-encoding': encoding });
    expect([answer.status, codeOf(answer)]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=latin1',
    '',
  ])('refuses the content type "%s", which a foreign page could send unasked', async (type) => {
    const answer = await post(Buffer.from('{"query":"mutation { rename(to: 1) }"}'), { 'content-type': type });
    expect([answer.status, codeOf(answer)]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
  });

  it('refuses a mutation by GET', async () => {
    const params = new URLSearchParams({ query: 'mutation { rename(to: "x") }' });
    const answer = await send({ headers: { authorization } }, `/graphql?${params}`);
    expect([answer.status, codeOf(answer), answer.headers.get('allow')]).toEqual([405, 'METHOD_NOT_ALLOWED', 'POST']);
  });

  it('refuses other methods and types', async () => {
    expect(await send({ method: 'PUT', headers: { authorization } })).toMatchObject({ status: 405 });
    expect(await post({ query: '{ hello }' }, { accept: 'image/png' })).toMatchObject({ status: 406 });
  });

  it.each([
    ['without a token', () => ({})],
    ['with a wrong one', () => ({ authorization: 'Bearer nope' })],
    ['with another scheme', () => ({ authorization: 'Basic YTpi' })],
  ])('refuses a client %s, before it looks at the operation', async (_, headers: () => Record<string, string>) => {
    const answer = await send({
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers() },
      body: '{ not even JSON',
    });
    expect([answer.status, codeOf(answer)]).toEqual([401, 'UNAUTHENTICATED']);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  it('refuses an expired token', async () => {
    const expired = await test.authorization({ issuedAt: new Date(Date.now() - 120_000), ttlSeconds: 60 });
    expect(await post({ query: '{ hello }' }, { authorization: expired })).toMatchObject({ status: 401 });
  });

  it('shows nobody an error of ours', async () => {
    const execute = test.engine.execute;
    try {
      test.engine.execute = () => Promise.reject(new Error('password is hunter2'));
      const answer = await post({ query: '{ hello }' });
      expect([answer.status, codeOf(answer)]).toEqual([500, 'INTERNAL_SERVER_ERROR']);
      expect(JSON.stringify(answer.body)).not.toContain('hunter2');
    } finally {
      test.engine.execute = execute;
    }
  });

  /** Asks, and goes away while the answer is under way. */
  async function leaveDuring(query: string): Promise<AbortSignal> {
    const controller = new AbortController();
    const gone = fetch(`${test.url}/graphql`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ query }),
      signal: controller.signal,
    }).catch(() => undefined);
    await vi.waitUntil(() => test.engine.waiting === 1);
    controller.abort();
    await gone;
    return test.engine.requests.at(-1)!.signal;
  }

  it('works on no query whose client has gone', async () => {
    const signal = await leaveDuring('{ slow }');
    await expect.poll(() => signal.aborted).toBe(true);
    test.engine.release();
  });

  it('finishes a mutation whose client has gone', async () => {
    const signal = await leaveDuring('mutation { slow }');
    // Another client's answer: by now the server has seen the first one leave.
    await post({ query: '{ hello }' });
    expect(signal.aborted).toBe(false);
    test.engine.release();
  });
});

describe('server-sent events', () => {
  async function open(query: string, headers: Record<string, string> = {}) {
    const controller = new AbortController();
    const response = await fetch(`${test.url}/graphql`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json', accept: 'text/event-stream', ...headers },
      body: JSON.stringify({ query }),
      signal: controller.signal,
    });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    return {
      response,
      abort: () => controller.abort(),
      /** Reads until the text contains what is expected, or the stream ends. */
      async until(part: string): Promise<string> {
        while (!text.includes(part)) {
          const { done, value } = await reader.read();
          if (done) break;
          text += value;
        }
        return text;
      },
    };
  }

  it('carry a subscription until the client leaves', async () => {
    const stream = await open('subscription { ticks }');
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    await expect.poll(() => test.engine.sinks.size).toBe(1);
    test.engine.push('{"data":{"ticks":1}}');
    expect(await stream.until('ticks')).toBe(':\n\nevent: next\ndata: {"data":{"ticks":1}}\n\n');
    stream.abort();
    await expect.poll(() => test.engine.sinks.size).toBe(0);
  });

  it('end with the subscription', async () => {
    const stream = await open('subscription { ticks }');
    await expect.poll(() => test.engine.sinks.size).toBe(1);
    for (const sink of test.engine.sinks) sink.complete();
    expect(await stream.until('event: complete')).toContain('event: complete\ndata:\n\n');
    await expect.poll(() => test.engine.sinks.size).toBe(0);
  });

  it('tell why a subscription was refused', async () => {
    const text = await (await open('subscription refuseMe { ticks }')).until('complete');
    expect(text).toContain('data: {"errors":[{"message":"refused","extensions":{"code":"BAD_USER_INPUT"}}]}');
  });

  it('carry the one answer of a query for clients that read nothing else', async () => {
    const text = await (await open('{ hello }')).until('complete');
    expect(text).toContain('event: next\ndata: {"data":{"hello":"hello world"}');
  });

  it('are not used for a query when the client reads JSON too', async () => {
    const answer = await post({ query: '{ hello }' }, { accept: 'application/json, text/event-stream' });
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
  });

  it('are needed for a subscription', async () => {
    expect(await post({ query: 'subscription { ticks }' })).toMatchObject({ status: 406 });
  });

  it('meet the same limits', async () => {
    const answer = await post({ query: '{ devices(first: 501) { nodes { id } } }' }, { accept: 'text/event-stream' });
    expect([answer.status, codeOf(answer)]).toEqual([400, 'PAGE_TOO_LARGE']);
  });

  it('end with the token', async () => {
    const soon = await test.authorization({ ttlSeconds: 2 });
    const text = await (await open('subscription { ticks }', { authorization: soon })).until('event: complete');
    expect(text).toContain('"code":"TOKEN_EXPIRED"');
    await expect.poll(() => test.engine.sinks.size).toBe(0);
  });

  it('are cut when the client does not read', async () => {
    const body = JSON.stringify({ query: 'subscription { ticks }' });
    const socket = connect(test.port, '127.0.0.1');
    socket.write(
      `POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\naccept: text/event-stream\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    // Nobody reads from the socket, so what is written piles up on the other side.
    await expect.poll(() => test.engine.sinks.size).toBe(1);
    const item = JSON.stringify({ data: 'x'.repeat(65_536) });
    await expect
      .poll(() => {
        // More than the kernel's buffers on both sides hold.
        for (let count = 0; count < 50; count++) test.engine.push(item);
        return test.engine.sinks.size;
      })
      .toBe(0);
    socket.destroy();
  });
});
