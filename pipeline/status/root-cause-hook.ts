import type { Database, Tx } from '../../storage/database.ts';
import { newId } from '../../storage/ids.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { inChunks } from '../process/chunks.ts';
import {
  addAffected,
  closeIncident,
  type IncidentRow,
  openIncident,
  type Telling,
  tellIncidents,
  type Told,
  type WriterSource,
} from './incidents.ts';
import { type Conclusions, concludeRootCauses, EXPLAINED_WITHIN_MS, type Explanation } from './root-cause.ts';
import { type Family, type FamilyRow, hasFamily, readFamily, readIncidents } from './root-cause-family.ts';
import type { StatusTransition, TransitionHook } from './transitions.ts';

/** What was settled, and what is to be said about it. */
export interface Settled extends Conclusions {
  readonly family: Family;
  readonly incidents: readonly IncidentRow[];
  readonly tellings: readonly Telling[];
  /** Devices that nothing explains any more: those that are not back have to be told of. */
  readonly released: readonly string[];
}

/**
 * Judges devices of one integration and all behind them anew: which failures others explain, which incidents begin and
 * end. The caller holds the integration's row (see lockIntegration), tells what is to be told when all else is written,
 * and moves the org's revision.
 *
 * @param now milliseconds since the epoch, by our clock
 */
export async function settleRootCauses(
  tx: Tx,
  integration: IntegrationRow,
  ids: readonly string[],
  now: number,
): Promise<Settled> {
  const family = await readFamily(tx, ids);
  const incidents = await readIncidents(tx, family, integration.id);
  const conclusions = concludeRootCauses({
    integrationId: integration.id,
    members: family.members,
    scope: family.scope,
    incidents: incidents.map((row) => ({
      id: row.id,
      cause: row.cause,
      rootId: row.root_id,
      openedAt: row.opened_at,
      closedAt: row.closed_at,
      updatedAt: row.updated_at,
    })),
    now,
    makeId: () => newId('inc'),
  });
  await explainDevices(tx, conclusions.changes);
  const added = newlyExplained(family, conclusions.changes);
  const tellings: Telling[] = [];
  for (const { id, root, isReopened } of conclusions.opened) {
    const row = family.rows.get(root.id);
    if (row === undefined) continue;
    const before = incidents.find((incident) => incident.id === id);
    const incident =
      isReopened && before !== undefined
        ? { ...before, closed_at: null, affected: added.get(id) ?? 0, updated_at: now }
        : deviceDown(id, row, added.get(id) ?? 0, now);
    added.delete(id);
    await openIncident(tx, incident);
    tellings.push({
      incidentId: id,
      word: 'opened',
      where: whereOf(integration, row),
      at: root.since,
      mergedInto: null,
    });
  }
  for (const { id, root, mergedInto } of conclusions.closed) {
    const row = family.rows.get(root.id);
    const incident = incidents.find((each) => each.id === id);
    if (row === undefined || incident === undefined) continue;
    const at = await closeIncident(tx, incident, root.since, now);
    tellings.push({ incidentId: id, word: 'closed', where: whereOf(integration, row), at, mergedInto });
  }
  for (const [id, count] of added) await addAffected(tx, id, count, now);
  const released = [...conclusions.changes].flatMap(([id, explanation]) =>
    (explanation?.by ?? null) === null ? [id] : [],
  );
  return { ...conclusions, family, incidents, tellings, released };
}

function deviceDown(id: string, row: FamilyRow, affected: number, now: number): IncidentRow {
  return {
    id,
    org_id: row.org_id,
    site_id: row.site_id,
    root_kind: 'DEVICE',
    root_id: row.id,
    cause: 'DEVICE_DOWN',
    summary: `${row.name} is down`,
    opened_at: row.state_since,
    closed_at: null,
    affected,
    details: '{}',
    updated_at: now,
  };
}

function whereOf(integration: IntegrationRow, row: FamilyRow): Told {
  return { integration, nativeDeviceId: row.native_id };
}

/** How many devices each incident explains that it did not explain before. */
function newlyExplained({ members }: Family, changes: ReadonlyMap<string, Explanation | null>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [id, explanation] of changes) {
    if (explanation === null || explanation.by === null) continue;
    const before = members.get(id);
    if (before?.incidentId === explanation.incidentId && before.suppressedBy !== null) continue;
    counts.set(explanation.incidentId, (counts.get(explanation.incidentId) ?? 0) + 1);
  }
  return counts;
}

