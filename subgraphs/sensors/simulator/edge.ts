// A Sparkplug edge node: births with names and aliases, data with aliases only, deaths.
import { encodeSparkplug } from '../dialects/sparkplug-payload.ts';
import type { Broker } from './broker.ts';
import type { FaultBoard } from './faults.ts';
import { GROUP } from './world.ts';

const ALIASES = { Leak: 1, Battery: 2, CableBreak: 3 };

export interface Edge {
  birth(): void;
  death(bdSeq?: number): void;
  deviceBirth(device: string): void;
  deviceDeath(device: string): void;
  data(device: string, metric: keyof typeof ALIASES, value: number | boolean): void;
}

export function createEdge(
  broker: Broker,
  edge: string,
  devices: () => readonly string[],
  board: FaultBoard,
  now: () => Date,
): Edge {
  let seq = -1;
  let bdSeq = 0;
  let isAlive = true;
  const leaks = new Map<string, boolean>();
  const next = (): number => (seq = (seq + (board.current.sequenceGap ? 2 : 1)) % 256);
  const publish = (type: string, device: string | null, payload: Buffer): void =>
    broker.publish(`spBv1.0/${GROUP}/${type}/${edge}${device === null ? '' : `/${device}`}`, payload);

  function deviceBirth(device: string): void {
    if (!isAlive) return;
    const metrics = [
      { name: 'Leak', alias: ALIASES.Leak, value: leaks.get(device) ?? false },
      { name: 'Battery', alias: ALIASES.Battery, value: 87 },
      { name: 'CableBreak', alias: ALIASES.CableBreak, value: false },
    ];
    publish('DBIRTH', device, encodeSparkplug({ at: now(), seq: next(), metrics }));
  }

  return {
    birth() {
      isAlive = true;
      seq = 0;
      publish('NBIRTH', null, encodeSparkplug({ at: now(), seq, metrics: [{ name: 'bdSeq', value: bdSeq }] }));
      for (const device of devices()) deviceBirth(device);
    },
    death(old) {
      publish(
        'NDEATH',
        null,
        encodeSparkplug({ at: now(), seq: null, metrics: [{ name: 'bdSeq', value: old ?? bdSeq }] }),
      );
      if (old !== undefined) return;
      bdSeq += 1;
      isAlive = false;
    },
    deviceBirth,
    deviceDeath: (device) => publish('DDEATH', device, encodeSparkplug({ at: now(), seq: next(), metrics: [] })),
    data(device, metric, value) {
      if (metric === 'Leak') leaks.set(device, value === true);
      const named = board.current.aliasOnly ? { alias: ALIASES[metric] } : { name: metric };
      publish('DDATA', device, encodeSparkplug({ at: now(), seq: next(), metrics: [{ ...named, value }] }));
    },
  };
}
