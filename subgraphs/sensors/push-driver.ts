// A sender that pushes to us. Where it has a list of its sensors with their presence, that is what live reads ask.
import { z } from 'zod';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Driver, DriverParts } from './driver.ts';
import { memberAt, pushSensors, wordAt } from './push.ts';
import type { PushSource } from './settings.ts';
import { PRESENCE } from './words.ts';

export function createPushDriver(source: PushSource, { catalogue, connections }: DriverParts): Driver {
  return {
    source,
    async survey(_, signal) {
      const sensors = pushSensors(catalogue, source);
      const { status } = source;
      if (status === undefined || !connections.hasHost(source)) return sensors;
      const login = connections.loginOf(source);
      const body = await connections.clientOf(source).json(
        {
          path: status.path,
          signal,
          ...(login === null
            ? {}
            : {
                headers: {
                  authorization: `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`,
                },
              }),
        },
        z.unknown(),
      );
      const items = memberAt(body, status.items);
      if (!Array.isArray(items)) throw new AdapterError('BAD_PAYLOAD', `the status of "${source.id}" has no list`);
      const byAddress = new Map(items.map((item: unknown) => [wordAt(item, status.sensor), item]));
      const { hostname } = connections.urlOf(source);
      return sensors.map((sensor) => {
        const item = byAddress.get(sensor.address);
        const word = item === undefined ? null : wordAt(item, status.state);
        const presence = word === null ? 'unknown' : (PRESENCE.get(word.toLowerCase()) ?? 'unknown');
        return {
          ...sensor,
          word,
          presence,
          host: hostname,
          vendorType: wordAt(item, status.kind) ?? sensor.vendorType,
        };
      });
    },
    close: () => undefined,
  };
}
