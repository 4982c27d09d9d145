import { createHmac } from 'node:crypto';
import type { SignatureProfile } from '../../schema/words.ts';
import { signingKey } from './verifier.ts';

/** What proves a delivery, as a sender of the profile makes it. */
export interface SignedDelivery {
  readonly headers: Readonly<Record<string, string>>;
  /** What follows the integration's address, with its slash; empty unless the path is the proof. */
  readonly pathSuffix: string;
}

/**
 * Signs as a sender does; the counterpart of the verifier.
 *
 * @param id of the delivery, for profiles that sign one
 * @param at milliseconds since the epoch
 */
export function signDelivery(
  profile: SignatureProfile,
  secret: string,
  id: string,
  at: number,
  body: Uint8Array,
): SignedDelivery {
  const seconds = String(Math.floor(at / 1_000));
  const mac = (prefix: string): Buffer =>
    createHmac('sha256', signingKey(profile, secret)).update(prefix).update(body).digest();
  switch (profile) {
    case 'PATH_SECRET':
      return { headers: {}, pathSuffix: `/${encodeURIComponent(secret)}` };
    case 'STANDARD_WEBHOOKS': {
      const signature = `v1,${mac(`${id}.${seconds}.`).toString('base64')}`;
      const headers = { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': signature };
      return { headers, pathSuffix: '' };
    }
    case 'MILESTONE_NATIVE':
      return { headers: { 'x-hub-signature-256': `sha256=${mac('').toString('base64')}` }, pathSuffix: '' };
    case 'CONTRACT_V1':
    case 'TIMESTAMPED_HMAC': {
      const signature = mac(profile === 'TIMESTAMPED_HMAC' ? `${seconds}.` : '').toString('hex');
      const headers = { 'x-webhook-timestamp': seconds, 'x-webhook-signature': `sha256=${signature}` };
      return { headers, pathSuffix: '' };
    }
  }
}
