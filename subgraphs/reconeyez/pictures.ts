/**
 * Pictures travel inside a delivery, as Base64 text. An event keeps what identifies them (kind, size, hash) and where the
 * platform shows them; the bytes stay in the delivery.
 *
 * @see Reconeyez "JSON Webhook integration" (2023-08-11); "Secure URL feature for monitoring stations" (2023-03-10)
 */
import { createHash } from 'node:crypto';
import type { MediaDraft } from '../../adapter-kit/model.ts';

/** One trigger makes at most ten; a few more cost nothing. */
const MAX_PICTURES = 20;
/** Longer texts in a record are no words. */
const MAX_RAW_TEXT = 2_000;
const BASE64 = /^(?:data:[\w.+/-]{0,60};base64,)?([A-Za-z0-9+/_-]+={0,2})\s*$/;
const MIN_BYTES = 16;
/** The token opens the event without login for twelve hours: it is kept in one place only. */
const SECURE_TOKEN = /(\/securl\/)[^\s"'<>?#]+/gi;

const SIGNATURES: readonly (readonly [string, string])[] = [
  ['ffd8ff', 'image/jpeg'],
  ['89504e47', 'image/png'],
  ['47494638', 'image/gif'],
  ['52494646', 'video/x-msvideo'],
];

function contentTypeOf(bytes: Buffer): string | null {
  const head = bytes.subarray(0, 4).toString('hex');
  return SIGNATURES.find(([signature]) => head.startsWith(signature))?.[1] ?? null;
}

/** @returns the address when it is one of the web */
export function webAddress(value: unknown): string | null {
  const url = typeof value === 'string' && value.length <= 2_000 ? URL.parse(value) : null;
  return url !== null && (url.protocol === 'https:' || url.protocol === 'http:') ? url.href : null;
}

function textOf(entry: unknown, names: readonly string[]): unknown {
  if (typeof entry === 'string') return entry;
  if (typeof entry !== 'object' || entry === null) return null;
  return names.map((name): unknown => Reflect.get(entry, name)).find((value) => typeof value === 'string') ?? null;
}

/**
 * @param list the deliveries' pictures; entries that are neither a picture nor an address are passed over
 * @param link where the platform shows the event; null when it does not say
 */
export function readPictures(list: readonly unknown[], link: string | null, capturedAt: Date): readonly MediaDraft[] {
  return list.slice(0, MAX_PICTURES).flatMap((entry): readonly MediaDraft[] => {
    const address = webAddress(textOf(entry, ['url', 'href', 'data']));
    if (address !== null) return [{ contentType: null, url: address, capturedAt }];
    const bytes = bytesOf(entry);
    if (bytes === null) return [];
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    // Without a link the hash still says which picture it was, when the delivery is looked at.
    const url = link ?? `urn:sha256:${sha256}`;
    return [{ contentType: contentTypeOf(bytes), url, sizeBytes: bytes.length, capturedAt, sha256 }];
  });
}

/** The bytes of an entry that is a picture; null for one that is none, or an address. */
function bytesOf(entry: unknown): Buffer | null {
  const encoded = textOf(entry, ['data', 'content', 'base64']);
  const base64 = typeof encoded === 'string' ? BASE64.exec(encoded)?.[1] : undefined;
  const bytes = base64 === undefined ? null : Buffer.from(base64, 'base64');
  return bytes === null || bytes.length < MIN_BYTES ? null : bytes;
}

/** The picture of a delivery's list that an event told of. @param sha256 hex, as the event has it */
export function findPicture(list: readonly unknown[], sha256: string): Buffer | null {
  for (const entry of list.slice(0, MAX_PICTURES)) {
    const bytes = bytesOf(entry);
    if (bytes !== null && createHash('sha256').update(bytes).digest('hex') === sha256) return bytes;
  }
  return null;
}

/** A copy of the record without pictures and without the token of its secure link. */
export function withoutPictures(value: unknown): unknown {
  if (typeof value === 'string') {
    const isPicture = value.length > MAX_RAW_TEXT;
    return isPicture ? `[${value.length} characters]` : value.replaceAll(SECURE_TOKEN, '$1[redacted]');
  }
  if (Array.isArray(value)) return value.map(withoutPictures);
  if (typeof value !== 'object' || value === null) return value;
  const isBinary = 'data' in value && typeof value.data === 'string' && BASE64.test(value.data);
  return Object.fromEntries(
    Object.entries(value).map(([name, member]: [string, unknown]) => [
      name,
      isBinary && name === 'data' ? `[${String(member).length} characters]` : withoutPictures(member),
    ]),
  );
}
