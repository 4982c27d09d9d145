import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { Client } from 'pg';
import type { SandboxProcess } from '../faults/sandbox-process.ts';

// Everything that belongs to the product and can be killed by itself.

/** Processes that this one has started and that are alive. */
export function childrenOf(pid: number): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => parentOf(name) === pid)
    .map(Number);
}

function parentOf(pid: string): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // "pid (name) state parent …", and a name may contain anything.
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? null : Number(parent);
  } catch {
    // It ended while we looked.
    return null;
  }
}

/** @param signal SIGKILL ends it at once; SIGTERM lets it finish what it does */
export async function endProduct({ child }: SandboxProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

/** Kills one process that the product has started, such as its planner. @returns false when there is none */
export function killHelper({ child }: SandboxProcess, random: () => number): boolean {
  const helpers = childrenOf(child.pid ?? 0);
  const chosen = helpers[Math.floor(random() * helpers.length)];
  if (chosen === undefined) return false;
  process.kill(chosen, 'SIGKILL');
  return true;
}

/**
 * Kills one of the database server's processes that work for the product; the server then ends all sessions and recovers.
 *
 * @returns false when there is none
 */
export async function killDatabaseSession(url: string, random: () => number): Promise<boolean> {
  const client = new Client({ connectionString: url });
  // The server ends this session too.
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<{ pid: number }>(
    "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
  );
  const chosen = rows[Math.floor(random() * rows.length)];
  await client.end();
  if (chosen === undefined) return false;
  process.kill(chosen.pid, 'SIGKILL');
  return true;
}
