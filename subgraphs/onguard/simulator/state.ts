// What a simulated system must not forget when it is started again.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';

export const Subscription = z.looseObject({
  id: z.int(),
  description: z.string(),
  filter: z.string(),
  is_durable: z.boolean(),
  user_id: z.string(),
});
export type Subscription = z.infer<typeof Subscription>;

const LoggedEvent = z.record(z.string(), z.unknown());
export type LoggedEvent = z.infer<typeof LoggedEvent>;

const State = z.object({
  port: z.int(),
  /** Native ids of panels, readers and boards that do not answer. */
  offline: z.array(z.string()),
  subscriptions: z.array(Subscription),
  /** Of a durable subscription, by its id: what nobody has fetched. */
  queues: z.record(z.string(), z.array(LoggedEvent)),
  events: z.array(LoggedEvent),
  serial: z.int(),
  /** Parts of tokens and ids. */
  count: z.int(),
});
export type State = z.infer<typeof State>;

/** Events that the file keeps; those of a run are kept in memory, up to `MAX_EVENTS`. */
const MAX_WRITTEN_EVENTS = 500;
export const MAX_EVENTS = 200_000;

const FRESH: State = {
  port: 0,
  offline: [],
  subscriptions: [],
  queues: {},
  events: [],
  serial: 1_795_300_000,
  count: 0,
};

export interface StateFile {
  readonly state: State;
  /** Writes before it returns: a kill right after a change must not undo it. */
  save(): void;
}

export function openState(path: string | null): StateFile {
  if (path === null) return { state: structuredClone(FRESH), save: () => undefined };
  const state = existsSync(path) ? State.parse(JSON.parse(readFileSync(path, 'utf8'))) : structuredClone(FRESH);
  return {
    state,
    save() {
      mkdirSync(dirname(path), { recursive: true });
      const written = { ...state, events: state.events.slice(-MAX_WRITTEN_EVENTS) };
      // The old or the new file, never half of one.
      writeFileSync(`${path}.new`, JSON.stringify(written), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    },
  };
}
