import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadMasterKey } from './master-key.ts';
import { createVault } from './vault.ts';

const KEY = randomBytes(32);
const IDENTITY = { integrationId: 'int_1', purpose: 'credentials', id: 'sec_1' };

describe('vault', () => {
  const vault = createVault({ masterKey: KEY });

  it.each(['', 'hunter2', '{"apiKey":"ü🚪"}', 'x'.repeat(100_000)])('opens what it sealed (case %#)', (text) => {
    const sealed = vault.seal(text, IDENTITY);
    expect(createVault({ masterKey: KEY }).open(Uint8Array.from(sealed), IDENTITY)).toBe(text);
  });

  it('seals the same text differently each time, and never in the clear', () => {
    const sealed = vault.seal('hunter2', IDENTITY);
    expect(vault.seal('hunter2', IDENTITY)).not.toEqual(sealed);
    expect(Buffer.from(sealed).includes('hunter2')).toBe(false);
  });

  it('says that it was another master key', () => {
    const sealed = vault.seal('hunter2', IDENTITY);
    const other = createVault({ masterKey: randomBytes(32) });
    expect(() => other.open(sealed, IDENTITY)).toThrow(
      expect.objectContaining({
        code: 'SECRET_UNREADABLE',
        message: expect.stringContaining('another master key') as unknown,
      }),
    );
    expect(other.keyId).not.toBe(vault.keyId);
  });

  it.each([
    ['integration', { ...IDENTITY, integrationId: 'int_2' }],
    ['purpose', { ...IDENTITY, purpose: 'webhook' }],
    ['row', { ...IDENTITY, id: 'sec_2' }],
  ])('does not open the secret of another %s', (_, identity) => {
    const sealed = vault.seal('hunter2', IDENTITY);
    expect(() => vault.open(sealed, identity)).toThrow(expect.objectContaining({ code: 'SECRET_UNREADABLE' }));
  });

  it('opens nothing in which a single byte was changed or is missing', () => {
    const sealed = vault.seal('hunter2', IDENTITY);
    for (let index = 0; index < sealed.length; index += 1) {
      const altered = Uint8Array.from(sealed);
      altered[index] = altered[index]! ^ 1;
      const refused = expect.objectContaining({ code: 'SECRET_UNREADABLE' }) as Error;
      expect(() => vault.open(altered, IDENTITY)).toThrow(refused);
      expect(() => vault.open(sealed.slice(0, index), IDENTITY)).toThrow(refused);
    }
  });

  it('refuses a master key of another length', () => {
    expect(() => createVault({ masterKey: randomBytes(16) })).toThrow(
      expect.objectContaining({ code: 'MASTER_KEY_INVALID' }),
    );
  });
});

describe('master key', () => {
  let dataDirectory = '';
  beforeEach(() => {
    dataDirectory = join(mkdtempSync(join(tmpdir(), 'convergraph-test-')), 'data');
  });
  afterEach(() => rmSync(join(dataDirectory, '..'), { recursive: true, force: true }));

  it.each(['hex', 'base64', 'base64url'] as const)('is read from %s', (encoding) => {
    expect(loadMasterKey({ value: ` ${KEY.toString(encoding)}\n`, dataDirectory })).toEqual(KEY);
    expect(existsSync(dataDirectory)).toBe(false);
  });

  it.each([
    '',
    'password',
    KEY.toString('hex').slice(2),
    KEY.toString('base64').slice(4),
    'x'.repeat(64),
    '!'.repeat(43),
  ])('is refused when it is not 32 bytes: "%s"', (value) => {
    const load = () => loadMasterKey({ value, dataDirectory });
    expect(load).toThrow(expect.objectContaining({ code: 'MASTER_KEY_INVALID' }));
  });

  it('is not repeated in the error', () => {
    expect(() => loadMasterKey({ value: 'hunter2', dataDirectory })).toThrow(
      'MASTER_KEY must be 32 bytes in hexadecimal or base64',
    );
  });

  it('is made once, in a file of its owner', () => {
    const made = loadMasterKey({ value: undefined, dataDirectory });
    expect(made).toHaveLength(32);
    expect(loadMasterKey({ value: undefined, dataDirectory })).toEqual(made);
    expect(readdirSync(dataDirectory)).toEqual(['master.key']);
    expect(statSync(join(dataDirectory, 'master.key')).mode & 0o777).toBe(0o600);
    expect(statSync(dataDirectory).mode & 0o777).toBe(0o700);
  });

  it.each([0o640, 0o604, 0o666])('is refused when others can read its file (mode %o)', (mode) => {
    loadMasterKey({ value: undefined, dataDirectory });
    chmodSync(join(dataDirectory, 'master.key'), mode);
    const refused = expect.objectContaining({ code: 'MASTER_KEY_INVALID' }) as Error;
    expect(() => loadMasterKey({ value: undefined, dataDirectory })).toThrow(refused);
  });

  it('is refused when its file was damaged, and the file is left alone', () => {
    loadMasterKey({ value: undefined, dataDirectory });
    const file = join(dataDirectory, 'master.key');
    writeFileSync(file, 'half a k');
    const refused = expect.objectContaining({ code: 'MASTER_KEY_INVALID' }) as Error;
    expect(() => loadMasterKey({ value: undefined, dataDirectory })).toThrow(refused);
    expect(readFileSync(file, 'utf8')).toBe('half a k');
  });

  it('names the directory that cannot be written', () => {
    writeFileSync(dataDirectory, '');
    const refused = expect.objectContaining({ code: 'DATA_DIRECTORY_NOT_WRITABLE' }) as Error;
    expect(() => loadMasterKey({ value: undefined, dataDirectory })).toThrow(refused);
  });
});
