// What a simulated system must not forget when it is started again.
import { z } from 'zod';
import { keepState, readState, type StateFile } from '../../../adapter-kit/simulator-kit/state-file.ts';

const State = z.object({
  port: z.int(),
  /** Milliseconds since the epoch: when its devices came up for the first time. */
  bornAt: z.number(),
  switched: z.record(z.string(), z.object({ state: z.enum(['online', 'offline']), at: z.number() })),
  /** What people or integrations created; an integration must find its own again. */
  userDefinedEvents: z.array(z.object({ id: z.string(), name: z.string() })).default([]),
  hooks: z.array(z.object({ url: z.string(), secret: z.string() })),
});
export type State = z.infer<typeof State>;

/** @param path null: forget @param fresh what a system starts with that has no file yet */
export function openState(path: string | null, fresh: State): StateFile<State> {
  return keepState(path, readState(path, State) ?? fresh);
}
