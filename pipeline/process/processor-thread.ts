import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { Doorbell, DoorbellTopic } from '../../storage/database.ts';
import type { Processor } from './processor.ts';
import { FromThread, type ProcessingThreadData, type ToThread } from './thread-messages.ts';

/** A thread that died is started again after this long: at once would be a busy loop when it cannot start at all. */
const RESTART_MS = 1_000;
/** A batch takes milliseconds; what takes longer than this to stop is stuck. */
const STOP_MS = 10_000;

export interface ProcessorThreadOptions {
  /** The module that the thread runs: it calls `serveProcessing` with its vendors. */
  readonly entry: URL;
  readonly data: ProcessingThreadData;
  readonly doorbell: Doorbell;
  readonly logger: Logger;
  readonly onDevicesAdded: (integrationId: string) => void;
  /** Called when the thread has ended, however it did: what it held in shared memory is nobody's any more. */
  readonly onEnd: () => void;
  /** Default 1,000. */
  readonly restartMs?: number | undefined;
}

function isTopic(text: string): text is DoorbellTopic {
  return text === 'inbox' || text === 'log' || text.startsWith('org:') || text.startsWith('integration:');
}

/**
 * A processor in a thread of its own: decoding, folding and logging keep nobody waiting who is to be acknowledged or
 * answered. A thread that dies leaves its batch as it was, untouched, and is started again.
 */
export function createProcessorThread(options: ProcessorThreadOptions): Processor {
  const { entry, data, doorbell, logger, onDevicesAdded, onEnd, restartMs = RESTART_MS } = options;
  const waiting = new Map<number, { readonly resolve: () => void; readonly reject: (error: Error) => void }>();
  let nextId = 0;
  let worker: Worker | null = null;
  let isStarted = false;
  let isStopping = false;
  let isRelaying = false;
  let restart: NodeJS.Timeout | null = null;

  function hear(message: unknown): void {
    const told = FromThread.parse(message);
    if (told.kind === 'devicesAdded') return onDevicesAdded(told.integrationId);
    if (told.kind === 'processed') {
      const waiter = waiting.get(told.id);
      waiting.delete(told.id);
      if (told.error === null) waiter?.resolve();
      else waiter?.reject(new Error(told.error));
      return;
    }
    // Rings come from there: sending them back would never end.
    isRelaying = true;
    for (const topic of told.topics) if (isTopic(topic)) doorbell.ring(topic);
    isRelaying = false;
  }

  function run(): Worker {
    const started = new Worker(entry, { workerData: data });
    // It ends with the process that started it, and keeps none alive.
    started.unref();
    started.on('message', hear);
    started.on('error', (error) => logger.error({ err: error }, 'The processing thread failed'));
    started.once('exit', (code) => {
      worker = null;
      onEnd();
      for (const { reject } of waiting.values()) reject(new Error('the processing thread ended'));
      waiting.clear();
      if (isStopping || !isStarted) return;
      logger.warn({ code }, 'The processing thread ended and is started again');
      restart = setTimeout(() => tell({ kind: 'start' }), restartMs).unref();
    });
    return started;
  }

  function tell(message: ToThread): void {
    worker ??= run();
    worker.postMessage(message);
  }

  const stopListening = doorbell.on('inbox', () => {
    if (!isRelaying && worker !== null) tell({ kind: 'ring' });
  });

  return {
    start() {
      if (isStarted) return;
      isStarted = true;
      tell({ kind: 'start' });
    },
    async stop() {
      isStopping = true;
      stopListening();
      if (restart !== null) clearTimeout(restart);
      const running = worker;
      if (running === null) return;
      running.ref();
      const ended = once(running, 'exit');
      const force = setTimeout(() => {
        logger.error('The processing thread does not stop and is ended');
        void running.terminate();
      }, STOP_MS);
      tell({ kind: 'stop' });
      await ended;
      clearTimeout(force);
    },
    process(integrationId) {
      if (isStopping) return Promise.reject(new Error('the processing thread is stopping'));
      return new Promise((resolve, reject) => {
        nextId += 1;
        waiting.set(nextId, { resolve, reject });
        tell({ kind: 'process', id: nextId, integrationId });
      });
    },
  };
}
