import type { Logger } from 'pino';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { mapConcurrent } from '../../adapter-kit/map-concurrent.ts';
import type { CustomEventDraft, EventDraft } from '../../adapter-kit/model.ts';
import {
  claimCustomEvents,
  hasDueCustomEvents,
  postponeCustomEvent,
  releaseCustomEvents,
  settleCreated,
  settleFailed,
  trimCustomEvents,
} from '../../storage/custom-events.ts';
import type { Database } from '../../storage/database.ts';
import type { CustomEventRow } from '../../storage/rows.ts';
import type { Clock } from '../integrations/clock.ts';
import type { IntegrationRuntime } from '../integrations/runtime.ts';
import { asAdapterError } from '../integrations/user-errors.ts';
import { type EventWriter, ringForEvents } from '../process/event-writer.ts';
import { systemDraft } from '../process/system-draft.ts';
import { StoredPayload } from './enqueue.ts';

/** Entries taken at once. */
const BATCH = 100;
/** Platforms spoken to beside each other; to each one call at a time, in order. */
const MAX_PLATFORMS = 8;
/** Of one call. */
const DEADLINE_MS = 10_000;
/** Longest that a batch can take: every call of one platform to its deadline. Who died holds its entries no longer. */
const CLAIM_MS = BATCH * DEADLINE_MS;
/** Rings can be lost, and attempts become due without one. */
const POLL_MS = 1_000;
const FIRST_RETRY_MS = 2_000;
const MAX_RETRY_MS = 5 * 60_000;
/** An event that could not be created for a day is no help to anybody who watches. */
export const GIVE_UP_MS = 24 * 3_600_000;
/** Settled entries are kept as long as dead letters. */
const KEEP_MS = 30 * 24 * 3_600_000;
const TRIM_EVERY_MS = 3_600_000;
const MAX_MESSAGE = 500;

