import { describe, expect, it } from 'vitest';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { decide, retryAfter, type ScheduleFacts } from './schedule.ts';

const MINUTE = 60_000;
const T0 = 1_000 * MINUTE;

function facts(changes: Partial<ScheduleFacts> = {}): ScheduleFacts {
  return {
    now: T0,
    createdAt: 0,
    watchedSince: 0,
    lastSyncAt: T0 - MINUTE,
    lastHeardAt: T0 - MINUTE,
    ingestMode: 'PUSH_WITH_POLL_FALLBACK',
    isSilent: false,
    ingest: { syncIntervalMs: 60 * MINUTE, pollIntervalMs: MINUTE, expectedSilenceMs: 5 * MINUTE },
    retry: null,
    spread: 0.5,
    ...changes,
  };
}

describe('decide', () => {
  it('syncs at once for the first time', () => {
    expect(decide(facts({ lastSyncAt: null }))).toMatchObject({ syncAt: T0, trigger: 'FIRST' });
  });

  it('then syncs at its interval, spread by a tenth either way', () => {
    const at = (spread: number) => decide(facts({ spread })).syncAt - (T0 - MINUTE);
    expect([at(0), at(0.5), at(1)]).toEqual([54 * MINUTE, 60 * MINUTE, 66 * MINUTE]);
  });

  it('does not wait for the time that it was before the clock was set back', () => {
    expect(decide(facts({ lastSyncAt: T0 + 60 * MINUTE }))).toMatchObject({ syncAt: T0, trigger: 'SCHEDULE' });
    const retry = { at: T0 + MINUTE, isAsked: false };
    expect(decide(facts({ lastSyncAt: T0 + 60 * MINUTE, retry }))).toMatchObject({ syncAt: T0 + MINUTE });
  });

  it.each([
    ['a moment too early', 5 * MINUTE - 1, 'PUSH_WITH_POLL_FALLBACK'],
    ['at its expected silence', 5 * MINUTE, 'POLLING_FALLBACK_ACTIVE'],
  ])('judges a silent platform %s', (_, silence, mode) => {
    expect(decide(facts({ lastHeardAt: T0 - silence })).mode).toBe(mode);
  });

  it('polls a silent platform, and stops when it is heard', () => {
    const silent = decide(facts({ ingestMode: 'POLLING_FALLBACK_ACTIVE', lastHeardAt: null }));
    expect(silent).toMatchObject({ mode: 'POLLING_FALLBACK_ACTIVE', trigger: 'FALLBACK', syncAt: T0 });
    const heard = decide(facts({ ingestMode: 'POLLING_FALLBACK_ACTIVE', lastHeardAt: T0 - 1 }));
    expect(heard).toMatchObject({ mode: 'PUSH_WITH_POLL_FALLBACK', trigger: 'SCHEDULE' });
  });

  it('does not count the time in which nobody listened', () => {
    expect(decide(facts({ lastHeardAt: null, watchedSince: T0 - 1 })).mode).toBe('PUSH_WITH_POLL_FALLBACK');
    const fallback = { ingestMode: 'POLLING_FALLBACK_ACTIVE', lastHeardAt: null, watchedSince: T0 - 1 };
    expect(decide(facts(fallback)).mode).toBe('POLLING_FALLBACK_ACTIVE');
  });

  it('waits for nobody who cannot push', () => {
    const decision = decide(facts({ ingestMode: 'POLL_ONLY', lastHeardAt: null }));
    expect(decision).toMatchObject({ mode: 'POLL_ONLY', silentAt: null, isSilent: false });
  });

  it('does not poll what only pushes, and says that it is silent', () => {
    const at = (silence: number, isSilent = false) =>
      decide(facts({ ingestMode: 'PUSH', lastHeardAt: T0 - silence, watchedSince: isSilent ? T0 : 0, isSilent }));
    expect(at(5 * MINUTE - 1)).toMatchObject({ mode: 'PUSH', isSilent: false, silentAt: T0 + 1 });
    expect(at(5 * MINUTE)).toMatchObject({ mode: 'PUSH', isSilent: true, trigger: 'SCHEDULE' });
    // A restart of ours ends no silence.
    expect(at(5 * MINUTE, true)).toMatchObject({ isSilent: true });
    expect(at(1, true)).toMatchObject({ isSilent: false });
    expect(decide(facts({ ingestMode: 'PUSH', lastHeardAt: null, watchedSince: T0 - 1 })).isSilent).toBe(false);
  });

  it('asks a platform that cannot push at the polling interval', () => {
    expect(decide(facts({ ingestMode: 'POLL_ONLY' }))).toMatchObject({ syncAt: T0, trigger: 'SCHEDULE' });
  });

  it('retries sooner than its interval, and later when the platform asked for it', () => {
    expect(decide(facts({ retry: { at: T0 + 5_000, isAsked: false } })).syncAt).toBe(T0 + 5_000);
    const asked = { ingestMode: 'POLL_ONLY', retry: { at: T0 + 10 * MINUTE, isAsked: true } };
    expect(decide(facts(asked)).syncAt).toBe(T0 + 10 * MINUTE);
    const unasked = { ingestMode: 'POLL_ONLY', retry: { at: T0 + 10 * MINUTE, isAsked: false } };
    expect(decide(facts(unasked)).syncAt).toBe(T0);
  });
});

describe('retryAfter', () => {
  const down = new AdapterError('UNREACHABLE', 'down');

  it('doubles the wait up to ten minutes', () => {
    const waits = [1, 2, 3, 20].map((failures) => (retryAfter(down, failures, T0, 1)?.at ?? 0) - T0);
    expect(waits).toEqual([10_000, 20_000, 40_000, 10 * MINUTE]);
    expect(retryAfter(down, 1, T0, 0)?.at).toBe(T0 + 5_000);
  });

  it('waits as long as the platform asks for', () => {
    const slow = new AdapterError('RATE_LIMITED', 'slow down', { retryAfterMs: 30 * MINUTE });
    expect(retryAfter(slow, 1, T0, 0)).toEqual({ at: T0 + 30 * MINUTE, isAsked: true });
  });

  it.each([null, new AdapterError('BAD_PAYLOAD', 'not JSON')])('leaves it to the interval after %s', (failure) => {
    expect(retryAfter(failure, 1, T0, 1)).toBeNull();
  });
});
