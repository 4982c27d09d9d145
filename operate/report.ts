import { findMasterKey } from '../storage/master-key.ts';
import { createVault, type Vault } from '../storage/vault.ts';
import { ConfigError, loadStoreConfig } from '../config.ts';
import { StorageError } from '../storage/storage-error.ts';

const SQLITE_PREFIX = 'sqlite:';

export interface StorePlace {
  readonly url: string;
  /** Of the embedded database; null on PostgreSQL. */
  readonly file: string | null;
  /** Of the key at hand; null when there is none. None is made. */
  readonly vault: Vault | null;
}

/** Where the product's store is, by the same settings as `npm start`. @throws ConfigError, StorageError */
export function findStore(): StorePlace {
  const { databaseUrl: url, dataDir, masterKey: value } = loadStoreConfig();
  const key = findMasterKey({ value: value ?? undefined, dataDirectory: dataDir });
  return {
    url,
    file: url.startsWith(SQLITE_PREFIX) ? url.slice(SQLITE_PREFIX.length) : null,
    vault: key === null ? null : createVault({ masterKey: key }),
  };
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Ends with a line on standard error. */
export function fail(line: string): void {
  process.stderr.write(`${line}\n`);
  process.exitCode = 1;
}

/** Runs a command; what a person can mend becomes one line, without a stack. */
export async function command(run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof StorageError)) throw error;
    fail(error.message);
  }
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
