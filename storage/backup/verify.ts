import { sql } from 'kysely';
import { knownSteps } from '../migrations/index.ts';
import { readTail } from '../event-log.ts';
import { type ChainVerdict, verifyChain } from '../log-chain.ts';
import { readHead } from '../log-sequence.ts';
import type { ReadOnlyStore } from '../open-read-only.ts';
import { StorageError } from '../storage-error.ts';
import type { Tables } from '../tables.ts';
import type { Vault } from '../vault.ts';
import { type Manifest } from './manifest.ts';

/** Tables whose rows are counted for the manifest: enough to see at a glance that it is the right store. */
const COUNTED = ['orgs', 'sites', 'integrations', 'devices', 'events', 'inbox'] as const satisfies (keyof Tables)[];

/** What a store says of itself. */
export type StoreFacts = Pick<Manifest, 'schema' | 'epoch' | 'head' | 'tail' | 'keyIds' | 'counts'>;

export interface Verdict {
  /** What `pragma quick_check` found; always empty on PostgreSQL, which checks pages by itself (`data_checksums`). */
  readonly damage: readonly string[];
  readonly chain: ChainVerdict;
  readonly facts: StoreFacts;
  /** Secrets that the vault could not open, or null when no key was at hand. */
  readonly unreadableSecrets: number | null;
}

/** @throws StorageError `DATABASE_TOO_NEW`, `CORRUPT` when it is not a store of ours */
export async function readFacts(store: Pick<ReadOnlyStore, 'read'>): Promise<StoreFacts> {
  const { read } = store;
  const schema = await newestStep(store);
  const meta = await read.selectFrom('meta').select('value').where('key', '=', 'epoch').executeTakeFirst();
  if (meta === undefined) throw new StorageError('CORRUPT', 'the store has no epoch');
  const counts: Record<string, number> = {};
  for (const table of COUNTED) {
    const { rows } = await sql<{ count: number }>`select count(*) as count from ${sql.table(table)}`.execute(read);
    counts[table] = Number(rows[0]?.count);
  }
  // Format and name of the key stand before the sealed text; see vault.ts.
  const { rows: keys } = await sql<{ id: Uint8Array }>`
    select distinct substr(sealed, 2, 4) as id from secrets`.execute(read);
  return {
    schema,
    epoch: meta.value,
    head: await readHead(read),
    tail: await readTail(store),
    keyIds: keys.map(({ id }) => Buffer.from(id).toString('hex')).toSorted(),
    counts,
  };
}

async function newestStep({ read }: Pick<ReadOnlyStore, 'read'>): Promise<string> {
  let names: string[];
  try {
    const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(read);
    names = rows.map(({ name }) => name);
  } catch (error) {
    throw new StorageError('CORRUPT', 'this is not a database of this program', { cause: error });
  }
  const newest = names.at(-1);
  if (newest === undefined) throw new StorageError('CORRUPT', 'this database has no tables yet');
  const unknown = names.find((name) => !knownSteps.includes(name));
  if (unknown !== undefined) {
    throw new StorageError('DATABASE_TOO_NEW', `it was made by a newer version of this program (${unknown})`);
  }
  return newest;
}

/** SQLite's own look at the structure of the file: some seconds per gigabyte. @returns what is wrong, nothing when all is well */
export async function quickCheck({ engine, read }: Pick<ReadOnlyStore, 'engine' | 'read'>): Promise<string[]> {
  if (engine === 'postgres') return [];
  try {
    const { rows } = await sql<{ quick_check: string }>`pragma quick_check(10)`.execute(read);
    return rows.map((row) => row.quick_check).filter((line) => line !== 'ok');
  } catch (error) {
    if (error instanceof StorageError && error.code === 'CORRUPT') return [error.message];
    throw error;
  }
}

async function countUnreadable({ read }: Pick<ReadOnlyStore, 'read'>, vault: Vault): Promise<number> {
  const secrets = await read.selectFrom('secrets').select(['id', 'integration_id', 'purpose', 'sealed']).execute();
  return secrets.filter(({ id, integration_id: integrationId, purpose, sealed }) => {
    try {
      vault.open(sealed, { integrationId, purpose, id });
      return false;
    } catch {
      return true;
    }
  }).length;
}

/**
 * Looks at everything that can be checked without changing it: the file, the seals over the log, the secrets.
 *
 * @param vault of the key at hand; null looks at no secret
 * @throws StorageError
 */
export async function verifyStore(store: ReadOnlyStore, vault: Vault | null): Promise<Verdict> {
  const damage = await quickCheck(store);
  const facts = await readFacts(store);
  const chain = await verifyChain(store);
  return { damage, facts, chain, unreadableSecrets: vault === null ? null : await countUnreadable(store, vault) };
}
