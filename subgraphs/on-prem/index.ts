import { defineVendor } from '../../adapter-kit/define-vendor.ts';
import { createOnPremAdapter } from './adapter.ts';
import { decode, decodeInventory } from './decode.ts';
import { eventTable } from './event-mappings.ts';
import { OnPremSettings } from './settings.ts';

const MINUTE_MS = 60_000;

/** An adapter at the customer's site that pushes lists and events to us; nothing reaches it from outside. */
export const onPrem = defineVendor<OnPremSettings>({
  slug: 'on-prem',
  graphqlName: 'OnPrem',
  name: 'On-prem adapter',
  schemaPath: new URL('./schema.graphql', import.meta.url),
  settings: OnPremSettings,
  credentialKinds: [],
  signatureProfiles: ['STANDARD_WEBHOOKS', 'TIMESTAMPED_HMAC', 'CONTRACT_V1'],
  ingest: {
    webhooks: true,
    listens: false,
    polls: false,
    pushOnly: true,
    acceptsGzip: true,
    expectedSilenceMs: 15 * MINUTE_MS,
    // How often the adapter on site is expected to send its whole list.
    syncIntervalMs: 60 * MINUTE_MS,
    pollIntervalMs: 60 * MINUTE_MS,
  },
  createAdapter: createOnPremAdapter,
  eventTable,
  decode,
  decodeInventory,
  simulator: () => import('./simulator.ts'),
});
