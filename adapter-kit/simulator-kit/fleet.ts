import { z } from 'zod';
import type { SimulatedDevice } from '../simulator.ts';
import { readState, writeState } from './state-file.ts';

type State = SimulatedDevice['state'];
type Words = { readonly type?: string; readonly state?: string };

const SwitchedStates = z.record(z.string(), z.enum(['online', 'offline']));

/** The devices of a simulated platform and what became of them: switched states, words from the future. */
export interface Fleet<Device extends SimulatedDevice> {
  readonly devices: () => readonly Device[];
  readonly find: (nativeId: string) => Device | undefined;
  /** The platform's word for a state, or the one that a test put there. */
  readonly stateWord: (device: Device) => string;
  readonly typeWord: (device: Device) => string;
  /** @throws Error when there is no such device */
  readonly setState: (nativeId: string, state: State) => void;
  readonly setWords: (nativeId: string, words: Words) => void;
}

export interface FleetOptions<Device> {
  readonly devices: readonly Device[];
  /** The platform's own words for the two states. */
  readonly words: Readonly<Record<State, string>>;
  /** Keeps switched states over restarts; null: forget. */
  readonly stateFile: string | null;
  /** A device is in another state, or says it in another word. */
  readonly onChange: (device: Device) => void;
}

export function createFleet<Device extends SimulatedDevice>(options: FleetOptions<Device>): Fleet<Device> {
  const { stateFile } = options;
  const devices = new Map(options.devices.map((device) => [device.nativeId, device]));
  const said = new Map<string, Words>();
  const switched = new Map(Object.entries(load(stateFile)));
  for (const [nativeId, state] of switched) {
    const device = devices.get(nativeId);
    if (device !== undefined) devices.set(nativeId, { ...device, state });
  }

  function known(nativeId: string): Device {
    const device = devices.get(nativeId);
    if (device === undefined) throw new Error(`the simulated platform has no device ${nativeId}`);
    return device;
  }

  return {
    devices: () => [...devices.values()],
    find: (nativeId) => devices.get(nativeId),
    stateWord: (device) => said.get(device.nativeId)?.state ?? options.words[device.state],
    typeWord: (device) => said.get(device.nativeId)?.type ?? device.type,
    setState(nativeId, state) {
      const device = known(nativeId);
      if (device.state === state) return;
      const changed = { ...device, state };
      devices.set(nativeId, changed);
      switched.set(nativeId, state);
      // At once: a platform that is killed right after it has told somebody must still know it.
      writeState(stateFile, Object.fromEntries(switched));
      options.onChange(changed);
    },
    setWords(nativeId, words) {
      const device = known(nativeId);
      const before = said.get(nativeId)?.state;
      said.set(nativeId, words);
      if (words.state !== before) options.onChange(device);
    },
  };
}

function load(stateFile: string | null): Readonly<Record<string, State>> {
  try {
    return readState(stateFile, SwitchedStates) ?? {};
  } catch {
    // A file of another version: a simulation may begin anew.
    return {};
  }
}
