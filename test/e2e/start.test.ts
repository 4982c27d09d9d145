import { spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

// `npm start` with settings that cannot work: it stops at once and says what to mend.

const SCRIPT = new URL('../../main.ts', import.meta.url).pathname;
const AUTH = {
  AUTH_ISSUER: 'https://login.example.com',
  AUTH_AUDIENCE: 'convergraph',
  AUTH_JWKS_URL: 'https://login.example.com/jwks',
};
let dir = '';

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'convergraph-start-'));
});

afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

function start(env: Record<string, string>) {
  const { status, stderr, stdout } = spawnSync(process.execPath, [SCRIPT], {
    cwd: dir,
    env: { PATH: process.env['PATH'], ...env },
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, text: stdout + stderr };
}

describe('a start that cannot work', () => {
  it('names every bad setting at once', () => {
    const { status, text } = start({
      PORT: 'eighty',
      AUTH_JWKS_URL: 'http://login.example.com/jwks',
      MASTER_KEY: 'short',
    });
    expect(status).toBe(1);
    for (const variable of ['PORT', 'AUTH_ISSUER', 'AUTH_AUDIENCE', 'AUTH_JWKS_URL', 'MASTER_KEY'])
      expect(text).toContain(variable);
    expect(text).not.toContain('eighty');
    expect(text).not.toMatch(/^\s+at /m);
  });

  it('says in one line that the port is taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    try {
      const { status, text } = start({
        ...AUTH,
        DATA_DIR: join(dir, 'data'),
        PORT: String((other.address() as AddressInfo).port),
        LOG_LEVEL: 'silent',
      });
      expect(status).toBe(1);
      expect(text.trim().split('\n')).toHaveLength(1);
      expect(text).toMatch(/another program listens there/);
    } finally {
      other.close();
    }
  });

  it('says in one line that the data directory cannot be written', () => {
    const file = join(dir, 'not-a-directory');
    writeFileSync(file, '');
    chmodSync(file, 0o400);
    const { status, text } = start({ ...AUTH, DATA_DIR: join(file, 'data'), PORT: '0', LOG_LEVEL: 'silent' });
    expect(status).toBe(1);
    expect(text.trim().split('\n')).toHaveLength(1);
    expect(text).toContain(file);
  });
});
