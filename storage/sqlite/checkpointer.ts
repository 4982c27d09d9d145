import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { type CheckpointOrder, CheckpointReply, type CheckpointWorkerData } from './checkpoint-message.ts';

/**
 * How often pages of the write-ahead log move to the database, in milliseconds, while anybody writes. A page that is
 * written again and again moves once in this time; each move is a sync that everybody's commits feel.
 */
const INTERVAL_MS = 1_000;
/** What never waits for anyone lets the log grow under load; above this writers wait for a moment without readers. */
const MAX_WAL_BYTES = 32 * 1024 * 1024;

export interface Checkpointer {
  /** Something was committed. */
  wrote(): void;
  close(): Promise<void>;
}

export interface CheckpointerOptions {
  readonly file: string;
  readonly logger: Logger;
  /** Default INTERVAL_MS. */
  readonly intervalMs?: number | undefined;
  /** Default MAX_WAL_BYTES. */
  readonly maxWalBytes?: number;
}

/** Checkpoints in a worker thread: each is an fsync of the whole database, which would stop the process for that long. */
export function createCheckpointer(options: CheckpointerOptions): Checkpointer {
  const { file, logger, intervalMs = INTERVAL_MS, maxWalBytes = MAX_WAL_BYTES } = options;
  let worker: Worker | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isDirty = false;
  let isBusy = false;
  let isFailing = false;

  const start = (): Worker => {
    const started = new Worker(new URL('./checkpoint-worker.ts', import.meta.url), {
      workerData: { file, maxWalBytes } satisfies CheckpointWorkerData,
    });
    started.unref();
    started.on('message', (message: unknown) => {
      isBusy = false;
      const reply = CheckpointReply.parse(message);
      if (reply.ok === isFailing) {
        isFailing = !reply.ok;
        if (reply.ok) logger.info('Checkpoints work again');
        else logger.warn({ reason: reply.reason }, 'Checkpoints fail; the write-ahead log grows meanwhile');
      }
    });
    started.on('error', (error) => {
      logger.error({ err: error }, 'The checkpoint worker died');
      worker = undefined;
      isBusy = false;
    });
    return started;
  };

  const tick = (): void => {
    timer = undefined;
    if (isBusy) return schedule();
    isDirty = false;
    isBusy = true;
    worker ??= start();
    worker.postMessage('copy' satisfies CheckpointOrder);
  };

  const schedule = (): void => {
    timer ??= setTimeout(tick, intervalMs).unref();
  };

  return {
    wrote() {
      if (isDirty) return;
      isDirty = true;
      schedule();
    },
    async close() {
      clearTimeout(timer);
      const running = worker;
      worker = undefined;
      if (running === undefined) return;
      // It keeps no process alive while it works, but a process that closes has to wait for its end.
      running.ref();
      const exited = once(running, 'exit');
      running.postMessage('stop' satisfies CheckpointOrder);
      await exited;
    },
  };
}
