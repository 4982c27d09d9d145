import type { Adapter } from '../../adapter-kit/adapter.ts';
import { abandoned, AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { AdapterOptions } from '../../adapter-kit/define-vendor.ts';
import { openAddress } from '../../adapter-kit/media.ts';
import type { DevicePage, LiveDevice } from '../../adapter-kit/model.ts';
import { createReconeyezClient, type ReconeyezClient } from './client.ts';
import { openDeliveredPicture } from './delivered-picture.ts';
import { normalizeAreas, normalizeDevice, normalizeLive, sirensByArea } from './normalize.ts';
import { createNovelties } from './novelties.ts';
import { probe } from './probe.ts';
import type { ReconeyezSettings } from './settings.ts';
import { Guid, type WireDevice, type WireDevices } from './wire.ts';

/** Drafts handed on together; the platform itself lists all of them at once. */
const PAGE = 500;
/** How a position in the list is written: it goes on behind this GUID. */
const POSITION = /^after:([^\s]{1,64})$/;

/** Speaks to one cloud instance with one user. @throws AdapterError MISCONFIGURED without a base URL */
export function createReconeyezAdapter(options: AdapterOptions<ReconeyezSettings>): Adapter {
  const { credentials, http, now, settings } = options;
  const baseUrl = addressOf(options);
  const novelties = createNovelties(options.logger, options.integrationId);
  let client: ReconeyezClient | null = null;
  let isClosed = false;

  /** On first use, so that an address which is not allowed is an answer of the call and not of the constructor. */
  function open(): ReconeyezClient {
    if (isClosed) throw new AdapterError('UNREACHABLE', 'the adapter is closed');
    client ??= createReconeyezClient(baseUrl, http, credentials, settings);
    return client;
  }

  /** Both lists: in the vendor's sample the first has the sirens too, and nobody promises it. */
  async function readAll(signal: AbortSignal): Promise<WireDevices> {
    // Both settle before either is thrown, so that no call runs on behind its caller's back.
    const settled = await Promise.allSettled([open().devices(signal), open().sirens(signal)]);
    const [all, sirens] = settled.map((outcome) => {
      if (outcome.status === 'rejected') throw outcome.reason;
      return outcome.value;
    });
    const listing = united(all ?? NOTHING, sirens ?? NOTHING);
    novelties.note(listing);
    return listing;
  }

  function liveOf(devices: readonly WireDevice[], listed: readonly WireDevice[]): readonly LiveDevice[] {
    const sirens = sirensByArea(listed);
    const checkedAt = now();
    return devices.map((device) => normalizeLive(device, sirens, settings, checkedAt));
  }

  return {
    probe: (signal) => probe({ baseUrl, http, settings, open }, signal),

    async listSites(signal) {
      return normalizeAreas((await readAll(signal)).devices, settings);
    },

    async *listDevices(signal): AsyncGenerator<DevicePage> {
      const { devices, rejected } = await readAll(signal);
      // The platform does not count. An empty list must not pass for one that says zero: it would empty the inventory.
      const found = devices.length + rejected.length;
      const totalCount = found === 0 ? null : found;
      for (let from = 0; from < Math.max(1, devices.length); from += PAGE) {
        if (signal.aborted) throw abandoned(signal.reason);
        const page = devices.slice(from, from + PAGE).map((device) => normalizeDevice(device, settings));
        yield { devices: page, rejected: from === 0 ? rejected : [], totalCount };
      }
    },

    async readDevices(refs, signal) {
      if (refs.length === 0) return new Map();
      const wanted = new Map(refs.map(({ nativeId }) => [nativeId.toUpperCase(), nativeId]));
      const all = await open().devices(signal);
      const known = new Set(all.devices.map(({ guid }) => guid));
      const isMissing = [...wanted.keys()].some((guid) => !known.has(guid));
      const listing = isMissing ? united(all, await open().sirens(signal)) : all;
      novelties.note(listing);
      const found = listing.devices.filter(({ guid }) => wanted.has(guid));
      return new Map(liveOf(found, listing.devices).map((live) => [wanted.get(live.nativeId) ?? live.nativeId, live]));
    },

    async readPlatform(signal) {
      const checkedAt = now();
      const { devices } = await open().devices(signal);
      const areas = [...new Set(devices.map(({ area }) => area).filter((area) => area !== ''))].toSorted();
      return { version: null, checkedAt, extras: { areas, instance: baseUrl.hostname } };
    },

    async pageDevices(first, after, signal) {
      const last = after === null ? '' : positionOf(after);
      const { devices } = await readAll(signal);
      const rest = devices.filter(({ guid }) => guid > last).toSorted((a, b) => (a.guid < b.guid ? -1 : 1));
      const page = rest.slice(0, first);
      const end = page.at(-1);
      return {
        devices: liveOf(page, devices),
        next: end === undefined || rest.length <= page.length ? null : `after:${end.guid}`,
      };
    },

    async openMedia(media, signal) {
      // With a hash it came as bytes, whatever page of the platform shows it, too.
      return media.sha256 === null
        ? openAddress(http, media.url, signal)
        : openDeliveredPicture(media, media.sha256, settings);
    },

    async close() {
      isClosed = true;
      await client?.close();
      client = null;
    },
  };
}

const NOTHING: WireDevices = { devices: [], rejected: [], unknownMembers: [] };

/** The first list counts where both have a device. */
function united(all: WireDevices, sirens: WireDevices): WireDevices {
  const known = new Set(all.devices.map(({ guid }) => guid));
  return {
    devices: [...all.devices, ...sirens.devices.filter(({ guid }) => !known.has(guid))],
    rejected: all.rejected,
    unknownMembers: all.unknownMembers,
  };
}

function addressOf({ baseUrl }: AdapterOptions<ReconeyezSettings>): URL {
  if (baseUrl === null) throw new AdapterError('MISCONFIGURED', 'the address of the cloud instance is missing');
  return baseUrl;
}

function positionOf(after: string): string {
  const guid = Guid.safeParse(POSITION.exec(after)?.[1]);
  if (guid.success) return guid.data;
  throw new AdapterError('NOT_FOUND', 'this is no position in the list: start again without a cursor');
}
