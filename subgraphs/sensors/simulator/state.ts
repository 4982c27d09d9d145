import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';

const State = z.object({
  http: z.int(),
  mqtt: z.int(),
  modbus: z.int(),
  switched: z.record(z.string(), z.enum(['online', 'offline'])),
});
export type State = z.infer<typeof State>;

/** What a simulated site must know again after a restart: its ports, which settings name, and what was switched off. */
export function loadState(path: string | null): State {
  const fresh: State = { http: 0, mqtt: 0, modbus: 0, switched: {} };
  return path !== null && existsSync(path) ? State.parse(JSON.parse(readFileSync(path, 'utf8'))) : fresh;
}

/** The old or the new file, never half of one. */
export function saveState(path: string | null, state: State): void {
  if (path === null) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, JSON.stringify(state));
  renameSync(`${path}.new`, path);
}
