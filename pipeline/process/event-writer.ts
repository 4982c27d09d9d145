import { type Transaction, sql } from 'kysely';
import type { EventDraft } from '../../adapter-kit/model.ts';
import { type EvidenceSource, SEVERITIES } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import type { EventRow, IntegrationRow } from '../../storage/rows.ts';
import type { Tables } from '../../storage/tables.ts';
import { addToCounters } from '../../storage/integration-counters.ts';
import { insertEvents } from '../../storage/event-log.ts';
import type { StatusTransition, TransitionHook } from '../status/transitions.ts';
import { countDuplicates, findRemembered, rememberEvents } from '../../storage/event-dedupe.ts';
import { DeviceStates } from './device-states.ts';
import { dedupeKeyOf, dedupeKeysToCheck, eventIdentity, eventKeyOf } from './event-key.ts';
import { settleInstant } from './reduce.ts';
import { type KnownDevice, readResolutionView, resolveDraft } from './resolve.ts';

/** One decoded event on its way into the log. Instants are milliseconds since the epoch. */
export interface EventItem {
  readonly draft: EventDraft;
  readonly origin: EvidenceSource;
  readonly receivedAt: number;
  /** The delivery it came in; null for events that we make ourselves. */
  readonly inboxId: number | null;
  /** Our clock minus the sender's when it was sent; null when the sender does not tell. */
  readonly clockSkewMs: number | null;
  /** False for a replay of ours, which is nobody's repetition. */
  readonly countsAsDuplicate: boolean;
}

/** What became of one item. An unresolved one left nothing behind and can be tried again after the repair. */
export type EventOutcome =
  | { readonly kind: 'WRITTEN'; readonly isLate: boolean; readonly isChange: boolean }
  | { readonly kind: 'DUPLICATE' }
  | { readonly kind: 'UNRESOLVED'; readonly stage: 'BINDING' | 'MAPPING'; readonly reason: string };

export interface EventsWritten {
  readonly written: number;
  readonly duplicates: number;
  readonly late: number;
  /** How many moved a device's state. */
  readonly changed: number;
  readonly unresolved: readonly {
    /** In the list that was given. */
    readonly index: number;
    readonly stage: 'BINDING' | 'MAPPING';
    readonly reason: string;
  }[];
}

export interface EventWriter {
  /**
   * Resolves, deduplicates, reduces and logs drafts inside the caller's transaction, and moves what follows from them:
   * device state, last life sign, telemetry, counters, the integration's last event, the org's revision. Do not write a
   * device's state columns beside it. Afterwards, when committed, ring with `ringForEvents`.
   *
   * PostgreSQL: it locks the integration's row first and takes log numbers late; a transaction that locks devices too
   * calls `lockIntegration` before it does.
   *
   * @param receivedAt milliseconds since the epoch, by our clock
   */
  writeEvents(
    tx: Tx,
    integration: IntegrationRow,
    drafts: readonly EventDraft[],
    origin: EvidenceSource,
    receivedAt: number,
  ): Promise<EventsWritten>;
  /** The same for items of several deliveries. @returns one outcome per item, in order */
  writeItems(tx: Tx, integration: IntegrationRow, items: readonly EventItem[]): Promise<readonly EventOutcome[]>;
}

/** What we find by asking, by waiting or by being told by an operator is no word of the platform's own. */
const OUR_OWN: ReadonlySet<EvidenceSource> = new Set(['POLL', 'SILENCE', 'OPERATOR']);
/** A sender's clock can be wrong by more than GraphQL's Int holds. */
const INT_MAX = 2_147_483_647;
/** A summary is one line for people; what is longer is in the raw record. */
const MAX_SUMMARY = 500;
/** Ids and words of a vendor's that are longer than this are no ids and words. */
const MAX_WORD = 512;

function bounded<T extends string | null>(text: T, max: number): T | string {
  return text === null ? text : text.slice(0, max);
}

/** PostgreSQL's JSON functions refuse an escaped U+0000, and the actors of `details` are searched with them. */
function jsonWithoutNul(value: unknown): string {
  return JSON.stringify(value).replaceAll('\\u0000', '\\ufffd');
}

/** One writer per integration at a time: PostgreSQL needs to be told, SQLite has one writer anyway. */
export async function lockIntegration(db: Database, tx: Transaction<Tables>, integrationId: string): Promise<void> {
  if (db.engine !== 'postgres') return;
  await tx.selectFrom('integrations').select('id').where('id', '=', integrationId).forUpdate().execute();
}

/** Tells everybody who waits for the log; call it after the commit. */
export function ringForEvents(db: Database, integration: Pick<IntegrationRow, 'id' | 'org_id'>): void {
  db.doorbell.ring('log');
  db.doorbell.ring(`org:${integration.org_id}`);
  db.doorbell.ring(`integration:${integration.id}`);
}

