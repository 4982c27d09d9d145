// Things that happen to real tenants, as sequences of events.
import type { Platform } from './platform.ts';
import { chance, type WorldDevice } from './world.ts';

export const SCENARIOS = [
  'routine-checks',
  'battery-death',
  'battery-change',
  'bridge-outage',
  'bridge-back',
  'stop',
  'start',
] as const;
export type Scenario = (typeof SCENARIOS)[number];

/** Percent at which a detector says that its battery is low, and with which it shuts down. */
const LOW = 8;
const EMPTY = 0;
const FULL = 100;
/** More than this share of all devices is not switched off by traffic. */
const MAX_OFFLINE_SHARE = 0.03;

/** Every device that is there reports, as detectors do every hour; of the others the cloud says that they are gone. */
export function routineChecks(platform: Platform): void {
  for (const { nativeId, state } of platform.devices())
    platform.emit({ guid: nativeId, event: state === 'online' ? 'RoutineCheck' : 'ConnectionLost' });
}

/** @param guid of the detector or the bridge that it happens to @throws RangeError when there is none */
export function play(platform: Platform, scenario: Scenario, guid: string | null): void {
  const device = platform.world.devices.find((each) => each.guid === guid);
  switch (scenario) {
    case 'routine-checks':
      return routineChecks(platform);
    case 'stop':
      platform.emit({ guid: null, event: 'SystemStopped' });
      return;
    case 'start':
      platform.emit({ guid: null, event: 'SystemStarted' });
      return;
    case 'battery-death':
    case 'battery-change':
      return battery(platform, theOne(device), scenario === 'battery-death');
    case 'bridge-outage':
    case 'bridge-back':
      // Detectors have no other way out: they go with their bridge, and all of them come back at once.
      for (const { guid: each } of behind(platform, theOne(device)))
        platform.setState(each, scenario === 'bridge-outage' ? 'offline' : 'online');
      return;
    default:
      return scenario satisfies never;
  }
}

function theOne(device: WorldDevice | undefined): WorldDevice {
  if (device === undefined) throw new RangeError('the scenario needs the nativeId of a device');
  return device;
}

function battery(platform: Platform, { guid }: WorldDevice, isEnd: boolean): void {
  platform.setBattery(guid, isEnd ? LOW : FULL);
  platform.emit({ guid, event: isEnd ? 'BatteryLow' : 'BatteryRestored' });
  if (!isEnd) return;
  platform.setBattery(guid, EMPTY);
  platform.emit({ guid, event: 'CriticalBatteryShutdown' });
}

function behind(platform: Platform, bridge: WorldDevice): readonly WorldDevice[] {
  const others = platform.world.devices.filter(
    ({ areaIndex, kind }) => areaIndex === bridge.areaIndex && kind !== 'bridge',
  );
  return [bridge, ...others];
}

/** One thing of a normal day; equal steps of equal seeds are equal. */
export function createDay(platform: Platform, seed: number): () => void {
  const off: string[] = [];
  let step = 0;

  return () => {
    const { devices } = platform.world;
    step += 1;
    const roll = (what: string): number => chance(seed, `day ${step} ${what}`);
    const device = devices[Math.floor(roll('device') * devices.length)];
    if (device === undefined) return;
    const isFull = off.length >= Math.max(1, devices.length * MAX_OFFLINE_SHARE);
    if (isFull || (off.length > 0 && roll('back') < 0.3)) {
      platform.setState(off.shift() ?? device.guid, 'online');
    } else if (roll('what') < 0.3) {
      if (platform.setState(device.guid, 'offline')) off.push(device.guid);
    } else if (platform.stateOf(device.guid) === 'online') {
      ordinary(platform, device, roll('event'));
    }
  };
}

function ordinary(platform: Platform, { guid, kind }: WorldDevice, roll: number): void {
  if (kind !== 'detector' || roll < 0.5) platform.emit({ guid, event: 'RoutineCheck' });
  else if (roll < 0.6) platform.emit({ guid, event: 'MovementDetected' });
  else if (roll < 0.7) platform.emit({ guid, event: 'VehicleDetected', detections: ['car'] });
  else if (roll < 0.8) platform.emit({ guid, event: 'PersonDetected', detections: ['person'] });
  else platform.emit({ guid, event: roll < 0.9 ? 'Armed' : 'Disarmed' });
}
