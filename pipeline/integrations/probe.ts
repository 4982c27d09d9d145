import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { ProbeCheck, ProbeReport } from '../../adapter-kit/adapter.ts';
import type { UserError, UserErrorCode } from '../../schema/words.ts';
import type { Clock } from './clock.ts';
import type { AdapterOptionsDraft, IntegrationRuntime } from './runtime.ts';
import { asAdapterError, platformUserError, userError } from './user-errors.ts';

/** A whole test: some ten calls to a slow platform. A person waits for it. */
const PROBE_DEADLINE_MS = 20_000;

export interface ProbeOutcome {
  readonly report: ProbeReport;
  /** Empty when every check passed or only warned. */
  readonly errors: UserError[];
}

const NOTHING: ProbeReport = { checks: [], accountId: null, accountName: null };

// What failed decides what an operator must change; the ids are those that the adapter contract names.
const FAILURES = new Map<string, { readonly code: UserErrorCode; readonly path: string[] }>([
  ['dns', { code: 'UNREACHABLE', path: ['baseUrl'] }],
  ['tcp', { code: 'UNREACHABLE', path: ['baseUrl'] }],
  ['tls', { code: 'UNREACHABLE', path: ['baseUrl'] }],
  ['credentials', { code: 'UNAUTHENTICATED_AT_PLATFORM', path: ['credentials'] }],
  ['permission', { code: 'UNAUTHENTICATED_AT_PLATFORM', path: ['credentials'] }],
]);

function failureOf({ id, title, detail }: ProbeCheck): UserError {
  const { code, path } = FAILURES.get(id) ?? { code: 'OTHER' as const, path: null };
  return userError(code, detail === null ? `${title} failed.` : `${title}: ${detail}`, path);
}

/** Tries credentials that are not stored. Never throws for what a platform does. */
export async function probeDraft(
  runtime: IntegrationRuntime,
  clock: Clock,
  draft: AdapterOptionsDraft,
): Promise<ProbeOutcome> {
  const controller = new AbortController();
  const late = new AdapterError('TIMEOUT', `The test did not end within ${PROBE_DEADLINE_MS / 1_000} seconds`);
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  const cancel = clock.after(PROBE_DEADLINE_MS, () => {
    reject(late);
    controller.abort(late);
  });
  try {
    const report = await runtime.tryOut(draft, (adapter) => Promise.race([adapter.probe(controller.signal), deadline]));
    const failed = report.checks.filter(({ state }) => state === 'FAIL');
    return { report, errors: failed.map(failureOf) };
  } catch (error) {
    return { report: NOTHING, errors: [platformUserError(asAdapterError(error))] };
  } finally {
    cancel();
  }
}
