// What a simulated platform must not forget when it is started again: its addresses and certificate, switched devices,
// where it delivers, and the deliveries that nobody has taken yet.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { createCertificate } from '../../../adapter-kit/simulator-kit/certificate.ts';

const DAY_MS = 86_400_000;
const CERTIFICATE_DAYS = 3_650;

export const Delivery = z.object({ id: z.string(), lane: z.string(), body: z.string(), attempts: z.int() });
export type Delivery = z.infer<typeof Delivery>;

const State = z.object({
  port: z.int(),
  controlPort: z.int(),
  certificatePem: z.string(),
  privateKeyPem: z.string(),
  /** Events made so far: part of their ids. */
  events: z.int(),
  /** Switched devices. */
  devices: z.record(z.string(), z.enum(['online', 'offline'])),
  /** Areas that were renamed, by index. */
  areas: z.record(z.string(), z.string()),
  hook: z.object({ url: z.string(), secret: z.string() }).nullable(),
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

function freshState(now: Date): State {
  const { certificatePem, privateKeyPem } = createCertificate({
    hosts: ['127.0.0.1', 'localhost'],
    notBefore: new Date(now.getTime() - DAY_MS),
    notAfter: new Date(now.getTime() + CERTIFICATE_DAYS * DAY_MS),
  });
  return { port: 0, controlPort: 0, certificatePem, privateKeyPem, events: 0, devices: {}, areas: {}, hook: null };
}

/** @param path null: forget */
export function openState(path: string | null, now: Date): StateFile {
  if (path === null) {
    const nothing = (): void => undefined;
    return { state: freshState(now), pending: [], save: nothing, savePending: nothing, close: nothing };
  }
  const pendingPath = `${path}.pending`;
  const state = read(path, State) ?? freshState(now);
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
