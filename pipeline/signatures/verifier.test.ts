import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createVerifier, signingKey, strangerVerifier, type WebhookSecret } from './verifier.ts';
import type { SignatureProfile } from '../../schema/words.ts';

const NOW = 1_790_000_000_000;
const SECONDS = NOW / 1_000;
const BODY = Buffer.from('{"event_id":"1"}');

const { vectors } = z
  .object({
    vectors: z.array(
      z.object({
        title: z.string(),
        isAuthentic: z.boolean(),
        secrets: z.array(z.string()),
        nowSeconds: z.number(),
        headers: z.record(z.string(), z.string()),
        bodyBase64: z.string(),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL('./vectors/standard-webhooks.json', import.meta.url), 'utf8')));

function secretOf(profile: SignatureProfile, text: string, expiresAt: number | null = null): WebhookSecret {
  return { id: text, key: signingKey(profile, text), expiresAt };
}

function hex(secret: string, ...parts: (string | Uint8Array)[]): string {
  const hmac = createHmac('sha256', secret);
  for (const part of parts) hmac.update(part);
  return `sha256=${hmac.digest('hex')}`;
}

describe('Standard Webhooks verifier', () => {
  it.each(vectors)('judges $title', ({ isAuthentic, secrets, nowSeconds, headers, bodyBase64 }) => {
    const verifier = createVerifier(
      'STANDARD_WEBHOOKS',
      secrets.map((text) => secretOf('STANDARD_WEBHOOKS', text)),
      300,
    );
    const verdict = verifier.check(headers, Buffer.from(bodyBase64, 'base64'), nowSeconds * 1_000);
    expect(verdict.isAuthentic).toBe(isAuthentic);
  });
});

describe('webhook verifier', () => {
  const contract = createVerifier('CONTRACT_V1', [secretOf('CONTRACT_V1', 'secret')], 300);

  it('takes the contract profile: HMAC over the body, timestamp beside it', () => {
    const headers = { 'x-webhook-timestamp': String(SECONDS), 'x-webhook-signature': hex('secret', BODY) };
    expect(contract.check(headers, BODY, NOW)).toEqual({ isAuthentic: true, secretId: 'secret', sentAt: NOW });
  });

  it('takes the timestamped profile only with the timestamp under the signature', () => {
    const verifier = createVerifier('TIMESTAMPED_HMAC', [secretOf('TIMESTAMPED_HMAC', 'secret')], 300);
    const timestamp = String(SECONDS);
    const good = { 'x-webhook-timestamp': timestamp, 'x-webhook-signature': hex('secret', `${timestamp}.`, BODY) };
    expect(verifier.check(good, BODY, NOW).isAuthentic).toBe(true);
    const moved = { ...good, 'x-webhook-timestamp': String(SECONDS + 1) };
    expect(verifier.check(moved, BODY, NOW)).toEqual({ isAuthentic: false, refusal: 'BAD_SIGNATURE' });
    const bodyOnly = { ...good, 'x-webhook-signature': hex('secret', BODY) };
    expect(verifier.check(bodyOnly, BODY, NOW)).toEqual({ isAuthentic: false, refusal: 'BAD_SIGNATURE' });
  });

  it.each([
    ['base64', 'base64'],
    ['hex', 'hex'],
  ] as const)('takes the native profile in %s', (_, encoding) => {
    const verifier = createVerifier('MILESTONE_NATIVE', [secretOf('MILESTONE_NATIVE', 'token')], 300);
    const digest = createHmac('sha256', 'token').update(BODY).digest(encoding);
    expect(verifier.check({ 'x-hub-signature-256': `sha256=${digest}` }, BODY, NOW).isAuthentic).toBe(true);
  });

  it('refuses the native profile keyed with nothing when no secret is configured', () => {
    const verifier = createVerifier('MILESTONE_NATIVE', [], 300);
    const digest = createHmac('sha256', '').update(BODY).digest('base64');
    expect(verifier.check({ 'x-hub-signature-256': `sha256=${digest}` }, BODY, NOW).isAuthentic).toBe(false);
  });

  it.each([
    ['secret', true],
    ['secre', false],
    ['', false],
    ['secret'.repeat(100), false],
  ])('takes path secret %j: %s', (given, isAuthentic) => {
    const verifier = createVerifier('PATH_SECRET', [secretOf('PATH_SECRET', 'secret')], 300);
    expect(verifier.check({}, BODY, NOW, given).isAuthentic).toBe(isAuthentic);
  });

  it.each([
    [-301, false],
    [-300, true],
    [-299, true],
    [299, true],
    [300, true],
    [301, false],
  ])('judges a timestamp %i seconds from our clock', (offset, isAuthentic) => {
    const headers = { 'x-webhook-timestamp': String(SECONDS + offset), 'x-webhook-signature': hex('secret', BODY) };
    expect(contract.check(headers, BODY, NOW + 900)).toEqual(
      isAuthentic
        ? { isAuthentic, secretId: 'secret', sentAt: NOW + offset * 1_000 }
        : { isAuthentic, refusal: 'STALE' },
    );
  });

  it('says that a bad signature is bad before it says anything of its timestamp', () => {
    const headers = { 'x-webhook-timestamp': String(SECONDS - 9_999), 'x-webhook-signature': hex('other', BODY) };
    expect(contract.check(headers, BODY, NOW)).toEqual({ isAuthentic: false, refusal: 'BAD_SIGNATURE' });
  });

  it('takes old and new secret until the old one ends, to the millisecond', () => {
    const verifier = createVerifier(
      'CONTRACT_V1',
      [secretOf('CONTRACT_V1', 'new'), secretOf('CONTRACT_V1', 'old', NOW + 1)],
      300,
    );
    const by = (secret: string) => ({
      'x-webhook-timestamp': String(SECONDS),
      'x-webhook-signature': hex(secret, BODY),
    });
    expect(verifier.check(by('old'), BODY, NOW).isAuthentic).toBe(true);
    expect(verifier.check(by('new'), BODY, NOW).isAuthentic).toBe(true);
    expect(verifier.check(by('old'), BODY, NOW + 1).isAuthentic).toBe(false);
    expect(verifier.check(by('new'), BODY, NOW + 1).isAuthentic).toBe(true);
  });

  it('believes nobody for an integration that does not exist', () => {
    const headers = { 'x-webhook-timestamp': String(SECONDS), 'x-webhook-signature': hex('\u0001'.repeat(32), BODY) };
    expect(strangerVerifier.check(headers, BODY, NOW)).toEqual({ isAuthentic: false, refusal: 'BAD_SIGNATURE' });
  });

  it('refuses a header that came twice', () => {
    const headers = {
      'x-webhook-timestamp': String(SECONDS),
      'x-webhook-signature': [hex('secret', BODY), hex('secret', BODY)],
    };
    expect(contract.check(headers, BODY, NOW).isAuthentic).toBe(false);
  });
});