type Unnumbered = Omit<EventRow, 'seq'>;

interface Fresh {
  readonly row: Unnumbered;
  readonly dedupeKey: Buffer;
  repeats: number;
}

export interface EventWriterDeps {
  readonly db: Database;
  /** What else follows from new events, in the same transaction and before their numbers are taken. */
  readonly follow?: (
    db: Database,
    tx: Tx,
    integration: IntegrationRow,
    rows: readonly Omit<EventRow, 'seq'>[],
  ) => Promise<void>;
  /** What follows from changes of state. */
  readonly onTransitions?: TransitionHook;
}

export function createEventWriter({ db, follow, onTransitions }: EventWriterDeps): EventWriter {
  async function writeItems(
    tx: Tx,
    integration: IntegrationRow,
    items: readonly EventItem[],
  ): Promise<readonly EventOutcome[]> {
    if (items.length === 0) return [];
    await lockIntegration(db, tx, integration.id);
    const view = await readResolutionView(
      tx,
      integration.id,
      items.map(({ draft }) => draft),
    );
    const resolved = items.map((item) => ({
      item,
      resolution: resolveDraft(view, item.draft),
      identity: eventIdentity(integration.id, item.draft),
    }));
    const remembered = await findRemembered(
      db,
      tx,
      resolved.flatMap(({ item, identity, resolution }) =>
        'stage' in resolution
          ? []
          : [
              {
                identity: identity.toString('hex'),
                dedupeKeys: dedupeKeysToCheck(identity, item.receivedAt),
                eventKey: eventKeyOf(identity, item.draft.occurredAt.getTime()),
              },
            ],
      ),
    );

    const states = new DeviceStates();
    const fresh = new Map<string, Fresh>();
    const repeated: Buffer[] = [];
    const transitions: StatusTransition[] = [];
    let duplicates = 0;
    const outcomes = resolved.map(({ item, resolution, identity }): EventOutcome => {
      if ('stage' in resolution) return { kind: 'UNRESOLVED', ...resolution };
      const name = identity.toString('hex');
      const known = remembered.get(name);
      const first = fresh.get(name);
      if (known !== undefined || first !== undefined) {
        if (item.countsAsDuplicate) {
          duplicates += 1;
          if (first !== undefined) first.repeats += 1;
          else if (known !== undefined && known !== null) repeated.push(known);
        }
        return { kind: 'DUPLICATE' };
      }
      const { row, isLate, transition } = rowOf(integration, item, resolution, identity, states);
      const isChange = transition !== null;
      if (transition !== null) transitions.push(transition);
      fresh.set(name, { row, dedupeKey: dedupeKeyOf(identity, item.receivedAt), repeats: 0 });
      return { kind: 'WRITTEN', isLate, isChange };
    });

    const rows = [...fresh.values()];
    if (repeated.length > 0) await countDuplicates(db, tx, repeated);
    const lastReceivedAt = Math.max(...items.map(({ receivedAt }) => receivedAt));
    if (rows.length > 0 || duplicates > 0) {
      await addToCounters(tx, integration.id, lastReceivedAt, { events: rows.length, duplicates });
    }
    if (rows.length === 0) return outcomes;
    await states.flush(tx);
    if (transitions.length > 0) await onTransitions?.(db, tx, integration, transitions);
    const heard = items.filter(({ origin }) => !OUR_OWN.has(origin)).map(({ receivedAt }) => receivedAt);
    if (heard.length > 0) {
      const at = Math.max(...heard);
      await tx
        .updateTable('integrations')
        .set({ last_event_at: sql<number>`case when last_event_at > ${at} then last_event_at else ${at} end` })
        .where('id', '=', integration.id)
        .execute();
    }
    await follow?.(
      db,
      tx,
      integration,
      rows.map(({ row }) => row),
    );
    // From here on other writers of the log wait for us: nothing that takes long may follow.
    const firstSeq = await db.takeSequence(tx, rows.length);
    await rememberEvents(
      db,
      tx,
      rows.map(({ row, dedupeKey, repeats }, at) => ({
        key: dedupeKey,
        seq: firstSeq + at,
        duplicates: repeats,
        seenAt: row.received_at,
      })),
    );
    await insertEvents(
      db,
      tx,
      rows.map(({ row }, at) => ({ seq: firstSeq + at, ...row })),
    );
    await tx
      .updateTable('orgs')
      .set({ revision: sql<number>`revision + 1` })
      .where('id', '=', integration.org_id)
      .execute();
    return outcomes;
  }

  return {
    writeItems,
    async writeEvents(tx, integration, drafts, origin, receivedAt) {
      const outcomes = await writeItems(
        tx,
        integration,
        drafts.map((draft) => ({
          draft,
          origin,
          receivedAt,
          inboxId: null,
          clockSkewMs: null,
          countsAsDuplicate: true,
        })),
      );
      return tally(outcomes);
    },
  };
}

