import { createHash, createHmac, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  diagnoseSignature,
  examineSignature,
  type KnownSecret,
  MAX_ATTEMPTS,
  MAX_EXAMINED_BYTES,
  type Patient,
} from './doctor.ts';
import { createVerifier, signingKey } from './verifier.ts';
import { SIGNATURE_PROFILES, type SignatureProfile } from '../../schema/words.ts';

const TEXT = 'aVerySecretTextOfThirtyCharacters0';
const STANDARD = `whsec_${Buffer.from('a standard webhooks secret, 32 b').toString('base64')}`;
const NOW = 1_790_000_000;
const ID = 'msg_1';
/** Everything that serialisers disagree about. */
const VALUE = { b: 1, url: 'https://acme.example/é', a: { list: [1, 'x & y'], none: null } };
const JSON_TEXT = JSON.stringify(VALUE);
const BODY = Buffer.from(JSON_TEXT);

const current = (text: string): KnownSecret => ({ text, endedAt: null, otherIntegrationId: null });

function patient(profile: SignatureProfile, headers: IncomingHttpHeaders, over: Partial<Patient> = {}): Patient {
  const secrets = [current(profile === 'STANDARD_WEBHOOKS' ? STANDARD : TEXT)];
  return { profile, headers, body: BODY, target: '/webhooks/int_a', pathSecret: '', secrets, ...over };
}

interface Slip {
  readonly signed?: string | Buffer;
  readonly key?: string | Buffer;
  readonly algorithm?: string;
  readonly encoding?: 'hex' | 'base64' | 'base64url';
  readonly timestamp?: string | null;
  readonly label?: string;
  readonly header?: string;
}

/** Headers of TIMESTAMPED_HMAC, made with one thing wrong. */
function timestamped(slip: Slip = {}): IncomingHttpHeaders {
  const { key = TEXT, algorithm = 'sha256', encoding = 'hex', timestamp = String(NOW), label = 'sha256=' } = slip;
  const signed = slip.signed ?? Buffer.concat([Buffer.from(`${timestamp ?? ''}.`), BODY]);
  const mac = createHmac(algorithm, key).update(signed).digest(encoding);
  return {
    ...(timestamp === null ? {} : { 'x-webhook-timestamp': timestamp }),
    [slip.header ?? 'x-webhook-signature']: label + mac,
  };
}

function withBody(bytes: string | Buffer): Slip {
  return { signed: Buffer.concat([Buffer.from(`${NOW}.`), Buffer.from(bytes)]) };
}

function spaced(value: unknown): string {
  return JSON.stringify(value, null, 1)
    .replaceAll(/\n\s*/g, ' ')
    .replaceAll(/([{[]) | ([}\]])/g, '$1$2');
}

const escape = (json: string): string =>
  json.replaceAll(/[\u0080-\uffff]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);

const hex = (key: string | Buffer, text: string | Buffer): string =>
  createHmac('sha256', key).update(text).digest('hex');

const PRETTY = Buffer.from(JSON.stringify(VALUE, null, 2));
const CRLF = Buffer.from(JSON.stringify(VALUE, null, 2).replaceAll('\n', '\r\n'));
const LATIN1 = Buffer.from(JSON.stringify(VALUE), 'latin1');
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

