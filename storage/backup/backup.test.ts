import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Database } from '../database.ts';
import { insertEvents } from '../event-log.ts';
import { eventRow } from '../fixtures/event-rows.ts';
import { SEGMENT_EVENTS, sealNextSegment } from '../log-chain.ts';
import { openDatabase } from '../open-database.ts';
import { openReadOnly } from '../open-read-only.ts';
import { createTestStore } from '../testing.ts';
import { createVault } from '../vault.ts';
import { backUp } from './backup.ts';
import { manifestFileOf } from './manifest.ts';
import { restore } from './restore.ts';
import { verifyStore } from './verify.ts';

const silent = pino({ level: 'silent' });
const NOON = Date.UTC(2026, 10, 20, 12);
const vault = createVault({ masterKey: Buffer.alloc(32, 7) });
const otherVault = createVault({ masterKey: Buffer.alloc(32, 8) });

async function append(db: Database, count: number): Promise<void> {
  await db.write(async (tx) => {
    const first = await db.takeSequence(tx, count);
    await insertEvents(
      db,
      tx,
      Array.from({ length: count }, (_, at) => eventRow(first + at, { summary: `event number ${first + at}` })),
    );
  });
}

/** A store with a sealed log of two segments, a secret, and something in the outbox. */
async function openStore() {
  const { options, remove } = await createTestStore('sqlite');
  const file = options.url.slice('sqlite:'.length);
  const db = await openDatabase(options);
  onTestFinished(async () => {
    await db.close();
    await remove();
  });
  await append(db, 2 * SEGMENT_EVENTS);
  while ((await sealNextSegment(db, NOON)) > 0);
  const identity = { integrationId: 'int_a', purpose: 'credentials', id: 'sec_a' };
  const sealed = vault.seal('hunter2', identity);
  await db.write(async (tx) => {
    const secret = { id: 'sec_a', integration_id: 'int_a', purpose: 'credentials', sealed, hint: '' };
    await tx
      .insertInto('secrets')
      .values({ ...secret, created_at: NOON, expires_at: null, last_used_at: null })
      .execute();
  });
  const at = (name: string) => join(dirname(file), name);
  return { db, file, at, backup: at('backup.db'), target: at('restored/convergraph.db'), url: options.url };
}

async function verdictOf(file: string) {
  const store = openReadOnly(`sqlite:${file}`);
  try {
    return await verifyStore(store, vault);
  } finally {
    await store.close();
  }
}

