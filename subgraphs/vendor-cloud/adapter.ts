import type { Adapter, WebhookRegistration, WebhookTarget } from '../../adapter-kit/adapter.ts';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { AdapterOptions } from '../../adapter-kit/define-vendor.ts';
import { openAddress } from '../../adapter-kit/media.ts';
import type { SiteDraft } from '../../adapter-kit/model.ts';
import { type Authorization, createAuthorization } from './auth.ts';
import { createVendorCloudClient, tlsOf, type VendorCloudClient } from './client.ts';
import { dialectOf } from './dialect.ts';
import { describeUnknown } from './event-catalogue.ts';
import { type InventoryWalk, listAllSites, listInventory } from './listing.ts';
import { pageDevices } from './live-pages.ts';
import { createPageHints, type LiveReads, readDevices } from './live-reads.ts';
import { normalizeSite } from './normalize.ts';
import { probe } from './probe.ts';
import type { VendorCloudSettings } from './settings.ts';
import { createSiteWatch } from './site-conflicts.ts';

interface Connection {
  readonly client: VendorCloudClient;
  readonly authorization: Authorization;
}

/** Speaks to one vendor's cloud. @throws AdapterError MISCONFIGURED without a base URL */
export function createVendorCloudAdapter(options: AdapterOptions<VendorCloudSettings>): Adapter {
  const { credentials, http, logger, now } = options;
  const baseUrl = addressOf(options);
  const dialect = dialectOf(options.settings);
  const hints = createPageHints(dialect);
  const watch = createSiteWatch(logger);
  let connection: Connection | null = null;
  let isClosed = false;

  /** On first use, so that an address which is not allowed is an answer of the call and not of the constructor. */
  function open(): Connection {
    if (isClosed) throw new AdapterError('UNREACHABLE', 'the adapter is closed');
    if (connection === null) {
      const authorization = createAuthorization({ credentials, http, now });
      connection = { authorization, client: createVendorCloudClient(baseUrl, http, authorization, dialect) };
    }
    return connection;
  }

  async function accountId(signal: AbortSignal): Promise<string> {
    return dialect.settings.accountId ?? (await open().client.account(signal)).accountId;
  }

  function reads(): LiveReads {
    return { client: open().client, dialect, hints, now };
  }

  return {
    probe(signal) {
      const { accountId: configured, eventCatalogue } = dialect.settings;
      const unknownEvents = describeUnknown(dialect.catalogue, eventCatalogue);
      return probe({ baseUrl, accountId: configured, unknownEvents, open }, signal);
    },

    async readAccount(signal) {
      // An account that stands in the settings is asked for by its id: it cannot become another one.
      if (dialect.settings.accountId !== undefined) return null;
      const { accountId: id, name } = await open().client.account(signal);
      return { id, name };
    },

    async listSites(signal): Promise<readonly SiteDraft[]> {
      const account = await accountId(signal);
      const { sites } = await listAllSites(open().client, signal);
      return sites.map((site) => normalizeSite(site, account));
    },

    async *listDevices(signal) {
      const account = await accountId(signal);
      const { client } = open();
      const list = await listAllSites(client, signal);
      const sites = new Map(list.sites.map((site) => [site.siteId, site]));
      const onPage: InventoryWalk['onPage'] = (place, number, page) => {
        hints.note(place, number, page);
        const site = sites.get(place.siteId);
        if (site !== undefined) watch.note(site, page);
      };
      yield* listInventory({ client, dialect, accountId: account, list, onPage }, signal);
    },

    readDevices: async (refs, signal) => readDevices(reads(), refs, signal),

    async readPlatform(signal) {
      const checkedAt = now();
      const account = await open().client.account(signal);
      return {
        version: account.version,
        checkedAt,
        extras: { accountId: account.accountId, accountName: account.name },
      };
    },

    async pageDevices(first, after, signal) {
      const account = await accountId(signal);
      const list = await listAllSites(open().client, signal);
      return pageDevices(reads(), account, list, first, after, signal);
    },

    registerWebhook: async (target, signal) => register(open().client, target, signal),
    unregisterWebhook: async (nativeId, signal) => open().client.deleteWebhook(nativeId, signal),

    async openMedia({ url }, signal) {
      // Its own pictures are behind the same credential; whoever else it names gets none.
      const isOwn = URL.parse(url)?.origin === baseUrl.origin;
      const { authorization } = open();
      const own = { ...tlsOf(options.settings), headers: () => authorization.headers() };
      return openAddress(http, url, signal, isOwn ? own : {});
    },

    async close() {
      isClosed = true;
      await connection?.client.close();
      connection = null;
    },
  };
}

function addressOf({ baseUrl }: AdapterOptions<VendorCloudSettings>): URL {
  if (baseUrl === null) throw new AdapterError('MISCONFIGURED', "the address of the vendor's API is missing");
  return baseUrl;
}

/**
 * Registers anew and then removes older registrations of the same address: the secret of an old one is not told again, and
 * for a moment with two the worst is a duplicate, where with none it would be a gap.
 */
async function register(
  client: VendorCloudClient,
  { url, profile, secret }: WebhookTarget,
  signal: AbortSignal,
): Promise<WebhookRegistration> {
  const previous = (await client.webhooks(signal)).filter((webhook) => webhook.url === url);
  const target = { url, secret, profile: profile.toLowerCase().replaceAll('_', '-') };
  let made: Awaited<ReturnType<VendorCloudClient['createWebhook']>>;
  try {
    made = await client.createWebhook(target, signal);
  } catch (error) {
    // A vendor that takes an address only once wants the old one gone first.
    if (!(error instanceof AdapterError) || error.status !== 409) throw error;
    for (const { nativeId } of previous) await client.deleteWebhook(nativeId, signal);
    made = await client.createWebhook(target, signal);
  }
  for (const { nativeId } of previous) if (nativeId !== made.nativeId) await client.deleteWebhook(nativeId, signal);
  return { nativeId: made.nativeId, secret: made.secret ?? secret };
}
