// The simulated tenant: what its devices are like now, and what the cloud tells about them.
import { createHash } from 'node:crypto';
import type { SimulatedDevice } from '../../../adapter-kit/simulator.ts';
import { writeDelivery } from './deliveries.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { FaultBoard } from './faults.ts';
import type { PlatformFile } from './state.ts';
import type { World, WorldDevice } from './world.ts';

type State = SimulatedDevice['state'];
type Words = { readonly type?: string; readonly state?: string };

/** What happens, as an operator of the simulation says it. */
export interface Emission {
  /** Null: of the platform itself. */
  readonly guid: string | null;
  /** One of the platform's events, or any word. */
  readonly event: string;
  readonly at?: Date | undefined;
  readonly id?: string | undefined;
  readonly detections?: readonly string[] | undefined;
}

/** A device as the control API lists it. */
export interface ListedDevice {
  readonly guid: string;
  readonly name: string;
  readonly area: string;
  readonly description: string;
  readonly type: string;
}

export interface Platform {
  readonly world: World;
  devices(): readonly SimulatedDevice[];
  areas(): readonly string[];
  listed(): readonly ListedDevice[];
  has(guid: string): boolean;
  stateOf(guid: string): State;
  /** @returns whether it was in another state before */
  setState(guid: string, state: State): boolean;
  setWords(guid: string, words: Words): void;
  setBattery(guid: string, percent: number): void;
  /** @returns false when there is no such area */
  renameArea(from: string, to: string): boolean;
  /** @returns the event's id */
  emit(emission: Emission): string;
}

export interface PlatformParts {
  readonly seed: number;
  readonly world: World;
  readonly file: PlatformFile;
  readonly board: FaultBoard;
  readonly dispatcher: Dispatcher;
  readonly now: () => Date;
}

/** What the cloud says of a device that comes or goes. */
const EVENT_OF: Readonly<Record<State, string>> = { online: 'DeviceConnected', offline: 'ConnectionLost' };

export function createPlatform({ seed, world, file, board, dispatcher, now }: PlatformParts): Platform {
  const byGuid = new Map(world.devices.map((device) => [device.guid, device]));
  const words = new Map<string, Words>();
  const batteries = new Map<string, number>();
  const { state } = file;

  function known(guid: string): WorldDevice {
    const device = byGuid.get(guid);
    if (device === undefined) throw new RangeError(`there is no device ${guid}`);
    return device;
  }

  function areaOf(index: number): string {
    return state.areas[String(index)] ?? world.areas[index]?.name ?? '';
  }

  function listedOf(device: WorldDevice): ListedDevice {
    return {
      guid: device.guid,
      name: device.name,
      area: areaOf(device.areaIndex),
      description: device.description,
      type: words.get(device.guid)?.type ?? device.type,
    };
  }

  const platform: Platform = {
    world,
    devices: () =>
      world.devices.map((device) => {
        const { guid, name, area, type } = listedOf(device);
        return { nativeId: guid, name, type, state: platform.stateOf(guid), siteId: area, accountId: '' };
      }),
    areas: () => world.areas.map((_, index) => areaOf(index)),
    listed: () => world.devices.map(listedOf),
    has: (guid) => byGuid.has(guid),
    stateOf: (guid) => state.devices[guid] ?? 'online',
    setState(guid, next) {
      known(guid);
      if (platform.stateOf(guid) === next) return false;
      state.devices[guid] = next;
      file.save();
      platform.emit({ guid, event: words.get(guid)?.state ?? EVENT_OF[next] });
      return true;
    },
    setWords(guid, next) {
      known(guid);
      const before = words.get(guid)?.state;
      words.set(guid, next);
      if (next.state !== before) platform.emit({ guid, event: next.state ?? EVENT_OF[platform.stateOf(guid)] });
    },
    setBattery(guid, percent) {
      known(guid);
      batteries.set(guid, percent);
    },
    renameArea(from, to) {
      const index = world.areas.findIndex((_, at) => areaOf(at) === from);
      if (index === -1) return false;
      state.areas[String(index)] = to;
      file.save();
      return true;
    },
    emit({ guid, event, at, id, detections = [] }) {
      state.events += 1;
      file.save();
      const hash = createHash('sha256').update(`${seed} event ${state.events}`).digest('hex');
      const eventId = id ?? hash.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
      const device = guid === null ? null : known(guid);
      const happening = {
        id: eventId,
        event,
        at: at ?? now(),
        timezone: world.areas[device?.areaIndex ?? 0]?.timezone ?? 'UTC',
        device:
          device === null
            ? null
            : {
                ...listedOf(device),
                battery: batteries.get(device.guid) ?? device.battery,
                signalDbm: device.signalDbm,
              },
        detections,
      };
      dispatcher.dispatch(eventId, guid ?? 'platform', writeDelivery(happening, board.faults));
      return eventId;
    },
  };
  return platform;
}
