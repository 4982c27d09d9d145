import { randomBytes } from 'node:crypto';
import { constants, copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { EPOCH_BYTES } from '../log-sequence.ts';
import { openReadOnly } from '../open-read-only.ts';
import { toSqliteError } from '../sqlite/sqlite-error.ts';
import { StorageError } from '../storage-error.ts';
import type { Vault } from '../vault.ts';
import { syncFile } from '../durable-files.ts';
import { type Manifest, readManifest, sha256Of } from './manifest.ts';
import { quickCheck, readFacts } from './verify.ts';

const OWNER_ONLY = 0o077;
const COMPANIONS = ['', '-wal', '-shm'] as const;

export interface RestoreOptions {
  readonly backup: string;
  /** Where the product will look for its database; no product may be running on it. */
  readonly target: string;
  /** Of the master key that the product will use; null when there is none yet. */
  readonly vault: Vault | null;
  /** Puts a store that is there aside, and takes a backup whose secrets the key at hand cannot open. */
  readonly isForced: boolean;
  /** Milliseconds since the epoch; default the system's clock. */
  readonly now?: () => number;
}

export interface Restored {
  readonly manifest: Manifest;
  /** Where the store that was there is now; null when there was none. */
  readonly putAside: string | null;
  /** Whether cursors that were given before are void: their holders are told that there is a gap. */
  readonly isNewEpoch: boolean;
}

/**
 * Puts a backup in the place of the database, after it was found to be whole. Numbers of the log that were given after the
 * backup will be given again to other events, so the store gets a new epoch: whoever comes with an old cursor is told of
 * a gap instead of being served something else. Only when the store that is replaced stands at the same number does the
 * old epoch stay.
 *
 * @throws StorageError `CORRUPT`, `DATABASE_TOO_NEW`, `CONSTRAINT` (a store is there, and it was not forced), `BUSY` (a
 * product runs on it), `MASTER_KEY_INVALID` (the secrets were sealed with another key, and it was not forced)
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { backup, target, isForced, now = Date.now } = options;
  const manifest = readManifest(backup);
  await assertWhole(backup, manifest);
  assertKeyFits(manifest, options.vault, isForced);
  const isThere = existsSync(target);
  if (isThere && !isForced) {
    throw new StorageError('CONSTRAINT', `there is a database at ${target}; --force puts it aside`);
  }
  if (isThere) assertNobodyRuns(target);
  const present = isThere ? await readPlace(target) : null;
  const isNewEpoch = present === null || present.epoch !== manifest.epoch || present.head !== manifest.head;

  const draft = `${target}.restoring`;
  const umask = process.umask(OWNER_ONLY);
  try {
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    for (const end of COMPANIONS) rmSync(`${draft}${end}`, { force: true });
    copyFileSync(backup, draft, constants.COPYFILE_FICLONE);
    prepare(draft, isNewEpoch);
    await syncFile(draft);
    const putAside = isThere ? `${target}.before-restore-${now()}` : null;
    if (putAside !== null) {
      for (const end of COMPANIONS) {
        if (existsSync(`${target}${end}`)) renameSync(`${target}${end}`, `${putAside}${end}`);
      }
    }
    renameSync(draft, target);
    await syncFile(target);
    return { manifest, putAside, isNewEpoch };
  } finally {
    for (const end of COMPANIONS) rmSync(`${draft}${end}`, { force: true });
    process.umask(umask);
  }
}

async function assertWhole(backup: string, manifest: Manifest): Promise<void> {
  if ((await sha256Of(backup)) !== manifest.sha256) {
    throw new StorageError('CORRUPT', `${backup} is not what its manifest describes: its SHA-256 differs`);
  }
  const store = openReadOnly(`sqlite:${backup}`);
  try {
    const damage = await quickCheck(store);
    if (damage.length > 0) throw new StorageError('CORRUPT', `${backup} is damaged: ${damage.join('; ')}`);
    const facts = await readFacts(store);
    if (facts.epoch !== manifest.epoch || facts.head !== manifest.head) {
      throw new StorageError('CORRUPT', `${backup} and its manifest are of different stores`);
    }
  } finally {
    await store.close();
  }
}

function assertKeyFits({ keyIds }: Manifest, vault: Vault | null, isForced: boolean): void {
  if (isForced || keyIds.length === 0 || (vault !== null && keyIds.includes(vault.keyId))) return;
  throw new StorageError(
    'MASTER_KEY_INVALID',
    vault === null
      ? 'the backup holds sealed secrets and there is no master key here: set MASTER_KEY, or put master.key into DATA_DIR'
      : 'the secrets of this backup were sealed with another master key: set the one of its time',
  );
}

/** @throws StorageError `BUSY` */
function assertNobodyRuns(file: string): void {
  try {
    const database = new DatabaseSync(file);
    try {
      // Asks for the file for itself alone, which it gets when no other process has it open.
      database.exec('pragma locking_mode=exclusive; begin exclusive; rollback');
    } finally {
      database.close();
    }
  } catch (error) {
    const failure = toSqliteError(error);
    // A damaged database is what one restores for.
    if (failure.code === 'BUSY') {
      throw new StorageError('BUSY', `another process has ${file} open: stop the product first`, { cause: error });
    }
  }
}

/** Where the store that is replaced stands; null when it cannot tell. */
async function readPlace(file: string): Promise<{ readonly epoch: string; readonly head: number } | null> {
  try {
    const store = openReadOnly(`sqlite:${file}`);
    try {
      return await readFacts(store);
    } finally {
      await store.close();
    }
  } catch {
    return null;
  }
}

function prepare(file: string, isNewEpoch: boolean): void {
  const database = new DatabaseSync(file);
  try {
    database.exec('pragma synchronous=full');
    // These may have been created at their platforms after the backup: the adapters look before they do it again.
    const outbox = database.prepare(`select 1 from sqlite_master where name = 'custom_events'`).get();
    if (outbox !== undefined) database.exec(`update custom_events set is_uncertain = 1 where state = 'PENDING'`);
    if (isNewEpoch) {
      const epoch = randomBytes(EPOCH_BYTES).toString('base64url');
      database.prepare(`update meta set value = ? where key = 'epoch'`).run(epoch);
    }
  } catch (error) {
    throw toSqliteError(error);
  } finally {
    database.close();
  }
}
