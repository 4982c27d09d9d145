import type { Adapter } from '../../adapter-kit/adapter.ts';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { AdapterOptions } from '../../adapter-kit/define-vendor.ts';
import { createCatalogueReader, type CatalogueReader } from './catalogue.ts';
import { createOnGuardClient, type OnGuardClient } from './client.ts';
import { createEventDirectory } from './directory.ts';
import { createInventoryReader, type InventoryReader } from './inventory.ts';
import { KINDS } from './kinds.ts';
import { listDevices, readInventory } from './listing.ts';
import { listen, type ListenMemory, type ListenTiming, USUAL_TIMING } from './listen.ts';
import { type LiveReads, pageDevices, readDevices } from './live.ts';
import { nameOf, normalizeSites } from './normalize.ts';
import { probe } from './probe.ts';
import type { OnGuardSettings } from './settings.ts';
import { createPace, type StatusReaderOptions } from './statuses.ts';

/** Names of segments change about never, and every live read wants them. */
const SEGMENTS_GOOD_FOR_MS = 600_000;

interface Connection {
  readonly client: OnGuardClient;
  readonly reader: InventoryReader;
  readonly catalogue: CatalogueReader;
}

/** Speaks to one OnGuard system. @param timing of the event channel; tests shorten it */
export function createOnGuardAdapter(
  options: AdapterOptions<OnGuardSettings>,
  timing: ListenTiming = USUAL_TIMING,
): Adapter {
  const { settings, integrationId, logger, now } = options;
  const baseUrl = addressOf(options);
  const directory = createEventDirectory();
  const memory: ListenMemory = { lastAt: null, shapesTold: new Set() };
  const pace = createPace(settings.statusCallsPerSecond);
  let connection: Connection | null = null;
  let isClosed = false;
  let segments: { readonly names: ReadonlyMap<number, string>; readonly until: number } | null = null;

  /** On first use, so that an address which is not allowed is an answer of the call and not of the constructor. */
  function open(): Connection {
    if (isClosed) throw new AdapterError('UNREACHABLE', 'the adapter is closed');
    if (connection === null) {
      const client = createOnGuardClient({ ...options, baseUrl });
      connection = {
        client,
        reader: createInventoryReader(client, settings, logger),
        catalogue: createCatalogueReader(client, logger, now),
      };
    }
    return connection;
  }

  function statuses(): StatusReaderOptions {
    return { client: open().client, settleMs: settings.statusSettleMs };
  }

  function reads(): LiveReads {
    return {
      reader: open().reader,
      statuses: statuses(),
      now,
      async segments(signal) {
        if (segments === null || now().getTime() >= segments.until)
          segments = { names: await open().reader.segments(signal), until: now().getTime() + SEGMENTS_GOOD_FOR_MS };
        return segments.names;
      },
    };
  }

  return {
    probe: (signal) => probe({ baseUrl, settings, integrationId, open }, signal),

    async listSites(signal) {
      return normalizeSites(await open().reader.segments(signal), settings.systemName);
    },

    async *listDevices(signal) {
      yield* listDevices(
        {
          reader: open().reader,
          // A listing has time: it is spread, so that the operators' consoles do not feel it.
          statuses: settings.statusInListing ? { ...statuses(), ...(pace === undefined ? {} : { pace }) } : null,
          now,
          logger,
          onRead: ({ instances }) => directory.replace(instances),
        },
        signal,
      );
    },

    readDevices: async (refs, signal) => readDevices(reads(), refs, signal),

    async readPlatform(signal) {
      const { client, reader } = open();
      const checkedAt = now();
      // Logged in is part of being reachable.
      await client.session.token(signal);
      const kind = KINDS.find(({ name }) => name === 'panel');
      const [product, names, panels] = await Promise.all([
        client.version(signal),
        reads().segments(signal),
        kind === undefined ? [] : reader.all(kind, signal).then(({ instances }) => instances),
      ]);
      return {
        version: product.version,
        checkedAt,
        extras: {
          productName: product.name,
          panels: panels.map((panel) => ({ id: panel.nativeId, name: nameOf(panel) })),
          segments: [...names].map(([id, name]) => ({ id: String(id), name })),
        },
      };
    },

    pageDevices: async (first, after, signal) => pageDevices(reads(), first, after, signal),

    async *listen(resumeToken, signal) {
      const { client, reader, catalogue } = open();
      const loadDirectory = async (inner: AbortSignal): Promise<void> => {
        directory.replace((await readInventory(reader, inner)).instances);
      };
      const parts = {
        client,
        settings,
        integrationId,
        catalogue,
        directory,
        loadDirectory,
        memory,
        logger,
        now,
        timing,
      };
      yield* listen(parts, resumeToken, signal);
    },

    async close() {
      isClosed = true;
      await connection?.client.close();
      connection = null;
    },
  };
}

function addressOf({ baseUrl }: AdapterOptions<OnGuardSettings>): URL {
  if (baseUrl === null) throw new AdapterError('MISCONFIGURED', 'the address of the OpenAccess service is missing');
  return baseUrl;
}
