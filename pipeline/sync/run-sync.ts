import type { Logger } from 'pino';
import type { VendorAccount } from '../../adapter-kit/adapter.ts';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { SyncState } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import type { Lease, Leases } from '../../storage/leases.ts';
import type { IntegrationRow, SyncRunRow } from '../../storage/rows.ts';
import type { IntegrationRuntime } from '../integrations/runtime.ts';
import { applyTransition } from '../integrations/state.ts';
import { platformUserError, userError } from '../integrations/user-errors.ts';
import { type EventWriter, ringForEvents } from '../process/event-writer.ts';
import { applyChunk, type ChunkContext } from './apply-chunk.ts';
import { AccountChangedError, checkAccount, noteAccount, tellAccountChanged } from './check-account.ts';
import type { DeviceRecord } from './device-record.ts';
import { BASELINE_CHUNK_DEVICES, CHUNK_DEVICES, type Reading, readInventory } from './read-inventory.ts';
import { applyAbsences } from './removals.ts';
import { finishRun, noteProgress, type Progress } from './runs.ts';

export interface RunSyncDeps {
  readonly db: Database;
  readonly events: EventWriter;
  readonly runtime: IntegrationRuntime;
  readonly leases: Leases;
  readonly logger: Logger;
  readonly now: () => number;
  /** Default BASELINE_CHUNK_DEVICES and CHUNK_DEVICES. */
  readonly chunks?: { readonly baseline: number; readonly usual: number };
}

/** A run that has ended. */
export interface SyncOutcome {
  readonly run: SyncRunRow;
  /** What the platform did wrong; null when the run ended well or only devices of it could not be read. */
  readonly failure: AdapterError | null;
}

/** Another process took the integration over: what this one still has to say no longer counts. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
}

const NOTHING: Progress = { listed: 0, added: 0, updated: 0, removed: 0, unmapped: 0 };
const EMPTY: Reading = { listed: new Set(), isComplete: false, isToldEmpty: false, errors: [], failure: null };

/**
 * Reads a platform's inventory into the store and ends the run's record. Every transaction proves the lease first, so
 * that a process that was believed dead cannot write over its successor.
 *
 * @throws LeaseLostError, and errors of the store; the run's record stays RUNNING then and its next owner fails it
 */
export async function runSync(
  deps: RunSyncDeps,
  run: SyncRunRow,
  lease: Lease,
  signal: AbortSignal,
): Promise<SyncOutcome> {
  const { db, leases, logger } = deps;
  const startedAt = deps.now();
  const isBaseline = !(await hasDevices(db, run.integration_id));
  const { baseline, usual } = deps.chunks ?? { baseline: BASELINE_CHUNK_DEVICES, usual: CHUNK_DEVICES };
  const chunkDevices = isBaseline ? baseline : usual;
  let progress = NOTHING;
  let newAccount: VendorAccount | null = null;

  const owned = <T>(job: (tx: Tx) => Promise<T>): Promise<T> =>
    db.write(async (tx) => {
      if (!(await leases.isHeld(tx, lease))) throw new LeaseLostError(`lease ${lease.name} was taken over`);
      return job(tx);
    });

  async function read(): Promise<{ readonly reading: Reading; readonly integration: IntegrationRow | null }> {
    try {
      return await deps.runtime.use(run.integration_id, async ({ adapter, integration }) => {
        newAccount = await checkAccount(adapter, integration, signal);
        const listing = { integrationId: integration.id, vendor: integration.vendor, startedAt };
        const reading = await readInventory(adapter, listing, signal, chunkDevices, async (records, listed) => {
          progress = await writeChunk(chunkContext(integration), records, listed);
        });
        return { reading, integration };
      });
    } catch (error) {
      // The adapter could not even be opened, or somebody else's inventory would be read.
      if (!(error instanceof AdapterError)) throw error;
      return { reading: { ...EMPTY, errors: [platformUserError(error)], failure: error }, integration: null };
    }
  }

  function chunkContext(integration: IntegrationRow): ChunkContext {
    return { db, events: deps.events, integration, isBaseline, startedAt, now: deps.now() };
  }

  async function writeChunk(chunk: ChunkContext, records: readonly DeviceRecord[], listed: number): Promise<Progress> {
    const { next, hasChanged } = await owned(async (tx) => {
      const result = await applyChunk(tx, chunk, records);
      const after: Progress = {
        ...progress,
        listed,
        added: progress.added + result.added,
        updated: progress.updated + result.updated,
        unmapped: progress.unmapped + result.unmapped,
      };
      await noteProgress(tx, run.id, after);
      return { next: after, hasChanged: result.hasChanged };
    });
    if (hasChanged) ringForEvents(db, chunk.integration);
    return next;
  }

  const { reading, integration } = await read();
  progress = { ...progress, listed: reading.listed.size };

  const verdict = judgeReading(reading, isBaseline);
  if (verdict.state === 'SUCCEEDED' && integration !== null) {
    const removed = await applyAbsences(chunkContext(integration), reading.listed, owned);
    progress = { ...progress, removed };
  }

  const finishedAt = deps.now();
  const { row, moved } = await owned(async (tx) => {
    const problem = reading.failure ?? verdict.problem;
    const transition = await applyTransition(
      tx,
      deps,
      run.integration_id,
      { lastSync: { at: finishedAt, state: verdict.state }, error: problem },
      'POLL',
      finishedAt,
    );
    if (transition !== null) {
      if (newAccount !== null) await noteAccount(tx, run.integration_id, newAccount);
      if (problem instanceof AccountChangedError)
        await tellAccountChanged(tx, deps.events, transition.after, problem, finishedAt);
    }
    const end = { state: verdict.state, progress, errors: verdict.errors, finishedAt };
    return { row: await finishRun(tx, run, end), moved: transition };
  });
  if (moved !== null) {
    ringForEvents(db, moved.after);
    logTransition(logger, moved.before, moved.after);
  }
  logEnd(logger, row, verdict.errors.length);
  return { run: row, failure: reading.failure };
}

