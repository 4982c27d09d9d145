// Live reads with the fewest calls: one camera by its id, more by the stretches of the list where they were last seen.
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { mapConcurrent } from '../../adapter-kit/map-concurrent.ts';
import type { DeviceRef, LiveDevice } from '../../adapter-kit/model.ts';
import type { VxgClient } from './client.ts';
import { faultyOf, type Inventory, readServers, recentGroups } from './listing.ts';
import {
  isServerId,
  isStorage,
  liveCamera,
  liveServer,
  serverNativeId,
  surround,
  type Surroundings,
} from './normalize.ts';
import { offsetOf, walk } from './paging.ts';
import type { WireCamera, WireGroup } from './wire.ts';

/** Up to so many cameras that are not where they were are cheaper to ask for by id than to look for in the whole list. */
const MAX_SINGLE = 4;
/** So many cameras may have been added or removed before one, and it is still found. */
const SLACK = 2;
/** Calls of one read under way at once; the client's own bound is for all reads together. */
const MAX_PARALLEL = 4;
/** Calls for one page of ours; it is given short then, but never empty while more may follow. */
const MAX_PAGE_CALLS = 20;

/** @returns null for a camera that the service does not have */
async function readCamera(client: VxgClient, id: string, signal: AbortSignal): Promise<WireCamera | null> {
  try {
    return await client.camera(id, signal);
  } catch (error) {
    if (error instanceof AdapterError && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}

interface Stretch {
  readonly from: number;
  readonly length: number;
}

/** The fewest stretches of the list, none longer than a page, that have all these positions in them. */
function stretchesOf(positions: readonly number[], pageSize: number): readonly Stretch[] {
  const stretches: { from: number; length: number }[] = [];
  for (const position of positions.toSorted((one, other) => one - other)) {
    const last = stretches.at(-1);
    const length = last === undefined ? Number.POSITIVE_INFINITY : position + SLACK + 1 - last.from;
    if (last !== undefined && length <= pageSize) last.length = length;
    else stretches.push({ from: Math.max(0, position - SLACK), length: Math.min(2 * SLACK + 1, pageSize) });
  }
  return stretches;
}

/**
 * Cameras by id, as they are now; those that the service no longer has are left out. Costs a call for one camera, for more
 * a call per stretch of the list, and a walk through the list where positions are not known.
 */
export async function readCameras(
  { client, settings, memory }: Pick<Inventory, 'client' | 'settings' | 'memory'>,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, WireCamera>> {
  const found = new Map<string, WireCamera>();
  // Only numbers can be ids of cameras: for anything else there is nothing to ask.
  const wanted = new Set(ids.filter((id) => /^\d+$/.test(id)));

  function take(camera: WireCamera): void {
    if (wanted.delete(camera.id) && !isStorage(camera)) found.set(camera.id, camera);
  }

  async function single(): Promise<void> {
    const cameras = await mapConcurrent([...wanted], MAX_PARALLEL, signal, (id, inner) =>
      readCamera(client, id, inner),
    );
    for (const camera of cameras) if (camera !== null) take(camera);
    wanted.clear();
  }

  if (wanted.size > 1) {
    const positions = [...wanted].map((id) => memory.positions.get(id)).filter((position) => position !== undefined);
    await mapConcurrent(
      stretchesOf(positions, settings.pageSize),
      MAX_PARALLEL,
      signal,
      async ({ from, length }, inner) => {
        const page = await client.cameras(client.cameraQuery(length, from), inner);
        for (const { value } of page.items) take(value);
      },
    );
  }
  if (wanted.size > 0 && wanted.size <= MAX_SINGLE) await single();
  if (wanted.size === 0) return found;
  const read = (query: Parameters<VxgClient['cameras']>[0]) => client.cameras(query, signal);
  for await (const { query, page } of walk(read, client.cameraQuery(settings.pageSize))) {
    page.items.forEach(({ value }, index) => {
      memory.positions.set(value.id, offsetOf(query) + index);
      take(value);
    });
    if (wanted.size === 0) break;
  }
  return found;
}

function around({ settings, memory }: Inventory, groups: readonly WireGroup[]): Surroundings {
  // Parents are no part of a live device: gateways are not asked for.
  return { ...surround(settings, groups, []), notRecording: faultyOf(memory) };
}

export async function readDevices(
  reads: Inventory,
  refs: readonly DeviceRef[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, LiveDevice>> {
  if (refs.length === 0) return new Map();
  const servers = new Set(refs.map(({ nativeId }) => nativeId).filter(isServerId));
  const ids = refs.map(({ nativeId }) => nativeId).filter((id) => !isServerId(id));
  const [groups, cameras, allServers] = await Promise.all([
    ids.length === 0 ? [] : recentGroups(reads, signal),
    readCameras(reads, ids, signal),
    servers.size === 0 ? [] : readServers(reads, signal),
  ]);
  const checkedAt = reads.now();
  const surroundings = around(reads, groups);
  const live = [
    ...[...cameras.values()].map((camera) => liveCamera(camera, surroundings, checkedAt)),
    ...allServers
      .filter((server) => servers.has(serverNativeId(server)))
      .map((server) => liveServer(server, reads.settings, checkedAt)),
  ];
  return new Map(live.map((device) => [device.nativeId, device]));
}

/** Where a page of ours begins: an offset into the cameras, or into the servers behind them. */
const POSITION = /^([cs]):(\d{1,9})$/;

function readPosition(after: string | null): { readonly list: string; readonly offset: number } {
  if (after === null) return { list: 'c', offset: 0 };
  const [, list, offset] = POSITION.exec(after) ?? [];
  if (list === undefined) throw new AdapterError('NOT_FOUND', 'this is no position in the list of the service');
  return { list, offset: Number(offset) };
}

/** The service's live list: cameras in its own order, then servers. @param first 1 to 500 */
export async function pageDevices(
  reads: Inventory,
  first: number,
  after: string | null,
  signal: AbortSignal,
): Promise<{ readonly devices: readonly LiveDevice[]; readonly next: string | null }> {
  const position = readPosition(after);
  const { client, settings } = reads;
  const devices: LiveDevice[] = [];
  const surroundings = around(reads, position.list === 'c' ? await recentGroups(reads, signal) : []);
  let offset: number | null = position.list === 'c' ? position.offset : null;
  for (let calls = 0; offset !== null && devices.length < first; calls += 1) {
    if (calls >= MAX_PAGE_CALLS && devices.length > 0) break;
    const page = await client.cameras(
      client.cameraQuery(Math.min(first - devices.length, settings.pageSize), offset),
      signal,
    );
    const checkedAt = reads.now();
    const cameras = page.items.map(({ value }) => value).filter((camera) => !isStorage(camera));
    devices.push(...cameras.map((camera) => liveCamera(camera, surroundings, checkedAt)));
    const next: number | null = page.next === null ? null : offsetOf(page.next);
    if (next !== null && next <= offset)
      throw new AdapterError('BAD_PAYLOAD', 'a list says that its next page is one that was read');
    offset = next;
  }
  if (offset !== null) return { devices, next: `c:${offset}` };
  const servers = await readServers(reads, signal);
  const from = position.list === 's' ? position.offset : 0;
  const own = servers.slice(from, from + first - devices.length);
  const checkedAt = reads.now();
  devices.push(...own.map((server) => liveServer(server, settings, checkedAt)));
  const end = from + own.length;
  return { devices, next: end < servers.length ? `s:${end}` : null };
}
