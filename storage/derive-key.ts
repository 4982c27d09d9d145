import { hkdfSync } from 'node:crypto';
import { StorageError } from './storage-error.ts';

export const MASTER_KEY_BYTES = 32;

/** A key of 32 bytes for one purpose (HKDF-SHA256, RFC 5869): what one use gives away says nothing about another. */
export function deriveKey(masterKey: Uint8Array, purpose: string): Buffer {
  if (masterKey.length !== MASTER_KEY_BYTES) {
    throw new StorageError('MASTER_KEY_INVALID', `the master key must have ${MASTER_KEY_BYTES} bytes`);
  }
  return Buffer.from(hkdfSync('sha256', masterKey, '', `convergraph ${purpose}`, MASTER_KEY_BYTES));
}
