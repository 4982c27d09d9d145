import type { Principal } from '../schema/principal.ts';
import { Refusal } from './refusal.ts';

/** Long-lived connections of each principal, so that one leaked token cannot take all there are. */
export interface PrincipalCaps {
  /** @returns gives the place back; safe to call again @throws Refusal 429 `TOO_MANY_CONNECTIONS` */
  enter(principal: Pick<Principal, 'kind' | 'id'>): () => void;
}

/** @param max WebSocket connections and server-sent event streams together */
export function createPrincipalCaps(max: number): PrincipalCaps {
  const open = new Map<string, number>();
  return {
    enter({ kind, id }) {
      const key = `${kind} ${id}`;
      const count = open.get(key) ?? 0;
      if (count >= max) {
        throw new Refusal(429, 'TOO_MANY_CONNECTIONS', `A principal has at most ${max} open connections.`, {
          headers: { 'retry-after': '5' },
        });
      }
      open.set(key, count + 1);
      let hasLeft = false;
      return () => {
        if (hasLeft) return;
        hasLeft = true;
        const left = (open.get(key) ?? 1) - 1;
        if (left === 0) open.delete(key);
        else open.set(key, left);
      };
    },
  };
}
