// What a simulated installation must not forget when it is started again: switched cameras, and its events with their ids.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';

const StoredEvent = z.object({
  id: z.int(),
  camid: z.int(),
  name: z.string(),
  /** UTC without a zone, as the service writes it. */
  time: z.string(),
  meta: z.record(z.string(), z.string()),
});
export type StoredEvent = z.infer<typeof StoredEvent>;

const State = z.object({
  port: z.int(),
  nextId: z.int(),
  /** By native id: what is not as it was in the beginning. */
  states: z.record(z.string(), z.enum(['online', 'offline'])),
  /** Custom event types by camera. */
  types: z.record(z.string(), z.array(z.string())),
  events: z.array(StoredEvent),
});
export type State = z.infer<typeof State>;

/** Events kept: a service's retention, in small. */
export const MAX_EVENTS = 2_000;

export interface StateFile {
  readonly state: State;
  /** Writes before it returns: a kill right after a change must not undo it. */
  save(): void;
}

const FRESH: State = { port: 0, nextId: 7_712_000, states: {}, types: {}, events: [] };

/** @param path null: forget */
export function openState(path: string | null): StateFile {
  const state =
    path !== null && existsSync(path) ? State.parse(JSON.parse(readFileSync(path, 'utf8'))) : structuredClone(FRESH);
  return {
    state,
    save() {
      if (path === null) return;
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(`${path}.new`, JSON.stringify(state), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    },
  };
}
