import { z } from 'zod';
import { commonSettings, tlsSettings } from '../../adapter-kit/common-settings.ts';
import { ACTIVITIES } from './event-types.ts';

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
  ...commonSettings,
  ...tlsSettings,
});
export type MilestoneSettings = z.infer<typeof MilestoneSettings>;
