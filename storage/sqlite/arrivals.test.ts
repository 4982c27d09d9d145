import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { backUp } from '../backup/backup.ts';
import type { Database } from '../database.ts';
import type { Delivery } from '../delivery.ts';
import { integrationRow } from '../fixtures/directory-rows.ts';
import { openDatabase } from '../open-database.ts';
import { openReadOnly } from '../open-read-only.ts';
import { StorageError } from '../storage-error.ts';
import { createArrivals } from './arrivals.ts';
import { type ArrivalsFile, arrivalsFileOf, hasArrivals, openArrivalsFile } from './arrivals-file.ts';
import { createTurnMemory } from './write-turn.ts';

const logger = pino({ level: 'silent' });
const T = Date.parse('2026-11-20T12:00:00Z');
let dir: string;
let file: string;
const open: Database[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'convergraph-test-'));
  file = join(dir, 'convergraph.db');
});
afterEach(async () => {
  for (const db of open.splice(0)) await db.close();
  rmSync(dir, { recursive: true, force: true });
});

async function opened(options: Partial<Parameters<typeof openDatabase>[0]> = {}): Promise<Database> {
  const db = await openDatabase({ url: `sqlite:${file}`, logger, ...options });
  open.push(db);
  return db;
}

/** The two threads of a product, and an integration. */
async function threads() {
  const memory = createTurnMemory();
  const main = await opened({ thread: { memory, number: 0 } });
  const worker = await opened({ thread: { memory, number: 1 } });
  await main.write((tx) => tx.insertInto('integrations').values(integrationRow('int_1', 'org_1')).execute());
  return { main, worker };
}

function delivery(name: string, changes: Partial<Delivery> = {}): Delivery {
  return {
    orgId: 'org_1',
    integrationId: 'int_1',
    source: 'WEBHOOK',
    receivedAt: T,
    key: Buffer.from(name.padEnd(16, '.')),
    headers: '{"a":"b"}',
    body: Buffer.from(`{"name":"${name}"}`),
    ...changes,
  };
}

async function inbox(db: Pick<Database, 'read'>): Promise<string[]> {
  const rows = await db.read.selectFrom('inbox').select(['body', 'status', 'headers']).orderBy('id').execute();
  return rows.map(({ body, status, headers }) => `${status} ${headers} ${Buffer.from(body).toString()}`);
}

async function duplicates(db: Database): Promise<number[]> {
  const remembered = await db.read.selectFrom('dedupe').select('duplicates').orderBy('key').execute();
  const counted = await db.read.selectFrom('integration_counters').select('duplicates').execute();
  return [...remembered.map((row) => row.duplicates), ...counted.map((row) => row.duplicates)];
}

const stored = (name: string) => `PENDING {"a":"b"} {"name":"${name}"}`;

