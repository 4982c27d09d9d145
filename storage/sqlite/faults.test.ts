import { existsSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { sql } from 'kysely';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Database } from '../database.ts';
import { openDatabase } from '../open-database.ts';
import { createTestStore } from '../testing.ts';
import { createCheckpointer } from './checkpointer.ts';
import { toSqliteError } from './sqlite-error.ts';

async function open(): Promise<{ db: Database; file: string }> {
  const { options, remove } = await createTestStore('sqlite');
  const db = await openDatabase(options);
  onTestFinished(async () => {
    await db.close();
    await remove();
  });
  return { db, file: options.url.slice('sqlite:'.length) };
}

function insertBytes(db: Database, id: string, bytes: number): Promise<unknown> {
  const columns = ['id', 'integration_id', 'purpose', 'sealed', 'hint', 'created_at'];
  const rows = [[id, 'i', 'webhook', new Uint8Array(bytes), '', 0]];
  return db.write((tx) => db.bulkInsert(tx, { table: 'secrets', columns, rows }));
}

async function storedIds(db: Database): Promise<string[]> {
  return (await db.read.selectFrom('secrets').select('id').orderBy('id').execute()).map(({ id }) => id);
}

/** A handle such as another process, a backup for example, would have. */
function openSecond(file: string): DatabaseSync {
  const second = new DatabaseSync(file);
  onTestFinished(() => {
    if (second.isOpen) second.close();
  });
  return second;
}

describe('SQLite under faults', () => {
  it('refuses a write that does not fit on the disk, keeps what it had, and recovers by itself', async () => {
    const { db } = await open();
    await insertBytes(db, 'before', 10);
    const limit = (pages: number) => db.write((tx) => sql`pragma max_page_count = ${sql.lit(pages)}`.execute(tx));
    await limit(1);
    await expect(insertBytes(db, 'too much', 2_000_000)).rejects.toMatchObject({ code: 'DISK_FULL', retryable: true });
    expect(await storedIds(db)).toEqual(['before']);
    await limit(1_000_000);
    await insertBytes(db, 'after', 2_000_000);
    expect(await storedIds(db)).toEqual(['after', 'before']);
  });

  it('says that the database became read-only', async () => {
    const { db } = await open();
    await db.write((tx) => sql`pragma query_only = on`.execute(tx));
    await expect(insertBytes(db, 'a', 1)).rejects.toMatchObject({ code: 'READ_ONLY', retryable: true });
    expect(await storedIds(db)).toEqual([]);
  });

  it('waits for a writer in another process without stopping this one', async () => {
    const { db, file } = await open();
    const other = openSecond(file);
    other.exec('begin immediate');
    const write = insertBytes(db, 'a', 1);
    // Reads and timers go on meanwhile.
    let reads = 0;
    await vi.waitFor(async () => {
      expect(await storedIds(db)).toEqual([]);
      reads += 1;
      expect(reads).toBeGreaterThan(2);
    });
    other.exec('commit');
    await write;
    expect(await storedIds(db)).toEqual(['a']);
  });

  it.each([
    [5, 'BUSY'],
    [517, 'BUSY'],
    [1032, 'READ_ONLY'],
    [13, 'DISK_FULL'],
    [778, 'IO'],
    [779, 'CORRUPT'],
    [2067, 'DUPLICATE'],
    [1299, 'CONSTRAINT'],
    [1, 'QUERY'],
  ])('gives result code %i the name %s', (errcode, code) => {
    expect(toSqliteError(Object.assign(new Error('x'), { code: 'ERR_SQLITE_ERROR', errcode }))).toMatchObject({ code });
  });

  it('answers only what a power cut cannot take away', async () => {
    const { db } = await open();
    const pragma = (name: string) =>
      db
        .write((tx) => sql<Record<string, unknown>>`pragma ${sql.raw(name)}`.execute(tx))
        .then(({ rows }) => rows[0]?.[name]);
    expect(await pragma('journal_mode')).toBe('wal');
    const FULL = 2;
    expect(await pragma('synchronous')).toBe(FULL);
    expect(await pragma('wal_autocheckpoint')).toBe(0);
  });

  it('leaves no log behind when it closes', async () => {
    const { db, file } = await open();
    await insertBytes(db, 'a', 500_000);
    expect(statSync(`${file}-wal`).size).toBeGreaterThan(500_000);
    await db.close();
    expect(existsSync(`${file}-wal`)).toBe(false);
  });
});

const silent = pino({ level: 'silent' });

describe('the checkpointer', () => {
  const fill = (second: DatabaseSync, megabytes: number) => {
    second.exec('create table if not exists filler (bytes blob); pragma wal_autocheckpoint=0');
    const insert = second.prepare('insert into filler values (zeroblob(1000000))');
    for (let count = 0; count < megabytes; count += 1) insert.run();
  };

  it('moves pages to the database from a thread of its own', async () => {
    const { file } = await open();
    const before = statSync(file).size;
    const checkpointer = createCheckpointer({ file, logger: silent, intervalMs: 1 });
    fill(openSecond(file), 3);
    checkpointer.wrote();
    await vi.waitFor(() => expect(statSync(file).size).toBeGreaterThan(before + 2_900_000));
    await checkpointer.close();
  });

  it('starts the log over when it grew too long, in the same file', async () => {
    const { file } = await open();
    const second = openSecond(file);
    fill(second, 3);
    const before = statSync(`${file}-wal`).size;
    const checkpointer = createCheckpointer({ file, logger: silent, intervalMs: 1, maxWalBytes: 1_000_000 });
    checkpointer.wrote();
    await vi.waitFor(() => {
      second.exec('insert into filler values (zeroblob(10))');
      expect(Number(second.prepare('pragma wal_checkpoint(passive)').get()?.['log'])).toBeLessThan(100);
    });
    expect(statSync(`${file}-wal`).size).toBeLessThan(before + 100_000);
    expect(statSync(`${file}-wal`).size).toBeGreaterThan(before - 100_000);
    await checkpointer.close();
  });

  it('makes a log short again that grew out of all proportion', async () => {
    const { file } = await open();
    fill(openSecond(file), 6);
    const checkpointer = createCheckpointer({ file, logger: silent, intervalMs: 1, maxWalBytes: 1_000_000 });
    checkpointer.wrote();
    await vi.waitFor(() => expect(statSync(`${file}-wal`).size).toBe(0));
    await checkpointer.close();
  });

  it('does nothing, not even start its thread, while nobody writes', async () => {
    const checkpointer = createCheckpointer({
      file: '/does/not/exist',
      logger: pino({ level: 'silent' }),
      intervalMs: 1,
    });
    await expect(checkpointer.close()).resolves.toBeUndefined();
  });
});
