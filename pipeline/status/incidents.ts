import type { Selectable } from 'kysely';
import { sql } from 'kysely';
import type { EventDraft } from '../../adapter-kit/model.ts';
import type { Severity } from '../../schema/words.ts';
import type { Tx } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import type { IncidentsTable } from '../../storage/tables.ts';
import type { EventWriter } from '../process/event-writer.ts';

export type IncidentRow = Selectable<IncidentsTable>;
export type IncidentCause = 'DEVICE_DOWN' | 'PLATFORM_DOWN' | 'SITE_POWER';

/** Where an incident is told: the log knows devices and vendors' sites of one integration. */
export interface Told {
  readonly integration: IntegrationRow;
  readonly nativeDeviceId?: string | null;
  readonly nativeOrgId?: string | null;
  readonly nativeSiteId?: string | null;
}

/** The events of incidents go through the writer that everything goes through. It is made after what it calls. */
export type WriterSource = () => Pick<EventWriter, 'writeEvents'>;

const OPENED: Readonly<Record<IncidentCause, Severity>> = {
  DEVICE_DOWN: 'WARNING',
  PLATFORM_DOWN: 'WARNING',
  SITE_POWER: 'CRITICAL',
};

function causeOf(incident: Pick<IncidentRow, 'cause'>): IncidentCause {
  const { cause } = incident;
  return cause === 'PLATFORM_DOWN' || cause === 'SITE_POWER' ? cause : 'DEVICE_DOWN';
}

function draftOf(
  incident: IncidentRow,
  word: 'opened' | 'closed',
  where: Told,
  { at, summary, mergedInto }: { readonly at: number; readonly summary: string; readonly mergedInto: string | null },
): EventDraft {
  return {
    vendorEventId: `${incident.id} ${word} ${at}`,
    family: 'SYSTEM',
    type: `incident.${word}`,
    vendorCode: null,
    severity: word === 'opened' ? OPENED[causeOf(incident)] : 'NOTICE',
    occurredAt: new Date(at),
    nativeOrgId: where.nativeOrgId ?? null,
    nativeSiteId: where.nativeSiteId ?? null,
    nativeDeviceId: where.nativeDeviceId ?? null,
    claim: null,
    isLifeSign: false,
    summary,
    details: {
      detail: {
        incidentId: incident.id,
        cause: incident.cause,
        rootKind: incident.root_kind,
        rootId: incident.root_id,
        affected: incident.affected,
        openedAt: new Date(incident.opened_at).toISOString(),
        mergedInto,
      },
    },
    raw: null,
  };
}

/**
 * Stores an incident, or opens one that had ended again, and says so in the log.
 *
 * @param incident as it is to be stored; `closed_at` null
 * @param when.at when it began, or began again, by the source's clock
 */
export async function openIncident(
  tx: Tx,
  writer: WriterSource,
  incident: IncidentRow,
  where: Told,
  { at, now }: { readonly at: number; readonly now: number },
): Promise<void> {
  await tx
    .insertInto('incidents')
    .values(incident)
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet({
        closed_at: null,
        details: incident.details,
        affected: sql<number>`incidents.affected + excluded.affected`,
        updated_at: now,
      }),
    )
    .execute();
  const draft = draftOf(incident, 'opened', where, { at, summary: incident.summary, mergedInto: null });
  await writer().writeEvents(tx, where.integration, [draft], 'POLL', now);
}

const ENDED: Readonly<Record<IncidentCause, string>> = {
  DEVICE_DOWN: 'it is back',
  PLATFORM_DOWN: 'the platform is heard again',
  SITE_POWER: 'power is back',
};

/**
 * Ends an incident and says so in the log. Its devices are left as they are.
 *
 * @param end.at by the source's clock; never before its beginning
 * @param end.mergedInto the wider incident that explains its devices from now on
 */
export async function closeIncident(
  tx: Tx,
  writer: WriterSource,
  incident: IncidentRow,
  where: Told,
  end: { readonly at: number; readonly now: number; readonly mergedInto: string | null },
): Promise<void> {
  const at = Math.max(end.at, incident.opened_at);
  await tx
    .updateTable('incidents')
    .set({ closed_at: at, updated_at: end.now })
    .where('id', '=', incident.id)
    .where('closed_at', 'is', null)
    .execute();
  const why = end.mergedInto === null ? ENDED[causeOf(incident)] : 'it is part of a wider incident';
  const draft = draftOf(incident, 'closed', where, {
    at,
    summary: `${incident.summary}: over, ${why}`,
    mergedInto: end.mergedInto,
  });
  await writer().writeEvents(tx, where.integration, [draft], 'POLL', end.now);
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