function tally(outcomes: readonly EventOutcome[]): EventsWritten {
  const written = outcomes.filter((outcome) => outcome.kind === 'WRITTEN');
  return {
    written: written.length,
    duplicates: outcomes.filter(({ kind }) => kind === 'DUPLICATE').length,
    late: written.filter(({ isLate }) => isLate).length,
    changed: written.filter(({ isChange }) => isChange).length,
    unresolved: outcomes.flatMap((outcome, index) =>
      outcome.kind === 'UNRESOLVED' ? [{ index, stage: outcome.stage, reason: outcome.reason }] : [],
    ),
  };
}

/** A fault of a device that another one's failure explains is explained by it too; an alarm or a recovery is not. */
function explained(
  device: KnownDevice | null,
  { family, claim }: EventDraft,
): Pick<EventRow, 'suppressed' | 'incident_id'> {
  if (device === null || device.suppressed_by === null) return { suppressed: 0, incident_id: null };
  if (family !== 'HEALTH' || claim === null || claim.state === 'ONLINE') return { suppressed: 0, incident_id: null };
  return { suppressed: 1, incident_id: device.incident_id };
}

function rowOf(
  integration: IntegrationRow,
  { draft, origin, receivedAt, inboxId, clockSkewMs }: EventItem,
  { siteId, device }: Exclude<ReturnType<typeof resolveDraft>, { readonly stage: string }>,
  identity: Buffer,
  states: DeviceStates,
): { readonly row: Unnumbered; readonly isLate: boolean; readonly transition: StatusTransition | null } {
  const claimedAt = draft.occurredAt.getTime();
  const { at, isClamped } = settleInstant(claimedAt, receivedAt, integration.tolerance_seconds * 1_000);
  let isLate = false;
  let change: Omit<StatusTransition, 'row'> | null = null;
  let previous: string | null = null;
  if (device !== null && draft.claim !== null) {
    const observedAt = draft.claim.observedAt?.getTime() ?? claimedAt;
    const outcome = states.claim(device, {
      state: draft.claim.state,
      reason: draft.claim.reason,
      vendorState: bounded(draft.claim.vendorState, MAX_WORD),
      at: settleInstant(observedAt, receivedAt, integration.tolerance_seconds * 1_000).at,
      ...(draft.claim.keepsDegraded === undefined ? {} : { keepsDegraded: draft.claim.keepsDegraded }),
    });
    isLate = outcome.verdict === 'LATE';
    previous = outcome.previous;
    if (outcome.verdict === 'CHANGED') {
      const { state, reason, since } = outcome.status;
      change = { deviceId: device.id, before: outcome.previous, after: state, reason, at: since };
    }
  }
  if (device !== null && draft.isLifeSign) states.seen(device, at);
  if (device !== null && draft.telemetry) states.telemetry(device, draft.telemetry, at);
  // A clamped instant is told by the skew that made it necessary; the vendor's own word stays in `raw`.
  const skew = isClamped ? receivedAt - claimedAt : clockSkewMs;
  const row: Unnumbered = {
    key: eventKeyOf(identity, claimedAt),
    org_id: integration.org_id,
    site_id: siteId,
    device_id: device?.id ?? null,
    integration_id: integration.id,
    inbox_id: inboxId,
    family: draft.family,
    type: bounded(draft.type, MAX_WORD),
    severity: SEVERITIES.indexOf(draft.severity),
    occurred_at: at,
    received_at: receivedAt,
    clock_skew_ms: skew === null ? null : Math.max(-INT_MAX, Math.min(INT_MAX, Math.round(skew))),
    late: isLate ? 1 : 0,
    vendor_event_id: bounded(draft.vendorEventId, MAX_WORD),
    vendor_code: bounded(draft.vendorCode, MAX_WORD),
    origin,
    summary: bounded(draft.summary, MAX_SUMMARY),
    state: draft.claim?.state ?? null,
    previous_state: previous,
    state_reason: draft.claim?.reason ?? null,
    changed: change === null ? 0 : 1,
    details: jsonWithoutNul(draft.details),
    media: JSON.stringify(draft.media ?? []),
    raw: draft.raw === undefined || draft.raw === null ? null : JSON.stringify(draft.raw),
    observed_at: null,
    keeps_degraded: null,
    state_vendor: null,
    derived: 0,
    ...explained(device, draft),
    in_maintenance: device === null || device.maintenance_id === null ? 0 : 1,
  };
  return { row, isLate, transition: change === null ? null : { ...change, row } };
}
