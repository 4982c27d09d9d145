import { defineVendor } from '../../../adapter-kit/define-vendor.ts';
import { createAcmeVmsAdapter } from './adapter.ts';
import { decode } from './decode.ts';
import { eventTable } from './event-mappings.ts';
import { AcmeVmsSettings } from './settings.ts';

const MINUTE_MS = 60_000;

/** Acme VMS over its HTTP API, with webhooks. */
export const acmeVms = defineVendor<AcmeVmsSettings>({
  slug: 'acme-vms',
  graphqlName: 'AcmeVms',
  name: 'Acme VMS',
  schemaPath: new URL('./schema.graphql', import.meta.url),
  settings: AcmeVmsSettings,
  credentialKinds: ['apiKey'],
  signatureProfiles: ['STANDARD_WEBHOOKS'],
  ingest: {
    webhooks: true,
    listens: false,
    polls: true,
    expectedSilenceMs: 15 * MINUTE_MS,
    syncIntervalMs: 15 * MINUTE_MS,
    pollIntervalMs: MINUTE_MS,
  },
  createAdapter: createAcmeVmsAdapter,
  eventTable,
  decode,
  simulator: () => import('./simulator.ts'),
});
