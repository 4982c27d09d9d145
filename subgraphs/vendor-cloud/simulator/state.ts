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
});
export type State = z.infer<typeof State>;

/** Up to so many deliveries are written whenever one comes or goes; more of them a little later, for all at once. */
const WRITTEN_AT_ONCE = 50;
const WRITE_LATER_MS = 100;

export interface StateFile {
  readonly state: State;
  /** Deliveries that nobody had taken when the platform was last stopped. */
  readonly pending: readonly Delivery[];
  /** Writes before it returns: a kill right after a change must not undo it. */
  save(): void;
  /** Beside the state, which a storm of deliveries must not make large. */
  savePending(pending: () => readonly Delivery[]): void;
  close(): void;
}

/** The old or the new file, never half of one. */
function write(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, JSON.stringify(value), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function read<T>(path: string, schema: z.ZodType<T>): T | null {
  return existsSync(path) ? schema.parse(JSON.parse(readFileSync(path, 'utf8'))) : null;
}

/** @param path null: forget @param fresh what a platform starts with that has no file yet */
export async function openState(path: string | null, fresh: () => Promise<State>): Promise<StateFile> {
  if (path === null) {
    const nothing = (): void => undefined;
    return { state: await fresh(), pending: [], save: nothing, savePending: nothing, close: nothing };
  }
  const pendingPath = `${path}.pending`;
  const state = read(path, State) ?? (await fresh());
  let later: NodeJS.Timeout | undefined;
  let current: () => readonly Delivery[] = () => [];

  function flush(): void {
    clearTimeout(later);
    later = undefined;
    write(pendingPath, current());
  }

  return {
    state,
    pending: read(pendingPath, z.array(Delivery)) ?? [],
    save: () => write(path, state),
    savePending(pending) {
      current = pending;
      if (pending().length <= WRITTEN_AT_ONCE) flush();
      else later ??= setTimeout(flush, WRITE_LATER_MS).unref();
    },
    close() {
      if (later !== undefined) flush();
    },
  };
}
