// One session with one OnGuard server. Accounts lock after a few wrong passwords, so that a refusal is remembered and a
// login is never tried in a loop.
import { z } from 'zod';
import { abandoned, AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Credentials } from '../../adapter-kit/define-vendor.ts';
import { textOf } from './properties.ts';
import { type Calls, OpenAccessError } from './calls.ts';
import type { OnGuardSettings } from './settings.ts';
import { WireLogin, WirePage } from './wire.ts';

/** A new token is got this long before the old one ends, so that no call meets the end. */
const RENEW_BEFORE_MS = 300_000;
/** Life of a token whose end is not told. The only figure ever reported is eight hours; the inactivity clock is shorter. */
const UNTOLD_LIFE_MS = 1_800_000;
/** A token that ends sooner has not: the platform's clock and ours differ. One that did end is refused, and replaced then. */
const MIN_LIFE_MS = 60_000;
/** A refused account is left alone for so long: lockouts count the tries of an interval. */
const REFUSAL_MEMORY_MS = 300_000;
/** Saying good-bye may not hold up a stop. */
const LOGOUT_TIMEOUT_MS = 1_000;

export interface Session {
  /** A token that is good by our clock; logs in when there is none. @throws AdapterError UNAUTHENTICATED */
  token(signal: AbortSignal): Promise<string>;
  /** The platform refused this token: the next call gets another one. */
  drop(token: string): void;
  /** Ends the session at the platform; never fails. */
  close(): Promise<void>;
}

interface Held {
  readonly token: string;
  readonly renewAt: number;
}

export interface SessionOptions {
  readonly calls: Calls;
  readonly credentials: Credentials | null;
  readonly settings: OnGuardSettings;
  readonly now: () => Date;
}

export function createSession({ calls, credentials, settings, now }: SessionOptions): Session {
  const closed = new AbortController();
  let held: Held | null = null;
  let pending: Promise<Held> | null = null;
  let refusal: { readonly error: AdapterError; readonly until: number } | null = null;

  async function login(): Promise<Held> {
    if (credentials?.kind !== 'basic')
      throw new AdapterError('MISCONFIGURED', 'OnGuard takes a user name and a password');
    const directory = await directoryId(calls, settings.directory, closed.signal);
    const startedAt = now().getTime();
    const json = {
      user_name: credentials.username,
      password: credentials.password,
      ...(directory === null ? {} : { directory_id: directory }),
    };
    const answer = await calls.json({ method: 'POST', path: 'authentication', json, signal: closed.signal }, WireLogin);
    const endsAt = Date.parse(answer.token_expiration_time ?? '');
    const toldMs = endsAt - startedAt;
    const lifeMs = toldMs >= MIN_LIFE_MS ? toldMs : UNTOLD_LIFE_MS;
    // A token that lives for less than the margin is used for half its life.
    return { token: answer.session_token, renewAt: startedAt + Math.max(lifeMs - RENEW_BEFORE_MS, lifeMs / 2) };
  }

  async function obtain(): Promise<Held> {
    if (refusal !== null && now().getTime() < refusal.until) throw refusal.error;
    try {
      held = await login();
      refusal = null;
      return held;
    } catch (error) {
      const failure = judged(error);
      if (failure.code === 'UNAUTHENTICATED' || failure.code === 'FORBIDDEN')
        refusal = { error: failure, until: now().getTime() + REFUSAL_MEMORY_MS };
      throw failure;
    }
  }

  return {
    async token(signal) {
      if (signal.aborted) throw abandoned(signal.reason);
      if (held !== null && now().getTime() < held.renewAt) return held.token;
      pending ??= obtain().finally(() => {
        pending = null;
      });
      // Shared by all who wait: one of them giving up must not fail the others.
      return (await orGivenUp(pending, signal)).token;
    },
    drop(token) {
      if (held?.token === token) held = null;
    },
    async close() {
      const token = held?.token;
      held = null;
      if (token !== undefined && !closed.signal.aborted) {
        const signal = AbortSignal.timeout(LOGOUT_TIMEOUT_MS);
        const request = { method: 'DELETE', path: 'authentication', token, signal, isIdempotent: false } as const;
        // A session that is not ended ends by itself.
        await calls.json(request, z.unknown()).catch(() => undefined);
      }
      closed.abort(new AdapterError('UNREACHABLE', 'the adapter is closed'));
    },
  };
}

/** At login anything the platform refuses is about the account; only its own troubles are not. */
function judged(error: unknown): AdapterError {
  if (!(error instanceof AdapterError)) throw error;
  if (error instanceof OpenAccessError && error.status !== null && error.status < 500 && !error.retryable) {
    const message = error.isLicense
      ? 'the Application-Id is not in the license of this OnGuard system, or the license has expired'
      : `OnGuard refused the login (${error.openAccessCode ?? `status ${error.status}`})`;
    return new AdapterError('UNAUTHENTICATED', message, { cause: error, status: error.status, layer: 'http' });
  }
  return error;
}

/** @returns null for internal accounts @throws AdapterError MISCONFIGURED for a name that no directory has */
async function directoryId(calls: Calls, wanted: string | undefined, signal: AbortSignal): Promise<string | null> {
  if (wanted === undefined || /^<?internal>?$/i.test(wanted)) return null;
  if (/^id-\d+$/.test(wanted)) return wanted;
  const { items } = await calls.json({ path: 'directories', signal }, WirePage);
  const found = items.find((item) => textOf(item, 'Name')?.toLowerCase() === wanted.toLowerCase());
  const id = found === undefined ? null : textOf(found, 'ID');
  if (id === null) throw new AdapterError('MISCONFIGURED', 'the platform has no directory of the given name');
  return id;
}

async function orGivenUp<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: gone, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(abandoned(signal.reason));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, gone]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
