import { AdapterError } from '../../adapter-kit/adapter-error.ts';

/** How long a platform is left alone after a connection failed: one page's worth of readers fail at once, together. */
export const OPEN_MS = 1_000;
/** A platform may ask for more patience, up to here. */
const MAX_OPEN_MS = 30_000;
/** Live calls under way at one platform: a few readers' batches; more would only queue up at its side. */
const MAX_CALLS = 4;
/** Calls that may wait for their turn, in all far below what a process holds in memory. */
const MAX_WAITING = 100;

/** Lets a bounded number of calls through to one platform, and none for a moment after it failed. */
export interface PlatformGate {
  /** @throws AdapterError the failure of before while the gate is shut; RATE_LIMITED when too many wait */
  pass<T>(call: () => Promise<T>): Promise<T>;
  /** Nothing is under way or remembered: it can be forgotten. */
  isIdle(): boolean;
}

export function createPlatformGate(now: () => number): PlatformGate {
  let shutUntil = 0;
  let reason: AdapterError | null = null;
  let active = 0;
  const waiting: (() => void)[] = [];

  function check(): void {
    if (reason !== null && now() < shutUntil) throw reason;
  }

  async function enter(): Promise<void> {
    check();
    if (active < MAX_CALLS) {
      active += 1;
      return;
    }
    if (waiting.length >= MAX_WAITING)
      throw new AdapterError('RATE_LIMITED', 'Too many live reads of this platform wait');
    await new Promise<void>((resolve) => waiting.push(resolve));
  }

  function leave(): void {
    const next = waiting.shift();
    if (next === undefined) active -= 1;
    else next();
  }

  function note(error: unknown): void {
    if (!(error instanceof AdapterError)) return;
    const isDown = error.code === 'UNREACHABLE' || error.code === 'TIMEOUT';
    if (!isDown && error.code !== 'RATE_LIMITED') return;
    reason = error;
    shutUntil = now() + Math.min(error.retryAfterMs ?? OPEN_MS, MAX_OPEN_MS);
  }

  return {
    async pass(call) {
      await enter();
      try {
        // It may have failed for those before us while we waited.
        check();
        const answer = await call();
        reason = null;
        return answer;
      } catch (error) {
        if (error !== reason) note(error);
        throw error;
      } finally {
        leave();
      }
    },
    isIdle: () => active === 0 && waiting.length === 0 && (reason === null || now() >= shutUntil),
  };
}
