import type { ProbeCheck } from './adapter.ts';
import { AdapterError, type AdapterErrorLayer } from './adapter-error.ts';

/** What a step found; nothing means all is well. */
export type ProbeFinding = { readonly state: 'PASS' | 'WARN'; readonly detail: string | null };

export interface ProbeStep {
  /** Stable, for example `credentials`. */
  readonly id: string;
  readonly title: string;
  /** @throws AdapterError, whose message becomes the detail of a FAIL */
  readonly run: (signal: AbortSignal) => Promise<ProbeFinding | undefined>;
}

const CONNECTION: readonly { readonly layer: AdapterErrorLayer; readonly title: string }[] = [
  { layer: 'dns', title: 'The host name resolves' },
  { layer: 'tcp', title: 'The host takes connections' },
  { layer: 'tls', title: 'The certificate is good' },
];

const PASS: ProbeFinding = { state: 'PASS', detail: null };

/**
 * A credential test for a platform over HTTP: `dns`, `tcp` and `tls` judged by one call, then the vendor's own steps in
 * order. What follows a FAIL is SKIPPED.
 *
 * @param reach any call to the platform; an answer of any status proves the connection. Send it without credentials:
 *   nobody but the platform itself is to see them.
 * @throws what is no AdapterError
 */
export async function runProbe(
  baseUrl: URL,
  reach: (signal: AbortSignal) => Promise<unknown>,
  steps: readonly ProbeStep[],
  signal: AbortSignal,
): Promise<readonly ProbeCheck[]> {
  const failure = await failureOf(() => reach(signal));
  const isAnswered = failure === null || failure.status !== null;
  const checks: ProbeCheck[] = isAnswered ? connected(baseUrl) : disconnected(failure);
  let isBroken = !isAnswered;
  for (const { id, title, run } of steps) {
    if (isBroken) {
      checks.push({ id, title, state: 'SKIPPED', detail: null });
      continue;
    }
    let finding: ProbeFinding = PASS;
    const broken = await failureOf(async () => {
      finding = (await run(signal)) ?? PASS;
    });
    isBroken = broken !== null;
    checks.push(broken === null ? { id, title, ...finding } : { id, title, state: 'FAIL', detail: broken.message });
  }
  return checks;
}

async function failureOf(call: () => Promise<unknown>): Promise<AdapterError | null> {
  try {
    await call();
    return null;
  } catch (error) {
    if (error instanceof AdapterError) return error;
    throw error;
  }
}

function connected(baseUrl: URL): ProbeCheck[] {
  return CONNECTION.map(({ layer, title }) =>
    layer === 'tls' && baseUrl.protocol !== 'https:'
      ? { id: layer, title, state: 'WARN', detail: 'not encrypted: whoever listens on the way can read everything' }
      : { id: layer, title, state: 'PASS', detail: null },
  );
}

function disconnected(failure: AdapterError): ProbeCheck[] {
  // A refused address, or settings that cannot work, show before any layer does: the host is what is wrong then.
  const broken = CONNECTION.findIndex(({ layer }) => layer === failure.layer);
  const at = broken === -1 ? (failure.code === 'BLOCKED_ADDRESS' ? 0 : 1) : broken;
  return CONNECTION.map(({ layer, title }, index) => ({
    id: layer,
    title,
    state: index < at ? 'PASS' : index === at ? 'FAIL' : 'SKIPPED',
    detail: index === at ? failure.message : null,
  }));
}
