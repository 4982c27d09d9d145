import { z } from 'zod';
import { commonSettings, tlsSettings } from '../../adapter-kit/common-settings.ts';
import { OVERRIDE_TYPES } from './event-rules.ts';

// There are no webhooks whose time could be judged.
const { webhookToleranceSeconds: _, ...ownSettings } = commonSettings;

/** What an operator types beside address and account. */
export const OnGuardSettings = z.strictObject({
  /** License feature name of this integration (`Application-Id`); without it in the customer's license nothing answers. */
  applicationId: z.string().min(1).max(200),
  /** Directory of the account, by name or id (`id-1`); absent for internal OnGuard accounts. */
  directory: z.string().min(1).max(200).optional(),
  /** What the whole system is called where it has no segments. */
  systemName: z.string().min(1).max(200).default('OnGuard'),
  /** Deadline of one call, in milliseconds; the platform itself gives up after 30 s. */
  timeoutMs: z.int().min(200).max(30_000).default(10_000),
  /** From asking a panel to refresh its status to reading it, in milliseconds. */
  statusSettleMs: z.int().min(0).max(10_000).default(1_500),
  /** Whether a listing reads the status of every panel, reader and board: each call leaves a row in a report of the site. */
  statusInListing: z.boolean().default(true),
  /** Status calls per second of a listing; 0: no limit. */
  statusCallsPerSecond: z.int().min(0).max(1_000).default(10),
  /** What is listed beside panels, readers and boards. */
  types: z
    .strictObject({
      inputs: z.boolean().default(true),
      outputs: z.boolean().default(true),
      cameras: z.boolean().default(true),
    })
    .prefault({}),
  events: z
    .strictObject({
      /** `auto`: WebSocket where the platform offers it and the way there lets it through, else long polling. */
      transport: z.enum(['auto', 'webSockets', 'longPolling']).default('auto'),
      /** Whether the platform keeps events for us while we are away. */
      durable: z.boolean().default(true),
      /** Names our event subscription; it is found again by it. Default: made from the integration's id. */
      subscription: z.string().min(1).max(200).optional(),
    })
    .prefault({}),
  /** What an event code means at this site, before our table: for descriptions that are translated or made up. */
  eventOverrides: z
    .array(
      z.strictObject({
        typeId: z.int(),
        /** Absent: every subtype. */
        subTypeId: z.int().optional(),
        type: z.enum(OVERRIDE_TYPES),
      }),
    )
    .max(1_000)
    .default([]),
  /** From which `alarm_priority` on an event is at least this severe; priorities are the site's own. */
  priorities: z
    .strictObject({
      critical: z.int().min(0).max(256).default(200),
      warning: z.int().min(0).max(256).default(100),
    })
    .prefault({}),
  /** Keeps names and the end of badge numbers of access events. Default: they are left out. */
  keepPersonalData: z.boolean().default(false),
  ...ownSettings,
  ...tlsSettings,
});
export type OnGuardSettings = z.infer<typeof OnGuardSettings>;
