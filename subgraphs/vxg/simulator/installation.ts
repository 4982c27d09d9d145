// The simulated service's own logic: what state its cameras are in, what it says about them, which events it keeps.
import type { SimulatedDevice } from '../../../adapter-kit/simulator.ts';
import { MAX_EVENTS, type StateFile, type StoredEvent } from './state.ts';
import type { Tokens } from './tokens.ts';
import type { World, WorldDevice } from './world.ts';

/** Types that every camera has. */
const BUILT_IN_TYPES = ['motion', 'sound', 'net', 'snapshot', 'record', 'memorycard'];

type Record_ = Readonly<Record<string, unknown>>;

export interface Installation {
  readonly world: World;
  readonly now: () => Date;
  devices(): readonly SimulatedDevice[];
  find(nativeId: string): WorldDevice | undefined;
  stateOf(device: WorldDevice): 'online' | 'offline';
  statusWord(device: WorldDevice): string;
  /** Switches, and raises the connection event of a camera. @throws RangeError when there is none */
  setState(nativeId: string, state: 'online' | 'offline'): void;
  /** Says this word of a camera from now on; null: the usual one. */
  setWord(nativeId: string, state: string | null): void;
  /** Whether cameras record while they should. */
  setRecording(nativeId: string, isRecording: boolean): void;
  typesOf(cameraId: number): readonly string[];
  /** @returns false when it exists */
  addType(cameraId: number, name: string): boolean;
  events(): readonly StoredEvent[];
  emit(event: Omit<StoredEvent, 'id' | 'time'> & { readonly at?: Date }): StoredEvent;
  cameraRecord(device: WorldDevice, withTokens: boolean): Record_;
  serverRecord(device: WorldDevice): Record_;
}

export function naive(at: Date): string {
  // The service writes either form; which one seems to depend on the event.
  return at.getTime() % 2 === 0 ? at.toISOString().slice(0, -1) : `${at.toISOString().slice(0, -1)}456`;
}

export function createInstallation(world: World, file: StateFile, tokens: Tokens, now: () => Date): Installation {
  const { state } = file;
  const byId = new Map(world.devices.map((device) => [device.nativeId, device]));
  const words = new Map<string, string>();
  const mute = new Set<string>();

  function stateOf(device: WorldDevice): 'online' | 'offline' {
    return state.states[device.nativeId] ?? device.state;
  }

  function statusWord(device: WorldDevice): string {
    return words.get(device.nativeId) ?? (stateOf(device) === 'online' ? 'active' : 'offline');
  }

  function known(nativeId: string): WorldDevice {
    const device = byId.get(nativeId);
    if (device === undefined) throw new RangeError(`there is no device ${nativeId}`);
    return device;
  }

  function emit({ camid, name, meta, at }: Omit<StoredEvent, 'id' | 'time'> & { readonly at?: Date }): StoredEvent {
    const event = { id: state.nextId, camid, name, time: naive(at ?? now()), meta };
    state.nextId += 1;
    state.events.push(event);
    if (state.events.length > MAX_EVENTS) state.events.shift();
    file.save();
    return event;
  }

  function tellConnection(device: WorldDevice): void {
    if (device.type === 'server') file.save();
    else emit({ camid: device.id, name: 'net', meta: { value: statusWord(device) === 'active' ? 'on' : 'off' } });
  }

  return {
    world,
    now,
    stateOf,
    statusWord,
    emit,
    find: (nativeId) => byId.get(nativeId),
    devices: () =>
      world.devices.map((device) => ({
        nativeId: device.nativeId,
        name: device.name,
        type: device.type,
        state: stateOf(device),
        siteId: device.siteId,
        accountId: device.accountId,
      })),
    setState(nativeId, next) {
      const device = known(nativeId);
      const before = statusWord(device);
      words.delete(nativeId);
      state.states[nativeId] = next;
      if (statusWord(device) !== before) tellConnection(device);
    },
    setWord(nativeId, word) {
      const device = known(nativeId);
      const before = statusWord(device);
      if (word === null) words.delete(nativeId);
      else words.set(nativeId, word);
      if (statusWord(device) !== before) tellConnection(device);
    },
    setRecording(nativeId, isRecording) {
      if (isRecording) mute.delete(nativeId);
      else mute.add(nativeId);
    },
    typesOf: (cameraId) => [...BUILT_IN_TYPES, ...(state.types[String(cameraId)] ?? [])],
    addType(cameraId, name) {
      if ([...BUILT_IN_TYPES, ...(state.types[String(cameraId)] ?? [])].includes(name)) return false;
      state.types[String(cameraId)] = [...(state.types[String(cameraId)] ?? []), name];
      file.save();
      return true;
    },
    events: () => state.events,
    cameraRecord(device, withTokens) {
      const isActive = statusWord(device) === 'active';
      const isRecording = isActive && device.recMode === 'on' && !mute.has(device.nativeId);
      return {
        id: device.id,
        name: device.name,
        status: statusWord(device),
        rec_mode: device.recMode,
        rec_status: isRecording ? 'on' : 'off',
        recording: isRecording,
        streaming: isActive,
        created: '2024-03-01T09:30:00',
        timezone: device.site.timezone,
        latitude: device.type === 'gateway' ? 0 : device.site.latitude,
        longitude: device.type === 'gateway' ? 0 : device.site.longitude,
        url: `rtsp://viewer:stream-secret-word@10.9.0.${device.id % 250}:554/live`,
        login: 'viewer',
        password: 'stream-secret-word',
        cmngrid: world.keys.cameraManager,
        public: false,
        owner: { id: 11 },
        delete_at: null,
        preview: { url: 'https://media.invalid/preview.jpg?sig=preview-secret-word', expire: naive(now()) },
        meta: device.meta,
        ...(withTokens
          ? { access_tokens: { all: tokens.camera(device.id, 'all'), watch: tokens.camera(device.id, 'watch') } }
          : {}),
      };
    },
    serverRecord(device) {
      const isOnline = stateOf(device) === 'online';
      return {
        id: device.id,
        uuid: device.nativeId.slice('server:'.length),
        name: device.name,
        online: isOnline,
        version: '4.2.1',
        l_key: 'srv.server-secret-word',
        ...(isOnline ? { endpoint: 'https://cnvr.invalid', token: 'server-secret-word' } : {}),
      };
    },
  };
}
