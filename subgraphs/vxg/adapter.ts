import type { Adapter } from '../../adapter-kit/adapter.ts';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { AdapterOptions } from '../../adapter-kit/define-vendor.ts';
import { createVxgClient, reachService, type VxgClient } from './client.ts';
import { type CustomEvents, createCustomEvents, toOwnEvent } from './custom-events.ts';
import { followEvents, type SeenEvents } from './event-feed.ts';
import { createInventoryMemory, type Inventory, listInventory, listSites, readGroups } from './listing.ts';
import { pageDevices, readDevices } from './live-reads.ts';
import { createOnceLog } from './once-log.ts';
import { probe } from './probe.ts';
import { openRecording } from './recorded-clip.ts';
import type { VxgSettings } from './settings.ts';

/** Speaks to one VXG installation with one key. @throws AdapterError MISCONFIGURED without an address */
export function createVxgAdapter(options: AdapterOptions<VxgSettings>): Adapter {
  const { baseUrl, settings, now, logger } = options;
  if (baseUrl === null) throw new AdapterError('MISCONFIGURED', 'the address of the installation is missing');
  const memory = createInventoryMemory();
  const once = createOnceLog(logger);
  const seen: SeenEvents = new Map();
  let client: VxgClient | null = null;
  let customEvents: CustomEvents | null = null;
  let isClosed = false;

  /** On first use, so that an address or a key that cannot be used is an answer of the call and not of the constructor. */
  function open(): VxgClient {
    if (isClosed) throw new AdapterError('UNREACHABLE', 'the adapter is closed');
    client ??= createVxgClient(baseUrl ?? new URL('invalid:'), options);
    return client;
  }

  function reads(): Inventory {
    return { client: open(), settings, memory, once, logger, now };
  }

  return {
    probe: (signal) => probe({ baseUrl, open, reach: (inner) => reachService(baseUrl, options, inner) }, signal),

    listSites: async (signal) => listSites(reads(), signal),

    async *listDevices(signal) {
      yield* listInventory(reads(), signal);
    },

    readDevices: async (refs, signal) => readDevices(reads(), refs, signal),

    async readPlatform(signal) {
      const checkedAt = now();
      const service = open();
      // A key that opens no groups still has to be taken by somebody for the platform to be reachable.
      if (service.key.scheme !== 'LKey') await service.cameras(service.cameraQuery(1), signal);
      const named = (await readGroups(reads(), signal)).map(({ id, name }) => ({ id, name }));
      return { version: null, checkedAt, extras: { groups: named } };
    },

    pageDevices: async (first, after, signal) => pageDevices(reads(), first, after, signal),

    async *listen(resumeToken, signal) {
      yield* followEvents(
        { client: open(), settings, memory, once, seen, now, origin: baseUrl.origin },
        resumeToken,
        signal,
      );
    },

    async createCustomEvent({ nativeId }, event, signal) {
      customEvents ??= createCustomEvents(open());
      const { existed } = await customEvents.raise(toOwnEvent(nativeId, event, now()), signal, event.isRepeat);
      if (existed) logger.info({ eventId: event.eventId }, 'A custom event was there already');
    },

    openMedia: async (media, signal) => openRecording(open(), options.http, media, signal),

    async close() {
      isClosed = true;
      await client?.close();
      client = null;
    },
  };
}
