import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where Debian keeps one folder per major version; they are not on the PATH. */
const DEBIAN_ROOT = '/usr/lib/postgresql';

/** The folder with `initdb` and `postgres`, newest version first; null when there is none. */
export function findPostgresBinaries(): string | null {
  const versions = existsSync(DEBIAN_ROOT) ? readdirSync(DEBIAN_ROOT) : [];
  const debian = versions.toSorted((a, b) => Number(b) - Number(a)).map((version) => join(DEBIAN_ROOT, version, 'bin'));
  const onPath = (process.env['PATH'] ?? '').split(delimiter);
  const isComplete = (folder: string) =>
    folder !== '' && ['initdb', 'postgres'].every((program) => existsSync(join(folder, program)));
  return [...debian, ...onPath].find(isComplete) ?? null;
}

export const HOW_TO_INSTALL = 'PostgreSQL is needed for the tests: run `apt-get install postgresql` as root.';
