import type { Database, Tx } from '../../storage/database.ts';
import type { DeviceRow } from '../../storage/rows.ts';
import { refreshStatus } from '../sync/listed-status.ts';
import { STATUS_COLUMNS, statusOf } from './device-row.ts';
import { parseEvidence, withEvidence } from './evidence.ts';
import { advance, type Claim, comparePlaces } from './machine.ts';
import { readPolicies } from './policies.ts';

/** What is needed of a device to let it be silent without an event. */
export const SILENCED = [
  'id',
  'org_id',
  'site_id',
  'integration_id',
  'type',
  'last_seen_at',
  'silence_due_at',
  'telemetry',
  'evidence',
  ...STATUS_COLUMNS,
] as const satisfies readonly (keyof DeviceRow)[];

type Silenced = Pick<DeviceRow, (typeof SILENCED)[number]>;

/**
 * Lets devices of one integration become UNKNOWN for SILENCE of which the log takes no event, because no site of ours is
 * theirs. Lists show them all the same. The caller moves the org's revision.
 *
 * @param now milliseconds since the epoch
 * @returns how many
 */
export async function silenceUnlogged(
  tx: Tx,
  engine: Database['engine'],
  rows: readonly Silenced[],
  now: number,
): Promise<number> {
  const [first] = rows;
  if (first === undefined) return 0;
  const policyOf = await readPolicies(tx, first.org_id);
  const refreshes = rows.flatMap((row) => {
    const before = statusOf(row);
    const place = { at: row.silence_due_at ?? now, receivedAt: now, inboxId: 0 };
    const claim: Claim = { ...place, state: 'UNKNOWN', reason: 'SILENCE', vendorState: null };
    if (comparePlaces(claim, before.place) < 0) return [];
    const { status, changes } = advance(before, claim, policyOf(row));
    const { state, reason } = claim;
    const word = { source: 'SILENCE', integrationId: row.integration_id, state, reason } as const;
    const evidence = withEvidence(parseEvidence(row.evidence), {
      ...word,
      observedAt: place.at,
      receivedAt: now,
      inboxId: 0,
    });
    const kept = { id: row.id, lastSeenAt: row.last_seen_at, telemetry: row.telemetry };
    return [{ ...kept, before, status, changes, evidence: JSON.stringify(evidence) }];
  });
  await refreshStatus(tx, engine, refreshes);
  return refreshes.length;
}
