import { open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Forces a file, and its name in its folder, to the disk. */
export async function syncFile(file: string): Promise<void> {
  for (const path of [file, dirname(file)]) {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}
