import type { Logger } from 'pino';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { SyncTrigger } from '../../schema/words.ts';
import { newId } from '../../storage/ids.ts';
import type { Lease } from '../../storage/leases.ts';
import type { SyncRunRow } from '../../storage/rows.ts';
import type { Clock } from '../integrations/clock.ts';
import { LeaseLostError, type RunSyncDeps, runSync, type SyncOutcome } from './run-sync.ts';
import { adoptRunning, failOrphans, findRun, insertRun } from './runs.ts';

/** How long a silent owner is believed to live. */
const LEASE_MS = 30_000;
/** Two renewals may fail before the lease is lost. */
const RENEW_MS = 10_000;
/** Longest reading of one inventory: 200,000 devices at 100 a page and 400 ms a page. */
export const MAX_SYNC_MS = 15 * 60_000;
/** Runs of one integration that may wait behind the one under way: asking more often brings nothing new. */
export const MAX_WAITING = 8;

export interface SyncRequest {
  readonly integrationId: string;
  readonly trigger: SyncTrigger;
  /** Unique per integration: the same key again gives the same run. */
  readonly idempotencyKey?: string | null;
}

/** A run that exists, and its end. */
export interface StartedSync {
  readonly run: SyncRunRow;
  /** Rejects only for faults of ours, and when the engine stops. */
  readonly done: Promise<SyncOutcome>;
}

/** Why no run was started. */
export class SyncRefusedError extends Error {
  override readonly name = 'SyncRefusedError';
  /**
   * - `NOT_FOUND` there is no such integration
   * - `DISABLED` an operator switched it off
   * - `BUSY` too many runs wait already, or another process has one under way that is somebody else's
   * - `PUSH_ONLY` its inventory comes in deliveries, nobody can be asked
   * - `STOPPED` the engine is shutting down
   */
  readonly code: 'NOT_FOUND' | 'DISABLED' | 'BUSY' | 'PUSH_ONLY' | 'STOPPED';

