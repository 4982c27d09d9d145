import { z } from 'zod';
import { ACTIVITIES } from './event-types.ts';

const DAY_MS = 86_400_000;

/** What an operator types beside address and user. Everything has a default. */
export const MilestoneSettings = z.strictObject({
  /**
   * What is a site: the management server (one site), or every recording server (one per branch, when branches have their
   * own). The latter lists no device for the management server: it belongs to no branch.
   */
  siteLevel: z.enum(['management-server', 'recording-server']).default('management-server'),
  /** Where the gateway is; the address of the integration itself when absent. */
  gatewayPath: z.string().min(1).max(200).startsWith('/').default('/api'),
  /** Where tokens come from. Through the gateway by default; `/IDP` on the management server itself. */
  identityProviderPath: z.string().min(1).max(200).startsWith('/').default('/API/IDP'),
  /** Entries asked for on a page. */
  pageSize: z.int().min(1).max(500).default(500),
  /** Deadline of one call of a live read, in milliseconds. */
  timeoutMs: z.int().min(200).max(30_000).default(3_000),
  /** Deadline of one call of an inventory listing, in milliseconds: large systems take long. */
  listTimeoutMs: z.int().min(200).max(600_000).default(180_000),
  /** Events that are many and say nothing about faults, on request. */
  activities: z.array(z.enum(ACTIVITIES)).max(ACTIVITIES.length).default([]),
  /** MAC, serial number and firmware: one call per hardware, cached. */
  driverSettings: z.boolean().default(true),
  /** Names of camera groups as zones: one call per group. */
  zonesFromGroups: z.boolean().default(true),
  /** Deadline of live reads, in milliseconds; may lower the default of 3 s. */
  liveDeadlineMs: z.int().min(100).max(3_000).optional(),
  /** How long the platform may be silent before we poll, in milliseconds. */
  expectedSilenceMs: z
    .int()
    .min(1_000)
    .max(7 * DAY_MS)
    .optional(),
  /** How often the whole inventory is read, in milliseconds. */
  syncIntervalMs: z
    .int()
    .min(10_000)
    .max(7 * DAY_MS)
    .optional(),
  /** How often we poll while polling stands in for events, in milliseconds. */
  pollIntervalMs: z.int().min(1_000).max(DAY_MS).optional(),
  /** How far a webhook's timestamp may be from our clock, in seconds. */
  webhookToleranceSeconds: z.int().min(1).max(3_600).optional(),
  /** PEM of an authority to trust beside the public ones. */
  tlsCa: z.string().max(100_000).optional(),
  /** Accept exactly the certificate with this SHA-256 fingerprint, whatever its chain and name. */
  tlsPinnedFingerprint: z
    .string()
    .regex(/^[0-9a-fA-F:]{64,95}$/)
    .optional(),
});
export type MilestoneSettings = z.infer<typeof MilestoneSettings>;
