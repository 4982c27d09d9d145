// A gentle stream of what happens on a normal day, so that a dashboard has something to show.
import { PEOPLE } from './catalogue.ts';
import type { Platform } from './platform.ts';
import { createRandom, pick, type Random } from './random.ts';
import { nativeIdOf, type WorldDevice } from './world.ts';

/** More than this share of all devices is not switched off by itself. */
const MAX_OFFLINE_SHARE = 0.03;

export interface Traffic {
  /** One thing every so many milliseconds; 0 stops it. */
  start(options: { readonly everyMs: number }): void;
  stop(): void;
}

export function createTraffic(platform: Platform, seed: number): Traffic {
  const random = createRandom(seed ^ 0x7_aff1c);
  const { devices } = platform.world;
  const off: string[] = [];
  let timer: NodeJS.Timeout | undefined;

  function step(): void {
    const [first, ...others] = devices;
    if (first === undefined) return;
    const device = pick(random, [first, ...others]);
    if (random() < 0.5) return switchOne(device);
    const event = eventOf(device, random);
    if (event !== null) platform.emit({ nativeId: nativeIdOf(device), ...event });
  }

  /** Every device that goes comes back, the longest gone first. */
  function switchOne(device: WorldDevice): void {
    const isFull = off.length >= Math.max(1, devices.length * MAX_OFFLINE_SHARE);
    const back = isFull || (off.length > 0 && random() < 0.5) ? off.shift() : undefined;
    if (back !== undefined) {
      platform.setState(back, 'online');
      return;
    }
    const nativeId = nativeIdOf(device);
    if (platform.stateOf(device).state === 'offline') return;
    off.push(nativeId);
    platform.setState(nativeId, 'offline');
  }

  return {
    start({ everyMs }) {
      clearInterval(timer);
      timer = everyMs > 0 ? setInterval(step, everyMs).unref() : undefined;
    },
    stop: () => clearInterval(timer),
  };
}

function eventOf(device: WorldDevice, random: Random): { eventType: string; data: Record<string, unknown> } | null {
  const device_name = device.name;
  switch (device.kind.word) {
    case 'door':
    case 'card_reader': {
      const event = pick(random, ['granted', 'granted', 'granted', 'granted', 'denied', 'held_open']);
      return { eventType: 'access', data: { event, person_name: pick(random, PEOPLE), device_name } };
    }
    case 'camera':
    case 'nvr':
      return {
        eventType: 'video',
        data: { fault: pick(random, ['stream_loss', 'restored', 'storage_low']), device_name },
      };
    case 'panel':
    case 'motion_detector':
      return { eventType: 'alarm', data: { event: pick(random, ['trouble', 'restored', 'armed']), device_name } };
    default:
      return { eventType: 'health', data: { status: 'last_seen', device_name } };
  }
}
