import type { Logger } from 'pino';
import type { EventDraft } from '../../adapter-kit/model.ts';
import type { Tx } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import type { EventWriter } from './event-writer.ts';
import { systemDraft } from './system-draft.ts';

const DAY_MS = 86_400_000;
/** Integrations of which it is known that they were told of today; forgetting one costs a look into the log. */
const MAX_REMEMBERED = 10_000;

/**
 * Vendors should give their events ids that stay the same when they are sent again. One that does not is told once a day:
 * its repetitions are known by what they say only, so that two equal events of one instant are one.
 */
export interface MissingIds {
  /** @param drafts what webhooks brought, replays left out */
  note(tx: Tx, integration: IntegrationRow, drafts: readonly EventDraft[], now: number): Promise<void>;
}

export function createMissingIds(writer: Pick<EventWriter, 'writeItems'>, logger: Logger): MissingIds {
  const toldOn = new Map<string, number>();

  return {
    async note(tx, integration, drafts, now) {
      const without = drafts.filter(({ vendorEventId }) => vendorEventId === null);
      const day = Math.floor(now / DAY_MS);
      if (without.length === 0 || toldOn.get(integration.id) === day) return;
      const counts = { events: without.length, of: drafts.length };
      const item = { origin: 'POLL', receivedAt: now, inboxId: null, clockSkewMs: null } as const;
      const draft = toldEvent(integration, day, counts, now);
      // Its id holds the day: another process, or this one after a restart, finds it in the log.
      const [outcome] = await writer.writeItems(tx, integration, [{ ...item, draft, countsAsDuplicate: false }]);
      if (outcome?.kind !== 'WRITTEN') {
        // Only what is found there was committed.
        toldOn.delete(integration.id);
        toldOn.set(integration.id, day);
        const [oldest] = toldOn.keys();
        if (toldOn.size > MAX_REMEMBERED && oldest !== undefined) toldOn.delete(oldest);
        return;
      }
      logger.warn(
        { integrationId: integration.id, vendor: integration.vendor, ...counts },
        'Events come without ids; repetitions are known by what they say',
      );
    },
  };
}

function toldEvent(
  { name }: IntegrationRow,
  day: number,
  counts: { readonly events: number; readonly of: number },
  now: number,
): EventDraft {
  return systemDraft({
    vendorEventId: `event ids missing on ${new Date(day * DAY_MS).toISOString().slice(0, 10)}`,
    type: 'system.event_ids_missing',
    severity: 'NOTICE',
    at: now,
    summary: `${name}: its events have no ids; repetitions are known by what they say`,
    detail: counts,
  });
}