describe('a backup', () => {
  it('is one moment of a store that is written meanwhile, and says what it is', async () => {
    const { db, file, backup } = await openStore();
    let isOver = false;
    const writing = (async () => {
      while (!isOver) {
        await append(db, 10);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const manifest = await backUp({ source: file, target: backup, now: () => NOON });
    isOver = true;
    await writing;
    expect(manifest).toMatchObject({ madeAt: '2026-11-20T12:00:00.000Z', epoch: db.epoch, keyIds: [vault.keyId] });
    expect(manifest.counts['events']).toBe(manifest.head);
    expect(manifest.bytes).toBe(statSync(backup).size);
    expect(JSON.parse(readFileSync(manifestFileOf(backup), 'utf8'))).toEqual(manifest);
    expect(await verdictOf(backup)).toMatchObject({
      damage: [],
      unreadableSecrets: 0,
      chain: { segments: 2, broken: [], head: manifest.chainHead },
    });
    expect(statSync(backup).mode & 0o077).toBe(0);
    // Sealed, and the key is not there.
    expect(readFileSync(backup).includes('hunter2')).toBe(false);
    expect(existsSync(`${backup}.partial`)).toBe(false);
  });

  it('replaces nothing that is there', async () => {
    const { file, backup } = await openStore();
    writeFileSync(backup, 'something else');
    await expect(backUp({ source: file, target: backup })).rejects.toMatchObject({ code: 'CONSTRAINT' });
    expect(readFileSync(backup, 'utf8')).toBe('something else');
    await expect(backUp({ source: `${file}x`, target: `${backup}x` })).rejects.toMatchObject({
      code: 'DATABASE_MISSING',
    });
  });

  it('is not made of a log that does not match its seals', async () => {
    const { db, file, backup } = await openStore();
    await db.write((tx) => tx.updateTable('events').set({ type: 'x' }).where('seq', '=', 7).execute());
    await expect(backUp({ source: file, target: backup })).rejects.toMatchObject({ code: 'CORRUPT' });
    expect(existsSync(backup) || existsSync(manifestFileOf(backup))).toBe(false);
  });
});

describe('a flipped bit in a copy', () => {
  it('is found by its manifest and, where SQLite sees nothing, by the seals over the log', async () => {
    const { file, backup, target } = await openStore();
    await backUp({ source: file, target: backup });
    const bytes = readFileSync(backup);
    const place = bytes.indexOf('event number 1234');
    expect(place).toBeGreaterThan(0);
    bytes[place] = (bytes[place] ?? 0) ^ 1;
    writeFileSync(backup, bytes);
    const verdict = await verdictOf(backup);
    expect(verdict.damage).toEqual([]);
    expect(verdict.chain.broken).toMatchObject([{ afterSeq: 1_000, toSeq: 2_000, reason: 'CONTENT' }]);
    await expect(restore({ backup, target, vault, isForced: true })).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining('SHA-256'),
    });
  });

  it('in the structure of the file is found by SQLite', async () => {
    const { file, backup } = await openStore();
    await backUp({ source: file, target: backup });
    const bytes = readFileSync(backup);
    // Heads of pages in the middle: their kind.
    for (let page = 20; page < 40; page += 1) bytes[page * 4_096] = 0xff;
    writeFileSync(backup, bytes);
    const verdict = verdictOf(backup);
    await expect(
      verdict.then(
        ({ damage }) => damage.length > 0,
        ({ code }) => code === 'CORRUPT',
      ),
    ).resolves.toBe(true);
  });
});

describe('a restored store', () => {
  it('has what the backup had, under a new epoch, and repeats nothing at other platforms unseen', async () => {
    const { db, file, backup, target } = await openStore();
    const entry = {
      id: 'ce_a',
      org_id: 'o',
      source_device_id: 'd',
      target_device_id: 'e',
      target_integration_id: 'i',
      payload: '{}',
      attempts: 0,
      is_uncertain: 0,
      next_attempt_at: 0,
      error_code: null,
      error_message: null,
      created_at: 0,
      settled_at: null,
    };
    await db.write((tx) =>
      tx
        .insertInto('custom_events')
        .values({ ...entry, event_key: Buffer.alloc(16), state: 'PENDING' })
        .execute(),
    );
    const manifest = await backUp({ source: file, target: backup });
    const restored = await restore({ backup, target, vault, isForced: false });
    expect(restored).toEqual({ manifest, putAside: null, isNewEpoch: true });
    const copy = await openDatabase({ url: `sqlite:${target}`, logger: silent });
    expect(copy.epoch).not.toBe(db.epoch);
    expect(await copy.head()).toBe(manifest.head);
    expect(await copy.read.selectFrom('custom_events').select('is_uncertain').execute()).toEqual([{ is_uncertain: 1 }]);
    await append(copy, 1);
    await copy.close();
    expect(await verdictOf(target)).toMatchObject({
      damage: [],
      unreadableSecrets: 0,
      chain: { broken: [], events: 2_000 },
    });
  });

  it('puts aside what it replaces, and keeps the epoch when nothing was logged since', async () => {
    const { db, file, backup, url } = await openStore();
    await backUp({ source: file, target: backup });
    const { epoch } = db;
    await db.close();
    await expect(restore({ backup, target: file, vault, isForced: false })).rejects.toMatchObject({
      code: 'CONSTRAINT',
    });
    const same = await restore({ backup, target: file, vault, isForced: true, now: () => 1 });
    expect(same).toMatchObject({ isNewEpoch: false, putAside: `${file}.before-restore-1` });
    const later = await openDatabase({ url, logger: silent });
    expect(later.epoch).toBe(epoch);
    await append(later, 1);
    await later.close();
    expect(await restore({ backup, target: file, vault, isForced: true, now: () => 2 })).toMatchObject({
      isNewEpoch: true,
    });
    expect((await verdictOf(`${file}.before-restore-2`)).facts.head).toBe(2_001);
    // A database that cannot be read any more is what one restores for.
    writeFileSync(file, 'not a database at all');
    expect(await restore({ backup, target: file, vault, isForced: true, now: () => 3 })).toMatchObject({
      isNewEpoch: true,
    });
  });

  it('is refused while the product runs, with another key, and without its manifest', async () => {
    const { file, backup, target, at } = await openStore();
    await backUp({ source: file, target: backup });
    await expect(restore({ backup, target: file, vault, isForced: true })).rejects.toMatchObject({ code: 'BUSY' });
    for (const key of [otherVault, null]) {
      await expect(restore({ backup, target, vault: key, isForced: false })).rejects.toMatchObject({
        code: 'MASTER_KEY_INVALID',
      });
    }
    expect(await restore({ backup, target, vault: otherVault, isForced: true })).toMatchObject({ isNewEpoch: true });
    copyFileSync(backup, at('alone.db'));
    await expect(restore({ backup: at('alone.db'), target, vault, isForced: true })).rejects.toMatchObject({
      code: 'CORRUPT',
    });
    expect(existsSync(`${target}.restoring`)).toBe(false);
  });
});

describe('a store on PostgreSQL', () => {
  it('can be verified as well', async () => {
    const { options, remove } = await createTestStore('postgres');
    const db = await openDatabase(options);
    onTestFinished(async () => {
      await db.close();
      await remove();
    });
    await append(db, 1_500);
    await sealNextSegment(db, NOON);
    const identity = { integrationId: 'int_a', purpose: 'credentials', id: 'sec_a' };
    const secret = { id: 'sec_a', integration_id: 'int_a', purpose: 'credentials', hint: '', created_at: NOON };
    const sealed = otherVault.seal('hunter2', identity);
    await db.write((tx) =>
      tx
        .insertInto('secrets')
        .values({ ...secret, sealed, expires_at: null, last_used_at: null })
        .execute(),
    );
    const url = new URL(options.url);
    url.searchParams.set('options', `-c search_path=${options.schema}`);
    const store = openReadOnly(url.href);
    try {
      expect(await verifyStore(store, vault)).toMatchObject({
        damage: [],
        facts: { epoch: db.epoch, head: 1_500, tail: 0, keyIds: [otherVault.keyId], counts: { events: 1_500 } },
        chain: { segments: 1, events: 1_000, unsealed: 500, broken: [] },
        unreadableSecrets: 1,
      });
      await db.write((tx) => tx.updateTable('events').set({ summary: 'x' }).where('seq', '=', 3).execute());
      expect((await verifyStore(store, null)).chain.broken).toHaveLength(1);
    } finally {
      await store.close();
    }
  });
});
