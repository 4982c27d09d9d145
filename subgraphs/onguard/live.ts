/**
 * Live reads. What is wanted is looked up panel by panel (one call per type and twenty panels), then two calls per panel
 * and one per reader and board bring the states; inputs and outputs cost none of their own.
 */
import { z } from 'zod';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { mapConcurrent } from '../../adapter-kit/map-concurrent.ts';
import type { DeviceRef, LiveDevice } from '../../adapter-kit/model.ts';
import { type Instance, type InventoryReader, withoutClashes } from './inventory.ts';
import { type Kind, type KindName, parseNativeId } from './kinds.ts';
import { normalizeLive } from './normalize.ts';
import { groupByPanel, readStatuses, type StatusReaderOptions } from './statuses.ts';
import type { HardwareStatus } from './status-words.ts';

/** Types asked at once. */
const TYPES_AT_ONCE = 4;

export interface LiveReads {
  readonly reader: InventoryReader;
  readonly statuses: StatusReaderOptions;
  readonly segments: (signal: AbortSignal) => Promise<ReadonlyMap<number, string>>;
  readonly now: () => Date;
}

function kindsNamed({ kinds }: InventoryReader, names: ReadonlySet<KindName>): readonly Kind[] {
  return kinds.filter(({ name }) => names.has(name));
}

/** What hangs on these panels, of these types. */
async function lookUp(
  reader: InventoryReader,
  wanted: ReadonlyMap<KindName, ReadonlySet<number>>,
  signal: AbortSignal,
): Promise<readonly Instance[]> {
  const kinds = kindsNamed(reader, new Set(wanted.keys()));
  const lists = await mapConcurrent(kinds, TYPES_AT_ONCE, signal, (kind, inner) =>
    reader.ofPanels(kind, [...(wanted.get(kind.name) ?? [])], inner),
  );
  const named = Map.groupBy(lists.flat(), ({ kind }) => kind.name);
  named.set('board', [...withoutClashes(named.get('board') ?? [], named.get('reader') ?? [])]);
  return [...named.values()].flat();
}

function want(wanted: Map<KindName, Set<number>>, name: KindName, panelId: number): void {
  const panels = wanted.get(name) ?? new Set<number>();
  wanted.set(name, panels.add(panelId));
}

