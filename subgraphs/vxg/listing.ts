// Walks the inventory: cameras page by page, then servers.
import type { Logger } from 'pino';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { DevicePage, SiteDraft } from '../../adapter-kit/model.ts';
import type { VxgClient } from './client.ts';
import {
  isStorage,
  lacksRecording,
  normalizeCamera,
  normalizeServer,
  normalizeSites,
  type Surroundings,
  surround,
} from './normalize.ts';
import type { OnceLog } from './once-log.ts';
import { offsetOf, walk } from './paging.ts';
import type { VxgSettings } from './settings.ts';
import type { WireCamera, WireGroup, WireServer } from './wire.ts';
import { STATUS_WORDS } from './words.ts';

/** Readings in a row without recording, after which a camera counts as faulty: one may be a recording that starts. */
const FAULTY_AFTER = 2;

/** What one adapter remembers between listings. It never decides which devices there are. */
export interface InventoryMemory {
  /** Where in the list a camera was last seen. */
  readonly positions: Map<string, number>;
  /** Cameras that should record and do not: listings in a row. */
  readonly silent: Map<string, number>;
  groups: { readonly list: readonly WireGroup[]; readonly readAt: number } | null;
}

/** Groups change when people reorganise; how cameras are is never taken from memory. */
const GROUPS_GOOD_MS = 60_000;

export function createInventoryMemory(): InventoryMemory {
  return { positions: new Map(), silent: new Map(), groups: null };
}

export interface Inventory {
  readonly client: VxgClient;
  readonly settings: VxgSettings;
  readonly memory: InventoryMemory;
  readonly once: OnceLog;
  readonly logger: Logger;
  readonly now: () => Date;
}

/** The groups of the account; live reads are content with those of the last minute. */
export async function readGroups(
  { client, memory, now }: Pick<Inventory, 'client' | 'memory' | 'now'>,
  signal: AbortSignal,
): Promise<readonly WireGroup[]> {
  const list = await client.groups(signal);
  memory.groups = { list, readAt: now().getTime() };
  return list;
}

export async function recentGroups(
  inventory: Pick<Inventory, 'client' | 'memory' | 'now'>,
  signal: AbortSignal,
): Promise<readonly WireGroup[]> {
  const { groups } = inventory.memory;
  const isGood = groups !== null && inventory.now().getTime() - groups.readAt < GROUPS_GOOD_MS;
  return isGood ? groups.list : readGroups(inventory, signal);
}

/** Of an installation that has none, or keeps them from this key, there are no servers. */
export async function readServers(
  { client, settings, once }: Pick<Inventory, 'client' | 'settings' | 'once'>,
  signal: AbortSignal,
): Promise<readonly WireServer[]> {
  if (!settings.servers || client.key.scheme !== 'LKey') return [];
  try {
    return await client.servers(signal);
  } catch (error) {
    const isAbsent = error instanceof AdapterError && ['NOT_FOUND', 'FORBIDDEN', 'NOT_SUPPORTED'].includes(error.code);
    if (!isAbsent) throw error;
    once('servers', { code: error.code }, 'The installation lists no servers for this key');
    return [];
  }
}

export function faultyOf({ silent }: InventoryMemory): ReadonlySet<string> {
  return new Set([...silent].filter(([, times]) => times >= FAULTY_AFTER).map(([id]) => id));
}

async function readSurroundings(
  inventory: Inventory,
  signal: AbortSignal,
): Promise<{ readonly groups: readonly WireGroup[]; readonly around: Surroundings }> {
  const [groups, gateways] = await Promise.all([readGroups(inventory, signal), inventory.client.gateways(signal)]);
  return { groups, around: surround(inventory.settings, groups, gateways) };
}

function noteStatus({ once }: Inventory, { status }: WireCamera): void {
  if (status !== null && !STATUS_WORDS.has(status))
    once(`status ${status}`, { word: status.slice(0, 80) }, 'The service says a camera status that we do not know');
}

/** The whole inventory. The last page carries the total, to prove completeness against. */
export async function* listInventory(inventory: Inventory, signal: AbortSignal): AsyncGenerator<DevicePage> {
  const { client, settings, memory } = inventory;
  const [{ around }, servers] = await Promise.all([
    readSurroundings(inventory, signal),
    readServers(inventory, signal),
  ]);
  const positions = new Map<string, number>();
  const silent = new Map<string, number>();
  const listed = new Set<string>();
  let storages = 0;
  let total: number | null = null;
  const read = (query: Parameters<VxgClient['cameras']>[0]) => client.cameras(query, signal);
  for await (const { query, page } of walk(read, client.cameraQuery(settings.pageSize))) {
    total = page.total;
    const cameras = page.items.map(({ value }) => value);
    storages += cameras.filter(isStorage).length;
    // A list that is changed while it is read shows an entry on two pages.
    const fresh = cameras.filter((camera) => !isStorage(camera) && !listed.has(camera.id));
    cameras.forEach(({ id }, index) => positions.set(id, offsetOf(query) + index));
    for (const camera of fresh) {
      listed.add(camera.id);
      if (lacksRecording(camera)) silent.set(camera.id, (memory.silent.get(camera.id) ?? 0) + 1);
      noteStatus(inventory, camera);
    }
    const judged = { ...around, notRecording: faultyOf({ ...memory, silent }) };
    yield { devices: fresh.map((camera) => normalizeCamera(camera, judged)), rejected: page.rejected };
  }
  replace(memory.positions, positions);
  replace(memory.silent, silent);
  yield {
    devices: servers.map((server) => normalizeServer(server, settings)),
    totalCount: total === null ? null : total - storages + servers.length,
  };
}

function replace<K, V>(map: Map<K, V>, entries: ReadonlyMap<K, V>): void {
  map.clear();
  for (const [key, value] of entries) map.set(key, value);
}

export async function listSites(inventory: Inventory, signal: AbortSignal): Promise<readonly SiteDraft[]> {
  const { client, settings } = inventory;
  const [{ groups, around }, servers] = await Promise.all([
    readSurroundings(inventory, signal),
    readServers(inventory, signal),
  ]);
  const cameras = new Map<string, WireCamera>();
  const read = (query: Parameters<VxgClient['cameras']>[0]) => client.cameras(query, signal);
  for await (const { page } of walk(read, client.cameraQuery(settings.pageSize)))
    for (const { value } of page.items) if (!isStorage(value)) cameras.set(value.id, value);
  return normalizeSites([...cameras.values()], servers, groups, around);
}
