// The whole inventory: every type is read, then the devices are given out panel by panel with their status.
import type { Logger } from 'pino';
import type { DevicePage } from '../../adapter-kit/model.ts';
import type { Instance, InstanceList, InventoryReader } from './inventory.ts';
import { withoutClashes } from './inventory.ts';
import { normalizeDevice, type Surroundings } from './normalize.ts';
import { groupByPanel, type PanelGroup, readStatuses, type StatusReaderOptions } from './statuses.ts';
import { type HardwareStatus, UNTOLD_STATUS } from './status-words.ts';

/** Devices on a page of ours: small enough that a page's statuses are fresh when it is given out. */
const DEVICES_PER_PAGE = 200;
/** A sync may take fifteen minutes. What is not asked by then keeps the state that events gave it. */
const MAX_SWEEP_MS = 600_000;

/** All instances of the integration's types, with the ids that they keep. */
export interface Inventory {
  readonly panels: readonly Instance[];
  /** Everything, panels included. */
  readonly instances: readonly Instance[];
  readonly rejected: InstanceList['rejected'];
  readonly total: number | null;
}

export async function readInventory(reader: InventoryReader, signal: AbortSignal): Promise<Inventory> {
  const lists: { readonly name: string; readonly list: InstanceList }[] = [];
  for (const kind of reader.kinds) lists.push({ name: kind.name, list: await reader.all(kind, signal) });
  const named = (name: string): Instance[] =>
    lists.filter((each) => each.name === name).flatMap(({ list }) => list.instances);
  const panels = named('panel');
  const readers = named('reader');
  const others = lists
    .filter(({ name }) => !['panel', 'reader', 'board'].includes(name))
    .flatMap(({ list }) => list.instances);
  const total = lists.reduce<number | null>(
    (sum, { list }) => (sum === null || list.total === null ? null : sum + list.total),
    0,
  );
  return {
    panels,
    instances: [...panels, ...readers, ...withoutClashes(named('board'), readers), ...others],
    rejected: lists.flatMap(({ list }) => list.rejected),
    total,
  };
}

export interface Listing {
  readonly reader: InventoryReader;
  /** Null: the status of devices is left to events and polls of others. */
  readonly statuses: StatusReaderOptions | null;
  readonly now: () => Date;
  readonly logger: Logger;
  /** Told of what was read, so that events find their devices. */
  readonly onRead: (inventory: Inventory) => void;
}

/** @throws AdapterError; what was given out before it stays good */
export async function* listDevices(
  { reader, statuses, now, logger, onRead }: Listing,
  signal: AbortSignal,
): AsyncGenerator<DevicePage> {
  const segments = await reader.segments(signal);
  const inventory = await readInventory(reader, signal);
  onRead(inventory);
  const surroundings: Surroundings = {
    segments,
    panels: new Map(inventory.panels.map((panel) => [panel.place.panelId, panel])),
    nativeIds: new Set(inventory.instances.map(({ nativeId }) => nativeId)),
  };
  const pages = pagesOf([...groupByPanel(inventory.panels, inventory.instances).values()]);
  if (pages.length === 0) yield { devices: [], rejected: inventory.rejected, totalCount: inventory.total };
  const sweepEndsAt = now().getTime() + MAX_SWEEP_MS;
  let isLate = false;
  for (const [index, groups] of pages.entries()) {
    const observedAt = now();
    if (!isLate && observedAt.getTime() >= sweepEndsAt) {
      isLate = true;
      logger.warn(
        { page: index, pages: pages.length },
        'Reading the status of the system takes too long; the rest is left',
      );
    }
    const states = statuses === null || isLate ? null : await readStatuses(statuses, groups, signal);
    yield {
      devices: groups.flatMap(instancesOf).map((instance) => {
        const status = states?.get(instance.nativeId) ?? null;
        return normalizeDevice(instance, isWord(status) ? status : null, observedAt, surroundings);
      }),
      ...(index === 0 ? { rejected: inventory.rejected } : {}),
      ...(index === pages.length - 1 ? { totalCount: inventory.total } : {}),
    };
  }
}

/** That the platform has no word must not overwrite what an event has said. */
function isWord(status: HardwareStatus | null): boolean {
  return status !== null && status !== UNTOLD_STATUS;
}

export function instancesOf({ panel, readers, boards, others }: PanelGroup): readonly Instance[] {
  return [...(panel === null ? [] : [panel]), ...readers, ...boards, ...others];
}

/** Panels stay whole: their devices are read through them. */
function pagesOf(groups: readonly PanelGroup[]): readonly (readonly PanelGroup[])[] {
  const pages: PanelGroup[][] = [];
  let room = 0;
  for (const group of groups) {
    const size = instancesOf(group).length;
    const last = pages.at(-1);
    if (last === undefined || room < size) {
      pages.push([group]);
      room = DEVICES_PER_PAGE - size;
    } else {
      last.push(group);
      room -= size;
    }
  }
  return pages;
}
