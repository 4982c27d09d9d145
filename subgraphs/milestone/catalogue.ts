// The platform's own names of its event types, by id: frames carry ids only.
import type { Logger } from 'pino';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { MilestoneClient } from './client.ts';
import { BUILT_IN, builtInName, communicationWord, isWanted, stateWord } from './event-types.ts';
import type { MilestoneSettings } from './settings.ts';

/** Types change with plug-ins and administrators, and a change is told; this repairs one that was not. */
const MAX_AGE_MS = 24 * 3_600_000;
/** Configuration changes come in bursts, and every reload reads several hundred types. */
const RELOAD_AT_MOST_EVERY_MS = 2_000;

export const SYSTEM_CONFIGURATION_CHANGED = '06c5010d-11f2-4d70-bd79-4cec3a20d589';

export interface TypeNames {
  readonly name: string | null;
  readonly state: string | null;
  readonly group: string | null;
  /** The communication word, when it is a communication state. */
  readonly word: string | null;
}

export interface Catalogue {
  /** Loads it when it was never loaded, or is old. @throws AdapterError */
  ready(signal: AbortSignal): Promise<void>;
  /** Something was configured: the next `ready` reads anew, but not more often than every two seconds. */
  invalidate(): void;
  /** How long until `ready` would read anew, in milliseconds; null when nothing is to be read. */
  dueInMs(): number | null;
  describe(typeId: string): TypeNames;
  /** Ids of the types to subscribe to. */
  wanted(): readonly string[];
  /** Of those, the ones that tell whether something is connected. */
  communication(): readonly string[];
}

export function createCatalogue(
  client: MilestoneClient,
  { activities }: Pick<MilestoneSettings, 'activities'>,
  logger: Logger,
  now: () => Date,
): Catalogue {
  let types: ReadonlyMap<string, TypeNames> = new Map(BUILT_IN.map(([name, id]) => [id, named(name, null, null)]));
  let loadedAt = Number.NEGATIVE_INFINITY;
  let isStale = true;
  let loading: Promise<void> | null = null;

  async function load(): Promise<void> {
    const patient = new AbortController().signal;
    isStale = false;
    try {
      const [eventTypes, stateGroups] = await Promise.all([client.eventTypes(patient), client.stateGroups(patient)]);
      const groups = new Map(
        stateGroups.map(({ relations, displayName, name }) => [relations.self?.id ?? '', displayName || name]),
      );
      const next = new Map(types);
      for (const type of eventTypes) {
        const group = type.stateGroupId === undefined ? null : (groups.get(type.stateGroupId) ?? null);
        next.set(
          type.id,
          named(type.name || type.displayName || builtInName(type.id) || null, type.state || null, group),
        );
      }
      types = next;
    } catch (error) {
      isStale = true;
      const isHidden = error instanceof AdapterError && (error.code === 'FORBIDDEN' || error.code === 'NOT_FOUND');
      if (!isHidden) throw error;
      isStale = false;
      logger.warn({ code: error.code }, 'event types cannot be read, built-in ones stand in');
    }
    loadedAt = now().getTime();
  }

  function dueInMs(): number | null {
    const age = now().getTime() - loadedAt;
    if (age >= MAX_AGE_MS) return 0;
    return isStale ? Math.max(0, RELOAD_AT_MOST_EVERY_MS - age) : null;
  }

  return {
    async ready(signal) {
      if (signal.aborted) throw new AdapterError('TIMEOUT', 'the call was given up by who asked for it');
      if (dueInMs() !== 0 && loading === null) return;
      loading ??= load().finally(() => {
        loading = null;
      });
      await loading;
    },
    invalidate() {
      isStale = true;
    },
    dueInMs,
    describe: (typeId) => types.get(typeId) ?? { name: null, state: null, group: null, word: null },
    wanted: () => [...types].filter(([, { name, group }]) => isWanted(name ?? '', group, activities)).map(([id]) => id),
    communication: () => [...types].filter(([, { word }]) => word !== null).map(([id]) => id),
  };
}

function named(name: string | null, state: string | null, group: string | null): TypeNames {
  const byName = name === null ? null : communicationWord(name);
  const isGroup = group !== null && communicationWord(`${group} x`) !== null;
  const word = byName === null && !isGroup ? null : stateWord(state ?? byName ?? name ?? 'unknown');
  return { name, state, group, word };
}
