// What a simulated platform must not forget when it is started again: its addresses and certificate, switched devices, and
// where it delivers.
import { z } from 'zod';
import { createCertificate } from '../../../adapter-kit/simulator-kit/certificate.ts';
import { keepState, readState, type StateFile } from '../../../adapter-kit/simulator-kit/state-file.ts';

const DAY_MS = 86_400_000;
const CERTIFICATE_DAYS = 3_650;

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

export type PlatformFile = StateFile<State>;

function freshState(now: Date): State {
  const { certificatePem, privateKeyPem } = createCertificate({
    hosts: ['127.0.0.1', 'localhost'],
    notBefore: new Date(now.getTime() - DAY_MS),
    notAfter: new Date(now.getTime() + CERTIFICATE_DAYS * DAY_MS),
  });
  return { port: 0, controlPort: 0, certificatePem, privateKeyPem, events: 0, devices: {}, areas: {}, hook: null };
}

/** @param path null: forget */
export function openState(path: string | null, now: Date): PlatformFile {
  return keepState(path, readState(path, State) ?? freshState(now));
}
