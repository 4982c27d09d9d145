import type { AdapterErrorCode } from '../../adapter-kit/adapter-error.ts';
import type { EventDraft } from '../../adapter-kit/model.ts';
import type { EvidenceSource, IngestMode, IntegrationState, Severity } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { type EventWriter, lockIntegration } from '../process/event-writer.ts';
import { systemDraft } from '../process/system-draft.ts';
import { tellIncidents } from '../status/incidents.ts';
import { isPlatformDown, noteOutage } from '../status/outages.ts';
import { settlePlatform } from '../status/platform-down.ts';

/** What the state of an integration follows from. */
export interface StateFacts {
  readonly enabled: boolean;
  /** Code of what fails now, as `integrations.error_code` keeps it. */
  readonly errorCode: string | null;
  readonly lastSyncState: string | null;
  readonly ingestMode: string;
  /** A platform that only pushes has not been heard for longer than it should be silent. */
  readonly isSilent: boolean;
}

/** The error code that keeps us from asking the platform again until somebody acts. */
export const REFUSED = 'UNAUTHENTICATED' satisfies AdapterErrorCode;

/** The one rule for the state: worst reason first. Pure. */
export function stateOf({ enabled, errorCode, lastSyncState, ingestMode, isSilent }: StateFacts): IntegrationState {
  if (!enabled) return 'DISABLED';
  if (errorCode === REFUSED) return 'REAUTH_REQUIRED';
  if (errorCode !== null || isSilent || ingestMode === 'POLLING_FALLBACK_ACTIVE') return 'DEGRADED';
  return lastSyncState === null ? 'PENDING' : 'CONNECTED';
}

/** What to change about an integration; absent members stay, its state follows. */
export interface Transition {
  readonly enabled?: boolean;
  readonly ingestMode?: IngestMode;
  /** Since when nothing was heard of a platform that only pushes; null: it is heard. */
  readonly silentSince?: number | null;
  /** Null: nothing fails any more. */
  readonly error?: { readonly code: AdapterErrorCode; readonly message: string } | null;
  readonly lastSync?: { readonly at: number; readonly state: string };
}

export interface TransitionDeps {
  readonly db: Database;
  readonly events: EventWriter;
}

const FALLBACK: IngestMode = 'POLLING_FALLBACK_ACTIVE';
/** Longest error message kept. */
const MAX_MESSAGE = 500;

/**
 * Changes an integration's vital signs in the caller's transaction. Only a change of its state or of its ingest mode is
 * an event: one per change, however often the reason repeats.
 *
 * @param now milliseconds since the epoch
 * @returns the integration before and after, or null when it is gone
 */
export async function applyTransition(
  tx: Tx,
  { db, events }: TransitionDeps,
  integrationId: string,
  transition: Transition,
  origin: EvidenceSource,
  now: number,
): Promise<{ readonly before: IntegrationRow; readonly after: IntegrationRow } | null> {
  await lockIntegration(db, tx, integrationId);
  const before = await tx.selectFrom('integrations').selectAll().where('id', '=', integrationId).executeTakeFirst();
  if (before === undefined) return null;
  const error = transition.error;
  const next = {
    enabled: transition.enabled === undefined ? before.enabled : Number(transition.enabled),
    ingest_mode: transition.ingestMode ?? before.ingest_mode,
    error_code: error === undefined ? before.error_code : (error?.code ?? null),
    error_message: error === undefined ? before.error_message : (error?.message.slice(0, MAX_MESSAGE) ?? null),
    silent_since: transition.silentSince === undefined ? before.silent_since : transition.silentSince,
    last_fallback_at:
      transition.ingestMode === FALLBACK && before.ingest_mode !== FALLBACK ? now : before.last_fallback_at,
    last_sync_at: transition.lastSync?.at ?? before.last_sync_at,
    last_sync_state: transition.lastSync?.state ?? before.last_sync_state,
  };
  const state = stateOf({
    enabled: next.enabled === 1,
    errorCode: next.error_code,
    lastSyncState: next.last_sync_state,
    ingestMode: next.ingest_mode,
    isSilent: next.silent_since !== null,
  });
  const after: IntegrationRow = { ...before, ...next, state, updated_at: now };
  await tx
    .updateTable('integrations')
    .set({ ...next, state, updated_at: now })
    .where('id', '=', integrationId)
    .execute();
  await noteOutage(tx, before, after, now);
  // Nothing to look up while it is well.
  const tellings = isPlatformDown(before) || isPlatformDown(after) ? await settlePlatform(tx, after, now) : [];
  const draft = transitionEvent(before, after, now);
  if (draft !== null) await events.writeEvents(tx, after, [draft], origin, now);
  await tellIncidents(tx, () => events, tellings, now);
  return { before, after };
}

interface Told {
  readonly type: string;
  readonly severity: Severity;
  readonly summary: string;
}

const STATE_EVENTS: Readonly<Record<IntegrationState, Told | null>> = {
  PENDING: null,
  CONNECTED: { type: 'system.integration_connected', severity: 'NOTICE', summary: 'The platform answers completely' },
  DEGRADED: {
    type: 'system.integration_degraded',
    severity: 'WARNING',
    summary: 'The platform does not answer completely',
  },
  REAUTH_REQUIRED: {
    type: 'system.integration_reauth_required',
    severity: 'CRITICAL',
    summary: 'The platform refused our credentials; nothing is polled until new ones are given',
  },
  DISABLED: { type: 'system.integration_disabled', severity: 'NOTICE', summary: 'The integration was switched off' },
};

const FALLBACK_BEGAN: Told = {
  type: 'system.polling_fallback_started',
  severity: 'WARNING',
  summary: 'The platform fell silent; its inventory is polled until it is heard again',
};
const FALLBACK_ENDED: Told = {
  type: 'system.polling_fallback_ended',
  severity: 'NOTICE',
  summary: 'The platform is heard again; polling stopped',
};

const SILENT: Told = {
  type: 'integration.silent',
  severity: 'WARNING',
  summary: 'Nothing has arrived for longer than it should, and nobody can be asked',
};
const HEARD: Told = { type: 'integration.heard', severity: 'NOTICE', summary: 'It is heard again' };

function isState(value: string): value is IntegrationState {
  return Object.hasOwn(STATE_EVENTS, value);
}

function told(before: IntegrationRow, after: IntegrationRow): Told | null {
  const wasFallback = before.ingest_mode === FALLBACK;
  const isFallback = after.ingest_mode === FALLBACK;
  // The change of mode, or the silence, is the reason of the change of state beside it: one event, not two.
  if (isFallback && !wasFallback) return FALLBACK_BEGAN;
  if (wasFallback && !isFallback) return FALLBACK_ENDED;
  if (before.silent_since === null && after.silent_since !== null) return SILENT;
  if (before.silent_since !== null && after.silent_since === null) return HEARD;
  if (before.state === after.state || !isState(after.state)) return null;
  return STATE_EVENTS[after.state];
}

function transitionEvent(before: IntegrationRow, after: IntegrationRow, now: number): EventDraft | null {
  const event = told(before, after);
  if (event === null) return null;
  return systemDraft({
    type: event.type,
    vendorCode: after.error_code,
    severity: event.severity,
    at: now,
    summary: `${after.name}: ${event.summary}`,
    detail: {
      state: after.state,
      previousState: before.state,
      ingestMode: after.ingest_mode,
      silentSince: after.silent_since === null ? null : new Date(after.silent_since).toISOString(),
      error: after.error_code === null ? null : { code: after.error_code, message: after.error_message },
    },
  });
}
