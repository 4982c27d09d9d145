import { z } from 'zod';
import type { Database, Tx } from '../../storage/database.ts';
import { bumpOrgRevision } from '../../storage/directory-store-write.ts';
import { lockIntegration } from '../process/event-writer.ts';
import { bulkUpdateDevices } from '../../storage/bulk-update.ts';
import { parseEvidence } from './evidence.ts';

// What came without an instant of its own, or with one that was put onto our clock, is of the instant that our clock said.
// When that was ahead and is set back, all that comes from then on would be older than what is known, for as long as the
// clock was set back: states would stand still. So what is of the future is taken to be of now; the log stays as it is.

/** Devices of one transaction: whoever waits to write has its turn in between. */
const PORTION = 500;

const COLUMNS = [
  'id',
  'state_since',
  'state_observed_at',
  'claim_received_at',
  'pending_since',
  'flap_changes',
  'last_seen_at',
  'evidence',
  'telemetry',
] as const;

const Telemetry = z.looseObject({ observedAt: z.number() });

/**
 * Lets nothing that is known of devices be of later than now. To be called when the clock was set back.
 *
 * @param now milliseconds since the epoch, by the clock as it is now
 */
export async function settleFuture(db: Database, now: number): Promise<void> {
  let last = '';
  for (;;) {
    const rows = await db.read
      .selectFrom('devices')
      .select(['id', 'integration_id', 'org_id'])
      .where('id', '>', last)
      .where((eb) =>
        eb.or([eb('state_observed_at', '>', now), eb('state_since', '>', now), eb('last_seen_at', '>', now)]),
      )
      .orderBy('id')
      .limit(PORTION)
      .execute();
    for (const [integrationId, own] of Map.groupBy(rows, ({ integration_id: id }) => id)) {
      const orgId = own[0]?.org_id ?? '';
      const ids = own.map(({ id }) => id);
      await db.write(async (tx) => {
        await lockIntegration(db, tx, integrationId);
        await settleDevices(tx, db.engine, ids, now);
        await bumpOrgRevision(tx, orgId, now);
      });
      db.doorbell.ring(`org:${orgId}`);
    }
    last = rows.at(-1)?.id ?? last;
    if (rows.length < PORTION) return;
  }
}

async function settleDevices(tx: Tx, engine: Database['engine'], ids: readonly string[], now: number): Promise<void> {
  const rows = await tx.selectFrom('devices').select(COLUMNS).where('id', 'in', ids).orderBy('id').execute();
  const upTo = <T extends number | null>(at: T): T | number => (at === null ? at : Math.min(at, now));
  await settleSegments(
    tx,
    rows.filter(({ state_since: since }) => since > now).map(({ id }) => id),
    now,
  );
  await bulkUpdateDevices(tx, engine, {
    columns: [
      { name: 'state_since', type: 'bigint' },
      { name: 'state_observed_at', type: 'bigint' },
      { name: 'claim_received_at', type: 'bigint' },
      { name: 'pending_since', type: 'bigint' },
      { name: 'flap_changes', type: 'text' },
      { name: 'last_seen_at', type: 'bigint' },
      { name: 'evidence', type: 'text' },
      { name: 'telemetry', type: 'text' },
    ],
    rows: rows.map((row) => [
      row.id,
      upTo(row.state_since),
      upTo(row.state_observed_at),
      upTo(row.claim_received_at),
      upTo(row.pending_since),
      // Changes of a time that comes once more: which of them are recent is not to be told.
      row.state_since > now ? '[]' : row.flap_changes,
      upTo(row.last_seen_at),
      JSON.stringify(
        parseEvidence(row.evidence).map((word) => ({
          ...word,
          observedAt: upTo(word.observedAt),
          receivedAt: upTo(word.receivedAt),
        })),
      ),
      telemetryUpTo(row.telemetry, now),
    ]),
  });
}

/** What began later than now did not last; the state of now began now. */
async function settleSegments(tx: Tx, ids: readonly string[], now: number): Promise<void> {
  if (ids.length === 0) return;
  await tx
    .deleteFrom('status_segments')
    .where('device_id', 'in', ids)
    .where('from_at', '>=', now)
    .where('to_at', 'is not', null)
    .execute();
  await tx
    .updateTable('status_segments')
    .set({ to_at: now })
    .where('device_id', 'in', ids)
    .where('to_at', '>', now)
    .execute();
  await tx
    .updateTable('status_segments')
    .set({ from_at: now })
    .where('device_id', 'in', ids)
    .where('from_at', '>', now)
    .execute();
}

function telemetryUpTo(text: string | null, now: number): string | null {
  if (text === null) return null;
  const stored = Telemetry.safeParse(JSON.parse(text));
  if (!stored.success || stored.data.observedAt <= now) return text;
  return JSON.stringify({ ...stored.data, observedAt: now });
}