/** Writes what explains devices; those with the same explanation together, in order of id as every writer does. */
export async function explainDevices(tx: Tx, changes: ReadonlyMap<string, Explanation | null>): Promise<void> {
  const groups = Map.groupBy(
    [...changes].toSorted(([a], [b]) => (a < b ? -1 : 1)),
    ([, explanation]) => JSON.stringify([explanation?.by ?? null, explanation?.incidentId ?? null]),
  );
  for (const group of groups.values()) {
    const explanation = group[0]?.[1] ?? null;
    for (const chunk of inChunks(group.map(([id]) => id))) {
      await tx
        .updateTable('devices')
        .set({ suppressed_by: explanation?.by ?? null, incident_id: explanation?.incidentId ?? null })
        .where('id', 'in', chunk)
        .execute();
    }
  }
}

/** The hook of the event writer: failures that others explain are marked in the transaction that writes them. */
export function createRootCauseHook(writer: WriterSource): TransitionHook {
  return async ({ engine }: Database, tx, integration, transitions) => {
    const ids = [...new Set(transitions.map(({ deviceId }) => deviceId))];
    if (!(await hasFamily(tx, engine, integration.id, ids))) {
      for (const { after, row } of transitions) if (after !== 'ONLINE') markUnexplained(row);
      return;
    }
    const now = Math.max(...transitions.map(({ row }) => row.received_at));
    const settled = await settleRootCauses(tx, integration, ids, now);
    for (const { deviceId, after, row } of transitions) {
      if (after === 'ONLINE') continue;
      const explanation = settled.explanations.get(deviceId);
      row.suppressed = explanation === undefined || explanation.by === null ? 0 : 1;
      row.incident_id = explanation?.incidentId ?? null;
    }
    await hideRecoveries(tx, transitions, settled);
    await tellIncidents(tx, writer, settled.tellings, now);
    // Their own events tell of those that changed themselves.
    const changed = new Set(ids);
    const others = settled.released.filter((id) => !changed.has(id));
    if (others.length > 0) await writer().tellStillDown(tx, integration, others, now);
  };
}

/** What was known when the event came in may have been of an incident that is over. */
function markUnexplained(row: StatusTransition['row']): void {
  row.suppressed = 0;
  row.incident_id = null;
}

/** Nobody was told that it failed, so nobody needs to be told that it is back. */
async function hideRecoveries(
  tx: Tx,
  transitions: readonly StatusTransition[],
  { family, incidents }: { readonly family: Family; readonly incidents: readonly IncidentRow[] },
): Promise<void> {
  const opened = new Map(incidents.map((incident) => [incident.id, incident.opened_at]));
  const back = transitions.filter(({ deviceId, after }) => {
    const before = family.members.get(deviceId);
    return after === 'ONLINE' && before !== undefined && before.suppressedBy !== null && before.incidentId !== null;
  });
  if (back.length === 0) return;
  // One that fell a little before what explains it was told of.
  const from = Math.min(
    ...back.map(({ deviceId, at }) => opened.get(family.members.get(deviceId)?.incidentId ?? '') ?? at),
  );
  const hidden = new Map<string, boolean>();
  for (const chunk of inChunks([...new Set(back.map(({ deviceId }) => deviceId))])) {
    const rows = await tx
      .selectFrom('events')
      .select(['device_id', 'suppressed'])
      .where('device_id', 'in', chunk)
      .where('occurred_at', '>=', from - EXPLAINED_WITHIN_MS)
      .where((eb) => eb.or([eb('changed', '=', 1), eb('derived', '=', 1)]))
      .where('state', '<>', 'ONLINE')
      .orderBy('seq')
      .execute();
    for (const row of rows) if (row.device_id !== null) hidden.set(row.device_id, row.suppressed === 1);
  }
  for (const { deviceId, row } of back) {
    if (hidden.get(deviceId) !== true) continue;
    row.suppressed = 1;
    row.incident_id = family.members.get(deviceId)?.incidentId ?? null;
  }
}
