import { defineVendor } from '../../adapter-kit/define-vendor.ts';
import { createOnGuardAdapter } from './adapter.ts';
import { decode } from './decode.ts';
import { eventTable } from './event-mappings.ts';
import { OnGuardSettings } from './settings.ts';

const MINUTE_MS = 60_000;

/** LenelS2 OnGuard through OpenAccess 7.5 to 8.x. */
export const onGuard = defineVendor<OnGuardSettings>({
  slug: 'onguard',
  graphqlName: 'OnGuard',
  name: 'LenelS2 OnGuard',
  schemaPath: new URL('./schema.graphql', import.meta.url),
  settings: OnGuardSettings,
  credentialKinds: ['basic'],
  signatureProfiles: [],
  ingest: {
    webhooks: false,
    listens: true,
    polls: true,
    // A night without a single event is normal at a small site.
    expectedSilenceMs: 60 * MINUTE_MS,
    // Events keep states current; a listing asks every panel and leaves rows in a report of the site.
    syncIntervalMs: 60 * MINUTE_MS,
    pollIntervalMs: 15 * MINUTE_MS,
  },
  createAdapter: (options) => createOnGuardAdapter(options),
  eventTable,
  decode,
  simulator: () => import('./simulator.ts'),
});
