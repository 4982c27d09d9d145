import type { Selectable } from 'kysely';
import { sql } from 'kysely';
import type { EventDraft } from '../../adapter-kit/model.ts';
import { INCIDENT_CAUSES, type IncidentCause, type Severity } from '../../schema/words.ts';
import type { Tx } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import type { IncidentsTable } from '../../storage/status-tables.ts';
import type { EventWriter } from '../process/event-writer.ts';
import { systemDraft } from '../process/system-draft.ts';

export type IncidentRow = Selectable<IncidentsTable>;

/** Where an incident is told: the log knows devices and vendors' sites of one integration. */
export interface Told {
  readonly integration: IntegrationRow;
  readonly nativeDeviceId?: string | null;
  readonly nativeOrgId?: string | null;
  readonly nativeSiteId?: string | null;
}

/** The events of incidents go through the writer that everything goes through. It is made after what it calls. */
export type WriterSource = () => Pick<EventWriter, 'writeEvents' | 'tellStillDown'>;

const OPENED: Readonly<Record<IncidentCause, Severity>> = {
  DEVICE_DOWN: 'WARNING',
  PLATFORM_DOWN: 'WARNING',
  SITE_POWER: 'CRITICAL',
};

function causeOf(incident: Pick<IncidentRow, 'cause'>): IncidentCause {
  return INCIDENT_CAUSES.find((cause) => cause === incident.cause) ?? 'DEVICE_DOWN';
}

const ENDED: Readonly<Record<IncidentCause, string>> = {
  DEVICE_DOWN: 'it is back',
  PLATFORM_DOWN: 'the platform is heard again',
  SITE_POWER: 'power is back',
};

function summaryOf(incident: IncidentRow, { word, mergedInto }: Telling): string {
  if (word === 'opened') return incident.summary;
  const why = mergedInto === null ? ENDED[causeOf(incident)] : 'it is part of a wider incident';
  return `${incident.summary}: over, ${why}`;
}

function draftOf(incident: IncidentRow, telling: Telling): EventDraft {
  const { word, where, at, mergedInto } = telling;
  return systemDraft({
    vendorEventId: `${incident.id} ${word} ${at}`,
    type: `incident.${word}`,
    severity: word === 'opened' ? OPENED[causeOf(incident)] : 'NOTICE',
    at,
    nativeOrgId: where.nativeOrgId ?? null,
    nativeSiteId: where.nativeSiteId ?? null,
    nativeDeviceId: where.nativeDeviceId ?? null,
    summary: summaryOf(incident, telling),
    detail: {
      incidentId: incident.id,
      cause: incident.cause,
      rootKind: incident.root_kind,
      rootId: incident.root_id,
      affected: incident.affected,
      openedAt: new Date(incident.opened_at).toISOString(),
      mergedInto,
    },
  });
}

/** Something to say in the log about an incident, once everything else of the transaction is written. */
export interface Telling {
  readonly incidentId: string;
  readonly word: 'opened' | 'closed';
  readonly where: Told;
  /** By the source's clock. */
  readonly at: number;
  readonly mergedInto: string | null;
}

/** Stores an incident, or opens one that had ended again. @param incident as it is to be stored; `closed_at` null */
export async function openIncident(tx: Tx, incident: IncidentRow): Promise<void> {
  await tx
    .insertInto('incidents')
    .values(incident)
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet({
        closed_at: null,
        details: incident.details,
        affected: sql<number>`incidents.affected + excluded.affected`,
        updated_at: incident.updated_at,
      }),
    )
    .execute();
}

/** Ends an incident; its devices are left as they are. @param at by the source's clock @returns when it ended */
export async function closeIncident(tx: Tx, incident: IncidentRow, at: number, now: number): Promise<number> {
  const closedAt = Math.max(at, incident.opened_at);
  await tx
    .updateTable('incidents')
    .set({ closed_at: closedAt, updated_at: now })
    .where('id', '=', incident.id)
    .where('closed_at', 'is', null)
    .execute();
  return closedAt;
}

/** Says in the log what became of incidents. Call it last: from here on other writers of the log wait. */
export async function tellIncidents(
  tx: Tx,
  writer: WriterSource,
  tellings: readonly Telling[],
  now: number,
): Promise<void> {
  if (tellings.length === 0) return;
  const ids = [...new Set(tellings.map(({ incidentId }) => incidentId))];
  const rows = await tx.selectFrom('incidents').selectAll().where('id', 'in', ids).execute();
  const incidents = new Map(rows.map((row) => [row.id, row]));
  for (const telling of tellings) {
    const incident = incidents.get(telling.incidentId);
    if (incident === undefined) continue;
    const draft = draftOf(incident, telling);
    await writer().writeEvents(tx, telling.where.integration, [draft], 'POLL', now);
  }
}

/** Counts devices that an incident explains in addition. */
export async function addAffected(tx: Tx, incidentId: string, count: number, now: number): Promise<void> {
  if (count === 0) return;
  await tx
    .updateTable('incidents')
    .set((eb) => ({ affected: eb('affected', '+', count), updated_at: now }))
    .where('id', '=', incidentId)
    .execute();
}
