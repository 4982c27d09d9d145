import { sql } from 'kysely';
import type { EventDraft } from '../../adapter-kit/model.ts';
import { type EvidenceSource, SEVERITIES } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import { bumpOrgRevision } from '../../storage/directory-store-write.ts';
import { countDuplicates, findRemembered } from '../../storage/event-dedupe.ts';
import { addToCounters } from '../../storage/integration-counters.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { parseEvidence } from '../status/evidence.ts';
import type { Claim, StateChange } from '../status/machine.ts';
import { readPolicies } from '../status/policies.ts';
import { untoldOf } from '../status/still-down.ts';
import type { Taken } from '../status/track.ts';
import type { StatusTransition } from '../status/transitions.ts';
import { DeviceStates, type SilenceLimits } from './device-states.ts';
import { type AppendDeps, appendEvents, type Entry, lockIntegration } from './event-append.ts';
import { dedupeDaysToCheck, dedupeKeyOf, eventIdentity, eventKeyOf, keyEndOf } from './event-key.ts';
import { claimOf, flappingRow, instantsOf, type Instants, lastingRow, rowOf, type Unnumbered } from './event-rows.ts';
import { heardAgain, takeBackSilences } from './heard-again.ts';
import { stillDownRow } from './still-down-row.ts';
import { type KnownDevice, readDevices, readResolutionView, resolveDraft } from './resolve.ts';

export { lockIntegration } from './event-append.ts';

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
  /**
   * Lets time pass for devices of an integration: outages that have lasted become effective and are logged, flapping that
   * has stopped ends. Devices for which nothing is due stay as they are.
   *
   * @param now milliseconds since the epoch
   */
  settleDevices(tx: Tx, integration: IntegrationRow, deviceIds: readonly string[], now: number): Promise<void>;
  /**
   * Tells of devices of an integration that are not up, whose failure was hidden, and which nothing hides any more. The
   * caller holds the integration's row. Others, and those that were told of, are passed over.
   *
   * @param now milliseconds since the epoch
   * @returns of how many was told
   */
  tellStillDown(tx: Tx, integration: IntegrationRow, deviceIds: readonly string[], now: number): Promise<number>;
}

const INFO = SEVERITIES.indexOf('INFO');

/** What we find by asking, by waiting or by being told by an operator is no word of the platform's own. */
const OUR_OWN: ReadonlySet<EvidenceSource> = new Set(['POLL', 'SILENCE', 'OPERATOR']);

/** How many the platform told by itself, and how many about devices were found by asking it. */
function waysOf(fresh: readonly Fresh[]): { readonly pushed: number; readonly asked: number } {
  return {
    pushed: fresh.filter(({ item }) => !OUR_OWN.has(item.origin)).length,
    asked: fresh.filter(
      ({ item, device }) => item.origin === 'POLL' && device !== null && item.draft.family !== 'SYSTEM',
    ).length,
  };
}

/** Tells everybody who waits for the log; call it after the commit. */
export function ringForEvents(db: Database, integration: Pick<IntegrationRow, 'id' | 'org_id'>): void {
  db.doorbell.ring('log');
  db.doorbell.ring(`org:${integration.org_id}`);
  db.doorbell.ring(`integration:${integration.id}`);
}

export interface EventWriterDeps extends AppendDeps {
  /** Without it no silence is judged. */
  readonly silence?: SilenceLimits;
}

/** A new item, resolved. */
export interface Fresh {
  readonly item: EventItem;
  readonly siteId: string | null;
  readonly device: KnownDevice | null;
  readonly identity: Buffer;
  readonly instants: Instants;
  readonly claim: Claim | null;
  repeats: number;
}

