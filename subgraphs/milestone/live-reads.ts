// Reads of devices as they are now: records from the configuration, states from the event socket.
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { DeviceRef, LiveDevice } from '../../adapter-kit/model.ts';
import { collectionsOf, type Parts, siteOf, statusOf } from './listing.ts';
import { normalizeLive } from './normalize.ts';
import type { Found } from './records.ts';
import { type Collection, isGuid, type WireRecord } from './wire.ts';

function idsOf(records: readonly (WireRecord | undefined)[]): string[] {
  return records.flatMap((record) => record?.relations.parent?.id ?? []);
}

/** @param siteIdOf the site of a device whose recording server does not name one */
async function complete(
  parts: Parts,
  found: readonly Found[],
  siteIdOf: (id: string) => string | null,
  signal: AbortSignal,
): Promise<readonly LiveDevice[]> {
  const { records, drivers, feed, settings, now } = parts;
  const of = (collection: Collection) =>
    found.filter((each) => each.collection === collection).map(({ record }) => record);
  const channels = found.filter(
    ({ collection }) => collection !== 'sites' && collection !== 'recordingServers' && collection !== 'hardware',
  );
  const hardware = new Map([
    ...(await records.parents('hardware', idsOf(channels.map(({ record }) => record)), signal)),
    ...of('hardware').map((record) => [record.id, record] as const),
  ]);
  const servers = new Map([
    ...(await records.parents('recordingServers', idsOf([...hardware.values()]), signal)),
    ...of('recordingServers').map((record) => [record.id, record] as const),
  ]);
  // Last, so that it is the newest: a state that changed while records were read is in it.
  const table = await feed.read(signal);
  const checkedAt = now();
  return found.flatMap(({ collection, record }) => {
    const isServer = collection === 'sites' || collection === 'recordingServers';
    const box = isServer ? null : collection === 'hardware' ? record : hardware.get(record.relations.parent?.id ?? '');
    const serverId = collection === 'recordingServers' ? record.id : (box?.relations.parent?.id ?? '');
    const above = { hardware: box ?? null, recordingServer: servers.get(serverId) ?? null };
    const siteId = collection === 'sites' ? record.id : siteOf(settings, above.recordingServer, siteIdOf(record.id));
    if (siteId === null) return [];
    const status = statusOf(collection, record, above, table);
    const driver = above.hardware === null ? null : drivers.of(above.hardware.id);
    return normalizeLive(record, { collection, siteId, ...above, driver, zone: null, status, checkedAt });
  });
}

export async function readDevices(
  parts: Parts,
  refs: readonly DeviceRef[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, LiveDevice>> {
  const wanted = new Map(
    refs.filter(({ nativeId }) => isGuid(nativeId)).map((ref) => [ref.nativeId, ref.nativeSiteId]),
  );
  if (wanted.size === 0) return new Map();
  // First the socket: with it open, what was read before and not told to have changed need not be read again.
  await parts.feed.read(signal);
  const found = await parts.records.fetch([...wanted.keys()], parts.feed.watchesSince(), signal);
  const live = await complete(parts, [...found.values()], (id) => wanted.get(id) ?? null, signal);
  return new Map(live.map((device) => [device.nativeId, device]));
}

interface Position {
  readonly collection: number;
  readonly page: number;
  readonly skip: number;
}

const POSITION = /^(\d{1,2})\.(\d{1,6})\.(\d{1,3})$/;

function parsePosition(after: string | null, collections: number): Position {
  if (after === null) return { collection: 0, page: 0, skip: 0 };
  const [, collection = '', page = '', skip = ''] = POSITION.exec(after) ?? [];
  if (collection === '' || Number(collection) >= collections)
    throw new AdapterError('BAD_PAYLOAD', 'the position is none of this platform');
  return { collection: Number(collection), page: Number(page), skip: Number(skip) };
}

/** Collection by collection, in the platform's own order and pages. */
export async function pageDevices(
  parts: Parts,
  first: number,
  after: string | null,
  signal: AbortSignal,
): Promise<{ readonly devices: readonly LiveDevice[]; readonly next: string | null }> {
  const collections = collectionsOf(parts.settings);
  let { collection: index, page, skip } = parsePosition(after, collections.length);
  const found: Found[] = [];
  let firstSite: string | null = null;
  for (let collection = collections[index]; collection !== undefined; collection = collections[index]) {
    if (found.length >= first) break;
    const listed = await parts.records.page(collection, page, 'live', signal);
    if (collection === 'sites') firstSite ??= listed.items[0]?.id ?? null;
    const items = listed.items.slice(skip, skip + first - found.length);
    for (const record of items) found.push({ collection, record });
    if (skip + items.length < listed.items.length) {
      skip += items.length;
      break;
    }
    skip = 0;
    page = listed.hasMore ? page + 1 : 0;
    if (!listed.hasMore) index += 1;
  }
  if (firstSite === null && parts.settings.siteLevel === 'management-server')
    firstSite = (await parts.records.page('sites', 0, 'live', signal)).items[0]?.id ?? null;
  const next = index >= collections.length ? null : `${index}.${page}.${skip}`;
  const devices = await complete(parts, found, () => firstSite, signal);
  // None of them belongs to a site that the user may see: the reader is not to turn round for ever.
  if (devices.length === 0 && next !== null) return pageDevices(parts, first, next, signal);
  return { devices, next };
}
