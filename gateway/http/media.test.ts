import { afterEach, describe, expect, it } from 'vitest';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { OneTimeMedia, OpenedMedia } from '../../pipeline/media/one-time-media.ts';
import type { Principal } from '../../schema/principal.ts';
import { startTestGateway, type TestGateway } from '../testing.ts';

const gateways: TestGateway[] = [];
afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.close();
});

/** A service that opens what a test says, and remembers who asked and what was closed. */
async function start(open: (signal: AbortSignal) => Promise<Partial<OpenedMedia> | undefined>) {
  const openers: (Principal | null)[] = [];
  const state = { closed: 0 };
  const media: OneTimeMedia = {
    look: async (_token, opener) => (openers.push(opener), 'image/png'),
    async open(_token, opener, signal) {
      openers.push(opener);
      const opened = await open(signal);
      if (opened === undefined) return undefined;
      const close = () => void (state.closed += 1);
      const body = parts(Buffer.from('bytes'));
      return { contentType: 'image/png', fileName: 'event-1.png', sizeBytes: null, body, close, ...opened };
    },
  };
  const gateway = await startTestGateway({ media });
  gateways.push(gateway);
  const get = (init: RequestInit = {}) => fetch(`${gateway.url}/media/token`, init);
  return { gateway, openers, state, get };
}

async function* parts(...chunks: readonly (Uint8Array | Error)[]): AsyncGenerator<Uint8Array, void, void> {
  for (const chunk of chunks) {
    if (chunk instanceof Error) throw chunk;
    yield chunk;
  }
}

describe('GET /media', () => {
  it('sends what comes, in order, and is done with it', async () => {
    const large = Buffer.alloc(600_000, 5);
    const { get, state, openers } = await start(async () => ({ body: parts(large, large, Buffer.from('end')) }));
    const response = await get();
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(bytes.equals(Buffer.concat([large, large, Buffer.from('end')]))).toBe(true);
    expect(response.headers.get('content-length')).toBeNull();
    expect([openers, state.closed]).toEqual([[null], 1]);
  });

  it('says who asks, when that is told, and nothing of a token that is none', async () => {
    const { get, openers, gateway } = await start(async () => ({}));
    const headers = { authorization: await gateway.authorization({ sub: 'ann' }) };
    expect((await get({ headers })).status).toBe(200);
    expect((await get({ headers, method: 'HEAD' })).status).toBe(200);
    expect(openers.map((opener) => opener?.id)).toEqual(['ann', 'ann']);
    const refused = await get({ headers: { authorization: 'Bearer nonsense' } });
    expect([refused.status, refused.headers.get('www-authenticate'), openers.length]).toEqual([410, null, 2]);
  });

  it.each([
    ['UNREACHABLE', 502, null],
    ['UNAUTHENTICATED', 502, null],
    ['NOT_FOUND', 502, null],
    ['TIMEOUT', 504, null],
    ['RATE_LIMITED', 503, '7'],
  ] as const)('answers %s of a platform with %i, in our own words', async (code, status, retryAfter) => {
    const { get } = await start(() => Promise.reject(new AdapterError(code, 'at 10.1.1.1', { retryAfterMs: 6_500 })));
    const response = await get();
    const text = await response.text();
    expect([response.status, response.headers.get('retry-after')]).toEqual([status, retryAfter]);
    expect(JSON.parse(text)).toMatchObject({ errors: [{ extensions: { code: 'MEDIA_UNAVAILABLE', reason: code } }] });
    expect(text).not.toContain('10.1.1.1');
  });

  it('cuts the answer when the platform breaks in the middle: nobody takes a part for the whole', async () => {
    const broken = parts(Buffer.alloc(10_000), new AdapterError('UNREACHABLE', 'cut'));
    const { get, state } = await start(async () => ({ body: broken }));
    // Before or after the head of the answer has left.
    await expect(get().then((response) => response.arrayBuffer())).rejects.toThrow(/fetch failed|terminated/);
    expect(state.closed).toBe(1);
  });

  it('stops when the reader leaves', async () => {
    const left = Promise.withResolvers<void>();
    const { get, state } = await start(async (signal) => {
      signal.addEventListener('abort', () => left.resolve(), { once: true });
      async function* endless(): AsyncGenerator<Uint8Array, void, void> {
        for (;;) yield Buffer.alloc(100_000);
      }
      return { body: endless() };
    });
    const reader = new AbortController();
    const response = await get({ signal: reader.signal });
    reader.abort();
    await expect(response.arrayBuffer()).rejects.toThrow('aborted');
    await left.promise;
    await expect.poll(() => state.closed).toBe(1);
  });

  it('shows nobody a fault of ours', async () => {
    const { get } = await start(() => Promise.reject(new Error('password is hunter2')));
    const response = await get();
    expect([response.status, (await response.text()).includes('hunter2')]).toEqual([500, false]);
  });

  it('takes no other method, and is not there where nothing opens media', async () => {
    const { get } = await start(async () => undefined);
    const refused = await get({ method: 'POST' });
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    expect((await get()).status).toBe(410);
    const bare = await startTestGateway();
    gateways.push(bare);
    expect((await fetch(`${bare.url}/media/token`)).status).toBe(404);
  });
});