  constructor(code: SyncRefusedError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export interface SyncEngine {
  /**
   * Creates a run and starts it, or puts it behind the one of the same integration that is under way: one at a time per
   * integration, also across processes.
   *
   * @throws SyncRefusedError
   */
  start(request: SyncRequest): Promise<StartedSync>;
  /** The same, to its end. @throws SyncRefusedError and what `done` rejects with */
  run(request: SyncRequest): Promise<SyncOutcome>;
  /** Calls off what is under way and waits for it; nothing is held against the platforms. */
  close(): Promise<void>;
}

export interface SyncEngineDeps extends Omit<RunSyncDeps, 'now'> {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Names this process in leases; default random. */
  readonly owner?: string;
  /** After a run that added devices: what waited for them can be replayed. */
  readonly onDevicesAdded?: (integrationId: string) => Promise<void>;
}

/** Our own end was asked for: no fault. */
function isStop(error: unknown): boolean {
  return error instanceof SyncRefusedError && error.code === 'STOPPED';
}

/** The runs of one integration in this process; it owns the lease while it has any. */
interface Queue {
  lease: Lease;
  tail: Promise<unknown>;
  size: number;
  readonly runs: Map<string, StartedSync>;
  readonly stop: AbortController;
  stopRenewing: () => void;
}

export function createSyncEngine(deps: SyncEngineDeps): SyncEngine {
  const { db, leases, clock, logger } = deps;
  const owner = deps.owner ?? newId('proc');
  const runDeps: RunSyncDeps = { ...deps, now: clock.now };
  const queues = new Map<string, Promise<Queue | null>>();
  const releasing = new Map<string, Promise<void>>();
  const starting = new Map<string, Promise<StartedSync>>();
  const stopped = new AbortController();

  /** @returns null when another process owns the integration */
  async function openQueue(integrationId: string): Promise<Queue | null> {
    await releasing.get(integrationId);
    const lease = await leases.acquire(`sync:${integrationId}`, owner, LEASE_MS);
    if (lease === null) return null;
    await failOrphans(db, integrationId, new Set(), clock.now());
    const queue: Queue = {
      lease,
      tail: Promise.resolve(),
      size: 0,
      runs: new Map(),
      stop: new AbortController(),
      stopRenewing: () => undefined,
    };
    keepLease(queue);
    return queue;
  }

  function keepLease(queue: Queue): void {
    queue.stopRenewing = clock.after(RENEW_MS, () => {
      leases.renew(queue.lease, LEASE_MS).then(
        (renewed) => {
          if (renewed === null) {
            queue.stop.abort(new LeaseLostError(`lease ${queue.lease.name} was lost`));
            return;
          }
          queue.lease = renewed;
          if (queue.size > 0) keepLease(queue);
        },
        (error: unknown) => {
          // The next renewal may still be in time; writing proves the lease anyway.
          logger.warn({ err: error, lease: queue.lease.name }, 'A lease could not be renewed');
          if (queue.size > 0) keepLease(queue);
        },
      );
    });
  }

  async function leave(integrationId: string, queue: Queue): Promise<void> {
    queue.size -= 1;
    if (queue.size > 0) return;
    queues.delete(integrationId);
    queue.stopRenewing();
    const released = leases.release(queue.lease).catch((error: unknown) => {
      logger.warn({ err: error, lease: queue.lease.name }, 'A lease could not be released; it expires by itself');
    });
    // Who comes next in this process must not mistake our own lease for another's.
    releasing.set(integrationId, released);
    await released;
    if (releasing.get(integrationId) === released) releasing.delete(integrationId);
  }

  async function enter(integrationId: string): Promise<Queue | null> {
    const opening = queues.get(integrationId) ?? openQueue(integrationId);
    queues.set(integrationId, opening);
    let queue: Queue | null;
    try {
      queue = await opening;
    } catch (error) {
      if (queues.get(integrationId) === opening) queues.delete(integrationId);
      throw error;
    }
    if (queue === null) {
      if (queues.get(integrationId) === opening) queues.delete(integrationId);
      return null;
    }
    // It ran empty and gave its lease back while we waited.
    if (queues.get(integrationId) !== opening) return enter(integrationId);
    if (queue.size > MAX_WAITING)
      throw new SyncRefusedError('BUSY', 'Too many syncs of this integration wait already.');
    queue.size += 1;
    return queue;
  }

  async function create(request: SyncRequest): Promise<StartedSync> {
    if (stopped.signal.aborted) throw new SyncRefusedError('STOPPED', 'The server is shutting down.');
    const { integrationId, trigger } = request;
    const key = request.idempotencyKey ?? null;
    const before = key === null ? null : await findRun(db, integrationId, key);
    if (before !== null) return known(before);
    const integration = await db.read
      .selectFrom('integrations')
      .select(['id', 'org_id', 'enabled', 'vendor'])
      .where('id', '=', integrationId)
      .executeTakeFirst();
    if (integration === undefined) throw new SyncRefusedError('NOT_FOUND', 'There is no such integration.');
    if (integration.enabled !== 1) throw new SyncRefusedError('DISABLED', 'The integration is switched off.');
    if (deps.runtime.vendors.get(integration.vendor)?.ingest.pushOnly === true) {
      throw new SyncRefusedError('PUSH_ONLY', 'The other side pushes its inventory; it cannot be asked for it.');
    }

    const queue = await enter(integrationId);
    if (queue === null) {
      const other = key === null ? null : await adoptRunning(db, integrationId, key);
      if (other !== null) return known(other);
      throw new SyncRefusedError('BUSY', 'Another process has a sync of this integration under way.');
    }
    try {
      const { row, isNew } = await insertRun(db, {
        integration,
        trigger,
        idempotencyKey: key,
        startedAt: clock.now(),
      });
      if (!isNew) {
        await leave(integrationId, queue);
        return await known(row);
      }
      return enqueue(integrationId, queue, row);
    } catch (error) {
      await leave(integrationId, queue);
      throw error;
    }
  }

  function enqueue(integrationId: string, queue: Queue, run: SyncRunRow): StartedSync {
    const done = queue.tail.then(() => execute(integrationId, queue, run));
    queue.tail = done.then(
      () => undefined,
      () => undefined,
    );
    const started = { run, done };
    queue.runs.set(run.id, started);
    // Whoever started it may not wait for it.
    done.catch((error: unknown) => {
      const fields = { integrationId, runId: run.id };
      if (isStop(error)) logger.debug(fields, 'A sync was called off: the server is shutting down');
      else logger.error({ ...fields, err: error }, 'A sync failed through a fault of ours');
    });
    return started;
  }

  async function execute(integrationId: string, queue: Queue, run: SyncRunRow): Promise<SyncOutcome> {
    const tooLong = new AbortController();
    const cancel = clock.after(MAX_SYNC_MS, () => {
      tooLong.abort(
        new AdapterError('TIMEOUT', `The inventory could not be read within ${MAX_SYNC_MS / 60_000} minutes`),
      );
    });
    try {
      const signal = AbortSignal.any([stopped.signal, queue.stop.signal, tooLong.signal]);
      const outcome = await runSync(runDeps, run, queue.lease, signal);
      if (outcome.run.added > 0) await tellAdded(integrationId);
      return outcome;
    } catch (error) {
      if (!(error instanceof LeaseLostError)) await abandon(integrationId, queue, run);
      throw error;
    } finally {
      cancel();
      queue.runs.delete(run.id);
      await leave(integrationId, queue);
    }
  }

  async function tellAdded(integrationId: string): Promise<void> {
    try {
      await deps.onDevicesAdded?.(integrationId);
    } catch (error) {
      // The sync is good; what waits can still be replayed by hand.
      logger.error({ err: error, integrationId }, 'What waited for new devices could not be replayed');
    }
  }

  /** Ends the record of a run that a fault of ours, or our own end, cut short. */
  async function abandon(integrationId: string, queue: Queue, run: SyncRunRow): Promise<void> {
    const others = new Set([...queue.runs.keys()].filter((id) => id !== run.id));
    await failOrphans(db, integrationId, others, clock.now()).catch((error: unknown) => {
      logger.warn({ err: error, runId: run.id }, 'A sync could not be recorded as failed; its next owner does it');
    });
  }

  /** A run of before: under way here, elsewhere, or ended. */
  async function known(run: SyncRunRow): Promise<StartedSync> {
    const queue = await queues.get(run.integration_id);
    const own = queue?.runs.get(run.id);
    return own ?? { run, done: Promise.resolve({ run, failure: null }) };
  }

  function start(request: SyncRequest): Promise<StartedSync> {
    const key = request.idempotencyKey ?? null;
    if (key === null) return create(request);
    const name = `${request.integrationId} ${key}`;
    const pending = starting.get(name) ?? create(request).finally(() => starting.delete(name));
    starting.set(name, pending);
    return pending;
  }

  return {
    start,
    run: async (request) => (await start(request)).done,
    async close() {
      stopped.abort(new SyncRefusedError('STOPPED', 'The server is shutting down.'));
      await Promise.allSettled(starting.values());
      const open = await Promise.allSettled(queues.values());
      for (const queue of open) {
        if (queue.status === 'fulfilled' && queue.value !== null) await queue.value.tail;
      }
      await Promise.all(releasing.values());
    },
  };
}
