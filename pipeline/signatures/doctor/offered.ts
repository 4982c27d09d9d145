// What a refused delivery shows as proof, read with far more tolerance than the verifier has: to be compared, never to be
// believed.
import type { IncomingHttpHeaders } from 'node:http';
import type { SignatureProfile } from '../../../schema/words.ts';

/** One text that may be a signature, in one of the ways in which it can be read. */
export interface Offered {
  readonly header: string;
  /** What stands before it, for example `sha256` or `v1`; empty when nothing does. */
  readonly label: string;
  readonly encoding: Encoding;
  readonly bytes: Buffer;
}

export type Encoding = 'hex' | 'base64' | 'base64url' | 'hex in base64';

/** How a profile writes its proof. */
export interface Form {
  readonly header: string;
  readonly label: string;
  readonly encodings: readonly Encoding[];
  /** Null: it has none. */
  readonly timestampHeader: string | null;
  readonly idHeader: string | null;
}

export type SigningProfile = Exclude<SignatureProfile, 'PATH_SECRET'>;

const CONTRACT: Form = {
  header: 'x-webhook-signature',
  label: 'sha256',
  encodings: ['hex'],
  timestampHeader: 'x-webhook-timestamp',
  idHeader: null,
};

/** @see profiles.ts, which reads them strictly */
export const FORMS: Readonly<Record<SigningProfile, Form>> = {
  CONTRACT_V1: CONTRACT,
  TIMESTAMPED_HMAC: CONTRACT,
  STANDARD_WEBHOOKS: {
    header: 'webhook-signature',
    label: 'v1',
    encodings: ['base64'],
    timestampHeader: 'webhook-timestamp',
    idHeader: 'webhook-id',
  },
  MILESTONE_NATIVE: {
    header: 'x-hub-signature-256',
    label: 'sha256',
    encodings: ['hex', 'base64'],
    timestampHeader: null,
    idHeader: null,
  },
};

const SIGNATURE_HEADER = /sign|hmac|digest|^authorization$/;
const MAX_HEADERS = 6;
const MAX_HEADER_CHARACTERS = 4_096;
const MAX_NAME_CHARACTERS = 60;
/** Each costs a comparison per attempt and no hash. */
const MAX_OFFERED = 16;
/** Lengths of MD5, SHA-1, SHA-256, SHA-384 and SHA-512 in bytes. */
const MAC_LENGTHS: ReadonlySet<number> = new Set([16, 20, 32, 48, 64]);

const TOKEN = /^(?:([A-Za-z][\w-]{0,15})[=:])?([A-Za-z0-9+/_-]{20,200}={0,2})$/;
const VERSION = /^v\d[a-z]?$/;
const HEX = /^(?:[0-9a-fA-F]{2})+$/;

function textOf(value: string | readonly string[] | undefined): string {
  return (typeof value === 'string' ? value : (value?.join(', ') ?? '')).slice(0, MAX_HEADER_CHARACTERS);
}

function readings(text: string): readonly Pick<Offered, 'encoding' | 'bytes'>[] {
  const decoded = Buffer.from(text, 'base64');
  const inner = decoded.toString('latin1');
  const isUrl = /[-_]/.test(text) || !/=$|^(?:.{4})+$/.test(text);
  // What reads as hexadecimal of the right length is no Base64 that happens to have no other letters.
  if (HEX.test(text) && MAC_LENGTHS.has(text.length / 2)) {
    return [{ encoding: 'hex', bytes: Buffer.from(text, 'hex') }];
  }
  const all: readonly Pick<Offered, 'encoding' | 'bytes'>[] = [
    { encoding: isUrl ? 'base64url' : 'base64', bytes: decoded },
    ...(HEX.test(inner) ? [{ encoding: 'hex in base64' as const, bytes: Buffer.from(inner, 'hex') }] : []),
  ];
  return all.filter(({ bytes }) => MAC_LENGTHS.has(bytes.length));
}

/** Everything in the headers that may be a signature; at most MAX_OFFERED, the profile's own header first. */
export function readOffered(headers: IncomingHttpHeaders, ownHeader: string | null): readonly Offered[] {
  const names = Object.keys(headers)
    .filter((name) => name.length <= MAX_NAME_CHARACTERS && SIGNATURE_HEADER.test(name))
    .toSorted((a, b) => Number(b === ownHeader) - Number(a === ownHeader))
    .slice(0, MAX_HEADERS);
  const offered: Offered[] = [];
  for (const header of names) {
    let version = '';
    for (const word of textOf(headers[header]).split(/[\s,;"]+/)) {
      if (VERSION.test(word)) version = word;
      const [, label = '', text] = TOKEN.exec(word) ?? [];
      if (text === undefined) continue;
      offered.push(...readings(text).map((reading) => ({ header, label: label || version, ...reading })));
      version = '';
    }
  }
  return offered.slice(0, MAX_OFFERED);
}

const TIMESTAMP_HEADERS = [
  'webhook-timestamp',
  'x-webhook-timestamp',
  'svix-timestamp',
  'x-timestamp',
  'x-request-timestamp',
  'x-slack-request-timestamp',
  'timestamp',
] as const;
const ID_HEADERS = ['webhook-id', 'svix-id', 'x-webhook-id', 'x-request-id', 'x-github-delivery'] as const;
const MAX_WORD = 128;
const INLINE_TIMESTAMP = /(?:^|[\s,;])t=(\d{1,16})(?=$|[\s,;])/;

/** A header's text and where it stood. */
export interface Found {
  readonly header: string;
  readonly text: string;
}

function firstOf(headers: IncomingHttpHeaders, names: readonly string[]): Found | null {
  for (const header of names) {
    const text = textOf(headers[header]).trim();
    if (text !== '' && text.length <= MAX_WORD) return { header, text };
  }
  return null;
}

/** The time of sending wherever senders write it, the profile's own header first. */
export function findTimestamp(headers: IncomingHttpHeaders, ownHeader: string | null): Found | null {
  const named = firstOf(headers, ownHeader === null ? TIMESTAMP_HEADERS : [ownHeader, ...TIMESTAMP_HEADERS]);
  if (named !== null) return named;
  for (const header of Object.keys(headers)
    .filter((name) => SIGNATURE_HEADER.test(name))
    .slice(0, MAX_HEADERS)) {
    const [, text] = INLINE_TIMESTAMP.exec(textOf(headers[header])) ?? [];
    if (text !== undefined) return { header, text };
  }
  return null;
}

/** The delivery's id wherever senders write it, the profile's own header first. */
export function findId(headers: IncomingHttpHeaders, ownHeader: string | null): Found | null {
  return firstOf(headers, ownHeader === null ? ID_HEADERS : [ownHeader, ...ID_HEADERS]);
}
