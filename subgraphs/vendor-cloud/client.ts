/**
 * The calls of a vendor's cloud: I/O only, returns what the wire says, throws AdapterError.
 *
 * @see the vendor contract, section 3
 */
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { HttpClient, HttpClientFactory, HttpRequest, TlsPolicy } from '../../adapter-kit/http/http-client.ts';
import type { ContractAccount, ContractDevice, ContractSite } from '../../schema/contract/records.ts';
import type { Authorization } from './auth.ts';
import type { Dialect } from './dialect.ts';
import type { VendorCloudSettings } from './settings.ts';
import {
  accountSchema,
  inventoryPageSchema,
  sitesPageSchema,
  type WirePage,
  WireWebhook,
  WireWebhooks,
} from './wire.ts';

/** The contract's own figure for sites. */
const SITES_PER_PAGE = 50;

export interface VendorCloudClient {
  /** Any answer at all to a call without credentials: proves name, connection and TLS. */
  reach(signal: AbortSignal): Promise<void>;
  account(signal: AbortSignal): Promise<ContractAccount>;
  /** @param page counted from 1 */
  sitesPage(page: number, signal: AbortSignal): Promise<WirePage<ContractSite>>;
  inventoryPage(
    siteId: string,
    accountId: string,
    page: number,
    signal: AbortSignal,
  ): Promise<WirePage<ContractDevice>>;
  /** @throws AdapterError NOT_SUPPORTED when the vendor has no webhook API */
  webhooks(signal: AbortSignal): Promise<readonly WireWebhook[]>;
  createWebhook(target: { url: string; secret: string; profile: string }, signal: AbortSignal): Promise<WireWebhook>;
  deleteWebhook(id: string, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

function fillIn(path: string, values: Readonly<Record<string, string>>): string {
  return path.replaceAll(/\{(site_id|account_id)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ''));
}

/** For tests of what went wrong at the transport; HTTP answers of any status prove that it works. */
function isAnswer(error: unknown): boolean {
  return error instanceof AdapterError && error.status !== null;
}

/** How the vendor's certificate is judged. */
export function tlsOf({ tlsCa, tlsPinnedFingerprint }: VendorCloudSettings): { readonly tls: TlsPolicy } {
  return {
    tls: {
      ...(tlsCa === undefined ? {} : { ca: tlsCa }),
      ...(tlsPinnedFingerprint === undefined ? {} : { pinnedFingerprint: tlsPinnedFingerprint }),
    },
  };
}

export function createVendorCloudClient(
  baseUrl: URL,
  http: HttpClientFactory,
  authorization: Authorization,
  dialect: Dialect,
): VendorCloudClient {
  const { settings } = dialect;
  const shared = {
    baseUrl,
    timeoutMs: settings.timeoutMs,
    ...tlsOf(settings),
  };
  const client: HttpClient = http({ ...shared, headers: () => authorization.headers() });
  const schemas = {
    account: accountSchema(dialect),
    sites: sitesPageSchema(dialect),
    inventory: inventoryPageSchema(dialect),
  };

  /** A token that was revoked early is replaced once; a second refusal is the answer. */
  async function authorized<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      const isRefused = error instanceof AdapterError && error.code === 'UNAUTHENTICATED';
      if (!isRefused || !authorization.renew()) throw error;
      return call();
    }
  }

  /** The webhook API is optional: that it is not there is no fault. */
  async function optional<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await authorized(call);
    } catch (error) {
      if (error instanceof AdapterError && (error.code === 'NOT_FOUND' || error.status === 405 || error.status === 501))
        throw new AdapterError('NOT_SUPPORTED', 'the vendor has no webhook API', {
          cause: error,
          status: error.status,
        });
      throw error;
    }
  }

  return {
    async reach(signal) {
      const bare = http({ ...shared, retries: 0 });
      try {
        await bare.request({ path: settings.paths.account, signal });
      } catch (error) {
        if (!isAnswer(error)) throw error;
      } finally {
        await bare.close();
      }
    },
    account: (signal) => authorized(() => client.json({ path: settings.paths.account, signal }, schemas.account)),
    sitesPage(page, signal) {
      const query = { page, per_page: SITES_PER_PAGE };
      return authorized(() => client.json({ path: settings.paths.sites, query, signal }, schemas.sites));
    },
    inventoryPage(siteId, accountId, page, signal) {
      const request: HttpRequest = {
        path: fillIn(settings.paths.inventory, { site_id: siteId, account_id: accountId }),
        query: { page, per_page: settings.perPage },
        signal,
      };
      return authorized(() => client.json(request, schemas.inventory));
    },
    webhooks: (signal) => optional(() => client.json({ path: settings.paths.webhooks, signal }, WireWebhooks)),
    createWebhook({ url, secret, profile }, signal) {
      const json = { url, secret, signature_profile: profile, events: ['*'] };
      return optional(() => client.json({ method: 'POST', path: settings.paths.webhooks, json, signal }, WireWebhook));
    },
    async deleteWebhook(id, signal) {
      const path = `${settings.paths.webhooks}/${encodeURIComponent(id)}`;
      try {
        await authorized(() => client.request({ method: 'DELETE', path, signal }));
      } catch (error) {
        // Gone already is what was asked for.
        if (!(error instanceof AdapterError) || error.code !== 'NOT_FOUND') throw error;
      }
    },
    async close() {
      await Promise.all([client.close(), authorization.close()]);
    },
  };
}
