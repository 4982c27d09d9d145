import { defineVendor } from '../../adapter-kit/define-vendor.ts';
import { createReconeyezAdapter } from './adapter.ts';
import { decode } from './decode.ts';
import { eventTable } from './event-mappings.ts';
import { ReconeyezSettings } from './settings.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Detectors report every hour or every day, by kind; beyond twice the longer of the two silence means something. */
const STALE_AFTER_MS = 48 * HOUR_MS + 30 * MINUTE_MS;
/** Of a whole integration: some of its detectors report every hour. */
const EXPECTED_SILENCE_MS = 2 * HOUR_MS + 30 * MINUTE_MS;

/** Reconeyez: wireless camera detectors, bridges and sirens behind the vendor's cloud. */
export const reconeyez = defineVendor<ReconeyezSettings>({
  slug: 'reconeyez',
  graphqlName: 'Reconeyez',
  name: 'Reconeyez',
  schemaPath: new URL('./schema.graphql', import.meta.url),
  settings: ReconeyezSettings,
  credentialKinds: ['basic'],
  signatureProfiles: ['PATH_SECRET'],
  ingest: {
    webhooks: true,
    listens: false,
    // The control API lists devices and says nothing about how they are.
    polls: false,
    expectedSilenceMs: EXPECTED_SILENCE_MS,
    syncIntervalMs: 15 * MINUTE_MS,
    pollIntervalMs: 5 * MINUTE_MS,
    staleAfterMs: STALE_AFTER_MS,
    // Ten pictures of 20 kB in Base64 are 270 kB; clips are larger.
    maxDeliveryBytes: 8 * 1_024 * 1_024,
  },
  createAdapter: createReconeyezAdapter,
  eventTable,
  decode,
  simulator: () => import('./simulator.ts'),
});
