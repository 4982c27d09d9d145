import { defineVendor } from '../../adapter-kit/define-vendor.ts';
import { createVendorCloudAdapter } from './adapter.ts';
import { decode } from './decode.ts';
import { eventTable } from './event-mappings.ts';
import { VendorCloudSettings } from './settings.ts';

const MINUTE_MS = 60_000;

/** Any vendor's cloud that keeps our contract: onboarded by settings, without code. */
export const vendorCloud = defineVendor<VendorCloudSettings>({
  slug: 'vendor-cloud',
  graphqlName: 'VendorCloud',
  name: 'Vendor cloud',
  schemaPath: new URL('./schema.graphql', import.meta.url),
  settings: VendorCloudSettings,
  credentialKinds: ['signedJwt', 'apiKey', 'oauthClient'],
  signatureProfiles: ['CONTRACT_V1', 'TIMESTAMPED_HMAC', 'STANDARD_WEBHOOKS'],
  ingest: {
    webhooks: true,
    listens: false,
    polls: true,
    expectedSilenceMs: 15 * MINUTE_MS,
    syncIntervalMs: 15 * MINUTE_MS,
    pollIntervalMs: MINUTE_MS,
  },
  createAdapter: createVendorCloudAdapter,
  eventTable,
  decode,
  simulator: () => import('./simulator.ts'),
});
