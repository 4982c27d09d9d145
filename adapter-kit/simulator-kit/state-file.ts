// What a simulated platform must not forget when it is started again, as one JSON file beside the others' files. Writing is
// synchronous: a kill right after a change must not undo it.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { z } from 'zod';

/** @returns what was kept; null when there is no file yet, or `path` is null. @throws when the file says something else */
export function readState<T>(path: string | null, schema: z.ZodType<T>): T | null {
  return path !== null && existsSync(path) ? schema.parse(JSON.parse(readFileSync(path, 'utf8'))) : null;
}

/** Leaves the old or the new file, never half of one. @param path null: forget */
export function writeState(path: string | null, value: unknown): void {
  if (path === null) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, JSON.stringify(value), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** A state that its platform changes in place, and the file that remembers it. */
export interface StateFile<State> {
  readonly state: State;
  /** Writes before it returns. */
  readonly save: () => void;
}

/** @param path null: forget @param state as `readState` found it, or what a platform starts with */
export function keepState<State>(path: string | null, state: State): StateFile<State> {
  return { state, save: () => writeState(path, state) };
}
