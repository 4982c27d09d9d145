import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from './database.ts';
import { openDatabase } from './open-database.ts';
import { createTestStore, postgresUrl } from './testing.ts';

const logger = pino({ level: 'silent' });

describe('opening a database', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'convergraph-test-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const openUrl = (url: string, schema?: string) => openDatabase({ url, logger, schema });

  it.each(['', 'sqlite:', 'mysql://root@localhost/x', 'postgres://[', 'data.db'])(
    'refuses the URL "%s"',
    async (url) => {
      await expect(openUrl(url)).rejects.toMatchObject({ code: 'BAD_DATABASE_URL' });
    },
  );

  it('refuses a schema whose name is SQL', async () => {
    await expect(openUrl('postgres://localhost/x', 'a"; drop table x')).rejects.toMatchObject({
      code: 'BAD_DATABASE_URL',
    });
  });

  it('says which directory cannot be written', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    await expect(openUrl(`sqlite:${join(file, 'data', 'main.db')}`)).rejects.toMatchObject({
      code: 'DATA_DIRECTORY_NOT_WRITABLE',
      message: expect.stringContaining(join(file, 'data')) as unknown,
    });
  });

  it('says that the path of the database is a directory', async () => {
    await expect(openUrl(`sqlite:${directory}`)).rejects.toMatchObject({ code: 'DATA_DIRECTORY_NOT_WRITABLE' });
  });

  it('makes the directory and files that only their owner can read', async () => {
    const file = join(directory, 'a', 'b', 'main.db');
    const db = await openDatabase({ url: `sqlite:${file}`, logger });
    for (const name of [file, `${file}-wal`]) expect(statSync(name).mode & 0o777).toBe(0o600);
    await db.close();
  });

  it('refuses a file that is no database', async () => {
    const file = join(directory, 'main.db');
    writeFileSync(file, 'Dear diary, '.repeat(1_000));
    await expect(openUrl(`sqlite:${file}`)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('refuses a damaged database', async () => {
    const file = join(directory, 'main.db');
    const db = await openDatabase({ url: `sqlite:${file}`, logger });
    const rows = Array.from({ length: 500 }, (_, index) => [`d${index}`, 'o', `tag ${index}`]);
    await db.write((tx) => db.bulkInsert(tx, { table: 'device_tags', columns: ['device_id', 'org_id', 'tag'], rows }));
    await db.close();
    const bytes = readFileSync(file);
    bytes.fill(0xa5, bytes.length - 6_000, bytes.length - 2_000);
    writeFileSync(file, bytes);
    await expect(openUrl(`sqlite:${file}`)).rejects.toMatchObject({ code: 'CORRUPT' });
    // Unless it is so large that a start would take too long: then `npm run verify` looks.
    const unchecked = await openDatabase({ url: `sqlite:${file}`, logger, checkMaxBytes: bytes.length - 1 });
    await unchecked.close();
    const checked = openDatabase({ url: `sqlite:${file}`, logger, checkMaxBytes: bytes.length });
    await expect(checked).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('names the host that does not answer', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    server.close();
    await once(server, 'close');
    await expect(openUrl(`postgres://someone:hunter2@127.0.0.1:${port}/x`)).rejects.toMatchObject({
      code: 'DATABASE_UNREACHABLE',
      message: `PostgreSQL cannot be reached (ECONNREFUSED) at 127.0.0.1:${port}`,
    });
  });

  it('says that PostgreSQL refused the login, without the password', async () => {
    const url = new URL(await postgresUrl());
    url.password = 'hunter2';
    const error: unknown = await openDatabase({ url: url.href, logger }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'DATABASE_LOGIN_REFUSED' });
    expect(String(error) + JSON.stringify(error)).not.toContain('hunter2');
  });

  it('says that the database is missing', async () => {
    const url = new URL(await postgresUrl());
    url.pathname = '/nowhere';
    await expect(openUrl(url.href)).rejects.toMatchObject({ code: 'DATABASE_MISSING' });
  });
});

describe.each(['sqlite', 'postgres'] as const)('migrations on %s', (engine) => {
  const withStore = async (
    job: (open: () => Promise<Database>, schema: string | undefined) => Promise<void>,
  ): Promise<void> => {
    const store = await createTestStore(engine);
    try {
      await job(() => openDatabase(store.options), store.options.schema);
    } finally {
      await store.remove();
    }
  };

  it('make every table of the types, and run once', async () => {
    await withStore(async (open, schema) => {
      const first = await open();
      const tables = (await first.read.introspection.getTables())
        .filter((table) => table.schema === schema)
        .map((table) => table.name);
      await first.close();
      const declared = ['tables.ts', 'status-tables.ts'].map(
        (file) =>
          /interface \w*Tables [^{]*\{([^}]*)\}/.exec(readFileSync(new URL(file, import.meta.url), 'utf8'))?.[1],
      );
      const names = Array.from(declared.join('').matchAll(/(\w+): \w+Table/g), (match) => match[1]);
      expect(names.length).toBeGreaterThan(15);
      expect(new Set(tables)).toEqual(new Set(names));
      const second = await open();
      await second.close();
    });
  });

  it('refuse a database that a newer program has changed', async () => {
    await withStore(async (open) => {
      const db = await open();
      await db.write((tx) =>
        sql`insert into kysely_migration values ('9999-later', '2030-01-01T00:00:00Z')`.execute(tx),
      );
      await db.close();
      await expect(open()).rejects.toMatchObject({
        code: 'DATABASE_TOO_NEW',
        message: expect.stringContaining('9999-later') as unknown,
      });
    });
  });
});
