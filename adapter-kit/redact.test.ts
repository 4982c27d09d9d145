import { describe, expect, it } from 'vitest';
import { isSecretName, redact, redactHeaders, redactText } from './redact.ts';

describe('isSecretName', () => {
  it.each([
    'password',
    'X-Api-Key',
    'api_key',
    'clientSecret',
    'Authorization',
    'set-cookie',
    'privateKeyPem',
    'access_token',
    'webhook-signature',
    'PWD',
  ])('knows %s', (name) => expect(isSecretName(name)).toBe(true));
  it.each(['tokenUrl', 'signatureProfile', 'name', 'device_id', 'status', 'key', 'webhook-id'])('leaves %s', (name) =>
    expect(isSecretName(name)).toBe(false),
  );
});

describe('redactText', () => {
  it.each([
    ['a bearer token', 'Authorization: Bearer abc.def-ghi'],
    ['basic credentials', 'got Basic c2VjcmV0OnNlY3JldA== there'],
    ['a JWT', 'saw eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzZWNyZXQifQ.c2VjcmV0 here'],
    ['a PEM key', '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----'],
    ['a PEM key that was cut', '-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0'],
    ['a query parameter', 'https://x.test/?access_token=c2VjcmV0&page=1'],
    ['a JSON member', '{"password": "c2VjcmV0", "page": 1}'],
    ['a webhook secret', 'whsec_c2VjcmV0c2VjcmV0'],
    ['a signature', `sha256=${'ab12'.repeat(16)}c2VjcmV0`],
    ['credentials in a URL', 'https://user:c2VjcmV0@host.test/'],
  ])('takes out %s', (_, text) => {
    const clean = redactText(text);
    expect(clean).toContain('[redacted]');
    expect(clean).not.toMatch(/c2VjcmV0|abc\.def|ab12ab12/);
  });

  it('keeps what is no secret', () => {
    expect(redactText('{"status":"offline","page":1} at https://x.test:8080/a')).toBe(
      '{"status":"offline","page":1} at https://x.test:8080/a',
    );
  });

  it('finds a secret that the cut would leave half of', () => {
    expect(redactText(`${'a'.repeat(10)} token=c2VjcmV0c2VjcmV0`, 24)).not.toContain('c2Vj');
  });

  it('cuts to its bound and takes no time for hostile text', () => {
    const startedAt = performance.now();
    expect(redactText('-----BEGIN '.repeat(100_000)).length).toBeLessThanOrEqual(2_001);
    redactText('token'.repeat(100_000));
    redactText(`//${'a:'.repeat(200_000)}`);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });
});

describe('redact', () => {
  it('replaces secret members at any depth and keeps the rest', () => {
    const value = {
      a: [{ apiKey: 'x', status: 'offline', at: new Date(0) }],
      settings: { token: { nested: 1 } },
      n: null,
    };
    expect(redact(value)).toEqual({
      a: [{ apiKey: '[redacted]', status: 'offline', at: '1970-01-01T00:00:00.000Z' }],
      settings: { token: '[redacted]' },
      n: null,
    });
  });

  it('is bounded in depth and width and survives a cycle', () => {
    const cycle: Record<string, unknown> = { many: Array.from({ length: 1_000 }, () => 1) };
    cycle['self'] = cycle;
    expect(JSON.stringify(redact(cycle)).length).toBeLessThan(20_000);
  });

  it('does not set a prototype from a parsed __proto__', () => {
    const clean = redact(JSON.parse('{"__proto__":{"polluted":true}}'));
    expect(Object.hasOwn(Object(clean), '__proto__')).toBe(true);
    expect(Object(clean).polluted).toBeUndefined();
  });

  it('redacts headers by name and by content', () => {
    expect(redactHeaders({ cookie: 'a=b', 'x-note': 'Bearer abcdef', accept: '*/*' })).toEqual({
      cookie: '[redacted]',
      'x-note': 'Bearer [redacted]',
      accept: '*/*',
    });
  });
});
