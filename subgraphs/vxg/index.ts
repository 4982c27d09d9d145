import { defineVendor } from '../../adapter-kit/define-vendor.ts';
import { createVxgAdapter } from './adapter.ts';
import { decode } from './decode.ts';
import { eventTable } from './event-mappings.ts';
import { VxgSettings } from './settings.ts';

const MINUTE_MS = 60_000;

/** VXG cloud VMS over its core API. It pushes nothing: states come with the inventory, events by searching for them. */
export const vxg = defineVendor<VxgSettings>({
  slug: 'vxg',
  graphqlName: 'Vxg',
  name: 'VXG',
  schemaPath: new URL('./schema.graphql', import.meta.url),
  settings: VxgSettings,
  credentialKinds: ['apiKey'],
  signatureProfiles: [],
  ingest: {
    webhooks: false,
    listens: true,
    listensByAsking: true,
    polls: true,
    expectedSilenceMs: 15 * MINUTE_MS,
    syncIntervalMs: 15 * MINUTE_MS,
    pollIntervalMs: MINUTE_MS / 2,
  },
  createAdapter: createVxgAdapter,
  eventTable,
  decode,
  simulator: () => import('./simulator.ts'),
});