export interface DispatcherDeps {
  readonly db: Database;
  readonly runtime: IntegrationRuntime;
  readonly events: EventWriter;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Creates what is in the outbox at the platforms. Any number of processes may run one; each entry is one's at a time. */
export interface CustomEventDispatcher {
  start(): void;
  /** Ends the calls under way: they are tried again by whoever comes next. */
  stop(): Promise<void>;
  /** Tries everything that is due now, once. @returns how many were created */
  run(): Promise<number>;
}

/** The call may have arrived although no answer did. */
const UNKNOWN_OUTCOME: ReadonlySet<string> = new Set(['TIMEOUT', 'UNREACHABLE', 'BAD_PAYLOAD', 'TOO_LARGE']);

export function createCustomEventDispatcher(deps: DispatcherDeps): CustomEventDispatcher {
  const { db, clock, logger } = deps;
  const stopped = new AbortController();
  const failing = new Set<string>();
  let running: Promise<number> | null = null;
  let isStarted = false;
  let wantsAnother = false;
  let stopListening = (): void => {};
  let cancelPoll = (): void => {};
  let trimmedAt = Number.NEGATIVE_INFINITY;

  async function create(row: CustomEventRow, signal: AbortSignal): Promise<void> {
    const { occurredAt, ...payload } = StoredPayload.parse(JSON.parse(row.payload));
    const device = await db.read
      .selectFrom('devices')
      .select(['native_id', 'vendor_org_id', 'vendor_site_id'])
      .where('id', '=', row.target_device_id)
      .where('removed_at', 'is', null)
      .executeTakeFirst();
    if (device === undefined) throw new AdapterError('NOT_FOUND', 'The device is no longer in the inventory');
    const draft: CustomEventDraft = {
      ...payload,
      occurredAt: new Date(occurredAt),
      idempotencyKey: row.id,
      isRepeat: row.is_uncertain === 1,
    };
    const ref = {
      nativeId: device.native_id,
      nativeOrgId: device.vendor_org_id,
      nativeSiteId: device.vendor_site_id,
    };
    await deps.runtime.use(row.target_integration_id, async ({ adapter, integration }) => {
      if (integration.enabled !== 1) throw new AdapterError('NOT_SUPPORTED', 'The integration is switched off');
      if (adapter.createCustomEvent === undefined)
        throw new AdapterError('NOT_SUPPORTED', 'The platform takes no events of others');
      await adapter.createCustomEvent(ref, draft, signal);
    });
  }

  /** @returns when the entry was created: null; else why not */
  async function attempt(row: CustomEventRow): Promise<AdapterError | null> {
    const late = new AbortController();
    const { promise: deadline, reject } = Promise.withResolvers<never>();
    const error = new AdapterError('TIMEOUT', `The platform did not answer within ${DEADLINE_MS / 1_000} seconds`);
    const cancel = clock.after(DEADLINE_MS, () => {
      late.abort(error);
      reject(error);
    });
    try {
      await Promise.race([create(row, AbortSignal.any([late.signal, stopped.signal])), deadline]);
      return null;
    } catch (failure) {
      return asAdapterError(failure);
    } finally {
      cancel();
      deadline.catch(() => undefined);
    }
  }

  async function workOff(integrationId: string, rows: readonly CustomEventRow[]): Promise<number> {
    let created = 0;
    for (const [index, row] of rows.entries()) {
      const failure = await attempt(row);
      const now = clock.now();
      if (failure === null) {
        await db.write((tx) => settleCreated(tx, row.id, now));
        created += 1;
        tellRecovery(integrationId);
        continue;
      }
      const isUncertain = UNKNOWN_OUTCOME.has(failure.code) || row.is_uncertain === 1;
      const failed = { code: failure.code, message: failure.message.slice(0, MAX_MESSAGE), isUncertain };
      if (!failure.retryable || now - row.created_at >= GIVE_UP_MS) {
        await giveUp(row, failed, now);
        continue;
      }
      tellFailure(integrationId, failure);
      const waitMs = Math.max(failure.retryAfterMs ?? 0, Math.min(FIRST_RETRY_MS * 2 ** row.attempts, MAX_RETRY_MS));
      await db.write(async (tx) => {
        await postponeCustomEvent(tx, row.id, now + waitMs, failed);
        // A platform that is away is away for the others, too: they come after this one, and were not tried.
        await releaseCustomEvents(tx, rows.slice(index + 1), now + waitMs);
      });
      break;
    }
    return created;
  }

  function tellFailure(integrationId: string, { code }: AdapterError): void {
    if (failing.has(integrationId)) return;
    failing.add(integrationId);
    logger.warn({ integrationId, code }, 'Events cannot be created at a platform; they wait');
  }

  function tellRecovery(integrationId: string): void {
    if (failing.delete(integrationId)) logger.info({ integrationId }, 'Events are created at the platform again');
  }

  async function giveUp(
    row: CustomEventRow,
    failed: { readonly code: string; readonly message: string; readonly isUncertain: boolean },
    now: number,
  ): Promise<void> {
    const integration = await db.write(async (tx) => {
      const target = await tx
        .selectFrom('integrations')
        .selectAll()
        .where('id', '=', row.target_integration_id)
        .executeTakeFirst();
      if (target !== undefined) {
        const device = await tx
          .selectFrom('devices')
          .select(['name', 'native_id', 'site_id'])
          .where('id', '=', row.target_device_id)
          .executeTakeFirst();
        await deps.events.writeEvents(tx, target, [failureEvent(row, device, failed, now)], 'POLL', now);
      }
      await settleFailed(tx, row.id, now, failed);
      return target;
    });
    logger.warn({ integrationId: row.target_integration_id, code: failed.code }, 'An event could not be created');
    if (integration !== undefined) ringForEvents(db, integration);
  }

  async function runOnce(): Promise<number> {
    let created = 0;
    while (!stopped.signal.aborted) {
      const now = clock.now();
      // Every batch of events rings here, and hardly any has something for us.
      if (!(await hasDueCustomEvents(db, now))) break;
      const rows = await db.write((tx) => claimCustomEvents(db, tx, { now, until: now + CLAIM_MS, limit: BATCH }));
      if (rows.length === 0) break;
      const inOrder = rows.toSorted((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1));
      const groups = [...Map.groupBy(inOrder, ({ target_integration_id: id }) => id)];
      const counts = await mapConcurrent(groups, MAX_PLATFORMS, new AbortController().signal, ([id, group]) =>
        workOff(id, group),
      );
      created += counts.reduce((sum, count) => sum + count, 0);
    }
    if (clock.now() - trimmedAt >= TRIM_EVERY_MS) {
      trimmedAt = clock.now();
      await db.write((tx) => trimCustomEvents(tx, trimmedAt - KEEP_MS));
    }
    return created;
  }

  function run(): Promise<number> {
    running ??= runOnce().finally(() => {
      running = null;
    });
    return running;
  }

  function look(): void {
    if (!isStarted || stopped.signal.aborted) return;
    if (running !== null) {
      wantsAnother = true;
      return;
    }
    run()
      .catch((error: unknown) => logger.error({ err: error }, 'The outbox of events cannot be worked off'))
      .finally(() => {
        if (!wantsAnother) return;
        wantsAnother = false;
        look();
      });
  }

  function poll(): void {
    if (stopped.signal.aborted) return;
    look();
    cancelPoll = clock.after(POLL_MS, poll);
  }

  return {
    run,
    start() {
      if (isStarted) return;
      isStarted = true;
      stopListening = db.doorbell.on('log', look);
      poll();
    },
    async stop() {
      stopped.abort(new AdapterError('TIMEOUT', 'The server is shutting down'));
      stopListening();
      cancelPoll();
      await running?.catch(() => undefined);
    },
  };
}

function failureEvent(
  row: CustomEventRow,
  device: { readonly name: string; readonly native_id: string; readonly site_id: string | null } | undefined,
  { code, message, isUncertain }: { readonly code: string; readonly message: string; readonly isUncertain: boolean },
  now: number,
): EventDraft {
  const { eventId, source, type } = StoredPayload.parse(JSON.parse(row.payload));
  return systemDraft({
    vendorEventId: `custom-event-failed:${row.id}`,
    type: 'system.custom_event_failed',
    vendorCode: code,
    severity: 'WARNING',
    at: now,
    // A device without a site of ours can carry no event; the integration can.
    nativeDeviceId: device === undefined || device.site_id === null ? null : device.native_id,
    summary: `The event ${type} of ${source.name} could not be created at ${device?.name ?? 'a removed device'}: ${message}`,
    detail: { eventId, sourceDeviceId: row.source_device_id, targetDeviceId: row.target_device_id, isUncertain },
  });
}
