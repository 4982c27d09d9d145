import { createCipheriv, createDecipheriv, createHash, createSecretKey, randomBytes } from 'node:crypto';
import { deriveKey } from './derive-key.ts';
import { StorageError } from './storage-error.ts';

// A sealed secret: format (1 byte), key id (4), nonce (12), AES-256-GCM ciphertext, tag (16).

const FORMAT = 1;
const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + KEY_ID_BYTES + NONCE_BYTES;

/** Whose secret it is, as in its row: a sealed value moved to another row does not open there. */
export interface SecretIdentity {
  readonly integrationId: string;
  readonly purpose: string;
  readonly id: string;
}

export interface Vault {
  /** Names the key without telling anything about it; every sealed value carries it. */
  readonly keyId: string;
  seal(text: string, identity: SecretIdentity): Uint8Array;
  /** @throws StorageError `SECRET_UNREADABLE`: sealed with another key, altered, or moved from another row */
  open(sealed: Uint8Array, identity: SecretIdentity): string;
}

/** @param options.masterKey 32 bytes, see loadMasterKey; the vault's own key is derived from it */
export function createVault({ masterKey }: { readonly masterKey: Uint8Array }): Vault {
  const secret = deriveKey(masterKey, 'vault');
  const key = createSecretKey(secret);
  const keyId = createHash('sha256').update('key id').update(secret).digest().subarray(0, KEY_ID_BYTES);

  return {
    keyId: keyId.toString('hex'),
    seal(text, identity) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(associatedData(identity));
      const sealed = [cipher.update(text, 'utf8'), cipher.final()];
      return Buffer.concat([Buffer.of(FORMAT), keyId, nonce, ...sealed, cipher.getAuthTag()]);
    },
    open(sealed, identity) {
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
      if (bytes.length < HEAD_BYTES + TAG_BYTES || bytes[0] !== FORMAT)
        throw unreadable(identity, 'is not a sealed secret');
      if (!bytes.subarray(1, 1 + KEY_ID_BYTES).equals(keyId)) {
        throw unreadable(identity, 'was sealed with another master key');
      }
      const nonce = bytes.subarray(1 + KEY_ID_BYTES, HEAD_BYTES);
      const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(associatedData(identity));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      try {
        return decipher.update(bytes.subarray(HEAD_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
      } catch {
        throw unreadable(identity, 'was altered, or belongs to another row');
      }
    },
  };
}

/** JSON, so that no two identities spell the same. */
function associatedData({ integrationId, purpose, id }: SecretIdentity): Buffer {
  return Buffer.from(JSON.stringify([integrationId, purpose, id]));
}

function unreadable({ integrationId, purpose }: SecretIdentity, why: string): StorageError {
  return new StorageError('SECRET_UNREADABLE', `the ${purpose} secret of integration ${integrationId} ${why}`);
}
