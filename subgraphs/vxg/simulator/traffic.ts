// A gentle stream of what happens on a normal day, so that a dashboard has something to show.
import type { Installation } from './installation.ts';
import { digest, type WorldDevice } from './world.ts';

/** More than this share of all devices is not switched off by itself. */
const MAX_OFFLINE_SHARE = 0.03;

const EVENTS: readonly (readonly [name: string, meta: Readonly<Record<string, string>>])[] = [
  ['motion', {}],
  ['line_crossing', { direction: 'in' }],
  ['plate_recognition', { license_plate: 'X-417', car_brand: 'Volvo', car_color: 'blue' }],
  ['post_object_and_scene_detection', { Person: '2', Car: '1' }],
  ['access_denied', { sensor_id: 'rd-04', sensor_id_rd_04: '', severity: 'notice', state: 'alarm' }],
  ['water_leak', { sensor_id: 'wl-07', severity: 'high', state: 'alarm' }],
];

export interface Traffic {
  /** One thing every so many milliseconds; 0 stops it. */
  readonly start: (options: { readonly everyMs: number }) => void;
  readonly stop: () => void;
}

export function createTraffic(installation: Installation, seed: number): Traffic {
  const { devices } = installation.world;
  const off: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  let turn = 0;

  /** Every device that goes comes back, the longest gone first. */
  function switchOne(device: WorldDevice): void {
    const isFull = off.length >= Math.max(1, devices.length * MAX_OFFLINE_SHARE);
    const back = isFull ? off.shift() : undefined;
    if (back !== undefined) return installation.setState(back, 'online');
    if (installation.stateOf(device) === 'offline') return;
    off.push(device.nativeId);
    installation.setState(device.nativeId, 'offline');
  }

  function step(): void {
    turn += 1;
    const dice = digest(seed, `traffic ${turn}`);
    const device = devices[dice.readUInt32BE(0) % Math.max(1, devices.length)];
    if (device === undefined) return;
    if (device.type === 'server' || dice.readUInt8(4) < 128) return switchOne(device);
    const [name, meta] = EVENTS[dice.readUInt8(5) % EVENTS.length] ?? ['motion', {}];
    installation.emit({ camid: device.id, name, meta: { ...meta } });
  }

  return {
    start({ everyMs }) {
      clearInterval(timer);
      timer = everyMs > 0 ? setInterval(step, everyMs).unref() : undefined;
    },
    stop: () => clearInterval(timer),
  };
}
