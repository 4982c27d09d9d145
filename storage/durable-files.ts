import { open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Forces a file, and its name in its folder, to the disk. */
export async function syncFile(file: string): Promise<void> {
  for (const path of [file, dirname(file)]) await sync(path);
}

/**
 * Forces the name of a file to the disk. Not the file: to open and close a database beside its connection would drop the
 * locks that this process holds on it (sqlite.org/howtocorrupt.html, 2.2).
 */
export async function syncName(file: string): Promise<void> {
  await sync(dirname(file));
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
