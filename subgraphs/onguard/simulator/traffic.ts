// A gentle stream of what happens on a normal day.
import type { Platform } from './platform.ts';
import { createRandom, type WorldObject } from './world.ts';

/** More than this share of readers is not switched off by itself. */
const MAX_OFFLINE_SHARE = 0.03;

const DOOR_EVENTS: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ['Granted Access', { access_result: 2, cardholder_entered: true, badge_id: 41_877, cardholder_first_name: 'Ada' }],
  ['Granted Access', { access_result: 2, cardholder_entered: true, badge_id: 52_013, cardholder_first_name: 'Otto' }],
  ['Access Denied: Invalid Access Level', { access_result: 3, badge_id: 77_001 }],
  ['Door Held Open', { alarm_priority: 90 }],
  ['Door Held Open Restored', {}],
];

/** @returns how to start it (one thing every so many milliseconds; 0 stops it) */
export function createTraffic(platform: Platform, seed: number): (everyMs: number) => void {
  const random = createRandom(seed ^ 0x7a_ff1c);
  // Panels stay as they are: with one goes all that hangs on it.
  const doors = platform.world.objects.filter(({ typeName }) => typeName === 'Lnl_Reader');
  const off: WorldObject[] = [];
  let timer: NodeJS.Timeout | undefined;

  function switchOne(door: WorldObject): void {
    const isFull = off.length >= Math.max(1, doors.length * MAX_OFFLINE_SHARE);
    // Every device that goes comes back, the longest gone first.
    const back = isFull || (off.length > 0 && random() < 0.5) ? off.shift() : undefined;
    if (back !== undefined) platform.setState(back.nativeId, 'online');
    else if (platform.setState(door.nativeId, 'offline')) off.push(door);
  }

  function step(): void {
    const door = doors[Math.floor(random() * doors.length)];
    const event = DOOR_EVENTS[Math.floor(random() * DOOR_EVENTS.length)];
    if (door === undefined || event === undefined) return;
    if (random() < 0.4) {
      switchOne(door);
      return;
    }
    const [description, properties] = event;
    platform.emit({ nativeId: door.nativeId, description, properties });
  }

  return (everyMs) => {
    clearInterval(timer);
    timer = everyMs > 0 ? setInterval(step, everyMs).unref() : undefined;
  };
}
