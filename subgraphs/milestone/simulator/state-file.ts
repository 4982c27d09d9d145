// What a simulated system must not forget when it is started again.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';

const State = z.object({
  port: z.int(),
  /** Milliseconds since the epoch: when its devices came up for the first time. */
  bornAt: z.number(),
  switched: z.record(z.string(), z.object({ state: z.enum(['online', 'offline']), at: z.number() })),
  hooks: z.array(z.object({ url: z.string(), secret: z.string() })),
});
export type State = z.infer<typeof State>;

export interface StateFile {
  readonly state: State;
  /** Writes before it returns: a kill right after a change must not undo it. */
  save(): void;
}

/** @param path null: forget */
export function openState(path: string | null, fresh: State): StateFile {
  const stored = path !== null && existsSync(path) ? State.parse(JSON.parse(readFileSync(path, 'utf8'))) : null;
  const state = stored ?? fresh;
  return {
    state,
    save() {
      if (path === null) return;
      mkdirSync(dirname(path), { recursive: true });
      // The old or the new file, never half of one.
      writeFileSync(`${path}.new`, JSON.stringify(state), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    },
  };
}