export function createEventWriter(deps: EventWriterDeps): EventWriter {
  const { db, silence } = deps;

  async function statesFor(tx: Tx, integration: IntegrationRow): Promise<DeviceStates> {
    const policyOf = await readPolicies(tx, integration.org_id);
    return new DeviceStates({ integrationId: integration.id, policyOf, ...(silence === undefined ? {} : { silence }) });
  }

  async function writeItems(
    tx: Tx,
    integration: IntegrationRow,
    items: readonly EventItem[],
  ): Promise<readonly EventOutcome[]> {
    if (items.length === 0) return [];
    await lockIntegration(db, tx, integration.id);
    const { repeated, duplicates, unresolved, ...sorted } = await sortOut(db, tx, integration, items);
    const { fresh, lifted } = await takeBackSilences(db, tx, integration, silence, sorted.fresh);
    if (repeated.length > 0) await countDuplicates(db, tx, repeated);
    const lastReceivedAt = Math.max(...items.map(({ receivedAt }) => receivedAt));
    const states = await statesFor(tx, integration);
    await states.prepare(
      tx,
      db.engine,
      [...fresh.values()].flatMap(({ device, claim }) =>
        device === null || claim === null ? [] : [{ device, claim }],
      ),
    );
    const batch = createBatch(integration, states, lifted);
    const written = new Map([...fresh].map(([item, each]) => [item, batch.add(each)]));
    batch.finish();
    const late = [...written.values()].filter(({ isLate }) => isLate).length;
    if (fresh.size > 0 || duplicates > 0) {
      const counts = { events: fresh.size, duplicates, late, ...waysOf([...fresh.values()]) };
      await addToCounters(tx, integration.id, lastReceivedAt, counts);
    }
    if (fresh.size > 0) {
      await states.flush(tx, db.engine);
      await noteHeard(tx, integration.id, items);
      await appendEvents(deps, tx, integration, batch.entries, batch.transitions);
    }
    return items.map((item): EventOutcome => written.get(item) ?? unresolved.get(item) ?? { kind: 'DUPLICATE' });
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
    async settleDevices(tx, integration, deviceIds, now) {
      await lockIntegration(db, tx, integration.id);
      const states = await statesFor(tx, integration);
      const batch = createBatch(integration, states);
      const devices = await readDevices(tx, deviceIds);
      for (const device of devices.values()) batch.settle(device, now);
      const moved = await states.flush(tx, db.engine);
      await appendEvents(deps, tx, integration, batch.entries, batch.transitions);
      // Of devices without a site the log takes nothing, and lists show them all the same.
      if (moved > 0 && batch.entries.length === 0) await bumpOrgRevision(tx, integration.org_id, now);
    },
    async tellStillDown(tx, integration, deviceIds, now) {
      const devices = await readDevices(tx, deviceIds);
      const entries = (await untoldOf(tx, [...devices.values()])).map((device): Entry => {
        const origin = parseEvidence(device.evidence).find(({ state }) => state === device.state)?.source ?? 'POLL';
        return { row: stillDownRow({ integration, device, origin, receivedAt: now }), dedupeKey: null, repeats: 0 };
      });
      await appendEvents(deps, tx, integration, entries, []);
      return entries.length;
    },
  };
}

/** Resolves items and tells new ones from those that were seen before, in this batch or in an earlier one. */
async function sortOut(db: Database, tx: Tx, integration: IntegrationRow, items: readonly EventItem[]) {
  const view = await readResolutionView(
    tx,
    integration.id,
    items.map(({ draft }) => draft),
  );
  const unresolved = new Map<EventItem, EventOutcome>();
  const resolved = items.flatMap((item) => {
    const resolution = resolveDraft(view, item.draft);
    if ('stage' in resolution) {
      unresolved.set(item, { kind: 'UNRESOLVED', ...resolution });
      return [];
    }
    const identity = eventIdentity(integration.id, item.draft);
    return [{ item, ...resolution, identity, name: keyEndOf(identity) }];
  });
  const remembered = await findRemembered(
    db,
    tx,
    resolved.map(({ item, identity, name }) => ({
      identity: name,
      prefixes: dedupeDaysToCheck(item.receivedAt),
      eventKey: eventKeyOf(identity, item.draft.occurredAt.getTime()),
    })),
  );
  const fresh = new Map<EventItem, Fresh>();
  const byName = new Map<string, Fresh>();
  const repeated: Buffer[] = [];
  let duplicates = 0;
  for (const { item, siteId, device, identity, name } of resolved) {
    const known = remembered.get(name);
    const first = byName.get(name);
    if (known === undefined && first === undefined) {
      const instants = instantsOf(item, integration.tolerance_seconds * 1_000);
      const heard = heardAgain(item, device);
      const claim = device === null ? null : claimOf(heard, instants);
      const entry = { item: heard, siteId, device, identity, instants, claim, repeats: 0 };
      fresh.set(item, entry);
      byName.set(name, entry);
    } else if (item.countsAsDuplicate) {
      duplicates += 1;
      if (first !== undefined) first.repeats += 1;
      else if (known !== undefined && known !== null) repeated.push(known);
    }
  }
  return { fresh, repeated, duplicates, unresolved };
}

/**
 * Collects what is logged of a batch, in order, with the changes of state in it.
 *
 * @param lifted devices of which people believe that they are silent: the first word on each tells that they are not
 */
