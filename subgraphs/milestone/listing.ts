// Walks the whole inventory: servers, channels below their hardware, and the hardware last, when its channels are known.
import type { Logger } from 'pino';
import { abandoned, AdapterError } from '../../adapter-kit/adapter-error.ts';
import { mapConcurrent } from '../../adapter-kit/map-concurrent.ts';
import type { DeviceDraft, DevicePage, StatusClaim } from '../../adapter-kit/model.ts';
import type { MilestoneClient } from './client.ts';
import type { Drivers } from './drivers.ts';
import { configuredAtOf, isEnabled, nameOf, normalizeDevice } from './normalize.ts';
import type { Records } from './records.ts';
import type { MilestoneSettings } from './settings.ts';
import type { StateFeed } from './state-feed.ts';
import type { StateTable } from './state-table.ts';
import { deriveStatus, type HeldState } from './status.ts';
import { CHANNEL_COLLECTIONS, type Collection, COLLECTIONS, type WireRecord } from './wire.ts';

/** Groups are made by people; each costs a call. */
const MAX_GROUPS = 1_000;
const CONCURRENT = 8;
/** A page of hardware at the end of a listing. */
const HARDWARE_PAGE = 500;

/** What listings and live reads work with. */
export interface Parts {
  readonly client: MilestoneClient;
  readonly records: Records;
  readonly drivers: Drivers;
  readonly feed: StateFeed;
  /** Whether cameras take events of others. */
  readonly takesEvents: (signal: AbortSignal) => Promise<boolean>;
  readonly settings: MilestoneSettings;
  readonly logger: Logger;
  readonly now: () => Date;
}

/** The collections whose records are devices, in the order in which they are listed live. */
export function collectionsOf({ siteLevel }: Pick<MilestoneSettings, 'siteLevel'>): readonly Collection[] {
  return siteLevel === 'recording-server' ? COLLECTIONS.filter((collection) => collection !== 'sites') : COLLECTIONS;
}

/** The site of what is on or behind a recording server; null when it cannot be told. */
export function siteOf(
  { siteLevel }: Pick<MilestoneSettings, 'siteLevel'>,
  recordingServer: WireRecord | null,
  fallback: string | null,
): string | null {
  if (siteLevel === 'recording-server') return recordingServer?.id ?? null;
  return recordingServer?.relations.parent?.id ?? fallback;
}

export interface Above {
  readonly hardware: WireRecord | null;
  readonly recordingServer: WireRecord | null;
}

function heldBy(table: StateTable | null, collection: Collection, record: WireRecord | null): HeldState | null {
  return record === null || table === null ? null : table.communicationOf(`${collection}/${record.id}`.toLowerCase());
}

/** @param table null where the platform tells no states */
export function statusOf(
  collection: Collection,
  record: WireRecord,
  above: Above,
  table: StateTable | null,
): StatusClaim | null {
  const isServer = collection === 'sites' || collection === 'recordingServers';
  const status = deriveStatus({
    isEnabled: isEnabled(record, above.hardware),
    configuredAt: configuredAtOf(record, above.hardware),
    own: heldBy(table, collection, record),
    hardware: isServer || collection === 'hardware' ? null : heldBy(table, 'hardware', above.hardware),
    recordingServer: isServer ? null : heldBy(table, 'recordingServers', above.recordingServer),
  });
  // It has just answered us.
  if (status === null && collection === 'sites')
    return { state: 'ONLINE', reason: 'REPORTED', vendorState: 'Responding', observedAt: null };
  return status;
}

/** States for a listing: without them it still is one, and what is known of devices stays as it is. */
async function statesFor({ feed, logger }: Parts, signal: AbortSignal): Promise<StateTable | null> {
  try {
    return await feed.read(signal);
  } catch (error) {
    if (!(error instanceof AdapterError) || error.code === 'UNAUTHENTICATED' || signal.aborted) throw error;
    logger.warn({ code: error.code }, 'inventory is listed without states');
    return null;
  }
}

