import { AdapterError } from '../../../adapter-kit/adapter-error.ts';
import type { AdapterOptions } from '../../../adapter-kit/define-vendor.ts';
import type { HttpClientOptions } from '../../../adapter-kit/http/http-client.ts';
import type { AcmeVmsSettings } from './settings.ts';
import { AcmeVmsDevicePage, AcmeVmsMe, type AcmeVmsSite, AcmeVmsSites } from './wire.ts';

/** The platform's own limits. */
export const MAX_PAGE = 200;
export const MAX_IDS = 100;

/** The calls of Acme VMS: I/O only, returns wire types, throws AdapterError. */
export interface AcmeVmsClient {
  /** Any answer, to a call without credentials: proves name, connection and certificate. */
  reach(signal: AbortSignal): Promise<void>;
  me(signal: AbortSignal): Promise<AcmeVmsMe>;
  sites(signal: AbortSignal): Promise<readonly AcmeVmsSite[]>;
  /** @param after `next` of the page before */
  devices(limit: number, after: string | null, signal: AbortSignal): Promise<AcmeVmsDevicePage>;
  /** @param ids at most MAX_IDS; those that the platform does not have are left out */
  devicesById(ids: readonly string[], signal: AbortSignal): Promise<AcmeVmsDevicePage>;
  close(): Promise<void>;
}

/** @throws AdapterError MISCONFIGURED or BLOCKED_ADDRESS for an address or credentials that cannot be used */
export function createAcmeVmsClient(baseUrl: URL, options: AdapterOptions<AcmeVmsSettings>): AcmeVmsClient {
  const { credentials, settings } = options;
  if (credentials?.kind !== 'apiKey') throw new AdapterError('MISCONFIGURED', 'the platform takes an API key');
  const shared: HttpClientOptions = {
    baseUrl,
    timeoutMs: settings.timeoutMs,
    tls: {
      ...(settings.tlsCa === undefined ? {} : { ca: settings.tlsCa }),
      ...(settings.tlsPinnedFingerprint === undefined ? {} : { pinnedFingerprint: settings.tlsPinnedFingerprint }),
    },
  };
  const http = options.http({ ...shared, headers: () => ({ authorization: `Bearer ${credentials.apiKey}` }) });

  return {
    async reach(signal) {
      const bare = options.http({ ...shared, retries: 0 });
      try {
        await bare.request({ path: 'api/me', signal });
      } finally {
        await bare.close();
      }
    },
    me: (signal) => http.json({ path: 'api/me', signal }, AcmeVmsMe),
    sites: async (signal) => (await http.json({ path: 'api/sites', signal }, AcmeVmsSites)).sites,
    devices: (limit, after, signal) =>
      http.json({ path: 'api/devices', query: { limit, after: after ?? undefined }, signal }, AcmeVmsDevicePage),
    devicesById: (ids, signal) =>
      http.json({ path: 'api/devices', query: { ids: ids.join(',') }, signal }, AcmeVmsDevicePage),
    close: () => http.close(),
  };
}
