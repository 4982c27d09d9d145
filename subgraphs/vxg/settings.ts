import { z } from 'zod';
import { commonSettings } from '../../adapter-kit/common-settings.ts';
import { EVENT_RULES } from './event-rules.ts';

const { liveDeadlineMs, pollIntervalMs } = commonSettings;
const word = z.string().min(1).max(100);
const EVENT_TYPES = [...new Set(EVENT_RULES.map(({ type }) => type))];

/** The part of the settings that decides what an event means. */
export const VxgEventSettings = z.object({
  /** Names of custom events of this installation, to one of our event types; before our own table. */
  eventTypes: z.record(word, z.enum(EVENT_TYPES)).default({}),
});

/** What an operator types beside address and key. Everything has a default. */
export const VxgSettings = z.strictObject({
  liveDeadlineMs,
  pollIntervalMs,
  ...VxgEventSettings.shape,
  /** Entries asked for on a page. The service may give fewer. */
  pageSize: z.int().min(1).max(1_000).default(500),
  /** Deadline of one call, in milliseconds. */
  timeoutMs: z.int().min(200).max(30_000).default(3_000),
  /** How often new events are asked for, in milliseconds. */
  eventIntervalMs: z.int().min(50).max(3_600_000).default(10_000),
  /** How far back events are looked for again and again: some are created late, with the earlier time at which they were. */
  lateEventMinutes: z.int().min(1).max(1_440).default(60),
  /** Channel groups that are sites, by id or name, beside those that the service itself made for sites. */
  siteGroups: z.array(word).max(1_000).default([]),
  /** Native id of the site of everything that names none. */
  defaultSiteId: z.string().min(1).max(200).default('default'),
  /** Whether CNVR servers are listed as recorders. */
  servers: z.boolean().default(true),
  /** Whether the host of a camera's source address is shown. The address itself, with its password, never is. */
  exposeSourceHost: z.boolean().default(false),
  /** Hosts beside the integration's own that a pasted access token may name as its API. */
  tokenHosts: z.array(z.string().min(1).max(253)).max(20).default([]),
  /** PEM of an authority to trust beside the public ones. */
  tlsCa: z.string().max(100_000).optional(),
  /** Accept exactly the certificate with this SHA-256 fingerprint, whatever its chain. */
  tlsPinnedFingerprint: z
    .string()
    .regex(/^[0-9a-fA-F:]{64,95}$/)
    .optional(),
});
export type VxgSettings = z.infer<typeof VxgSettings>;
