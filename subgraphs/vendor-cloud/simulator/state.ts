// What a simulated platform must not forget when it is started again: switched devices, registrations, keys, and the
// deliveries that nobody has taken yet.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';

export const PROFILES = ['contract-v1', 'timestamped-hmac', 'standard-webhooks'] as const;
export type Profile = (typeof PROFILES)[number];

const Hook = z.object({ id: z.string(), url: z.url(), profile: z.enum(PROFILES), secret: z.string() });
export type Hook = z.infer<typeof Hook>;

const Delivery = z.object({
  hookId: z.string(),
  eventId: z.string(),
  /** Deliveries of one device go out in order. */
  lane: z.string(),
  body: z.string(),
  attempts: z.int(),
});
export type Delivery = z.infer<typeof Delivery>;

const Switched = z.object({
  state: z.enum(['online', 'offline']),
  at: z.number(),
  /** Words that the platform says instead of its usual ones. */
  typeWord: z.string().nullable(),
  stateWord: z.string().nullable(),
});
export type Switched = z.infer<typeof Switched>;

const State = z.object({
  port: z.int(),
  privateKeyPem: z.string(),
  publicKeyPem: z.string(),
  /** Events made so far: part of their ids. */
  events: z.int(),
  devices: z.record(z.string(), Switched),
  hooks: z.array(Hook),
  pending: z.array(Delivery),
});
export type State = z.infer<typeof State>;

export interface StateFile {
  readonly state: State;
  /** Writes before it returns: a kill right after a change must not undo it. */
  save(): void;
}

/** @param path null: forget @param fresh what a platform starts with that has no file yet */
export async function openState(path: string | null, fresh: () => Promise<State>): Promise<StateFile> {
  const state = path !== null && existsSync(path) ? State.parse(JSON.parse(readFileSync(path, 'utf8'))) : await fresh();
  function save(): void {
    if (path === null) return;
    mkdirSync(dirname(path), { recursive: true });
    // The old or the new file, never half of one.
    writeFileSync(`${path}.new`, JSON.stringify(state), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
  save();
  return { state, save };
}
