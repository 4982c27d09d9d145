// An ONVIF device whose events we pull: an access controller, an input module, a camera with analytics.
import { AdapterError } from '../../../adapter-kit/adapter-error.ts';
import { type Listed, listed } from '../catalogue.ts';
import type { Driver, DriverParts } from '../driver.ts';
import type { OnvifSource } from '../settings.ts';
import { createOnvifClient, type OnvifClient, type OnvifIdentity } from './client.ts';
import { readNotifications } from './notifications.ts';

/** Time to give a place back to a device that has few of them, when we stop. */
const UNSUBSCRIBE_MS = 1_000;

export function createOnvifDriver(source: OnvifSource, { catalogue, connections, now }: DriverParts): Driver {
  const sensor = catalogue.sensor(source.id, 'device');
  let made: OnvifClient | null = null;
  /** One for all calls: it remembers how wrong the device's clock is. */
  function client(): OnvifClient {
    const http = connections.clientOf(source);
    made ??= createOnvifClient({ http, path: source.path, login: connections.loginOf(source), now });
    return made;
  }

  function device(identity: OnvifIdentity | null): Listed {
    const { hostname } = connections.urlOf(source);
    return listed({
      source,
      address: 'device',
      nativeId: source.id,
      siteId: catalogue.siteOf(source, sensor),
      name: source.name ?? source.id,
      kind: source.kind,
      protocol: 'onvif',
      vendorType: source.kind,
      host: hostname,
      sensor: sensor ?? null,
      presence: identity === null ? 'unknown' : 'online',
      word: identity === null ? null : 'answers',
      ...identity,
    });
  }

  return {
    source,
    fallen: (code) => ({ device: { ...device(null), presence: 'offline', word: code }, children: [] }),
    async survey(_, signal) {
      return [device(await client().identity(signal))];
    },
    async listen(sink, onUp, signal) {
      const point = await client().subscribe(signal);
      onUp();
      try {
        const online = Buffer.from(JSON.stringify({ state: 'online', code: 'answers' }));
        await sink.deliver({
          dialect: 'connection',
          sourceId: source.id,
          address: source.id,
          device: device(null),
          payload: online,
        });
        while (!signal.aborted) {
          const answer = await point.pull(signal);
          if (readNotifications(answer).length === 0) continue;
          const payload = Buffer.from(answer);
          await sink.deliver({
            dialect: 'onvif',
            sourceId: source.id,
            address: source.path,
            device: device(null),
            payload,
          });
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        await point.unsubscribe(AbortSignal.timeout(UNSUBSCRIBE_MS)).catch((error: unknown) => {
          // It ends by itself soon; nobody waits for that.
          if (!(error instanceof AdapterError)) throw error;
        });
      }
    },
    close: () => undefined,
  };
}
