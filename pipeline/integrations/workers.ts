import type { DoorbellTopic } from '../../storage/database.ts';
import { newId } from '../../storage/ids.ts';
import type { Lease, Leases } from '../../storage/leases.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { createTurns } from './turns.ts';
import type { Registration } from './webhook-registration.ts';
import { type IntegrationWorker, isWorked, startWorker, type WorkerDeps } from './worker.ts';

/** How long a silent owner is believed to live: others take over after it. */
const LEASE_MS = 15_000;
/** Two renewals may fail before the lease is lost. */
const RENEW_MS = 5_000;
/** How often we look for integrations that nobody rang for, and that nobody owns any more. */
export const SCAN_MS = 3_000;
/** Rings of one moment are answered together. */
const RING_DELAY_MS = 50;
/** Syncs under way at once: each holds a few megabytes, and a slow platform holds its turn for minutes. */
const MAX_SYNCS = 32;
/** Creation registers the webhook itself; what it left undone is taken up after this. */
const REGISTER_AFTER_MS = 60_000;

export interface IntegrationWorkersDeps extends Omit<WorkerDeps, 'inTurn'> {
  readonly leases: Leases;
  /** Names this process in leases; default random. */
  readonly owner?: string;
  /** Tells a platform where to deliver, when creation could not. */
  readonly registerWebhook?: (integrationId: string) => Promise<Registration>;
}

export interface IntegrationWorkers {
  start(): void;
  /** Lets go of every integration, so that others can take them over at once. Syncs are the sync engine's to end. */
  close(): Promise<void>;
}

interface Owned {
  lease: Lease;
  readonly worker: IntegrationWorker;
}

/**
 * Workers for all integrations that this process gets hold of: one owner per integration among all processes, by lease.
 */
export function createIntegrationWorkers(deps: IntegrationWorkersDeps): IntegrationWorkers {
  const { db, clock, logger, leases } = deps;
  const owner = deps.owner ?? newId('proc');
  const owned = new Map<string, Owned>();
  const workerDeps: WorkerDeps = { ...deps, inTurn: createTurns(MAX_SYNCS) };
  let isClosed = false;
  let scanning: Promise<void> | null = null;
  let wantsAnother = false;
  let cancelScan: () => void = () => undefined;
  let cancelRenewal: () => void = () => undefined;
  let cancelRing: (() => void) | null = null;
  let stopListening: () => void = () => undefined;

  function scanSoon(): void {
    if (isClosed) return;
    if (scanning !== null) {
      wantsAnother = true;
      return;
    }
    cancelScan();
    scanning = scan()
      .catch((error: unknown) => {
        logger.error({ err: error }, 'Integrations could not be looked up; it is tried again');
      })
      .finally(() => {
        scanning = null;
        if (isClosed) return;
        if (wantsAnother) {
          wantsAnother = false;
          scanSoon();
        } else {
          cancelScan = clock.after(SCAN_MS, scanSoon);
        }
      });
  }

  async function scan(): Promise<void> {
    const rows = await db.read
      .selectFrom('integrations')
      .select(['id', 'vendor', 'enabled', 'state', 'webhook_native_id', 'created_at'])
      .execute();
    const wanted = new Map(rows.filter(isWorked).map((row) => [row.id, row]));
    for (const id of [...owned.keys()]) if (!wanted.has(id)) await drop(id);
    for (const [id, row] of wanted) if (!owned.has(id) && !isClosed) await take(row);
  }

  type Candidate = Pick<IntegrationRow, 'id' | 'vendor' | 'webhook_native_id' | 'created_at'>;

  async function take({
    id,
    vendor: slug,
    webhook_native_id: webhook,
    created_at: createdAt,
  }: Candidate): Promise<void> {
    const vendor = deps.runtime.vendors.get(slug);
    if (vendor === undefined) return;
    const lease = await leases.acquire(`integration:${id}`, owner, LEASE_MS);
    if (lease === null) return;
    owned.set(id, { lease, worker: startWorker(workerDeps, id, vendor) });
    if (webhook !== null || !vendor.ingest.webhooks || clock.now() - createdAt < REGISTER_AFTER_MS) return;
    deps.registerWebhook?.(id).catch((error: unknown) => {
      logger.error({ err: error, integrationId: id }, 'A webhook could not be registered through a fault of ours');
    });
  }

  async function drop(id: string): Promise<void> {
    const entry = owned.get(id);
    if (entry === undefined) return;
    owned.delete(id);
    await entry.worker.close();
    await leases.release(entry.lease).catch((error: unknown) => {
      logger.warn({ err: error, integrationId: id }, 'A lease could not be released; it expires by itself');
    });
  }

  async function renewAll(): Promise<void> {
    for (const [id, entry] of [...owned]) {
      const renewed = await leases.renew(entry.lease, LEASE_MS);
      if (owned.get(id) !== entry) continue;
      if (renewed === null) {
        logger.warn({ integrationId: id }, 'The lease of an integration was lost; another process looks after it');
        await drop(id);
      } else {
        entry.lease = renewed;
      }
    }
  }

  function keepRenewing(): void {
    cancelRenewal = clock.after(RENEW_MS, () => {
      renewAll()
        .catch((error: unknown) => {
          logger.warn({ err: error }, 'Leases could not be renewed; it is tried again');
        })
        .finally(() => {
          if (!isClosed) keepRenewing();
        });
    });
  }

  function onRing(topic: DoorbellTopic): void {
    if (!topic.startsWith('integration:')) return;
    const entry = owned.get(topic.slice('integration:'.length));
    if (entry !== undefined) {
      entry.worker.ring();
      return;
    }
    // It may be new, or switched on.
    if (cancelRing !== null) return;
    cancelRing = clock.after(RING_DELAY_MS, () => {
      cancelRing = null;
      scanSoon();
    });
  }

  return {
    start() {
      stopListening = db.doorbell.on('*', onRing);
      keepRenewing();
      scanSoon();
    },
    async close() {
      isClosed = true;
      stopListening();
      cancelScan();
      cancelRenewal();
      cancelRing?.();
      await scanning;
      await Promise.all([...owned.keys()].map(drop));
    },
  };
}
