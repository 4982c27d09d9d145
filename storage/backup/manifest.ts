import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { StorageError } from '../storage-error.ts';

const FORMAT = 1;
const Hash = z.string().regex(/^[0-9a-f]{64}$/);
const Count = z.int().nonnegative();

/** What a backup is, in a file beside it. Nothing in it is secret. */
export const Manifest = z.object({
  format: z.literal(FORMAT),
  /** ISO 8601. */
  madeAt: z.string(),
  bytes: Count,
  /** Of the backup's file. */
  sha256: Hash,
  /** Name of the newest step of the schema that was applied. */
  schema: z.string(),
  /** Of the store: which life its numbers belong to, the last number of its log, and up to which it has forgotten. */
  epoch: z.string(),
  head: Count,
  tail: Count,
  /** Of the last seal over the log. Kept elsewhere, it shows whether the log was written anew. */
  chainHead: Hash.nullable(),
  /** Keys that sealed the secrets, by name: one of them must be at hand where it is restored. */
  keyIds: z.array(z.string()),
  /** Rows by table. */
  counts: z.record(z.string(), Count),
});
export type Manifest = z.infer<typeof Manifest>;

export function manifestFileOf(backup: string): string {
  return `${backup}.manifest.json`;
}

/** @throws StorageError `CORRUPT` when it is missing or not one of ours */
export function readManifest(backup: string): Manifest {
  const file = manifestFileOf(backup);
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new StorageError('CORRUPT', `the manifest ${file} cannot be read`, { cause: error });
  }
  const parsed = Manifest.safeParse(json);
  if (!parsed.success) throw new StorageError('CORRUPT', `${file} is not the manifest of a backup`);
  return parsed.data;
}

/** In hex. @throws StorageError `IO` */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(file), hash);
  } catch (error) {
    throw new StorageError('IO', `${file} cannot be read`, { cause: error });
  }
  return hash.digest('hex');
}
