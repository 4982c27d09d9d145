import type { Listed } from '../catalogue.ts';
import type { Driver, DriverParts } from '../driver.ts';
import type { MqttSource } from '../settings.ts';
import { listenBroker } from './listen.ts';
import { surveyBroker } from './survey.ts';

/** Devices remembered from the last whole listing, so that a live read of one needs no list. */
const MAX_KNOWN = 20_000;

/** A broker, with every dialect that is spoken on it. */
export function createMqttDriver(source: MqttSource, parts: DriverParts): Driver {
  let known: ReadonlyMap<string, Listed> = new Map();
  return {
    source,
    async survey(wanted, signal) {
      const listed = await surveyBroker(parts, source, known, wanted, signal);
      // One that said nothing may have been renamed: the next read looks at the list again.
      const silent = listed.some(({ protocol, word }) => protocol === 'mqtt/zigbee2mqtt' && word === null);
      if (wanted === null && listed.length <= MAX_KNOWN)
        known = new Map(listed.map((device) => [device.nativeId, device]));
      else if (silent) known = new Map();
      return listed;
    },
    listen: (sink, onUp, signal) => listenBroker(parts, source, sink, onUp, signal),
    close: () => {
      known = new Map();
    },
  };
}
