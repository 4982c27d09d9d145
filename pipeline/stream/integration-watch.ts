import { sql } from 'kysely';
import type { Database } from '../../storage/database.ts';
import type { Timing } from './pausable.ts';

/** As the log tail: a change that was made by another process costs this much latency. */
const POLL_MS = 1_000;

/** Equal stamps are equal vital signs. */
export const STAMP = sql<string>`integrations.version || ' ' || integrations.updated_at || ' ' || integrations.state || ' ' ||
  integrations.ingest_mode || ' ' || coalesce(integrations.last_event_at, 0) || ' ' ||
  coalesce(integrations.last_webhook_at, 0) || ' ' || coalesce(integrations.last_sync_at, 0) || ' ' ||
  coalesce(integrations.silent_since, 0)`;

/** @param stamp of the row as it was found */
export type IntegrationListener = (integrationId: string, stamp: string) => void;

/** Finds changes of integrations whoever made them: doorbells ring in their own process only, unless there is Redis. */
export interface IntegrationWatch {
  /** @returns how to stop listening */
  listen(orgId: string, listener: IntegrationListener): () => void;
}

interface Watched {
  readonly listeners: Set<IntegrationListener>;
  /** By integration; null until the org was looked at first, which tells of nothing. */
  stamps: ReadonlyMap<string, string> | null;
}

/** One per process: it asks once a second for all orgs that somebody listens to, and not at all when nobody does. */
export function createIntegrationWatch(db: Pick<Database, 'read'>, timing: Timing): IntegrationWatch {
  const orgs = new Map<string, Watched>();
  let callOff: (() => void) | null = null;

  async function look(): Promise<void> {
    const ids = [...orgs.keys()];
    const rows = await db.read
      .selectFrom('integrations')
      .select(['id', 'org_id', STAMP.as('stamp')])
      .where('org_id', 'in', ids)
      .execute();
    const found = Map.groupBy(rows, ({ org_id: orgId }) => orgId);
    for (const orgId of ids) {
      const watched = orgs.get(orgId);
      if (watched === undefined) continue;
      const before = watched.stamps;
      const stamps = new Map((found.get(orgId) ?? []).map(({ id, stamp }) => [id, stamp]));
      watched.stamps = stamps;
      if (before === null) continue;
      for (const [id, stamp] of stamps) {
        if (before.get(id) === stamp) continue;
        // A copy: who is told may stop listening.
        for (const listener of Array.from(watched.listeners)) listener(id, stamp);
      }
    }
  }

  function again(): void {
    callOff?.();
    callOff = orgs.size === 0 ? null : timing.after(POLL_MS, lookAndGoOn);
  }

  function lookAndGoOn(): void {
    // A store that cannot be read now is asked again in a second: what is known stays what it is compared with.
    look()
      .catch(() => undefined)
      .finally(again);
  }

  return {
    listen(orgId, listener) {
      let watched = orgs.get(orgId);
      if (watched === undefined) {
        watched = { listeners: new Set(), stamps: null };
        orgs.set(orgId, watched);
        // At once: what changes from now on is to be seen.
        lookAndGoOn();
      }
      const { listeners } = watched;
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0 || orgs.get(orgId)?.listeners !== listeners) return;
        orgs.delete(orgId);
        if (orgs.size === 0) again();
      };
    },
  };
}
