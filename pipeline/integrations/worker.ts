import type { Logger } from 'pino';
import type { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { IngestTraits, Vendor } from '../../adapter-kit/define-vendor.ts';
import { type EvidenceSource, INGEST_MODES, type IngestMode } from '../../schema/words.ts';
import type { Database } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { type EventWriter, ringForEvents } from '../process/event-writer.ts';
import { type SyncEngine, SyncRefusedError } from '../sync/engine.ts';
import { createAge } from './age.ts';
import type { Clock } from './clock.ts';
import { type Listener, startListener } from './listener.ts';
import type { InboxWriter } from '../inbox/inbox-writer.ts';
import { ingestOf } from './own-settings.ts';
import { type IntegrationRuntime, parseSettings } from './runtime.ts';
import { decide, type Decision, type Retry, retryAfter } from './schedule.ts';
import { applyTransition, type Transition } from './state.ts';

/** Rings come with every event; what they can change here is not urgent. */
const RING_DELAY_MS = 200;
/** When another process has a sync under way. */
const BUSY_RETRY_MS = 10_000;
/** When the store fails. */
const FAULT_RETRY_MS = 5_000;
/** Longest sleep: a changed row that nobody rang for is noticed after it. */
const MAX_SLEEP_MS = 60_000;

export interface WorkerDeps {
  readonly db: Database;
  readonly runtime: IntegrationRuntime;
  readonly sync: SyncEngine;
  readonly events: EventWriter;
  readonly inbox: Pick<InboxWriter, 'append'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** 0 to 1. */
  readonly random: () => number;
  /** Runs a sync when there is room for it. */
  readonly inTurn: <T>(job: () => Promise<T>) => Promise<T>;
}

/** Whether an integration is worked at all. */
export function isWorked({ enabled, state }: Pick<IntegrationRow, 'enabled' | 'state'>): boolean {
  return enabled === 1 && state !== 'REAUTH_REQUIRED';
}

export interface IntegrationWorker {
  /** Something about the integration may have changed. */
  ring(): void;
  close(): Promise<void>;
}

/** Looks after one integration: syncs it, listens to it, and polls while it is silent. Its caller holds the lease. */
export function startWorker(deps: WorkerDeps, integrationId: string, vendor: Vendor): IntegrationWorker {
  const { db, clock, logger } = deps;
  const startedAt = clock.elapsedMs();
  const webhookAge = createAge(clock);
  const listenerAge = createAge(clock);
  const spread = deps.random();
  let isClosed = false;
  let cancelTimer: () => void = () => undefined;
  let cancelRing: (() => void) | null = null;
  let turn: Promise<void> | null = null;
  let wantsAnother = false;
  let isSyncing = false;
  let failures = 0;
  /** Its instant is of the clock that nobody sets. */
  let retry: Retry | null = null;
  let version: number | null = null;
  let listener: Listener | null = null;

  function wake(): void {
    if (isClosed) return;
    if (turn !== null) {
      wantsAnother = true;
      return;
    }
    turn = step()
      .catch((error: unknown) => {
        logger.error({ err: error, integrationId }, 'An integration could not be looked after; it is tried again');
        sleep(FAULT_RETRY_MS);
      })
      .finally(() => {
        turn = null;
        if (wantsAnother) {
          wantsAnother = false;
          wake();
        }
      });
  }

  function sleep(ms: number): void {
    cancelTimer();
    if (!isClosed) cancelTimer = clock.after(Math.min(Math.max(ms, 0), MAX_SLEEP_MS), wake);
  }

  async function step(): Promise<void> {
    const row = await db.read.selectFrom('integrations').selectAll().where('id', '=', integrationId).executeTakeFirst();
    if (isClosed) return;
    if (row === undefined || !isWorked(row)) {
      // Our caller notices soon and gives the lease back; the platform is left alone at once.
      await listener?.close();
      listener = null;
      version = null;
      return;
    }
    const ingest = ingestOf(vendor.ingest, settingsOf(vendor, row));
    if (version !== row.version) await adopt(row, ingest);
    const now = clock.now();
    const heardAt = lastHeardAt(row, now);
    const decision = decideFor(row, ingest, heardAt, now);
    if (decision.mode !== row.ingest_mode) await changeMode(row, decision.mode, now);
    if (decision.isSilent !== (row.silent_since !== null)) await changeSilence(row, decision.isSilent, heardAt, now);
    const isAsked = ingest.pushOnly !== true;
    if (isAsked && !isSyncing && decision.syncAt <= now) startSync(decision);
    const next = [
      ...(isSyncing || !isAsked ? [] : [decision.syncAt]),
      ...(decision.silentAt === null ? [] : [decision.silentAt]),
    ];
    sleep(Math.min(...next.filter((at) => at > now), now + MAX_SLEEP_MS) - now);
  }

  /** A new version may have new credentials: what failed with the old ones says nothing. */
  async function adopt(row: IntegrationRow, ingest: IngestTraits): Promise<void> {
    version = row.version;
    failures = 0;
    retry = null;
    await listener?.close();
    listener = ingest.listens && !isClosed ? startListener(deps, integrationId, refused) : null;
  }

  /** As the clock would have said if it had always been as it is now. */
  function lastHeardAt(row: IntegrationRow, now: number): number | null {
    const ages = [webhookAge(row.last_webhook_at), listenerAge(listener?.lastHeardAt() ?? null)];
    const known = ages.filter((age) => age !== null);
    return known.length === 0 ? null : now - Math.min(...known);
  }

  function decideFor(row: IntegrationRow, ingest: IngestTraits, heardAt: number | null, now: number): Decision {
    const elapsed = clock.elapsedMs();
    const watchedSince = now - (elapsed - startedAt);
    return decide({
      now,
      // One that was made since then is watched since then.
      createdAt: Math.min(row.created_at, watchedSince),
      watchedSince,
      lastSyncAt: row.last_sync_at,
      lastHeardAt: heardAt,
      ingestMode: row.ingest_mode,
      isSilent: row.silent_since !== null,
      ingest: { ...ingest, expectedSilenceMs: row.expected_silence_ms ?? ingest.expectedSilenceMs },
      retry: retry === null ? null : { ...retry, at: now + retry.at - elapsed },
      spread,
    });
  }

  async function changeMode(row: IntegrationRow, mode: string, now: number): Promise<void> {
    const ingestMode = INGEST_MODES.find((known): known is IngestMode => known === mode);
    if (ingestMode === undefined) return;
    const isSilent = ingestMode === 'POLLING_FALLBACK_ACTIVE';
    await transit({ ingestMode }, isSilent ? 'SILENCE' : 'WEBHOOK', now);
    const fields = { integrationId, vendor: row.vendor, ingestMode };
    if (isSilent) logger.warn(fields, 'The platform fell silent; its inventory is polled');
    else logger.info(fields, 'The platform is heard again; polling stops');
  }

  /** Of a platform that only pushes. */
  async function changeSilence(
    row: IntegrationRow,
    isSilent: boolean,
    heardAt: number | null,
    now: number,
  ): Promise<void> {
    const silentSince = isSilent ? Math.max(heardAt ?? 0, Math.min(row.created_at, now)) : null;
    await transit({ silentSince }, isSilent ? 'SILENCE' : 'WEBHOOK', now);
    const fields = { integrationId, vendor: row.vendor };
    if (isSilent) logger.warn(fields, 'The platform fell silent, and cannot be asked');
    else logger.info(fields, 'The platform is heard again');
  }

  async function transit(transition: Transition, origin: EvidenceSource, now: number): Promise<void> {
    const moved = await db.write((tx) => applyTransition(tx, deps, integrationId, transition, origin, now));
    if (moved !== null) ringForEvents(db, moved.after);
  }

  async function refused(error: AdapterError): Promise<void> {
    await transit({ error }, 'POLL', clock.now());
    logger.warn({ integrationId, code: error.code }, 'The platform refused the credentials');
  }

  function startSync({ trigger }: Decision): void {
    isSyncing = true;
    deps
      .inTurn(async () => {
        if (isClosed) return;
        const { run, failure } = await deps.sync.run({ integrationId, trigger });
        failures = run.state === 'SUCCEEDED' || failure === null ? 0 : failures + 1;
        retry = retryAfter(failure, failures, clock.elapsedMs(), deps.random());
      })
      .catch((error: unknown) => {
        const isBusy = error instanceof SyncRefusedError;
        if (!isBusy && !isClosed) logger.error({ err: error, integrationId }, 'A sync failed through a fault of ours');
        retry = { at: clock.elapsedMs() + (isBusy ? BUSY_RETRY_MS : FAULT_RETRY_MS), isAsked: true };
      })
      .finally(() => {
        isSyncing = false;
        wake();
      });
  }

  wake();
  return {
    ring() {
      if (isClosed || cancelRing !== null) return;
      cancelRing = clock.after(RING_DELAY_MS, () => {
        cancelRing = null;
        wake();
      });
    },
    async close() {
      isClosed = true;
      cancelTimer();
      cancelRing?.();
      await turn;
      await listener?.close();
    },
  };
}

/** Settings that can no longer be parsed keep nobody from being told: the sync fails with the reason. */
function settingsOf(vendor: Vendor, row: IntegrationRow): unknown {
  try {
    return parseSettings(vendor, row.settings);
  } catch {
    return {};
  }
}