function createBatch(integration: IntegrationRow, states: DeviceStates, lifted: ReadonlySet<string> = new Set()) {
  const silent = new Set(lifted);
  const entries: Entry[] = [];
  const transitions: StatusTransition[] = [];
  const lastRows = new Map<string, Unnumbered>();

  function log(row: Unnumbered, entry: Omit<Entry, 'row'> = { dedupeKey: null, repeats: 0 }): void {
    entries.push({ row, ...entry });
  }

  /** What time made effective, before anything else about the device. */
  function logLasting(device: KnownDevice, changes: readonly StateChange[], receivedAt: number): void {
    if (device.site_id === null || device.removed_at !== null) return;
    for (const change of changes) {
      const said = states.evidenceOf(device).find(({ state }) => state === change.after);
      const row = lastingRow({ integration, device, origin: said?.source ?? 'POLL', receivedAt }, change);
      log(row);
      transitions.push({ deviceId: device.id, ...change, row });
    }
  }

  function logFlapping(device: KnownDevice, { before, after }: Taken, receivedAt: number): void {
    if (before.isFlapping === after.isFlapping || device.site_id === null || device.removed_at !== null) return;
    const at = after.isFlapping ? (after.changes.at(-1) ?? receivedAt) : (before.flapUntil ?? receivedAt);
    const origin = states.evidenceOf(device)[0]?.source ?? 'POLL';
    log(flappingRow({ integration, device, origin, receivedAt }, after.isFlapping, at, after.changes.length));
  }

  return {
    entries,
    transitions,
    add({ item, siteId, device, identity, instants, claim, repeats }: Fresh) {
      const { draft, origin, receivedAt } = item;
      const row = rowOf(item, { integration, siteId, device, identity, instants });
      let isLate = false;
      let isChange = false;
      let taken: Taken | null = null;
      if (device !== null && claim !== null) {
        taken = states.claim({ device, claim }, origin);
        const { due } = taken;
        const lift = silent.has(device.id) ? liftedTo(taken, claim) : null;
        if (lift !== null) silent.delete(device.id);
        const own = lift ?? taken.own;
        logLasting(device, due, receivedAt);
        isLate = taken.isLate;
        isChange = own !== null;
        row.late = isLate ? 1 : 0;
        row.changed = isChange ? 1 : 0;
        row.previous_state = own?.before ?? due.at(-1)?.after ?? taken.before.state;
        if (own !== null) transitions.push({ deviceId: device.id, ...own, row });
        else if (isWaiting(taken, claim)) row.severity = Math.min(row.severity, INFO);
        lastRows.set(device.id, row);
      }
      if (device !== null && draft.isLifeSign) states.seen(device, instants.at);
      if (device !== null && draft.telemetry) states.telemetry(device, draft.telemetry, instants.at);
      log(row, { dedupeKey: dedupeKeyOf(identity, receivedAt), repeats });
      if (device !== null && taken !== null) logFlapping(device, taken, receivedAt);
      return { kind: 'WRITTEN' as const, isLate, isChange };
    },
    settle(device: KnownDevice, now: number) {
      const taken = states.settle(device, now);
      logLasting(device, taken.due, now);
      logFlapping(device, taken, now);
    },
    finish() {
      for (const { device, change } of states.finish()) {
        const row = lastRows.get(device.id);
        if (row === undefined) continue;
        row.changed = 1;
        row.previous_state = change.before;
        transitions.push({ deviceId: device.id, ...change, row });
      }
    },
  };
}

/** People see a silence end; what was believed before it is no news to them. An outage that has yet to last tells nothing. */
function liftedTo({ after }: Taken, claim: Claim): StateChange | null {
  if (after.state !== claim.state || after.state === 'UNKNOWN') return null;
  return { before: 'UNKNOWN', after: after.state, reason: after.reason, at: after.since };
}

/**
 * An outage that has yet to last, or the end of one that has not: nobody is told of either. They are in the log for who
 * asks for everything.
 */
function isWaiting({ before, after }: Taken, claim: Claim): boolean {
  if (after.pending !== null) return claim.state === after.pending.state;
  return before.pending !== null && before.state === after.state && claim.state === after.state;
}

/** The integration was heard: not by asking, not by waiting. */
async function noteHeard(tx: Tx, integrationId: string, items: readonly EventItem[]): Promise<void> {
  const heard = items.filter(({ origin }) => !OUR_OWN.has(origin)).map(({ receivedAt }) => receivedAt);
  if (heard.length === 0) return;
  const at = Math.max(...heard);
  await tx
    .updateTable('integrations')
    .set({ last_event_at: sql<number>`case when last_event_at > ${at} then last_event_at else ${at} end` })
    .where('id', '=', integrationId)
    .execute();
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
