import { describe, expect, it } from 'vitest';
import { checkTokenHost, parseAccessKey } from './access-key.ts';

const token = (body: Readonly<Record<string, unknown>>): string =>
  Buffer.from(JSON.stringify({ cmngrid: 50_731, token: 'share.x.y.z', cam: 'cam.demo.example', ...body })).toString(
    'base64',
  );

describe('parseAccessKey', () => {
  it('takes what is no token for a license key', () => {
    expect(parseAccessKey(' v3.0123456789abcde \n')).toMatchObject({
      scheme: 'LKey',
      header: 'LKey v3.0123456789abcde',
    });
  });

  it('knows a camera token by its camera', () => {
    const text = token({ camid: 50_217, access: 'watch', api: 'web.demo.example' });
    expect(parseAccessKey(text)).toEqual({
      scheme: 'Acc',
      header: `Acc ${text}`,
      cameraId: '50217',
      host: 'web.demo.example',
      isFull: false,
    });
  });

  it('knows a group token by having none', () => {
    expect(parseAccessKey(token({ access: 'all' }))).toMatchObject({ scheme: 'SI', cameraId: null, isFull: true });
  });

  it.each(['a key with blanks', 'two\nlines', '', 'x'.repeat(9_000)])(
    'refuses %j, which cannot be a header',
    (text) => {
      expect(() => parseAccessKey(text)).toThrow(expect.objectContaining({ code: 'MISCONFIGURED' }));
    },
  );
});

describe('checkTokenHost', () => {
  const check = (api: string, allowed: readonly string[] = []): void =>
    checkTokenHost(parseAccessKey(token({ api })), new URL('https://web.demo.example:8443'), allowed);

  it.each(['web.demo.example', 'WEB.demo.example', 'web.demo.example:443'])('takes %s', (api) => {
    expect(() => check(api)).not.toThrow();
  });

  it.each(['evil.example', 'web.demo.example.evil.example', 'x@evil.example', '127.0.0.1', '//'])(
    'refuses %s without naming the token',
    (api) => {
      expect(() => check(api)).toThrow(expect.objectContaining({ code: 'MISCONFIGURED' }));
      expect(() => check(api)).not.toThrow(/share\./);
    },
  );

  it('takes a host that an operator allowed', () => {
    expect(() => check('web2.demo.example', ['web2.demo.example'])).not.toThrow();
  });
});