describe('signature doctor', () => {
  it.each<[string, Slip, RegExp, Partial<Patient>?]>([
    ['JSON with spaces', withBody(spaced(VALUE)), /same JSON with a space after each colon/],
    ['compact JSON of a pretty body', withBody(BODY), /same JSON without spaces/, { body: PRETTY }],
    ['JSON indented by two', withBody(PRETTY), /indent of two spaces/],
    ['JSON indented by four', withBody(JSON.stringify(VALUE, null, 4)), /indent of four spaces/],
    ['JSON indented by tabs', withBody(JSON.stringify(VALUE, null, '\t')), /tabs as indent/],
    [
      'sorted keys',
      withBody('{"a":{"list":[1,"x & y"],"none":null},"b":1,"url":"https://acme.example/é"}'),
      /keys sorted/,
    ],
    ['escaped letters', withBody(escape(JSON.stringify(VALUE))), /non-ASCII letters as \\u escapes/],
    ['escaped letters and spaces', withBody(escape(spaced(VALUE))), /with spaces and non-ASCII letters/],
    ['escaped slashes', withBody(JSON.stringify(VALUE).replaceAll('/', '\\/')), /with slashes escaped/],
    [
      'escaped slashes and letters',
      withBody(escape(JSON.stringify(VALUE)).replaceAll('/', '\\/')),
      /slashes and non-ASCII/,
    ],
    ['escaped ampersands', withBody(JSON.stringify(VALUE).replaceAll('&', '\\u0026')), /<, > and & escaped/],
    ['JSON encoded twice', withBody(JSON.stringify(JSON.stringify(VALUE))), /encoded twice/],
    ['a line feed at the end', withBody(`${JSON_TEXT}\n`), /a line feed at its end was signed/],
    [
      'a line feed that was sent only',
      withBody(BODY),
      /line feed at its end was sent and not signed/,
      { body: Buffer.from(`${JSON_TEXT}\n`) },
    ],
    ['a line feed and carriage return', withBody(`${JSON_TEXT}\r\n`), /carriage return and line feed at its end/],
    ['CRLF that was sent only', withBody(PRETTY), /carriage returns were sent/, { body: CRLF }],
    ['CRLF that was signed only', withBody(CRLF), /signed as carriage return and line feed/, { body: PRETTY }],
    ['a byte order mark that was signed', withBody(Buffer.concat([BOM, BODY])), /byte order mark was signed/],
    [
      'a byte order mark that was sent',
      withBody(BODY),
      /byte order mark was sent/,
      { body: Buffer.concat([BOM, BODY]) },
    ],
    ['ISO 8859-1 that was signed', withBody(LATIN1), /signed as ISO 8859-1/],
    ['ISO 8859-1 that was sent', withBody(BODY), /sent as ISO 8859-1/, { body: LATIN1 }],
    ['UTF-16', withBody(Buffer.from(JSON.stringify(VALUE), 'utf16le')), /UTF-16/],
    ['a decomposed letter', withBody(JSON.stringify(VALUE).normalize('NFD')), /normal form/],
    ['percent encoding', withBody(encodeURIComponent(JSON_TEXT)), /percent-encoded form was signed/],
    [
      'the form field payload',
      withBody(BODY),
      /form field "payload"/,
      { body: Buffer.from(`payload=${encodeURIComponent(JSON_TEXT)}`) },
    ],
    ['the Base64 of the body', withBody(BODY.toString('base64')), /its Base64 was signed/],
    ['an empty body', withBody(''), /nothing was signed in the place of the body/],
    ['a body before compression', withBody(BODY), /before it was compressed/, { body: gzipSync(BODY) }],
    ['no separator', { signed: `${NOW}${JSON_TEXT}` }, /timestamp body, without a separator/],
    ['a colon', { signed: `${NOW}:${JSON_TEXT}` }, /signed is timestamp:body/],
    ['a bar', { signed: `${NOW}|${JSON_TEXT}` }, /timestamp\|body/],
    ['a comma', { signed: `${NOW},${JSON_TEXT}` }, /timestamp,body/],
    ['a line feed between', { signed: `${NOW}\n${JSON_TEXT}` }, /timestamp, line feed, body/],
    ['a version in front', { signed: `v0:${NOW}:${JSON_TEXT}` }, /v0:timestamp:body/],
    ['the other order', { signed: `${JSON_TEXT}.${NOW}` }, /body\.timestamp/],
    ['the path in front', { signed: `/webhooks/int_a${JSON_TEXT}` }, /path body/],
    [
      'lines of method, path and body',
      { signed: `POST\n/webhooks/int_a\n${JSON_TEXT}` },
      /POST, path and body in lines/,
    ],
    [
      'a hash of the body',
      { signed: createHash('sha256').update(BODY).digest('hex') },
      /hexadecimal SHA-256 of the body/,
    ],
    ['milliseconds', { timestamp: `${NOW}000`, signed: `${NOW}000.${JSON_TEXT}` }, /written in milliseconds/],
    [
      'an ISO timestamp',
      { timestamp: '2026-09-21T14:13:20Z', signed: `2026-09-21T14:13:20Z.${JSON_TEXT}` },
      /another notation/,
    ],
    ['Base64', { encoding: 'base64' }, /is Base64 in place of hexadecimal/],
    ['Base64 for addresses', { encoding: 'base64url' }, /Base64 for addresses/],
    ['a missing label', { label: '' }, /lacks "sha256="/],
    ['another label', { label: 'v1=' }, /lacks "sha256="/],
    ['another header', { header: 'x-signature' }, /stands in x-signature in place of x-webhook-signature/],
    ['SHA-1', { algorithm: 'sha1' }, /SHA1 in place of SHA-256/],
    ['SHA-512', { algorithm: 'sha512' }, /SHA512 in place of SHA-256/],
    ['a secret with a line feed', { key: `${TEXT}\n` }, /line feed stands behind the secret/],
    ['a secret with a space', { key: `${TEXT} ` }, /space stands behind the secret/],
    ['a secret in quotes', { key: `"${TEXT}"` }, /secret stands in quotes/],
    ['a secret in lower case', { key: TEXT.toLowerCase() }, /written in lower case/],
    ['a secret with a prefix', { key: `whsec_${TEXT}` }, /prefix "whsec_" that it does not have/],
    ['a secret decoded from Base64', { key: Buffer.from(TEXT, 'base64') }, /decoded from Base64; use its text/],
    ['the Base64 of a secret', { key: Buffer.from(TEXT).toString('base64') }, /Base64 of the secret is the key/],
    ['a hashed secret', { key: createHash('sha256').update(TEXT).digest() }, /SHA-256 of the secret is the key/],
    ['an empty secret', { key: '' }, /no secret is configured at the sender: the key is empty/],
    ['a secret that is undefined', { key: 'undefined' }, /the word "undefined"/],
  ])('names %s', (_, slip, expected, over = {}) => {
    const subject = patient('TIMESTAMPED_HMAC', timestamped(slip), over);
    const said = diagnoseSignature(subject);
    expect(said.join('\n')).toMatch(expected);
    expect(said[0]).toMatch(/would have passed but for/);
  });

  it.each<[string, IncomingHttpHeaders[string], RegExp]>([
    ['signed twice, in hexadecimal', hex(TEXT, hex(TEXT, `${NOW}.${JSON_TEXT}`)), /signed twice.*hexadecimal/],
    [
      'a hash of secret and body',
      createHash('sha256').update(`${TEXT}${JSON_TEXT}`).digest('hex'),
      /hash of secret and body/,
    ],
    [
      'a hash of body and secret',
      createHash('sha256').update(`${JSON_TEXT}${TEXT}`).digest('hex'),
      /hash of body and secret/,
    ],
    ['a hash without a secret', createHash('sha256').update(BODY).digest('hex'), /hash without a secret/],
    ['key and message exchanged', hex(BODY, TEXT), /key and message are exchanged/],
    [
      'Base64 of hexadecimal',
      Buffer.from(hex(TEXT, `${NOW}.${JSON_TEXT}`)).toString('base64'),
      /Base64 of hexadecimal text/,
    ],
  ])('names %s', (_, mac, expected) => {
    const headers = { 'x-webhook-timestamp': String(NOW), 'x-webhook-signature': `sha256=${String(mac)}` };
    expect(diagnoseSignature(patient('TIMESTAMPED_HMAC', headers)).join('\n')).toMatch(expected);
  });

  it('names two mistakes at once', () => {
    const said = diagnoseSignature(
      patient('TIMESTAMPED_HMAC', timestamped({ ...withBody(PRETTY), encoding: 'base64' })),
    );
    expect(said).toEqual([
      'The signature would have passed but for 2 things:',
      expect.stringContaining('indent of two spaces'),
      expect.stringContaining('Base64 in place of hexadecimal'),
    ]);
  });

  function standard(key: string | Buffer, signed: string, label = 'v1,'): IncomingHttpHeaders {
    const mac = createHmac('sha256', key).update(signed).digest('base64');
    return { 'webhook-id': ID, 'webhook-timestamp': String(NOW), 'webhook-signature': label + mac };
  }
  const bytes = Buffer.from(STANDARD.slice(6), 'base64');

  it.each<[string, IncomingHttpHeaders, RegExp]>([
    [
      'a key that was not decoded',
      standard(STANDARD.slice(6), `${ID}.${NOW}.${JSON_TEXT}`),
      /after "whsec_" is the key as it stands/,
    ],
    [
      'a key with its prefix',
      standard(STANDARD, `${ID}.${NOW}.${JSON_TEXT}`),
      /decode the Base64 after "whsec_" first/,
    ],
    [
      'a prefix that was decoded',
      standard(Buffer.from(STANDARD, 'base64'), `${ID}.${NOW}.${JSON_TEXT}`),
      /"whsec_" was decoded/,
    ],
    ['a body without its id', standard(bytes, `${NOW}.${JSON_TEXT}`), /what was signed is timestamp\.body/],
    ['a body alone', standard(bytes, JSON_TEXT), /what was signed is body/],
    ['the order exchanged', standard(bytes, `${NOW}.${ID}.${JSON_TEXT}`), /timestamp\.id\.body/],
    ['a missing version', standard(bytes, `${ID}.${NOW}.${JSON_TEXT}`, ''), /lacks "v1,"/],
  ])('names %s, of Standard Webhooks', (_, headers, expected) => {
    expect(diagnoseSignature(patient('STANDARD_WEBHOOKS', headers)).join('\n')).toMatch(expected);
  });

  it('names the profile that a delivery is signed as, when it is another one', () => {
    const headers = timestamped();
    expect(diagnoseSignature(patient('CONTRACT_V1', headers))[0]).toMatch(/signed as profile TIMESTAMPED_HMAC/);
    const other = patient('CONTRACT_V1', standard(bytes, `${ID}.${NOW}.${JSON_TEXT}`), {
      secrets: [current(STANDARD)],
    });
    expect(diagnoseSignature(other)[0]).toMatch(
      /signed as profile STANDARD_WEBHOOKS and the integration is set to CONTRACT_V1/,
    );
    expect(diagnoseSignature(patient('PATH_SECRET', headers))[0]).toMatch(/put the secret into the path/);
  });

  it('names a secret that has ended, and one of another integration', () => {
    const ended = { text: TEXT, endedAt: (NOW - 60) * 1_000, otherIntegrationId: null };
    const secrets = [current('another secret of decent length'), ended];
    expect(diagnoseSignature(patient('TIMESTAMPED_HMAC', timestamped(), { secrets }))[0]).toMatch(
      /ended at 2026-09-21T14:12:20\.000Z; use the current one/,
    );
    const foreign = [current('another secret of decent length'), { ...current(TEXT), otherIntegrationId: 'int_b' }];
    expect(diagnoseSignature(patient('TIMESTAMPED_HMAC', timestamped(), { secrets: foreign }))[0]).toMatch(
      /secret of another integration \(int_b\)/,
    );
  });

  it.each<[string, Partial<Patient>, RegExp]>([
    ['nothing in the path', {}, /No secret follows the integration/],
    ['a slash behind it', { pathSecret: `${TEXT}/` }, /slash stands behind/],
    ['percent encoding', { pathSecret: TEXT.replace('a', '%61') }, /percent-encoded/],
    ['quotes', { pathSecret: `"${TEXT}"` }, /quotes or brackets/],
    ['small letters', { pathSecret: TEXT.toLowerCase() }, /other letters, small or capital/],
    ['a header', { headers: { authorization: `Bearer ${TEXT}` } }, /stands in the header authorization/],
    ['the query', { target: `/webhooks/int_a?token=${TEXT}` }, /stands in the query/],
    ['an ended secret', { pathSecret: TEXT, secrets: [{ ...current(TEXT), endedAt: 0 }] }, /ended at 1970/],
    ['another word', { pathSecret: 'guess' }, /is no secret of this integration/],
  ])('tells of a path secret with %s', (_, over, expected) => {
    expect(diagnoseSignature(patient('PATH_SECRET', {}, over)).join('\n')).toMatch(expected);
  });

  it.each<[string, IncomingHttpHeaders, RegExp]>([
    ['a missing signature', { 'x-webhook-timestamp': String(NOW) }, /header x-webhook-signature is missing/],
    ['a signature that is none', { 'x-webhook-signature': 'yes' }, /holds nothing that has the length of a signature/],
    ['a missing timestamp', { 'x-webhook-signature': `sha256=${'0'.repeat(64)}` }, /x-webhook-timestamp is missing/],
  ])('says what can be seen of %s', (_, headers, expected) => {
    expect(diagnoseSignature(patient('TIMESTAMPED_HMAC', headers)).join('\n')).toMatch(expected);
  });

  it('does not look into bodies beyond its bound', () => {
    const body = Buffer.alloc(MAX_EXAMINED_BYTES + 1, 'x');
    expect(diagnoseSignature(patient('TIMESTAMPED_HMAC', timestamped(), { body }))).toEqual([
      'The body is longer than the 16 KiB up to which mistakes are looked for.',
    ]);
  });

  it('works no more than its bound, whether it finds something or not', () => {
    const secrets = Array.from({ length: 8 }, (_, i) => current(`${TEXT}${i}`));
    const steps = (headers: IncomingHttpHeaders, of = secrets): number => {
      const examination = examineSignature(patient('TIMESTAMPED_HMAC', headers, { secrets: of }));
      let count = 0;
      while (examination.next().done !== true) count += 1;
      return count;
    };
    const nothing = { 'x-webhook-timestamp': String(NOW), 'x-webhook-signature': `sha256=${'0'.repeat(64)}` };
    expect(steps(nothing)).toBe(MAX_ATTEMPTS);
    expect(steps(timestamped(withBody(PRETTY)), [current(TEXT)])).toBe(steps(nothing, [current(TEXT)]));
  });

  const secretText = fc.string({ minLength: 24, maxLength: 60 });
  const anyProfile = fc.constantFrom(...SIGNATURE_PROFILES);
  const anyMac = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((mac) => Buffer.from(mac));

  it('finds nothing in random signatures over random bodies', () => {
    const examples = fc.tuple(anyProfile, secretText, anyMac, fc.uint8Array({ maxLength: 300 }), fc.boolean());
    fc.assert(
      fc.property(examples, ([profile, secret, mac, body, isHex]) => {
        const headers = {
          'x-webhook-timestamp': String(NOW),
          'x-webhook-signature': `sha256=${mac.toString(isHex ? 'hex' : 'base64')}`,
          'webhook-id': ID,
          'webhook-timestamp': String(NOW),
          'webhook-signature': `v1,${mac.toString('base64')}`,
          'x-hub-signature-256': `sha256=${mac.toString('base64')}`,
        };
        const said = diagnoseSignature(
          patient(profile, headers, {
            body: Buffer.from(body),
            secrets: [current(secret)],
            pathSecret: mac.toString('hex'),
          }),
        );
        expect(said.join('\n')).not.toMatch(/would have passed|was made with/);
      }),
      { numRuns: 60 },
    );
  });

  it('never says a secret, nor a signature that would have passed', () => {
    const examples = fc.tuple(
      fc.constantFrom<SignatureProfile>('CONTRACT_V1', 'TIMESTAMPED_HMAC', 'MILESTONE_NATIVE', 'PATH_SECRET'),
      fc.constantFrom<Slip>({}, { encoding: 'base64' }, { key: '' }, withBody(PRETTY), { header: 'x-signature' }),
      fc.base64String({ minLength: 24, maxLength: 60 }),
    );
    fc.assert(
      fc.property(examples, ([profile, slip, secret]) => {
        const headers = timestamped({ ...slip, key: slip.key ?? secret });
        const said = diagnoseSignature(
          patient(profile, headers, { secrets: [current(secret)], pathSecret: `${secret}/` }),
        );
        const text = said.join('\n');
        expect(text).not.toContain(secret);
        for (const signed of [JSON_TEXT, `${NOW}.${JSON_TEXT}`, `${ID}.${NOW}.${JSON_TEXT}`]) {
          expect(text).not.toContain(hex(secret, signed));
          expect(text).not.toContain(createHmac('sha256', secret).update(signed).digest('base64'));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('accepts nothing: the verifier refuses whatever it explains', () => {
    const verifier = createVerifier(
      'TIMESTAMPED_HMAC',
      [{ id: 'a', key: signingKey('TIMESTAMPED_HMAC', TEXT), expiresAt: null }],
      300,
    );
    const headers = timestamped(withBody(PRETTY));
    diagnoseSignature(patient('TIMESTAMPED_HMAC', headers));
    expect(verifier.check(headers, BODY, NOW * 1_000).isAuthentic).toBe(false);
  });

  it('survives whatever stands in the headers and the body', () => {
    const header = fc.oneof(fc.string(), fc.array(fc.string(), { maxLength: 3 }));
    const anything = fc.record({ body: fc.uint8Array({ maxLength: 200 }), a: header, b: header, c: header });
    fc.assert(
      fc.property(anything, ({ body, a, b, c }) => {
        const headers = { 'x-webhook-signature': a, 'x-webhook-timestamp': b, 'x-signature': c, signature: a } as never;
        const target = randomBytes(8).toString('latin1');
        expect(
          diagnoseSignature(patient('TIMESTAMPED_HMAC', headers, { body: Buffer.from(body), target })).length,
        ).toBeGreaterThan(0);
      }),
      { numRuns: 60 },
    );
  });
});
