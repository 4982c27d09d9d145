import { beforeEach, describe, expect, it, vi } from 'vitest';
import { macs } from '../fixtures/counted-macs.ts';
import { createVerifier, signingKey, strangerVerifier } from './verifier.ts';

vi.mock('node:crypto', async (importOriginal) =>
  (await import('../fixtures/counted-macs.ts')).countMacs(importOriginal),
);

const BODY = Buffer.alloc(1_024, 'x');
const NOW = 1_790_000_000_000;
const WRONG = { 'x-webhook-timestamp': String(NOW / 1_000), 'x-webhook-signature': `sha256=${'0'.repeat(64)}` };

describe('refusing a delivery', () => {
  const secret = { id: 'a', key: signingKey('CONTRACT_V1', 'secret'), expiresAt: null };
  const verifier = createVerifier('CONTRACT_V1', [secret], 300);

  beforeEach(() => {
    macs.made = 0;
  });

  it.each([
    ['a wrong signature', verifier, WRONG],
    ['no signature', verifier, {}],
    ['a malformed signature', verifier, { ...WRONG, 'x-webhook-signature': 'sha256=12' }],
    ['an unknown integration', strangerVerifier, WRONG],
    ['an integration without a secret', createVerifier('CONTRACT_V1', [], 300), WRONG],
    ['an expired secret', createVerifier('CONTRACT_V1', [{ ...secret, expiresAt: NOW }], 300), WRONG],
  ])('takes one MAC over the body for %s', (_, judge, headers) => {
    expect(judge.check(headers, BODY, NOW).isAuthentic).toBe(false);
    expect(macs.made).toBe(1);
  });
});
