import { describe, expect, it } from 'vitest';
import { SIGNATURE_PROFILES } from '../../schema/words.ts';
import { makeWebhookSecret, webhookSecretProblem } from './webhook-secrets.ts';

const LONG_ENOUGH = 'abcdefghijklmnopqrstuvwxyz';

describe('a webhook secret', () => {
  it.each(SIGNATURE_PROFILES)('that we make is one that we take (%s)', (profile) => {
    const secret = makeWebhookSecret(profile);
    expect(webhookSecretProblem(profile, secret)).toBeNull();
    expect(makeWebhookSecret(profile)).not.toBe(secret);
  });

  it.each([
    ['the characters that nobody encodes', `${LONG_ENOUGH}.A_Z~0-9`, true],
    ['a slash', `${LONG_ENOUGH}/9`, false],
    ['the other characters of Base64', `${LONG_ENOUGH}+9==`, false],
    ['a percent sign', `${LONG_ENOUGH}%41`, false],
    ['the sign before a query', `${LONG_ENOUGH}?`, false],
    ['letters of other alphabets', `${LONG_ENOUGH}ü`, false],
    ['too little', 'abc', false],
  ])('that stands in a path may not have every character: %s', (_, secret, isTaken) => {
    expect(webhookSecretProblem('PATH_SECRET', secret) === null).toBe(isTaken);
  });

  it('that is used to sign may', () => {
    expect(webhookSecretProblem('TIMESTAMPED_HMAC', `${LONG_ENOUGH}/%+=ü`)).toBeNull();
  });
});