/** For whoever reads logs: what a run came to. Most runs find nothing new, and say so only to who asks for details. */
function logEnd(logger: Logger, run: SyncRunRow, errors: number): void {
  const { listed, added, updated, removed, unmapped } = run;
  const level = added + updated + removed > 0 ? 'info' : 'debug';
  const counts = { listed, added, updated, removed, unmapped, errors };
  const lastSyncAt = run.finished_at === null ? null : new Date(run.finished_at).toISOString();
  const of = { integrationId: run.integration_id, runId: run.id, trigger: run.trigger, state: run.state };
  logger[level]({ ...of, lastSyncAt, ...counts }, 'A sync has ended');
}

/** Says once that the platform went away, and once that it is back. */
function logTransition(logger: Logger, before: IntegrationRow, after: IntegrationRow): void {
  if (before.state === after.state) return;
  const fields = { integrationId: after.id, vendor: after.vendor, state: after.state, code: after.error_code };
  if (after.state === 'CONNECTED') logger.info(fields, 'Integration is connected');
  else logger.warn(fields, 'Integration is not well');
}

interface Verdict {
  readonly state: Exclude<SyncState, 'RUNNING'>;
  readonly errors: Reading['errors'];
  readonly problem: { readonly code: 'BAD_PAYLOAD'; readonly message: string } | null;
}

function judgeReading(reading: Reading, isBaseline: boolean): Verdict {
  const { errors, listed } = reading;
  if (!reading.isComplete) {
    const message = errors[0]?.message ?? 'The inventory was not read completely.';
    return { state: listed.size === 0 ? 'FAILED' : 'PARTIAL', errors, problem: { code: 'BAD_PAYLOAD', message } };
  }
  if (listed.size > 0 || reading.isToldEmpty || isBaseline) {
    return { state: 'SUCCEEDED', errors, problem: null };
  }
  // Without the platform's own word that it is empty, an empty answer is more likely a fault than a removal of all.
  const message = 'The platform listed no devices although it had some before.';
  return { state: 'FAILED', errors: [userError('OTHER', message)], problem: { code: 'BAD_PAYLOAD', message } };
}

async function hasDevices(db: Database, integrationId: string): Promise<boolean> {
  const row = await db.read
    .selectFrom('devices')
    .select('id')
    .where('integration_id', '=', integrationId)
    .where('removed_at', 'is', null)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
