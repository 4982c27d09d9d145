import { sql } from 'kysely';
import type { Database, Tx } from '../../storage/database.ts';
import type { PolicyPlace } from '../../storage/status-policies.ts';
import { inChunks } from '../process/chunks.ts';
import { lockIntegration } from '../process/event-writer.ts';
import { type PolicyOf, readPolicies } from './policies.ts';

// Devices that are waited for carry the instant at which they count as silent. A policy that says how long that takes must
// hold for those too that never speak again.

interface Waiting {
  readonly id: string;
  readonly integration_id: string;
  readonly site_id: string | null;
  readonly type: string;
  readonly silence_due_at: number | null;
}

/** How the instant of one device moves: by so much, to so long after it was seen last, or away. */
type Move = { readonly by: number } | { readonly afterSeenMs: number } | { readonly away: true };

/**
 * Runs a change of policies, and lets devices wait as long as they say afterwards. What they had already waited longer,
 * because nobody could hear them, stays. To be called before anything else in the transaction; the org's revision is moved
 * by the caller, afterwards.
 *
 * @param vendors slugs of those whose devices are waited for
 * @param change what it does to policies must be in the store when it resolves
 */
export async function withSilenceOf<T>(
  db: Database,
  tx: Tx,
  place: PolicyPlace,
  vendors: readonly string[],
  change: () => Promise<T>,
): Promise<T> {
  const integrations = await integrationsOf(tx, place.orgId, vendors);
  // Who writes devices holds the integration's row: PostgreSQL would see a deadlock otherwise.
  for (const id of integrations) await lockIntegration(db, tx, id);
  const before = await readPolicies(tx, place.orgId);
  const result = await change();
  const after = await readPolicies(tx, place.orgId);
  if (integrations.length > 0) await rewait(tx, place, integrations, before, after);
  return result;
}

async function integrationsOf(tx: Tx, orgId: string, vendors: readonly string[]): Promise<readonly string[]> {
  if (vendors.length === 0) return [];
  const rows = await tx
    .selectFrom('integrations')
    .select('id')
    .where('org_id', '=', orgId)
    .where('vendor', 'in', vendors)
    .orderBy('id')
    .execute();
  return rows.map(({ id }) => id);
}

async function rewait(
  tx: Tx,
  { siteId, deviceType, deviceId }: PolicyPlace,
  integrations: readonly string[],
  before: PolicyOf,
  after: PolicyOf,
): Promise<void> {
  const learned = await readLearned(tx, integrations);
  let query = tx
    .selectFrom('devices')
    .select(['id', 'integration_id', 'site_id', 'type', 'silence_due_at'])
    .where('integration_id', 'in', integrations)
    .where('removed_at', 'is', null)
    .where('last_seen_at', 'is not', null)
    // What is down or unknown already is waited for when it speaks again.
    .where('state', 'in', ['ONLINE', 'DEGRADED']);
  if (siteId !== null) query = query.where('site_id', '=', siteId);
  if (deviceType !== null) query = query.where('type', '=', deviceType);
  if (deviceId !== null) query = query.where('id', '=', deviceId);
  const moves = (await query.execute()).flatMap((device) => {
    const usual = learned.get(keyOf(device.integration_id, device.type)) ?? null;
    const move = moveOf(device, before(device).silenceMs ?? usual, after(device).silenceMs ?? usual);
    return move === null ? [] : [{ id: device.id, move }];
  });
  for (const [, group] of Map.groupBy(moves, ({ move }) => JSON.stringify(move))) {
    const [first] = group;
    if (first === undefined) continue;
    for (const chunk of inChunks(group.map(({ id }) => id))) {
      await tx
        .updateTable('devices')
        .set({ silence_due_at: dueAfter(first.move) })
        .where('id', 'in', chunk)
        .execute();
    }
  }
}

function keyOf(integrationId: string, type: string): string {
  return `${integrationId} ${type}`;
}

async function readLearned(tx: Tx, integrations: readonly string[]): Promise<ReadonlyMap<string, number | null>> {
  const rows = await tx
    .selectFrom('rhythms')
    .select(['integration_id', 'type', 'limit_ms'])
    .where('integration_id', 'in', integrations)
    .execute();
  return new Map(rows.map((row) => [keyOf(row.integration_id, row.type), row.limit_ms]));
}

function moveOf({ silence_due_at: dueAt }: Waiting, before: number | null, after: number | null): Move | null {
  if (before === after) return null;
  if (after === null) return dueAt === null ? null : { away: true };
  return dueAt === null || before === null ? { afterSeenMs: after } : { by: after - before };
}

function dueAfter(move: Move) {
  if ('away' in move) return null;
  return 'by' in move ? sql<number>`silence_due_at + ${move.by}` : sql<number>`last_seen_at + ${move.afterSeenMs}`;
}
