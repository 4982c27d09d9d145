import { AsyncResource } from 'node:async_hooks';
import type { Logger } from 'pino';
import type { Doorbell, DoorbellTopic } from './database.ts';

type Listener = (topic: DoorbellTopic) => void;

/**
 * A doorbell within this process. Listeners run at once, in the order in which they came, each in the async context it
 * was registered in; one that throws is logged and keeps nobody else from hearing.
 */
export function createDoorbell(logger: Logger): Doorbell {
  const listeners = new Map<string, Set<Listener>>();

  const tell = (registered: Set<Listener> | undefined, topic: DoorbellTopic): void => {
    if (registered === undefined) return;
    // A copy: a listener may take itself off, or bring another one, while we ring.
    for (const listener of Array.from(registered)) {
      try {
        listener(topic);
      } catch (error) {
        logger.error({ err: error, topic }, 'A doorbell listener failed');
      }
    }
  };

  return {
    ring(topic) {
      tell(listeners.get(topic), topic);
      tell(listeners.get('*'), topic);
    },
    on(topic, listener) {
      // Without the binding a listener that starts a write would look like a write nested in the ringer's.
      const bound = AsyncResource.bind(listener);
      const registered = listeners.get(topic) ?? new Set<Listener>();
      listeners.set(topic, registered.add(bound));
      return () => {
        registered.delete(bound);
        if (registered.size === 0 && listeners.get(topic) === registered) listeners.delete(topic);
      };
    },
  };
}
