import { describe, expect, it } from 'vitest';
import { SIGNATURE_PROFILES } from '../../schema/words.ts';
import { makeWebhookSecret } from '../integrations/webhook-secrets.ts';
import { signDelivery } from './sign.ts';
import { createVerifier, signingKey } from './verifier.ts';

const NOW = 1_790_000_000_000;
const BODY = Buffer.from('{"a":1}');

describe('signDelivery', () => {
  it.each(SIGNATURE_PROFILES)('makes what the verifier of %s takes, and nothing that takes another body', (profile) => {
    const secret = makeWebhookSecret(profile);
    const verifier = createVerifier(profile, [{ id: 's', key: signingKey(profile, secret), expiresAt: null }], 300);
    const { headers, pathSuffix } = signDelivery(profile, secret, 'msg_1', NOW, BODY);
    const rest = decodeURIComponent(pathSuffix.slice(1));
    expect(verifier.check({ ...headers }, BODY, NOW, rest).isAuthentic).toBe(true);
    const other = Buffer.from('{"a":2}');
    expect(verifier.check({ ...headers }, other, NOW, rest).isAuthentic).toBe(profile === 'PATH_SECRET');
  });
});