async function zonesOf({ client, settings }: Parts, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  if (!settings.zonesFromGroups) return new Map();
  const groups = (await client.cameraGroups(signal)).slice(0, MAX_GROUPS);
  const members = await mapConcurrent(groups, CONCURRENT, signal, async (group, either) => ({
    name: nameOf(group),
    ids: await client.groupCameras(group.id, either),
  }));
  const zones = new Map<string, string>();
  // A camera may be in many groups; the first one that the platform lists is its zone.
  for (const { name, ids } of members) for (const id of ids) if (!zones.has(id)) zones.set(id, name);
  return zones;
}

/** @throws AdapterError as the calls do; FORBIDDEN when the user may see no server at all */
export async function* listInventory(parts: Parts, signal: AbortSignal): AsyncGenerator<DevicePage> {
  if (signal.aborted) throw abandoned(signal.reason);
  const { records, drivers, settings, now } = parts;
  const table = await statesFor(parts, signal);
  const checkedAt = now();
  drivers.begin();
  const rejected: { nativeId: string | null; reason: string }[] = [];

  async function all(collection: Collection): Promise<Map<string, WireRecord>> {
    const found = new Map<string, WireRecord>();
    for await (const page of records.walk(collection, 'list', signal)) {
      for (const record of page.items) found.set(record.id, record);
      for (const reason of page.rejected) rejected.push({ nativeId: null, reason });
    }
    return found;
  }

  const sites = settings.siteLevel === 'recording-server' ? new Map<string, WireRecord>() : await all('sites');
  const servers = await all('recordingServers');
  if (sites.size === 0 && servers.size === 0)
    throw new AdapterError('FORBIDDEN', 'the user may see neither the management server nor a recording server');
  const hardware = await all('hardware');
  const [firstSite = null] = sites.keys();
  const zones = await zonesOf(parts, signal);
  const takesEvents = await parts.takesEvents(signal);
  const tellsMotion = settings.activities.includes('motion');
  if (settings.driverSettings) await drivers.read([...hardware.values()], signal);

  function draft(
    collection: Collection,
    record: WireRecord,
    above: Above,
    status = statusOf(collection, record, above, table),
  ): DeviceDraft | null {
    const siteId = collection === 'sites' ? record.id : siteOf(settings, above.recordingServer, firstSite);
    if (siteId === null) {
      rejected.push({ nativeId: record.id, reason: `${collection}: its recording server is not visible` });
      return null;
    }
    const driver = above.hardware === null ? null : drivers.of(above.hardware.id);
    const zone = collection === 'cameras' ? (zones.get(record.id) ?? null) : null;
    const around = { collection, siteId, ...above, driver, zone, takesEvents, tellsMotion, status, checkedAt };
    return normalizeDevice(record, around);
  }

  function pageOf(drafts: readonly (DeviceDraft | null)[]): DevicePage {
    return { devices: drafts.filter((device) => device !== null), rejected: rejected.splice(0) };
  }

  const none: Above = { hardware: null, recordingServer: null };
  yield pageOf([
    ...[...sites.values()].map((record) => draft('sites', record, none)),
    ...[...servers.values()].map((record) => draft('recordingServers', record, { ...none, recordingServer: record })),
  ]);

  // Of hardware without a state of its own: the newest proof by a channel that it is there.
  const proofs = new Map<string, StatusClaim>();
  for (const collection of CHANNEL_COLLECTIONS) {
    for await (const { items, rejected: unread } of records.walk(collection, 'list', signal)) {
      for (const reason of unread) rejected.push({ nativeId: null, reason });
      yield pageOf(
        items.map((record) => {
          const box = hardware.get(record.relations.parent?.id ?? '') ?? null;
          const recordingServer = servers.get(box?.relations.parent?.id ?? '') ?? null;
          const device = draft(collection, record, { hardware: box, recordingServer });
          if (box !== null && device?.status?.state === 'ONLINE') proofs.set(box.id, device.status);
          return device;
        }),
      );
    }
  }

  const boxes = [...hardware.values()];
  for (let from = 0; from < boxes.length; from += HARDWARE_PAGE) {
    yield pageOf(
      boxes.slice(from, from + HARDWARE_PAGE).map((record) => {
        const recordingServer = servers.get(record.relations.parent?.id ?? '') ?? null;
        const above = { hardware: record, recordingServer };
        return draft(
          'hardware',
          record,
          above,
          statusOf('hardware', record, above, table) ?? proofs.get(record.id) ?? null,
        );
      }),
    );
  }
  if (rejected.length > 0) yield pageOf([]);
}
