import type { Adapter } from '../../adapter-kit/adapter.ts';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { AdapterOptions } from '../../adapter-kit/define-vendor.ts';
import type { SiteDraft } from '../../adapter-kit/model.ts';
import { type Catalogue, createCatalogue } from './catalogue.ts';
import { createMilestoneClient } from './client.ts';
import { createCustomEventCheck, createCustomEvents, type CustomEvents } from './custom-events.ts';
import { createDrivers } from './drivers.ts';
import { listen, type ListenMemory } from './listen.ts';
import { collectionsOf, listInventory, type Parts } from './listing.ts';
import { pageDevices, readDevices } from './live-reads.ts';
import { addressOf, namedRef, normalizeSite } from './normalize.ts';
import { probe } from './probe.ts';
import { createRecords } from './records.ts';
import type { MilestoneSettings } from './settings.ts';
import { createStateFeed } from './state-feed.ts';
import type { WireRecord } from './wire.ts';

interface Connection extends Parts {
  readonly catalogue: Catalogue;
  readonly customEvents: CustomEvents;
}

/** Speaks to one XProtect system. @throws AdapterError MISCONFIGURED without an address */
export function createMilestoneAdapter(options: AdapterOptions<MilestoneSettings>): Adapter {
  const { baseUrl, settings, logger, now } = options;
  if (baseUrl === null) throw new AdapterError('MISCONFIGURED', 'the address of the API gateway is missing');
  const address = baseUrl;
  const memory: ListenMemory = { table: null };
  let connection: Connection | null = null;
  let isClosed = false;

  /** On first use, so that an address which is not allowed is an answer of the call and not of the constructor. */
  function open(): Connection {
    if (isClosed) throw new AdapterError('UNREACHABLE', 'the adapter is closed');
    if (connection !== null) return connection;
    const client = createMilestoneClient(address, options);
    const catalogue = createCatalogue(client, settings, logger, now);
    const records = createRecords(client, {
      collections: collectionsOf(settings),
      pageSize: settings.pageSize,
      now,
    });
    const onConfigurationChange = (): void => {
      catalogue.invalidate();
      records.invalidate();
    };
    const timeoutMs = settings.timeoutMs;
    const feed = createStateFeed({ client, catalogue, onConfigurationChange, logger, now, timeoutMs });
    const drivers = createDrivers(client, now);
    const customEvents = createCustomEvents(client, now);
    const takesEvents = createCustomEventCheck(client);
    connection = { client, catalogue, records, drivers, feed, takesEvents, customEvents, settings, logger, now };
    return connection;
  }

  async function all(collection: 'sites' | 'recordingServers', signal: AbortSignal): Promise<readonly WireRecord[]> {
    const found: WireRecord[] = [];
    for await (const { items } of open().records.walk(collection, 'live', signal)) found.push(...items);
    return found;
  }

  return {
    probe: (signal) => probe(address, open, signal),

    async listSites(signal): Promise<readonly SiteDraft[]> {
      if (settings.siteLevel === 'recording-server')
        return (await all('recordingServers', signal)).map((record) => normalizeSite(record, null));
      const sites = await all('sites', signal);
      const owner = await open().client.owner(signal);
      // The owner's address is the system's own; of several sites it would be a guess.
      const street = owner === null || sites.length !== 1 ? null : addressOf(owner);
      return sites.map((record) => normalizeSite(record, street));
    },

    async *listDevices(signal) {
      yield* listInventory(open(), signal);
    },

    readDevices: async (refs, signal) => readDevices(open(), refs, signal),

    async readPlatform(signal) {
      const checkedAt = now();
      const [sites, servers] = await Promise.all([all('sites', signal), all('recordingServers', signal)]);
      return {
        version: sites[0]?.version || null,
        checkedAt,
        extras: { recordingServers: servers.map(namedRef), sites: sites.map(namedRef) },
      };
    },

    pageDevices: async (first, after, signal) => pageDevices(open(), first, after, signal),

    async *listen(resumeToken, signal) {
      const { client, catalogue, records } = open();
      yield* listen({ client, catalogue, records, logger, now, memory }, resumeToken, signal);
    },

    async createCustomEvent({ nativeId }, event, signal) {
      const { existed } = await open().customEvents.raise(nativeId, event, signal);
      if (existed) logger.info({ eventId: event.eventId }, 'a custom event was there already');
    },

    async close() {
      isClosed = true;
      connection?.feed.close();
      await connection?.client.close();
      connection = null;
    },
  };
}
