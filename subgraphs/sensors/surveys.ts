// Asking several sources at once: one that is down is told as such and costs the others nothing.
import { abandoned, AdapterError } from '../../adapter-kit/adapter-error.ts';
import { type Listed, sourceIdOf } from './catalogue.ts';
import type { Driver } from './driver.ts';

export interface Surveyed {
  readonly driver: Driver;
  /** Null: only the source knows its devices, and it did not say. */
  readonly devices: readonly Listed[] | null;
  readonly error: AdapterError | null;
  readonly hasLogin: boolean;
}

async function surveyOne(
  driver: Driver,
  asks: (driver: Driver) => boolean,
  wanted: ReadonlySet<string> | null,
  signal: AbortSignal,
): Promise<Surveyed> {
  // Credentials that cannot be read are those of every source.
  let hasLogin = true;
  try {
    hasLogin = asks(driver);
    return { driver, hasLogin, devices: await driver.survey(wanted, signal), error: null };
  } catch (error) {
    if (signal.aborted) throw abandoned(signal.reason);
    if (!(error instanceof AdapterError)) throw error;
    const fallen = error.retryable ? driver.fallen?.(error.code) : undefined;
    return { driver, hasLogin, devices: fallen === undefined ? null : [fallen.device, ...fallen.children], error };
  }
}

/**
 * Asks sources beside each other; each has a connection of its own.
 *
 * @param wanted devices that are needed, an empty set when only reachability is; null: all
 * @throws AdapterError when no source answered, or none of those with a login took it
 */
export async function surveyAll(
  drivers: readonly Driver[],
  hasLogin: (driver: Driver) => boolean,
  wanted: ReadonlySet<string> | null,
  signal: AbortSignal,
): Promise<readonly Surveyed[]> {
  const found = await trySources(drivers, hasLogin, wanted, signal);
  const failure = wholeFailure(found);
  if (failure !== null) throw failure;
  return found;
}

/** The same, with failures as answers. @throws AdapterError when the signal fires */
export async function trySources(
  drivers: readonly Driver[],
  hasLogin: (driver: Driver) => boolean,
  wanted: ReadonlySet<string> | null,
  signal: AbortSignal,
): Promise<readonly Surveyed[]> {
  if (signal.aborted) throw abandoned(signal.reason);
  return Promise.all(drivers.map((driver) => surveyOne(driver, hasLogin, wanted, signal)));
}

/** A person must act: no login, or not this one. */
function isRefused({ error }: Surveyed): boolean {
  return error !== null && ['UNAUTHENTICATED', 'MISCONFIGURED'].includes(error.code);
}

/** The failure of all of them; null while one works. */
export function wholeFailure(found: readonly Surveyed[]): AdapterError | null {
  const guarded = found.filter((each) => each.hasLogin);
  const refused = guarded.find(isRefused);
  if (refused !== undefined && guarded.every(isRefused)) return refused.error;
  if (found.length === 0 || found.some(({ error }) => error === null)) return null;
  // Waiting helps when it helps one of them.
  return found.find(({ error }) => error?.retryable === true)?.error ?? found[0]?.error ?? null;
}

/** Which sources these devices are behind. */
export function driversOf(drivers: readonly Driver[], nativeIds: Iterable<string>): readonly Driver[] {
  const wanted = new Set([...nativeIds].map(sourceIdOf));
  return drivers.filter(({ source }) => wanted.has(source.id));
}
