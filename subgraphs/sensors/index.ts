import { defineVendor } from '../../adapter-kit/define-vendor.ts';
import { createSensorsAdapter } from './adapter.ts';
import { decode } from './decode.ts';
import { eventTable } from './event-mappings.ts';
import { SensorsSettings } from './settings.ts';

const MINUTE_MS = 60_000;

/** Sensors of any maker over MQTT, ONVIF, Modbus/TCP and HTTP push: a list of them, and the cameras that see each. */
export const sensors = defineVendor<SensorsSettings>({
  slug: 'sensors',
  graphqlName: 'Sensor',
  name: 'Sensors',
  schemaPath: new URL('./schema.graphql', import.meta.url),
  settings: SensorsSettings,
  credentialKinds: ['basic', 'apiKey'],
  signatureProfiles: ['PATH_SECRET', 'TIMESTAMPED_HMAC', 'STANDARD_WEBHOOKS'],
  ingest: {
    webhooks: true,
    listens: true,
    polls: true,
    expectedSilenceMs: 30 * MINUTE_MS,
    syncIntervalMs: 15 * MINUTE_MS,
    pollIntervalMs: MINUTE_MS,
  },
  createAdapter: createSensorsAdapter,
  eventTable,
  decode,
  simulator: () => import('./simulator.ts'),
});
