// The simulated system itself: what is true, what its cache says, and what it tells of changes.
import type { SimulatedDevice } from '../../../adapter-kit/simulator.ts';
import type { CodeBook } from './codes.ts';
import type { FaultBoard } from './faults.ts';
import { type LoggedEvent, MAX_EVENTS, type StateFile } from './state.ts';
import type { World, WorldObject } from './world.ts';

type State = SimulatedDevice['state'];

export interface Emission {
  /** Null: of the system itself. */
  readonly nativeId: string | null;
  readonly description: string;
  readonly typeName?: string | undefined;
  /** How long ago it happened: panels hand in late what they stored. */
  readonly lateSeconds?: number | undefined;
  readonly properties?: Readonly<Record<string, unknown>> | undefined;
  /** False: the event reaches the log and not the bridge. */
  readonly isLive?: boolean | undefined;
}

export interface Platform {
  readonly world: World;
  find(nativeId: string): WorldObject | undefined;
  stateOf(object: WorldObject): State;
  devices(accountId: string): readonly SimulatedDevice[];
  setState(nativeId: string, state: State): boolean;
  setWords(nativeId: string, words: { readonly type?: string; readonly state?: string }): void;
  /** Bits of its own beside online, or a word. */
  setStatus(nativeId: string, status: number | string | null): void;
  wordsOf(nativeId: string): { readonly type?: string; readonly state?: string };
  /** The communication server asks the panel, and what hangs on it. @returns false when there is no such panel */
  refresh(panelId: number): boolean;
  /** What the cache says; undefined when there is no such device. */
  cached(object: WorldObject): number | string;
  emit(emission: Emission): LoggedEvent;
  readonly events: () => readonly LoggedEvent[];
}

/** −05:00, as a server in Chicago says it. */
const OFFSET_MS = -5 * 3_600_000;

/** The platform tells local time with its offset. */
export function localTime(at: number): string {
  return `${new Date(at + OFFSET_MS).toISOString().slice(0, 19)}-05:00`;
}

const ONLINE = 1;

export interface PlatformOptions {
  readonly world: World;
  readonly file: StateFile;
  readonly codes: CodeBook;
  readonly board: FaultBoard;
  readonly now: () => number;
  readonly onEvent: (event: LoggedEvent) => void;
}

export function createPlatform({ world, file, codes, board, now, onEvent }: PlatformOptions): Platform {
  const byId = new Map(world.objects.map((object) => [object.nativeId, object]));
  const byPanel = Map.groupBy(world.objects, ({ panelId }) => panelId);
  const offline = new Set(file.state.offline);
  const words = new Map<string, { readonly type?: string; readonly state?: string }>();
  const own = new Map<string, number | string>();
  const cache = new Map<string, number | string>();

  const parentOf = (object: WorldObject): WorldObject | undefined =>
    object.parentId === null ? undefined : byId.get(object.parentId);
  /** Inputs and outputs have no word of their own: what is true of their board is true of them. */
  const hasOwnState = ({ subdeviceId }: WorldObject): boolean => subdeviceId === 0;

  function stateOf(object: WorldObject): State {
    if (hasOwnState(object) && offline.has(object.nativeId)) return 'offline';
    const parent = parentOf(object);
    return parent === undefined ? 'online' : stateOf(parent);
  }

  function truth(object: WorldObject): number | string {
    const said = words.get(object.nativeId)?.state ?? own.get(object.nativeId);
    if (typeof said === 'string') return said;
    return offline.has(object.nativeId) ? (said ?? 0) & ~ONLINE : (said ?? 0) | ONLINE;
  }

  function emit(emission: Emission): LoggedEvent {
    const { nativeId, description, lateSeconds = 0 } = emission;
    const object = nativeId === null ? undefined : byId.get(nativeId);
    const panel = object === undefined ? undefined : byId.get(String(object.panelId));
    const device = object === undefined ? undefined : object.subdeviceId === 0 ? object : parentOf(object);
    const { typeId, subTypeId } = codes.codeOf(description, emission.typeName);
    file.state.serial += 1;
    const event: LoggedEvent = {
      serial_number: file.state.serial,
      timestamp: localTime(now() - lateSeconds * 1_000),
      description: codes.say(description, board.faults().german),
      controller_id: object?.panelId ?? 0,
      controller_name: panel?.name ?? '',
      device_id: object?.deviceId ?? 0,
      device_name: device === undefined || device === panel ? '' : device.name,
      subdevice_id: object?.subdeviceId ?? 0,
      ...(object === undefined || object.subdeviceId === 0 ? {} : { subdevice_name: object.name }),
      segment_id: board.faults().segmented ? (object?.segmentId ?? -1) : -1,
      event_type: typeId,
      event_subtype: subTypeId,
      event_text: '',
      access_result: 4,
      alarm_priority: 0,
      active_alarm: false,
      must_acknowledge: false,
      duress: false,
      ...emission.properties,
    };
    file.state.events.push(event);
    if (file.state.events.length > MAX_EVENTS) file.state.events.splice(0, MAX_EVENTS / 10);
    if (emission.isLive !== false) onEvent(event);
    file.save();
    return event;
  }

  return {
    world,
    find: (nativeId) => byId.get(nativeId),
    stateOf,
    devices: (accountId) =>
      world.objects.map((object) => ({
        nativeId: object.nativeId,
        name: object.name,
        type:
          object.typeName === 'Lnl_Panel'
            ? (words.get(object.nativeId)?.type ?? String(object.properties['PanelType']))
            : object.typeName,
        state: stateOf(object),
        siteId: board.faults().segmented ? String(object.segmentId) : '0',
        accountId,
      })),
    setState(nativeId, state) {
      const object = byId.get(nativeId);
      if (object === undefined) throw new Error(`the simulated platform has no device ${nativeId}`);
      const bearer = hasOwnState(object) ? object : (parentOf(object) ?? object);
      const isOffline = state === 'offline';
      if (offline.has(bearer.nativeId) === isOffline) return false;
      if (isOffline) offline.add(bearer.nativeId);
      else offline.delete(bearer.nativeId);
      file.state.offline = [...offline];
      const description = isOffline ? 'Communications Lost' : 'Communications Restored';
      const properties = { alarm_priority: isOffline ? 180 : 0 };
      emit({ nativeId: bearer.nativeId, description, properties });
      // Asked of an input, its board goes; the system reports both.
      if (bearer !== object) emit({ nativeId, description, properties });
      return true;
    },
    setWords(nativeId, next) {
      const object = byId.get(nativeId);
      if (object === undefined) throw new Error(`the simulated platform has no device ${nativeId}`);
      const before = words.get(nativeId)?.state;
      words.set(nativeId, next);
      if (next.state === before) return;
      const usual = stateOf(object) === 'online' ? 'Restored' : 'Lost';
      emit({ nativeId, description: `Communications ${next.state ?? usual}` });
    },
    setStatus(nativeId, status) {
      if (status === null) own.delete(nativeId);
      else own.set(nativeId, status);
    },
    wordsOf: (nativeId) => words.get(nativeId) ?? {},
    refresh(panelId) {
      if (!byId.has(String(panelId))) return false;
      for (const object of byPanel.get(panelId) ?? []) cache.set(object.nativeId, truth(object));
      return true;
    },
    cached: (object) => cache.get(object.nativeId) ?? ONLINE,
    emit,
    events: () => file.state.events,
  };
}
