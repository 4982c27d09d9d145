import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { MASTER_KEY_BYTES } from './derive-key.ts';
import { StorageError } from './storage-error.ts';

const KEY_FILE = 'master.key';
const OTHERS = 0o077;

export interface MasterKeyOptions {
  /** 32 bytes in hexadecimal or base64, as the operator set it. */
  readonly value: string | undefined;
  /** Where the key file is kept when there is no value. */
  readonly dataDirectory: string;
}

/**
 * The key that everything sealed hangs on: the operator's, or one made at the first start and kept in a file that only
 * its owner can read. Without it secrets in the database (and in backups of it) cannot be opened.
 *
 * @throws StorageError `MASTER_KEY_INVALID` (not 32 bytes; a file that others can read), `DATA_DIRECTORY_NOT_WRITABLE`
 */
export function loadMasterKey({ value, dataDirectory }: MasterKeyOptions): Buffer {
  if (value !== undefined) return parseMasterKey(value, 'MASTER_KEY');
  const file = join(dataDirectory, KEY_FILE);
  try {
    mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
    if (statSync(file, { throwIfNoEntry: false }) === undefined) makeKeyFile(file);
    return readKeyFile(file);
  } catch (error) {
    throw unusable(file, error);
  }
}

/** The key that is there, for those who must not make one; null when there is none. @throws as loadMasterKey does */
export function findMasterKey({ value, dataDirectory }: MasterKeyOptions): Buffer | null {
  if (value !== undefined) return parseMasterKey(value, 'MASTER_KEY');
  const file = join(dataDirectory, KEY_FILE);
  try {
    return statSync(file, { throwIfNoEntry: false }) === undefined ? null : readKeyFile(file);
  } catch (error) {
    throw unusable(file, error);
  }
}

function readKeyFile(file: string): Buffer {
  if ((statSync(file).mode & OTHERS) !== 0) {
    throw new StorageError('MASTER_KEY_INVALID', `others can read ${file}: chmod 600 it, and replace the key`);
  }
  return parseMasterKey(readFileSync(file, 'utf8'), file);
}

function unusable(file: string, error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return new StorageError('DATA_DIRECTORY_NOT_WRITABLE', `the key file ${file} cannot be used (${reason})`, {
    cause: error,
  });
}

function parseMasterKey(value: string, source: string): Buffer {
  const text = value.trim();
  const isHex = /^[0-9a-f]+$/i.test(text) && text.length === MASTER_KEY_BYTES * 2;
  const key = Buffer.from(text, isHex ? 'hex' : 'base64');
  if (key.length !== MASTER_KEY_BYTES || (!isHex && !/^[\w+/-]{43}=?$/.test(text))) {
    throw new StorageError(
      'MASTER_KEY_INVALID',
      `${source} must be ${MASTER_KEY_BYTES} bytes in hexadecimal or base64`,
    );
  }
  return key;
}

/** Written aside and linked into place: nobody can see half a key, and of two first starts one wins. */
function makeKeyFile(file: string): void {
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  const handle = openSync(draft, 'wx', 0o600);
  try {
    writeSync(handle, `${randomBytes(MASTER_KEY_BYTES).toString('hex')}\n`);
    fsyncSync(handle);
    linkSync(draft, file);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    closeSync(handle);
    rmSync(draft, { force: true });
  }
}
