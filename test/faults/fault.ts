import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { arrivalsFileOf } from '../../storage/sqlite/arrivals-file.ts';
import { findStrace, HOW_TO_INSTALL_STRACE } from '../setup/strace.ts';

/** What the kernel answers instead of doing it: `pwrite64:error=ENOSPC`. @see strace(1), --inject */
export type Injection = `${'pwrite64' | 'fsync,fdatasync'}:error=${string}`;

/** What a disk holds of an embedded store. */
export function storeFiles(database: string): readonly string[] {
  return [database, arrivalsFileOf(database)].flatMap((file) => [file, `${file}-wal`]);
}

/** strace has attached to every thread. */
function isTraced(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((thread) => {
    try {
      return !/^TracerPid:\s+0$/m.test(readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'));
    } catch {
      // It ended while we looked.
      return true;
    }
  });
}

/**
 * Lets calls on these files fail in a process that runs, as a full or broken disk would do it.
 *
 * @returns how to mend it
 */
export async function breakDisk(
  pid: number,
  files: readonly string[],
  injection: Injection,
): Promise<() => Promise<void>> {
  const strace = findStrace();
  if (strace === null) throw new Error(HOW_TO_INSTALL_STRACE);
  const calls = injection.slice(0, injection.indexOf(':'));
  const paths = files.flatMap((file) => ['-P', file]);
  const args = ['-f', '-qq', ...paths, '-e', `trace=${calls}`, '-e', `inject=${injection}`, '-o', '/dev/null'];
  const child: ChildProcess = spawn(strace, [...args, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(child, 'exit');
  while (!isTraced(pid)) {
    if (child.exitCode !== null) throw new Error('strace could not attach: containers need --cap-add=SYS_PTRACE');
    await new Promise((resolve) => setImmediate(resolve));
  }
  return async () => {
    child.kill('SIGTERM');
    await ended;
  };
}
