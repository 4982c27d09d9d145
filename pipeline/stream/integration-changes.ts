import type { AccessScope } from '../../schema/principal.ts';
import { visibleIntegration } from '../../storage/access-conditions.ts';
import type { Database } from '../../storage/database.ts';
import { createIntegrationWatch, STAMP } from './integration-watch.ts';
import { abortable, systemTiming, type Timing, waitFor } from './pausable.ts';

/** An integration under load rings hundreds of times a second; a person looks once. */
const MIN_INTERVAL_MS = 1_000;
/** No longer than a timer of Node takes. */
const MAX_WAIT_MS = 60_000;

export interface IntegrationChangesRequest {
  readonly access: AccessScope;
  readonly orgId: string;
  readonly signal: AbortSignal;
}

export interface IntegrationChanges {
  /**
   * Ids of the org's visible integrations whenever something about them was committed, by whichever process; each at most
   * once a second.
   */
  subscribe(request: IntegrationChangesRequest): AsyncIterableIterator<string, void, void>;
}

export function createIntegrationChanges({
  db,
  timing = systemTiming,
}: {
  readonly db: Database;
  /** Default the system's. */
  readonly timing?: Timing;
}): IntegrationChanges {
  const watch = createIntegrationWatch(db, timing);

  async function visible(
    access: AccessScope,
    orgId: string,
    ids: readonly string[],
  ): Promise<readonly { readonly id: string; readonly stamp: string }[]> {
    return db.read
      .selectFrom('integrations')
      .select(['integrations.id', STAMP.as('stamp')])
      .where(visibleIntegration(access))
      .where('integrations.org_id', '=', orgId)
      .where('integrations.id', 'in', ids)
      .execute();
  }

  return {
    subscribe({ access, orgId, signal }) {
      // As many as there are integrations at most; the stamp is null where a bell rang, which says that something moved.
      const rung = new Map<string, string | null>();
      const told = new Map<string, string>();
      let wake = (): void => {};
      // Registered now and not at the first item: what is rung in between is not missed.
      const stopRings = db.doorbell.on('*', (topic) => {
        if (!topic.startsWith('integration:')) return;
        rung.set(topic.slice('integration:'.length), null);
        wake();
      });
      const stopWatching = watch.listen(orgId, (id, stamp) => {
        // It was rung for, and told as it is.
        if (told.get(id) === stamp) return;
        if (!rung.has(id)) rung.set(id, stamp);
        wake();
      });
      const stopListening = (): void => {
        stopRings();
        stopWatching();
      };
      const listen = (listener: () => void): (() => void) => {
        wake = listener;
        return () => {
          wake = () => {};
        };
      };
      signal.addEventListener('abort', stopListening, { once: true });

      return abortable(signal, async function* (ended) {
        // Looked up, visible or not: rings of somebody else's integrations must not make us ask again and again.
        const lookedAt = new Map<string, number>();
        try {
          while (!ended.aborted) {
            const now = timing.elapsedMs();
            const due = [...rung.keys()].filter(
              (id) => now - (lookedAt.get(id) ?? Number.NEGATIVE_INFINITY) >= MIN_INTERVAL_MS,
            );
            if (due.length === 0) {
              const waiting = [...rung.keys()].map((id) => MIN_INTERVAL_MS - (now - (lookedAt.get(id) ?? 0)));
              // A ring of another integration wakes us too; without any there is nothing to wait for but a ring.
              await waitFor(timing, listen, Math.min(...waiting, MAX_WAIT_MS), ended);
              continue;
            }
            for (const [id, at] of lookedAt) if (now - at >= MIN_INTERVAL_MS) lookedAt.delete(id);
            for (const id of due) {
              rung.delete(id);
              lookedAt.set(id, now);
            }
            for (const { id, stamp } of await visible(access, orgId, due)) {
              told.set(id, stamp);
              // It was found to have moved while we looked, and we saw it as it is.
              if (rung.get(id) === stamp) rung.delete(id);
              yield id;
            }
          }
        } finally {
          stopListening();
          signal.removeEventListener('abort', stopListening);
        }
      });
    },
  };
}
