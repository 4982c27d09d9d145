import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** A setting that cannot be used; names every bad one. */
export class RelayConfigError extends Error {
  override readonly name = 'RelayConfigError';
}

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]', 'localhost']);

function isSafe(text: string): boolean {
  const url = new URL(text);
  // What is on the same machine needs no encryption; everything else is a network.
  return url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.has(url.hostname));
}

const RelayFile = z.strictObject({
  cloud: z.strictObject({
    /** As the operator gave it: `https://…/webhooks/int_…`. */
    url: z.url().refine((text) => URL.canParse(text) && isSafe(text), 'must be https'),
    profile: z.enum(['STANDARD_WEBHOOKS', 'TIMESTAMPED_HMAC', 'CONTRACT_V1']).default('STANDARD_WEBHOOKS'),
    /** File with the secret, readable by this program alone: secrets stand in no configuration. */
    secretFile: z.string().min(1),
    /** Certificates (PEM) that are trusted beside the usual ones. */
    caFile: z.string().min(1).optional(),
  }),
  /** Where the queue is kept; this program's alone. */
  queueDir: z.string().min(1),
  /** Takes JSON by HTTP POST; on this machine only unless another address is named. */
  listen: z
    .strictObject({ host: z.string().min(1).default('127.0.0.1'), port: z.int().min(0).max(65_535).default(4_700) })
    .optional(),
  /** Takes every file `*.json` of this folder, oldest name first, and deletes it once it is in the queue. */
  watchDir: z.string().min(1).optional(),
  /** Takes JSON from standard input, one delivery per line. */
  stdin: z.boolean().default(false),
  /** A list is everything there is: what two lists in a row are without is removed in the cloud. */
  listsAreComplete: z.boolean().default(false),
  /** How often the cloud hears of us while nothing happens; well below the silence that the integration expects. */
  heartbeatSeconds: z.int().min(1).max(86_400).default(60),
  /** How often a log line tells how it stands. */
  reportSeconds: z.int().min(1).max(86_400).default(60),
});

export interface RelayConfig extends Omit<z.infer<typeof RelayFile>, 'cloud'> {
  readonly cloud: {
    readonly url: string;
    readonly profile: string;
    readonly secret: string;
    readonly ca: string | null;
  };
}

function read(what: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new RelayConfigError(`${what} ${path} cannot be read`);
  }
}

/** @throws RelayConfigError naming every bad setting */
export function loadRelayConfig(path: string): RelayConfig {
  const text = read('the configuration', path);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new RelayConfigError(`${path} is not JSON`);
  }
  const parsed = RelayFile.safeParse(json);
  if (!parsed.success) {
    const lines = parsed.error.issues.map(({ path: place, message }) => `  ${place.join('.') || 'file'}: ${message}`);
    throw new RelayConfigError(`${path} cannot be used:\n${lines.join('\n')}`);
  }
  const { cloud, ...rest } = parsed.data;
  if (rest.listen === undefined && rest.watchDir === undefined && !rest.stdin)
    throw new RelayConfigError(`${path} names nothing to take from: listen, watchDir or stdin`);
  // A line feed behind it is the editor's.
  const secret = read('the secret', cloud.secretFile).trim();
  if (secret === '') throw new RelayConfigError(`the secret ${cloud.secretFile} is empty`);
  const ca = cloud.caFile === undefined ? null : read('the certificates', cloud.caFile);
  return { ...rest, cloud: { url: cloud.url, profile: cloud.profile, secret, ca } };
}
