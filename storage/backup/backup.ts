import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pino } from 'pino';
import { openFileReadOnly, openReadOnly } from '../open-read-only.ts';
import { arrivalsFileOf, hasArrivals } from '../sqlite/arrivals-file.ts';
import { openSqlite } from '../sqlite/open-sqlite.ts';
import { StorageError } from '../storage-error.ts';
import { syncFile } from '../durable-files.ts';
import { type Manifest, manifestFileOf, sha256Of } from './manifest.ts';
import { verifyStore } from './verify.ts';

const OWNER_ONLY = 0o077;
const COMPANIONS = ['', '-wal', '-shm'] as const;

export interface BackupOptions {
  /** The database; a product may be running on it. */
  readonly source: string;
  /** Must not exist. The manifest is written beside it. */
  readonly target: string;
  /** Milliseconds since the epoch; default the system's clock. */
  readonly now?: () => number;
}

/**
 * Writes one moment of the store to a file, while the product goes on, and checks what was written. The file holds no
 * log of its own and no free pages. Secrets in it stay sealed; the master key is not in it.
 *
 * @throws StorageError `CONSTRAINT` when the target exists, `DATABASE_MISSING`, `CORRUPT` when what was written does not
 * hold, `DISK_FULL`, `IO`
 */
export async function backUp({ source, target, now = Date.now }: BackupOptions): Promise<Manifest> {
  const manifestFile = manifestFileOf(target);
  for (const file of [target, manifestFile]) {
    if (existsSync(file)) throw new StorageError('CONSTRAINT', `${file} exists already; choose another name`);
  }
  mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
  const draft = `${target}.partial`;
  for (const end of COMPANIONS) rmSync(`${draft}${end}`, { force: true });
  const umask = process.umask(OWNER_ONLY);
  try {
    const connection = openFileReadOnly(source);
    try {
      // Before the database: what is moved there in between is in both, and known by its number.
      const isUnmoved = copyArrivals(source, draft);
      // One read transaction: everything in the copy is of the same moment, and nobody waits for it.
      connection.query('vacuum into ?', [draft]);
      if (isUnmoved) await takeOver(draft);
    } finally {
      connection.close();
    }
    await syncFile(draft);
    const manifest = await describe(draft, now());
    renameSync(draft, target);
    writeFileSync(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`, { flag: 'wx' });
    await syncFile(target);
    await syncFile(manifestFile);
    return manifest;
  } finally {
    for (const file of [draft, arrivalsFileOf(draft)]) {
      for (const end of COMPANIONS) rmSync(`${file}${end}`, { force: true });
    }
    process.umask(umask);
  }
}

/** What was acknowledged and is not in the inbox yet. @returns whether there is any */
function copyArrivals(source: string, draft: string): boolean {
  const [from, to] = [arrivalsFileOf(source), arrivalsFileOf(draft)];
  rmSync(to, { force: true });
  if (!hasArrivals(source)) return false;
  const connection = openFileReadOnly(from);
  try {
    connection.query('vacuum into ?', [to]);
    return true;
  } finally {
    connection.close();
  }
}

/** Whoever opens a store alone moves what waits in front of its inbox. */
async function takeOver(draft: string): Promise<void> {
  const db = await openSqlite({ file: draft, logger: pino({ level: 'silent' }) });
  await db.close();
  const connection = new DatabaseSync(draft);
  // A backup is one file.
  connection.exec('pragma journal_mode=delete');
  connection.close();
}

async function describe(file: string, now: number): Promise<Manifest> {
  const store = openReadOnly(`sqlite:${file}`);
  try {
    const { damage, chain, facts } = await verifyStore(store, null);
    const [broken] = chain.broken;
    if (damage.length > 0) throw new StorageError('CORRUPT', `the database is damaged: ${damage.join('; ')}`);
    if (broken !== undefined) {
      throw new StorageError('CORRUPT', `the log does not match its seal behind number ${broken.afterSeq}`);
    }
    return {
      format: 1,
      madeAt: new Date(now).toISOString(),
      bytes: statSync(file).size,
      sha256: await sha256Of(file),
      ...facts,
      chainHead: chain.head,
    };
  } finally {
    await store.close();
  }
}
