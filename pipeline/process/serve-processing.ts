import type { MessagePort } from 'node:worker_threads';
import type { Doorbell } from '../../storage/database.ts';
import type { Processor } from './processor.ts';
import { type FromThread, ToThread } from './thread-messages.ts';

/** The thread's side of `createProcessorThread`. */
export interface ProcessingService {
  /** For the processor's `onDevicesAdded`. */
  devicesAdded(integrationId: string): void;
  /** Does what is asked until it is told to stop; then the store is closed and the thread has nothing left to do. */
  serve(processor: Processor): void;
}

export interface ProcessingServiceDeps {
  readonly doorbell: Doorbell;
  /** What is to be closed when the processor has stopped. */
  readonly close: () => Promise<void>;
}

export function createProcessingService(port: MessagePort, deps: ProcessingServiceDeps): ProcessingService {
  const { doorbell } = deps;
  const topics = new Set<string>();
  let isRelaying = false;

  const tell = (message: FromThread): void => port.postMessage(message);

  /** What rings within one turn is told at once. */
  doorbell.on('*', (topic) => {
    if (isRelaying) return;
    if (topics.size === 0) setImmediate(flush);
    topics.add(topic);
  });

  function flush(): void {
    tell({ kind: 'rings', topics: [...topics] });
    topics.clear();
  }

  async function stop(processor: Processor): Promise<void> {
    await processor.stop();
    await deps.close();
    port.close();
  }

  return {
    devicesAdded: (integrationId) => tell({ kind: 'devicesAdded', integrationId }),
    serve(processor) {
      port.on('message', (message: unknown) => {
        const asked = ToThread.parse(message);
        switch (asked.kind) {
          case 'start':
            return processor.start();
          case 'ring':
            isRelaying = true;
            doorbell.ring('inbox');
            isRelaying = false;
            return;
          case 'process':
            processor.process(asked.integrationId).then(
              () => tell({ kind: 'processed', id: asked.id, error: null }),
              (error: unknown) =>
                tell({ kind: 'processed', id: asked.id, error: error instanceof Error ? error.message : 'it failed' }),
            );
            return;
          case 'stop':
            // A failure to stop is a failure of the thread.
            void stop(processor);
        }
      });
    },
  };
}
