import { defineVendor } from '../../adapter-kit/define-vendor.ts';
import { createMilestoneAdapter } from './adapter.ts';
import { decode } from './decode.ts';
import { eventTable } from './event-mappings.ts';
import { MilestoneSettings } from './settings.ts';

const MINUTE_MS = 60_000;

/** Milestone XProtect 2023 R3 and later, through its API gateway. */
export const milestone = defineVendor<MilestoneSettings>({
  slug: 'milestone',
  graphqlName: 'Milestone',
  name: 'Milestone XProtect',
  schemaPath: new URL('./schema.graphql', import.meta.url),
  settings: MilestoneSettings,
  credentialKinds: ['basic'],
  signatureProfiles: ['MILESTONE_NATIVE'],
  ingest: {
    webhooks: true,
    listens: true,
    polls: true,
    // Under a narrow subscription a healthy system says nothing for hours.
    expectedSilenceMs: 60 * MINUTE_MS,
    syncIntervalMs: 30 * MINUTE_MS,
    pollIntervalMs: 5 * MINUTE_MS,
  },
  createAdapter: createMilestoneAdapter,
  eventTable,
  decode,
  simulator: () => import('./simulator.ts'),
});
