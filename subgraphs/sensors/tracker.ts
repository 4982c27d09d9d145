import { z } from 'zod';
import { isNormal, isState, keyOf, type Reading } from './reading.ts';

/** Abnormal states remembered over restarts; more at once is a platform that is down, and told as such. */
const MAX_REMEMBERED = 500;
/** Devices whose last report is remembered. */
const MAX_DEVICES = 100_000;
/** States that were heard at all; beyond it initial ones stay initial. */
const MAX_KEYS = 500_000;

const Token = z.object({ v: z.literal(1), abnormal: z.array(z.tuple([z.string(), z.string()])).max(MAX_REMEMBERED) });

/**
 * Knows what was said before, so that a report becomes an event only when something changed. What it must know after a
 * restart is what was abnormal: everything else was normal.
 */
export interface Tracker {
  /** @returns whether the reading is news; it is remembered either way */
  take(reading: Reading): boolean;
  /** Whether a device that said nothing new is to be passed on as a sign of life. */
  isLifeSignDue(nativeId: string, at: number): boolean;
  /** Presence as it was last said; online when nothing was. */
  presenceOf(nativeId: string): string;
  /** For the next listener: what is abnormal now. */
  token(): string;
}

/** @param token what `token` said in an earlier life; null: there was none, and standing alarms are no events */
export function createTracker(token: string | null, raiseOnInitialAlarm: boolean, lifeSignMs: number): Tracker {
  const resumed = token === null ? null : parse(token);
  const abnormal = new Map<string, string>(resumed ?? []);
  const seenAt = new Map<string, number>();
  const heard = new Set<string>();
  let said: string | null = null;

  return {
    take(reading) {
      if (!isState(reading.signal)) return reading.isInitial !== true;
      const key = keyOf(reading);
      const before = abnormal.get(key);
      // What was heard before is not initial when it is said again after a break: the difference is news.
      const isFirst = reading.isInitial === true && !heard.has(key);
      if (heard.size < MAX_KEYS) heard.add(key);
      if (isNormal(reading)) {
        if (before === undefined) return false;
        abnormal.delete(key);
        said = null;
        return true;
      }
      if (before === reading.value) return false;
      abnormal.set(key, reading.value);
      said = null;
      // Found standing when nobody had listened before: nobody knows when it began.
      return reading.signal === 'presence' || !isFirst || resumed !== null || raiseOnInitialAlarm;
    },
    isLifeSignDue(nativeId, at) {
      const last = seenAt.get(nativeId);
      if (last !== undefined && at - last < lifeSignMs) return false;
      if (seenAt.size >= MAX_DEVICES) seenAt.clear();
      seenAt.set(nativeId, at);
      return true;
    },
    presenceOf: (nativeId) => abnormal.get(keyOf({ nativeId, point: 'device', signal: 'presence' })) ?? 'online',
    token: () => (said ??= JSON.stringify({ v: 1, abnormal: [...abnormal].slice(-MAX_REMEMBERED) })),
  };
}

/** @returns null for what is no token of ours: then nothing is known */
function parse(token: string): readonly (readonly [string, string])[] | null {
  try {
    return Token.parse(JSON.parse(token)).abnormal;
  } catch {
    return null;
  }
}
