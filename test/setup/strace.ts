import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export const HOW_TO_INSTALL_STRACE =
  'The power-cut test needs strace: install it with `apt-get install strace` as root.';

/** The program that writes down what a process asks of the kernel; null when there is none. */
export function findStrace(): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, 'strace')).find((file) => existsSync(file)) ?? null;
}
