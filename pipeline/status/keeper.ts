import type { Logger } from 'pino';
import type { Lease, Leases } from '../../storage/leases.ts';
import type { Clock } from '../integrations/clock.ts';

/** Time passes for statuses in steps of this. */
const TICK_MS = 1_000;
/** Much longer than a tick and than clocks of two machines differ. */
const LEASE_MS = 15_000;
const LEASE = 'status-keeper';

/** Something that becomes due by time alone: an outage that has lasted, a silence, a window that opens. */
export interface StatusJob {
  readonly name: string;
  /**
   * Does what is due, in bounded portions, and safely again after a crash at any moment.
   *
   * @param now milliseconds since the epoch
   * @returns true when more is due at once
   */
  run(now: number): Promise<boolean>;
}

/** Lets time pass for statuses. Exactly one in a cluster works. */
export interface StatusKeeper {
  start(): void;
  /** Finishes what is under way. */
  stop(): Promise<void>;
  /** Does everything that is due, whoever has the lease. */
  run(): Promise<void>;
}

export interface StatusKeeperDeps {
  readonly jobs: readonly StatusJob[];
  readonly leases: Leases;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Names this process in leases. */
  readonly owner: string;
}

export function createStatusKeeper({ jobs, leases, clock, logger, owner }: StatusKeeperDeps): StatusKeeper {
  const failing = new Set<string>();
  let lease: Lease | null = null;
  let isStopped = false;
  let cancel = (): void => {};
  let working: Promise<void> | null = null;

  async function runJob(job: StatusJob): Promise<void> {
    try {
      while (!isStopped && (await job.run(clock.now()))) {
        // Whoever waits to write has its turn.
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (failing.delete(job.name)) logger.info({ job: job.name }, 'A status job works again');
    } catch (error) {
      if (!failing.has(job.name)) logger.error({ err: error, job: job.name }, 'A status job failed');
      failing.add(job.name);
    }
  }

  async function run(): Promise<void> {
    for (const job of jobs) await runJob(job);
  }

  async function tick(): Promise<void> {
    try {
      lease = lease === null ? await leases.acquire(LEASE, owner, LEASE_MS) : await leases.renew(lease, LEASE_MS);
    } catch (error) {
      logger.warn({ err: error }, 'The lease of the status keeper could not be had');
      lease = null;
    }
    if (lease !== null) await run();
  }

  function schedule(): void {
    if (isStopped) return;
    cancel = clock.after(TICK_MS, () => {
      working = tick().finally(() => {
        working = null;
        schedule();
      });
    });
  }

  return {
    start: schedule,
    run,
    async stop() {
      isStopped = true;
      cancel();
      await working;
      if (lease !== null) await leases.release(lease).catch(() => {});
      lease = null;
    },
  };
}
