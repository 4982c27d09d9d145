// What a sender may have keyed its signature with, given the secret that it should have used.
import { createHash } from 'node:crypto';
import type { SigningProfile } from './offered.ts';

export interface KeyForm {
  /** Null: the key as the profile wants it. */
  readonly mistake: string | null;
  readonly bytes: Buffer;
}

const PREFIX = 'whsec_';
const BASE64 = /^[A-Za-z0-9+/_-]{8,}={0,2}$/;
const HEX = /^(?:[0-9a-fA-F]{2}){8,}$/;

function utf8(text: string): Buffer {
  return Buffer.from(text, 'utf8');
}

function withoutPrefix(secret: string): string {
  return secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret;
}

/** The key that a profile makes of a secret's text; the same as the verifier's. */
function properKey(profile: SigningProfile, secret: string): Buffer {
  return profile === 'STANDARD_WEBHOOKS' ? Buffer.from(withoutPrefix(secret), 'base64') : utf8(secret);
}

/** The right key first, then what is made of the secret by mistake; no two the same. */
export function keyForms(profile: SigningProfile, secret: string): readonly KeyForm[] {
  const bare = withoutPrefix(secret);
  const forms: KeyForm[] = [
    { mistake: null, bytes: properKey(profile, secret) },
    {
      mistake:
        profile === 'STANDARD_WEBHOOKS'
          ? 'the text of the secret is the key as it stands; decode the Base64 after "whsec_" first'
          : 'a part of the secret was changed before it became the key; use its text as it stands',
      bytes: utf8(secret),
    },
    { mistake: 'the text after "whsec_" is the key as it stands; decode its Base64 first', bytes: utf8(bare) },
    { mistake: 'the secret was given the prefix "whsec_" that it does not have', bytes: utf8(PREFIX + bare) },
    { mistake: 'a line feed stands behind the secret; read it without', bytes: utf8(`${secret}\n`) },
    {
      mistake: 'a carriage return and line feed stand behind the secret; read it without',
      bytes: utf8(`${secret}\r\n`),
    },
    { mistake: 'a space stands behind the secret; read it without', bytes: utf8(`${secret} `) },
    { mistake: 'white space at the ends of the secret was taken away', bytes: utf8(secret.trim()) },
    { mistake: 'the secret stands in quotes; read it without', bytes: utf8(`"${secret}"`) },
    { mistake: 'the secret was percent-encoded', bytes: utf8(encodeURIComponent(secret)) },
    { mistake: 'the secret was written in lower case', bytes: utf8(secret.toLowerCase()) },
    { mistake: 'the secret was written in upper case', bytes: utf8(secret.toUpperCase()) },
    { mistake: 'the Base64 of the secret is the key', bytes: utf8(utf8(secret).toString('base64')) },
    { mistake: 'the SHA-256 of the secret is the key', bytes: createHash('sha256').update(secret).digest() },
    { mistake: 'no secret is configured at the sender: the key is empty', bytes: Buffer.alloc(0) },
    { mistake: 'no secret is configured at the sender: the key is the word "undefined"', bytes: utf8('undefined') },
    { mistake: 'no secret is configured at the sender: the key is the word "null"', bytes: utf8('null') },
    { mistake: 'no secret is configured at the sender: the key is the word "None"', bytes: utf8('None') },
  ];
  if (BASE64.test(bare)) {
    const advice = profile === 'STANDARD_WEBHOOKS' ? 'decode it once' : 'use its text as it stands';
    forms.push({ mistake: `the secret was decoded from Base64; ${advice}`, bytes: Buffer.from(bare, 'base64') });
    if (profile === 'STANDARD_WEBHOOKS') {
      const twice = Buffer.from(Buffer.from(bare, 'base64').toString('latin1'), 'base64');
      forms.push({ mistake: 'the secret was decoded from Base64 twice; decode it once', bytes: twice });
      const upTo = Buffer.from(secret, 'base64');
      forms.push({ mistake: '"whsec_" was decoded with the secret; take it away first', bytes: upTo });
    }
  }
  if (HEX.test(secret)) {
    forms.push({
      mistake: 'the secret was decoded from hexadecimal; use its text as it stands',
      bytes: Buffer.from(secret, 'hex'),
    });
  }
  const seen = new Set<string>();
  return forms.filter(({ bytes }) => {
    const name = bytes.toString('latin1');
    if (seen.has(name)) return false;
    seen.add(name);
    return true;
  });
}
