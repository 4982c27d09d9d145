// The last state of every source, as a snapshot and later events tell it: what transitions are judged by.
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { parseTime, timeKey, type WireEvent } from './wire.ts';
import type { HeldState } from './status.ts';

/** Nine groups of fifty thousand sources; about 200 bytes each. */
const MAX_STATES = 500_000;

export interface TableEntry {
  readonly typeId: string;
  /** As the platform sent it. */
  readonly time: string;
  readonly at: Date;
}

export interface SourceState extends HeldState {
  readonly typeId: string;
  readonly time: string;
}

/** `first`: never heard of it; `changed`: newer than what was known; `known`: the same, or older. */
export type Applied = 'first' | 'changed' | 'known';

export interface StateTable {
  /** @param word the communication word when it is a communication state @throws AdapterError TOO_LARGE */
  apply(event: WireEvent, word: string | null): Applied;
  /** @param source `{collection}/{guid}` in lower case */
  communicationOf(source: string): SourceState | null;
  readonly size: () => number;
}

export function createStateTable(): StateTable {
  const entries = new Map<string, TableEntry>();
  const communication = new Map<string, SourceState>();

  return {
    apply(event, word) {
      const source = event.source.toLowerCase();
      const at = parseTime(event.time);
      if (event.stategroupid === undefined || at === null) return 'known';
      const key = `${source}|${event.stategroupid}`;
      const before = entries.get(key);
      const isNewer = before === undefined || isAfter(event.time, at, before);
      if (isNewer) {
        if (before === undefined && entries.size >= MAX_STATES)
          throw new AdapterError('TOO_LARGE', `the platform has more than ${MAX_STATES} states`);
        entries.set(key, { typeId: event.type, time: event.time, at });
      }
      if (word !== null) {
        const held = communication.get(source);
        // Hardware has a group of its own beside the device's; the newest tells.
        if (held === undefined || isAfter(event.time, at, held) || isSame(event, held))
          communication.set(source, { typeId: event.type, time: event.time, at, word });
      }
      if (before === undefined) return 'first';
      return isNewer ? 'changed' : 'known';
    },
    communicationOf: (source) => communication.get(source) ?? null,
    size: () => entries.size,
  };
}

function isSame(event: WireEvent, held: TableEntry): boolean {
  return event.type === held.typeId && timeKey(event.time) === timeKey(held.time);
}

/** Fractions have seven digits and a Date three: the rest decides between states of one millisecond. */
function isAfter(time: string, at: Date, before: TableEntry): boolean {
  if (at.getTime() !== before.at.getTime()) return at > before.at;
  return fraction(time) > fraction(before.time);
}

function fraction(time: string): string {
  return (/\.(\d+)/.exec(time)?.[1] ?? '').padEnd(9, '0');
}