/** Devices that the platform no longer has, and ids that are none of ours, are left out. */
export async function readDevices(
  reads: LiveReads,
  refs: readonly DeviceRef[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, LiveDevice>> {
  const ids = new Set<string>();
  const wanted = new Map<KindName, Set<number>>();
  for (const { nativeId } of refs) {
    const parsed = parseNativeId(nativeId);
    if (parsed === null) continue;
    ids.add(nativeId);
    want(wanted, 'panel', parsed.panelId);
    for (const kind of parsed.kinds) want(wanted, kind, parsed.panelId);
    // What they report through.
    if (parsed.kinds.some((kind) => kind === 'input' || kind === 'output')) {
      want(wanted, 'reader', parsed.panelId);
      want(wanted, 'board', parsed.panelId);
    }
  }
  if (ids.size === 0) return new Map();
  const found = await lookUp(reads.reader, wanted, signal);
  const devices = await readLive(reads, found, (instance) => ids.has(instance.nativeId), signal);
  return new Map(devices.map((device) => [device.nativeId, device]));
}

/** @param found the wanted, their panels, and the boards and readers that wanted inputs and outputs report through */
async function readLive(
  { statuses, segments, now }: LiveReads,
  found: readonly Instance[],
  isWanted: (instance: Instance) => boolean,
  signal: AbortSignal,
): Promise<readonly LiveDevice[]> {
  const wanted = found.filter(isWanted);
  const reportedThrough = new Set(
    wanted
      .filter(({ kind }) => kind.name === 'input' || kind.name === 'output')
      .map(({ place }) => `${place.panelId}-${place.deviceId}`),
  );
  const asked = found.filter(
    (instance) =>
      isWanted(instance) ||
      (['reader', 'board'].includes(instance.kind.name) &&
        reportedThrough.has(`${instance.place.panelId}-${instance.place.deviceId}`)),
  );
  const panelIds = new Set(asked.map(({ place }) => place.panelId));
  const panels = found.filter(({ kind, place }) => kind.name === 'panel' && panelIds.has(place.panelId));
  const names = await segments(signal);
  const groups = [...groupByPanel(panels, asked).values()];
  const states: ReadonlyMap<string, HardwareStatus> = await readStatuses(statuses, groups, signal);
  const surroundings = {
    segments: names,
    panels: new Map(panels.map((panel) => [panel.place.panelId, panel])),
    nativeIds: null,
  };
  const checkedAt = now();
  return wanted.flatMap((instance) => {
    const status = states.get(instance.nativeId);
    return status === undefined ? [] : [normalizeLive(instance, status, checkedAt, surroundings)];
  });
}

/** Where the next entry is: index of the type, page of it (from 1), entries of the page already given. */
const Position = z.strictObject({
  kind: z.int().min(0).max(100),
  page: z.int().min(1).max(100_000),
  skip: z.int().min(0).max(1_000),
});
type Position = z.infer<typeof Position>;

/** @throws AdapterError NOT_FOUND for a position that is none */
function parsePosition(after: string | null): Position {
  if (after === null) return { kind: 0, page: 1, skip: 0 };
  let value: unknown = null;
  try {
    value = JSON.parse(after);
  } catch {
    // Judged below, like any other value that is no position.
  }
  const position = Position.safeParse(value);
  if (!position.success)
    throw new AdapterError('NOT_FOUND', 'the position is none of this list: start again without a cursor');
  return position.data;
}

/** The platform's devices as one list: type after type, page after page. @param first 1 to 500 */
export async function pageDevices(
  reads: LiveReads,
  first: number,
  after: string | null,
  signal: AbortSignal,
): Promise<{ readonly devices: readonly LiveDevice[]; readonly next: string | null }> {
  const { reader } = reads;
  let { kind: index, page, skip } = parsePosition(after);
  const taken: Instance[] = [];
  while (index < reader.kinds.length && taken.length < first) {
    const kind = reader.kinds[index];
    if (kind === undefined) break;
    const { list, isLast } = await reader.page(kind, page, signal);
    const some = list.instances.slice(skip, skip + first - taken.length);
    taken.push(...some);
    if (skip + some.length < list.instances.length) {
      skip += some.length;
    } else {
      skip = 0;
      if (isLast) index += 1;
      page = isLast ? 1 : page + 1;
    }
  }
  const next = index < reader.kinds.length ? JSON.stringify({ kind: index, page, skip } satisfies Position) : null;
  const devices = await readLive(reads, ...(await withParents(reader, taken, signal)), signal);
  return { devices, next };
}

/** Adds what the states of some instances come through. */
async function withParents(
  reader: InventoryReader,
  taken: readonly Instance[],
  signal: AbortSignal,
): Promise<[readonly Instance[], (instance: Instance) => boolean]> {
  const wanted = new Map<KindName, Set<number>>();
  for (const { kind, place } of taken) {
    want(wanted, 'panel', place.panelId);
    if (['input', 'output', 'board'].includes(kind.name)) {
      want(wanted, 'reader', place.panelId);
      want(wanted, 'board', place.panelId);
    }
  }
  const around = await lookUp(reader, wanted, signal);
  const byPlace = (instance: Instance): string => JSON.stringify([instance.kind.typeName, instance.place]);
  const isTaken = new Set(taken.map(byPlace));
  const isAround = new Set(around.map(byPlace));
  // As looked up where it was: a board whose number a reader has too got its own id there.
  const found = [...around, ...taken.filter((instance) => !isAround.has(byPlace(instance)))];
  return [found, (instance) => isTaken.has(byPlace(instance))];
}