describe('arrivals', () => {
  it('are stored by one thread and moved by the other, in order, once', async () => {
    const { main, worker } = await threads();
    expect(await main.arrivals?.append([delivery('b'), delivery('a')])).toEqual([true, true]);
    expect(await main.arrivals?.append([delivery('c', { receivedAt: T + 1 })])).toEqual([true]);
    expect(await inbox(main)).toEqual([]);
    expect(main.arrivals?.oldest()).toBe(T);
    expect(await worker.arrivals?.move()).toBe(3);
    expect(await inbox(main)).toEqual(['b', 'a', 'c'].map(stored));
    expect(await worker.arrivals?.move()).toBe(0);
    expect(await inbox(main)).toHaveLength(3);
    expect(main.arrivals?.oldest()).toBeNull();
    expect(hasArrivals(file)).toBe(false);
  });

  it('are moved with a transaction that is under way, or stay where they are with it', async () => {
    const { main, worker } = await threads();
    await main.arrivals?.append([delivery('a')]);
    const failed = worker.write(async (tx) => {
      await worker.arrivals?.moveWithin(tx);
      throw new Error('of the test');
    });
    await expect(failed).rejects.toThrow('of the test');
    expect(await inbox(main)).toEqual([]);
    await worker.write(async (tx) => worker.arrivals?.moveWithin(tx));
    await worker.write(async (tx) => worker.arrivals?.moveWithin(tx));
    expect(await inbox(main)).toEqual([stored('a')]);
  });

  it('tell a repetition wherever the first one is, and count it', async () => {
    const { main, worker } = await threads();
    expect(await main.arrivals?.append([delivery('a'), delivery('a'), delivery('b')])).toEqual([true, false, true]);
    expect(await main.arrivals?.append([delivery('a')])).toEqual([false]);
    await worker.arrivals?.move();
    expect(await duplicates(main)).toEqual([2, 0, 2]);
    expect(await main.arrivals?.append([delivery('b'), delivery('c')])).toEqual([false, true]);
    await worker.arrivals?.move();
    expect(await duplicates(main)).toEqual([2, 1, 0, 3]);
    expect(await inbox(main)).toEqual(['a', 'b', 'c'].map(stored));
  });

  it('of an integration that was deleted meanwhile are dropped; the others go on', async () => {
    const { main, worker } = await threads();
    await main.arrivals?.append([delivery('a', { integrationId: 'int_gone' }), delivery('b')]);
    expect(await worker.arrivals?.move()).toBe(2);
    expect(await inbox(main)).toEqual([stored('b')]);
    expect(hasArrivals(file)).toBe(false);
  });

  it('are taken over by whoever opens the store alone', async () => {
    const { main, worker } = await threads();
    await main.arrivals?.append(Array.from({ length: 1_200 }, (_, at) => delivery(`d${at}`)));
    for (const db of [worker, main]) await db.close();
    open.length = 0;
    const alone = await opened();
    expect(alone.arrivals).toBeNull();
    expect(await inbox(alone)).toHaveLength(1_200);
    expect(hasArrivals(file)).toBe(false);
  });

  it('that were moved and not dropped, because the process died, are not moved again', async () => {
    const { main, worker } = await threads();
    const kept = await openArrivalsFile(arrivalsFileOf(file), 'relaxed');
    const neverDrops: ArrivalsFile = { ...kept, forget: async () => {} };
    const dying = createArrivals({ appending: null, moving: neverDrops, db: worker, isKnown: () => false, logger });
    await main.arrivals?.append([delivery('a'), delivery('a')]);
    await dying.move();
    expect(hasArrivals(file)).toBe(true);
    kept.close();
    await main.arrivals?.append([delivery('b')]);
    await worker.arrivals?.move();
    expect(await inbox(main)).toEqual(['a', 'b'].map(stored));
    expect(await duplicates(main)).toEqual([1, 0, 1]);
  });

  it('of another file begin from the start, whatever the numbers of the one before', async () => {
    const { main, worker } = await threads();
    await main.arrivals?.append([delivery('a'), delivery('b')]);
    await worker.arrivals?.move();
    for (const db of [worker, main]) await db.close();
    open.length = 0;
    for (const end of ['', '-wal', '-shm']) rmSync(`${arrivalsFileOf(file)}${end}`, { force: true });
    const memory = createTurnMemory();
    const again = await opened({ thread: { memory, number: 0 } });
    await again.arrivals?.append([delivery('c')]);
    await again.arrivals?.move();
    expect(await inbox(again)).toEqual(['a', 'b', 'c'].map(stored));
  });

  it('are part of a backup, and those that came after it are processed by the store that it is put back to', async () => {
    const { main, worker } = await threads();
    await main.arrivals?.append([delivery('a')]);
    await worker.arrivals?.move();
    await main.arrivals?.append([delivery('b'), delivery('b')]);
    const copy = join(dir, 'backup.db');
    await backUp({ source: file, target: copy });
    const inCopy = openReadOnly(`sqlite:${copy}`);
    expect(await inbox(inCopy)).toEqual(['a', 'b'].map(stored));
    await inCopy.close();
    await main.arrivals?.append([delivery('c')]);
    for (const db of [worker, main]) await db.close();
    open.length = 0;
    for (const end of ['', '-wal', '-shm']) rmSync(`${file}${end}`, { force: true });
    copyFileSync(copy, file);
    expect(
      readdirSync(dir)
        .filter((name) => name.startsWith('backup'))
        .toSorted(),
    ).toEqual(['backup.db', 'backup.db.manifest.json']);
    const restored = await opened();
    expect(await inbox(restored)).toEqual(['a', 'b', 'c'].map(stored));
    expect(await duplicates(restored)).toEqual([0, 1, 0, 1]);
  });

  it('go on with their numbers when all rows are gone', async () => {
    const { main, worker } = await threads();
    for (const name of ['a', 'b', 'c']) {
      await main.arrivals?.append([delivery(name)]);
      expect(await worker.arrivals?.move()).toBe(1);
      expect(hasArrivals(file)).toBe(false);
    }
    expect(await inbox(main)).toHaveLength(3);
  });

  it('take no more when too many wait', async () => {
    const { main } = await threads();
    const direct = await openArrivalsFile(arrivalsFileOf(file), 'relaxed');
    await direct.append([delivery('a')], () => false);
    for (let at = 0; at < 3; at++) await main.arrivals?.append([delivery(`x${at}`)]);
    direct.close();
    const raw = new DatabaseSync(arrivalsFileOf(file));
    raw.exec('update arrivals set id = 300000 where id = (select max(id) from arrivals)');
    raw.close();
    await expect(main.arrivals?.append([delivery('b')])).rejects.toMatchObject({ code: 'OVERLOADED' });
    await expect(main.arrivals?.append([delivery('b')])).rejects.toBeInstanceOf(StorageError);
  });

  it('can be written, or say why not', async () => {
    const { main } = await threads();
    await main.arrivals?.probe('x'.repeat(1_000));
    const other = new DatabaseSync(arrivalsFileOf(file));
    expect(other.prepare('select probe from identity').get()).toEqual({ probe: '' });
    other.close();
  });
});
