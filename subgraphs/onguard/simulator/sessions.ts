// Accounts and sessions of the simulated system: two clocks per token, and lockout.
import { createHash } from 'node:crypto';
import { localTime } from './platform.ts';

const LIFE_MS = 8 * 3_600_000;
const INACTIVITY_MS = 15 * 60_000;
const LOCKOUT_THRESHOLD = 5;
const LOCKOUT_MS = 5 * 60_000;

interface Held {
  readonly endsAt: number;
  lastUsedAt: number;
}

export interface Account {
  readonly username: string;
  readonly password: string;
  readonly applicationId: string;
}

export interface Sessions {
  /** @returns null when it is refused */
  login(
    username: unknown,
    password: unknown,
    directory: unknown,
  ): { readonly token: string; readonly expiresAt: string } | null;
  isGood(token: string, keepsAwake: boolean): boolean;
  logout(token: string): void;
  /** All sessions end. */
  expire(): void;
  readonly logins: () => number;
}

export function createSessions(account: Account, seed: number, now: () => number): Sessions {
  const held = new Map<string, Held>();
  let count = 0;
  let failures = 0;
  let lockedUntil = 0;

  return {
    login(username, password, directory) {
      if (now() < lockedUntil) return null;
      const isRight = username === account.username && password === account.password;
      if (!isRight || (directory !== undefined && directory !== 'id-4')) {
        failures += 1;
        if (failures >= LOCKOUT_THRESHOLD) lockedUntil = now() + LOCKOUT_MS;
        return null;
      }
      failures = 0;
      count += 1;
      const hex = createHash('sha256').update(`${seed} token ${count} ${now()}`).digest('hex');
      const token = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
      held.set(token, { endsAt: now() + LIFE_MS, lastUsedAt: now() });
      return { token, expiresAt: localTime(now() + LIFE_MS) };
    },
    isGood(token, keepsAwake) {
      const session = held.get(token);
      if (session === undefined) return false;
      if (now() >= session.endsAt || now() - session.lastUsedAt >= INACTIVITY_MS) {
        held.delete(token);
        return false;
      }
      if (keepsAwake) session.lastUsedAt = now();
      return true;
    },
    logout: (token) => void held.delete(token),
    expire: () => held.clear(),
    logins: () => count,
  };
}
