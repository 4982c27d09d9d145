import { createCipheriv, createDecipheriv, createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { deriveKey } from './derive-key.ts';

/** The synthetic nonce is the authenticator too: 128 bits are AES's block. */
const TAG_BYTES = 16;
/** A sort key is at most a name of 500 characters, of six bytes each when all of them have to be escaped. */
const MAX_PAYLOAD_BYTES = 4_096;
/** What encode can make at most; longer ones are refused before any work. */
export const MAX_CURSOR_CHARACTERS = Math.ceil(((TAG_BYTES + MAX_PAYLOAD_BYTES) * 4) / 3);
const BASE64URL = /^[A-Za-z0-9_-]+$/;

/**
 * Cursors that clients can neither read nor make: they name rows, and how many there are is nobody's business.
 * The same position always gives the same text.
 */
export interface CursorCodec {
  /**
   * @param kind the list and its order: a cursor of one kind is none of another
   * @param payload JSON, at most 4,096 bytes; it carries the store's epoch where a position means nothing without it
   */
  encode(kind: string, payload: unknown): string;
  /** @returns what encode was given; null for anything that encode of this key and kind did not make */
  decode(kind: string, cursor: string): unknown;
}

/** @param masterKey 32 bytes; the cursors' own keys are derived from it */
export function createCursorCodec(masterKey: Uint8Array): CursorCodec {
  const macKey = createSecretKey(deriveKey(masterKey, 'cursor mac'));
  const cipherKey = createSecretKey(deriveKey(masterKey, 'cursor cipher'));
  // The authenticator of kind and text is the cipher's nonce (as in RFC 5297): equal positions give equal cursors, and
  // no nonce can be used for two texts.
  const authenticate = (kind: string, text: Uint8Array): Buffer =>
    createHmac('sha256', macKey).update(kind).update('\0').update(text).digest().subarray(0, TAG_BYTES);

  return {
    encode(kind, payload) {
      const text = Buffer.from(JSON.stringify(payload));
      if (text.length > MAX_PAYLOAD_BYTES) throw new RangeError(`a cursor holds at most ${MAX_PAYLOAD_BYTES} bytes`);
      const tag = authenticate(kind, text);
      const sealed = createCipheriv('aes-256-ctr', cipherKey, tag).update(text);
      return Buffer.concat([tag, sealed]).toString('base64url');
    },
    decode(kind, cursor) {
      if (cursor.length > MAX_CURSOR_CHARACTERS || !BASE64URL.test(cursor)) return null;
      const bytes = Buffer.from(cursor, 'base64url');
      // Spare bits at the end would give one position many texts.
      if (bytes.length <= TAG_BYTES || bytes.toString('base64url') !== cursor) return null;
      const tag = bytes.subarray(0, TAG_BYTES);
      const text = createDecipheriv('aes-256-ctr', cipherKey, tag).update(bytes.subarray(TAG_BYTES));
      if (!timingSafeEqual(tag, authenticate(kind, text))) return null;
      const payload: unknown = JSON.parse(text.toString());
      return payload;
    },
  };
}
