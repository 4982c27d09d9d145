// Which device an event means, by the numbers that it names. Known from the last reading of the inventory.
import type { Instance } from './inventory.ts';
import { intOf, type Properties, textOf } from './properties.ts';

export interface EventDirectory {
  readonly isLoaded: () => boolean;
  replace(instances: readonly Instance[]): void;
  /**
   * The device itself, else what it reports through.
   *
   * @returns null when not even its panel is known: the numbers have to do then
   */
  find(event: Properties): string | null;
}

interface Numbered {
  readonly nativeId: string;
  readonly name: string | null;
  readonly isOutput: boolean;
}

export function createEventDirectory(): EventDirectory {
  let byNumbers: ReadonlyMap<string, readonly Numbered[]> | null = null;

  function pick(key: string, event: Properties): Numbered | undefined {
    const candidates = byNumbers?.get(key) ?? [];
    if (candidates.length < 2) return candidates[0];
    // An input and an output may have the same number; the event's own words tell them apart.
    const word = textOf(event, 'subdevice_name');
    const isOutput = /output|relay/i.test(`${word ?? ''} ${textOf(event, 'description') ?? ''}`);
    return (
      candidates.find(({ name }) => name !== null && name === word) ??
      candidates.find((candidate) => candidate.isOutput === isOutput)
    );
  }

  return {
    isLoaded: () => byNumbers !== null,
    replace(instances) {
      const next = new Map<string, Numbered[]>();
      // Cameras last: where a reader or board has the number, the event is about that.
      for (const { kind, nativeId, place, properties } of instances) {
        const key = `${place.panelId}-${place.deviceId}-${place.subdeviceId}`;
        const isTaken = next.has(key) && place.subdeviceId === 0;
        const entry = { nativeId, name: textOf(properties, 'Name'), isOutput: kind.name === 'output' };
        if (!isTaken) next.set(key, [...(next.get(key) ?? []), entry]);
      }
      byNumbers = next;
    },
    find(event) {
      const panel = intOf(event, 'controller_id');
      if (panel === null) return null;
      const device = Math.max(0, intOf(event, 'device_id') ?? 0);
      const subdevice = Math.max(0, intOf(event, 'subdevice_id') ?? 0);
      const keys = [`${panel}-${device}-${subdevice}`, `${panel}-${device}-0`, `${panel}-0-0`];
      for (const key of keys) {
        const found = pick(key, event);
        if (found !== undefined) return found.nativeId;
      }
      return null;
    },
  };
}
