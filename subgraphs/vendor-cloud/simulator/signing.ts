/**
 * How the simulated vendor proves its webhooks: its own implementation, so that a slip in ours shows.
 *
 * @see the vendor contract, section 4; the Standard Webhooks specification, "Signature scheme"
 */
import { createHmac } from 'node:crypto';
import type { Profile } from './state.ts';

const STANDARD_PREFIX = 'whsec_';

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** @param seconds Unix time of this attempt: a retry is signed anew */
export function signatureHeaders(
  profile: Profile,
  secret: string,
  messageId: string,
  seconds: number,
  body: string,
): Readonly<Record<string, string>> {
  if (profile === 'standard-webhooks') {
    // The specification's secrets are Base64, with or without the prefix.
    const key = Buffer.from(secret.replace(STANDARD_PREFIX, ''), 'base64');
    return {
      'webhook-id': messageId,
      'webhook-timestamp': String(seconds),
      'webhook-signature': `v1,${hmac(key, `${messageId}.${seconds}.${body}`).toString('base64')}`,
    };
  }
  const signed = profile === 'timestamped-hmac' ? `${seconds}.${body}` : body;
  return {
    'x-webhook-timestamp': String(seconds),
    'x-webhook-signature': `sha256=${hmac(secret, signed).toString('hex')}`,
  };
}
