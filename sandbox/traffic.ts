import type { Platform } from './platforms.ts';

const CHANGE_EVERY_MS = 4_000;
/** A device that went offline comes back after so many changes of others. */
const BACK_AFTER_CHANGES = 5;

/**
 * A gentle stream of real status changes: every few seconds a device of some platform goes offline, and one that did so
 * before comes back. The platforms tell us in their own ways.
 *
 * @returns how to stop; devices that are down stay down
 */
export function startTraffic(platforms: readonly Platform[]): () => void {
  const down: { readonly platform: Platform; readonly nativeId: string }[] = [];
  const timer = setInterval(() => {
    if (down.length >= BACK_AFTER_CHANGES) {
      const back = down.shift();
      back?.platform.simulator.setState(back.nativeId, 'online');
      return;
    }
    const platform = platforms[Math.floor(Math.random() * platforms.length)];
    const devices = platform?.simulator.devices().filter(({ state }) => state === 'online') ?? [];
    const device = devices[Math.floor(Math.random() * devices.length)];
    if (platform === undefined || device === undefined) return;
    platform.simulator.setState(device.nativeId, 'offline');
    down.push({ platform, nativeId: device.nativeId });
  }, CHANGE_EVERY_MS);
  return () => clearInterval(timer);
}
