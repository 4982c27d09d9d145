// What a simulated platform must not forget when it is started again: switched devices, registrations, keys.
import { z } from 'zod';
import { keepState, readState, type StateFile } from '../../../adapter-kit/simulator-kit/state-file.ts';

export const PROFILES = ['contract-v1', 'timestamped-hmac', 'standard-webhooks'] as const;
export type Profile = (typeof PROFILES)[number];

const Hook = z.object({ id: z.string(), url: z.url(), profile: z.enum(PROFILES), secret: z.string() });
export type Hook = z.infer<typeof Hook>;

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
});
export type State = z.infer<typeof State>;

export type PlatformFile = StateFile<State>;

/** @param path null: forget @param fresh what a platform starts with that has no file yet */
export async function openState(path: string | null, fresh: () => Promise<State>): Promise<PlatformFile> {
  return keepState(path, readState(path, State) ?? (await fresh()));
}
