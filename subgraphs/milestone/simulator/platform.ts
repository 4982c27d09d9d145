// The simulated system's own logic: states, events, sessions' replay, names of event types.
import type { SimulatedDevice } from '../../../adapter-kit/simulator.ts';
import { BUILT_IN, builtInName } from '../event-types.ts';
import type { Faults } from './faults.ts';
import { guidOf, stamp, type World, type WorldDevice } from './world.ts';

export interface PlatformEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly time: string;
  readonly type: string;
  readonly stategroupid?: string;
  readonly data?: unknown;
}

export interface UserDefinedEvent {
  readonly id: string;
  readonly name: string;
}

export interface Switched {
  readonly state: SimulatedDevice['state'];
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Built-in groups; those of hardware and servers are this simulation's own. */
const GROUPS = {
  communication: '53b40c77-cf48-42a2-a432-db65ae3afc7a',
  hardware: 'b6b1f0a2-6c7e-4a55-9d3c-5f1f0c9e7001',
  recording: '15f76bad-f660-448f-9e1c-0539d3f54f71',
  motion: '720ef62a-78be-418a-8e4c-ee04ffca6429',
  overflow: 'c0279551-7cd7-40c5-aa62-c6350a9c4430',
  cpu: '8c958201-aa02-40cf-a643-fa7f91d0bed2',
} as const;
const GROUP_NAMES: Readonly<Record<keyof typeof GROUPS, string>> = {
  communication: 'Communication',
  hardware: 'Communication (Hardware)',
  recording: 'Recording',
  motion: 'Motion',
  overflow: 'Feed Overflow',
  cpu: 'CPU Usage',
};
/** Triggered events that are kept to be read again. */
const MAX_TRIGGERED = 1_000;
const NIL = '00000000-0000-0000-0000-000000000000';
const HARDWARE_STARTED = '0553c396-5e16-4c22-b3d1-f548e42dfbb4';
const HARDWARE_ERROR = '6baad64b-c395-4f52-b6a3-dd1b64aa2f0f';
const STARTED = 'dd3e6464-7dc0-405a-a92f-6150587563e8';
const ERROR = 'a334af1c-4b4b-4957-9e5f-ab8ca07feab6';
export const CONFIGURATION_CHANGED = '06c5010d-11f2-4d70-bd79-4cec3a20d589';

function groupOfType(name: string): keyof typeof GROUPS | null {
  if (/^communication.*\(hardware\)$/i.test(name)) return 'hardware';
  if (/^communication/i.test(name)) return 'communication';
  if (/^recording(started|stopped)$/i.test(name)) return 'recording';
  if (/^motion/i.test(name)) return 'motion';
  if (/^feedoverflow/i.test(name)) return 'overflow';
  return /^cpu usage/i.test(name) ? 'cpu' : null;
}

interface EventType {
  readonly id: string;
  readonly name: string;
  readonly state: string | null;
  readonly group: keyof typeof GROUPS | null;
}

export interface PlatformParts {
  readonly seed: number;
  readonly world: World;
  readonly faults: () => Faults;
  readonly now: () => Date;
  readonly switched: Readonly<Record<string, Switched>>;
  readonly onSwitch: (nativeId: string, switched: Switched) => void;
  /** When devices came up for the first time. */
  readonly bornAt: number;
  readonly userDefinedEvents: UserDefinedEvent[];
  readonly onDefine: () => void;
}

export type Platform = ReturnType<typeof createPlatform>;

export function createPlatform(parts: PlatformParts) {
  const { seed, world, now, switched, onSwitch, bornAt, userDefinedEvents } = parts;
  const triggered: PlatformEvent[] = [];
  const types = new Map<string, EventType>();
  const states = new Map<string, PlatformEvent>();
  const listeners = new Set<(event: PlatformEvent, device: WorldDevice | null) => void>();
  const current = new Map(Object.entries(switched));
  const words = new Map<string, { readonly type?: string; readonly state?: string }>();
  let count = 0;

  for (const [name, id] of BUILT_IN) define(id, name);
  for (const level of ['Normal', 'Warning', 'Critical']) define(guidOf(seed, `cpu ${level}`), `CPU Usage ${level}`);

  for (const { id, name } of userDefinedEvents) define(id, name);

  function define(id: string, name: string, state?: string): void {
    const group = groupOfType(name);
    const word = state ?? name.replace(/\s*\(.*\)$/, '').replaceAll(/([a-z])([A-Z])/g, '$1 $2');
    types.set(id, { id, name, group, state: group === null ? null : word });
  }

  function typeOfState(device: WorldDevice, word: string): string {
    if (word === 'online') return device.collection === 'hardware' ? HARDWARE_STARTED : STARTED;
    if (word === 'offline') return device.collection === 'hardware' ? HARDWARE_ERROR : ERROR;
    const id = guidOf(seed, `type ${word}`);
    if (!types.has(id)) {
      define(id, `Communication ${word}`, word);
      emit({ type: CONFIGURATION_CHANGED, source: `sites/${world.siteId}`, data: { action: 'Added' } });
    }
    return id;
  }

  function sourceOf(device: WorldDevice): string {
    return `${device.collection}/${device.id}`;
  }

  function stateOf(device: WorldDevice): SimulatedDevice['state'] {
    return current.get(device.id)?.state ?? 'online';
  }

  function remember(event: PlatformEvent): void {
    if (event.stategroupid === undefined) return;
    const key = `${event.source}|${event.stategroupid}`;
    const before = states.get(key);
    if (before === undefined || before.time <= event.time) states.set(key, { ...event, id: NIL });
  }

  function emit(wanted: {
    readonly type: string;
    readonly source: string;
    readonly id?: string | undefined;
    readonly time?: string | undefined;
    readonly data?: unknown;
  }): PlatformEvent {
    count += 1;
    const type = types.get(wanted.type);
    const group = type?.group ?? null;
    const time = wanted.time ?? stamp(now(), count);
    const event: PlatformEvent = {
      specversion: '1.0',
      id: wanted.id ?? guidOf(seed, `event ${count} ${time}`),
      source: wanted.source,
      time,
      type: wanted.type,
      ...(group === null ? {} : { stategroupid: GROUPS[group] }),
      ...(wanted.data === undefined ? {} : { data: wanted.data }),
    };
    remember(event);
    const device = world.devices.get(event.source.slice(event.source.indexOf('/') + 1)) ?? null;
    for (const listener of listeners) listener(event, device);
    return event;
  }

  function say(device: WorldDevice): void {
    if (!device.hasState) return;
    const type = typeOfState(device, words.get(device.id)?.state ?? stateOf(device));
    emit({ type, source: sourceOf(device) });
  }

  for (const device of world.devices.values()) {
    const { state, at } = current.get(device.id) ?? { state: 'online', at: bornAt };
    const type = typeOfState(device, state);
    const group = device.collection === 'hardware' ? GROUPS.hardware : GROUPS.communication;
    const time = stamp(new Date(at)).replace(/0+Z$/, 'Z');
    remember({ specversion: '1.0', id: NIL, source: sourceOf(device), time, type, stategroupid: group });
  }

  return {
    world,
    emit,
    types: () => [...types.values()],
    groups: () =>
      (Object.keys(GROUPS) as (keyof typeof GROUPS)[]).map((key) => ({ id: GROUPS[key], name: GROUP_NAMES[key] })),
    userDefinedEvents: (): readonly UserDefinedEvent[] => userDefinedEvents,
    /** A user-defined event is an event type of the same id, and a change of the configuration. */
    createUserDefinedEvent(name: string): UserDefinedEvent {
      const made = { id: guidOf(seed, `user-defined ${userDefinedEvents.length} ${name}`), name };
      userDefinedEvents.push(made);
      define(made.id, name);
      parts.onDefine();
      const RelatedItem = { RelatedItemRestResource: `userDefinedEvents/${made.id}`, Name: name };
      emit({ type: CONFIGURATION_CHANGED, source: `sites/${world.siteId}`, data: { Action: 'Added', RelatedItem } });
      return made;
    },
    /** Without a source the user-defined event is both type and source. */
    trigger(type: string, source: string | undefined): PlatformEvent {
      const event = emit({ type, source: source ?? `userDefinedEvents/${type}` });
      triggered.push(event);
      if (triggered.length > MAX_TRIGGERED) triggered.shift();
      return event;
    },
    /** Newest first. */
    triggered: (): readonly PlatformEvent[] => triggered.toReversed(),
    groupIdOf: (group: keyof typeof GROUPS) => GROUPS[group],
    nameOfType: (id: string) => types.get(id)?.name ?? builtInName(id) ?? id,
    /** Of sources that have a state at all. */
    states: () =>
      [...states.values()].filter(({ source }) => world.devices.get(source.split('/')[1] ?? '')?.hasState !== false),
    listen(listener: (event: PlatformEvent, device: WorldDevice | null) => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    devices: (): readonly SimulatedDevice[] =>
      [...world.devices.values()].map((device) => ({
        nativeId: device.id,
        name: device.name,
        type: words.get(device.id)?.type ?? device.collection,
        state: stateOf(device),
        siteId: device.siteId,
        // XProtect knows no accounts.
        accountId: '',
      })),
    typeWord: (device: WorldDevice): string => words.get(device.id)?.type ?? device.collection,
    setState(nativeId: string, state: SimulatedDevice['state']): void {
      const device = world.devices.get(nativeId);
      if (device === undefined) throw new RangeError(`there is no device ${nativeId}`);
      if (stateOf(device) === state) return;
      const change = { state, at: now().getTime() };
      current.set(nativeId, change);
      onSwitch(nativeId, change);
      say(device);
    },
    setWords(nativeId: string, said: { readonly type?: string; readonly state?: string }): void {
      const device = world.devices.get(nativeId);
      if (device === undefined) throw new RangeError(`there is no device ${nativeId}`);
      const before = words.get(nativeId)?.state;
      words.set(nativeId, said);
      if (before !== said.state) say(device);
    },
    /** What an administrator does in the Management Client. */
    configure(
      device: WorldDevice,
      change: {
        name?: string | undefined;
        enabled?: boolean | undefined;
        hasState?: boolean | undefined;
        removed?: boolean | undefined;
      },
    ): void {
      if (change.name !== undefined) device.name = change.name;
      if (change.enabled !== undefined) device.enabled = change.enabled;
      if (change.hasState !== undefined) device.hasState = change.hasState;
      device.lastModified = stamp(now());
      if (change.removed === true) world.devices.delete(device.id);
      const data = {
        Action: change.removed === true ? 'Deleted' : 'Changed',
        RelatedItem: { RelatedItemRestResource: sourceOf(device), Name: device.name },
      };
      emit({ type: CONFIGURATION_CHANGED, source: `sites/${world.siteId}`, data });
    },
  };
}
