import type { EventDraft } from '../../adapter-kit/model.ts';
import type { Database, Tx } from '../../storage/database.ts';
import { bumpOrgRevision } from '../../storage/directory-store-write.ts';
import type { DeviceRow, IntegrationRow } from '../../storage/rows.ts';
import { lockIntegration, ringForEvents } from '../process/event-writer.ts';
import type { WriterSource } from './incidents.ts';
import type { StatusJob } from './keeper.ts';
import { outageCauseOf } from './outages.ts';
import { MAX_LIMIT_MS, MIN_LIMIT_MS } from './rhythm.ts';
import { SILENCED, silenceUnlogged } from './unlogged-silence.ts';

/** Devices judged in one transaction. */
const PORTION = 500;

type Due = Pick<
  DeviceRow,
  'id' | 'integration_id' | 'native_id' | 'name' | 'state' | 'last_seen_at' | 'silence_due_at'
>;

export interface SilenceDeps {
  readonly db: Database;
  readonly writer: WriterSource;
}

/**
 * Finds devices that were not heard of for longer than their kind usually is silent: they become UNKNOWN for SILENCE, until
 * they are heard again. Silence of a device says nothing while its whole platform cannot be heard: it is waited for anew.
 */
export function createSilenceJob({ db, writer }: SilenceDeps): StatusJob {
  async function due(now: number): Promise<readonly Due[]> {
    return db.read
      .selectFrom('devices')
      .select(['id', 'integration_id', 'native_id', 'name', 'state', 'last_seen_at', 'silence_due_at'])
      .where('silence_due_at', '<=', now)
      .orderBy('silence_due_at')
      .limit(PORTION)
      .execute();
  }

  async function judge(tx: Tx, integration: IntegrationRow, ids: readonly string[], now: number): Promise<number> {
    // Again, now that nobody else writes: some may have been heard.
    const rows = await tx
      .selectFrom('devices')
      .select(['native_id', 'name', ...SILENCED])
      .where('id', 'in', ids)
      .where('silence_due_at', '<=', now)
      .where('removed_at', 'is', null)
      .orderBy('id')
      .execute();
    // Of what is gone nothing is waited for, whether or not its platform can be heard.
    await tx
      .updateTable('devices')
      .set({ silence_due_at: null })
      .where('id', 'in', ids)
      .where('removed_at', 'is not', null)
      .execute();
    if (outageCauseOf(integration) !== null) {
      await waitAnew(tx, rows, now);
      return 0;
    }
    await tx.updateTable('devices').set({ silence_due_at: null }).where('id', 'in', ids).execute();
    // What is down or unknown already is not made better known by its silence.
    const silent = rows.filter(({ state }) => state === 'ONLINE' || state === 'DEGRADED');
    const unlogged = await silenceUnlogged(
      tx,
      db.engine,
      silent.filter(({ site_id: siteId }) => siteId === null),
      now,
    );
    const drafts = silent.filter(({ site_id: siteId }) => siteId !== null).map(silentDraft);
    const { written } = await writer().writeEvents(tx, integration, drafts, 'SILENCE', now);
    if (unlogged > 0) await bumpOrgRevision(tx, integration.org_id, now);
    return written + unlogged;
  }

  return {
    name: 'silence',
    async run(now) {
      const rows = await due(now);
      for (const [integrationId, devices] of Map.groupBy(rows, ({ integration_id: id }) => id)) {
        const ids = devices.map(({ id }) => id).toSorted();
        const told = await db.write(async (tx) => {
          await lockIntegration(db, tx, integrationId);
          const row = await tx
            .selectFrom('integrations')
            .selectAll()
            .where('id', '=', integrationId)
            .executeTakeFirst();
          if (row !== undefined) return (await judge(tx, row, ids, now)) > 0 ? row : null;
          await tx.updateTable('devices').set({ silence_due_at: null }).where('id', 'in', ids).execute();
          return null;
        });
        if (told !== null) ringForEvents(db, told);
      }
      return rows.length === PORTION;
    },
  };
}

/** Each gets its own limit again, counted from now. */
async function waitAnew(tx: Tx, rows: readonly Due[], now: number): Promise<void> {
  const groups = Map.groupBy(rows, ({ silence_due_at: at, last_seen_at: seen }) => {
    const limit = (at ?? now) - (seen ?? at ?? now);
    return Math.min(Math.max(limit, MIN_LIMIT_MS), MAX_LIMIT_MS);
  });
  for (const [limit, group] of groups) {
    await tx
      .updateTable('devices')
      .set({ silence_due_at: now + limit })
      .where(
        'id',
        'in',
        group.map(({ id }) => id),
      )
      .execute();
  }
}

function silentDraft({
  native_id: nativeDeviceId,
  name,
  silence_due_at: dueAt,
  last_seen_at: seenAt,
}: Due): EventDraft {
  return {
    vendorEventId: null,
    family: 'HEALTH',
    type: 'health.silent',
    vendorCode: null,
    severity: 'WARNING',
    occurredAt: new Date(dueAt ?? 0),
    nativeOrgId: null,
    nativeSiteId: null,
    nativeDeviceId,
    claim: { state: 'UNKNOWN', reason: 'SILENCE', vendorState: null, observedAt: null },
    isLifeSign: false,
    summary: `${name} has not been heard of for longer than usual`,
    details: { detail: { lastSeenAt: seenAt === null ? null : new Date(seenAt).toISOString() } },
    raw: null,
  };
}
