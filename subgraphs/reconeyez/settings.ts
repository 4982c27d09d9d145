import { z } from 'zod';
import { commonSettings, tlsSettings } from '../../adapter-kit/common-settings.ts';
import { EVENT_FIELDS } from './event-fields.ts';
import { EVENT_NAMES } from './event-table.ts';

/** The platform answers slowly at times; live reads are bounded by their own, shorter deadline. */
const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 30_000;
const MAX_ALIASES = 20;

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

const area = z.string().max(300);
const word = z.string().min(1).max(100);
const timezone = z.string().max(100).refine(isTimezone, 'is no IANA time zone');
const { liveDeadlineMs, expectedSilenceMs, syncIntervalMs } = commonSettings;

/** What an operator types beside address, user and password. Everything has a default. */
export const ReconeyezSettings = z.strictObject({
  liveDeadlineMs,
  expectedSilenceMs,
  syncIntervalMs,
  /** Where the control API is, below the base URL. */
  controlPath: z.string().min(1).max(200).startsWith('/').default('/control/v1'),
  /** Deadline of one call, in milliseconds. */
  timeoutMs: z.int().min(200).max(MAX_TIMEOUT_MS).default(DEFAULT_TIMEOUT_MS),
  /** Zone of times that come without an offset; absent: such times are not used, the time of arrival is. */
  timezone: timezone.optional(),
  /** The same by area, before `timezone`. */
  areaTimezones: z.record(area, timezone).default({}),
  /** An area that was renamed in the cloud, to the name under which it is bound here. */
  areaAliases: z.record(area, area.min(1)).default({}),
  /** Where this tenant's deliveries say what, by field, before our own places; dots go into nested objects. */
  aliases: z.partialRecord(z.enum(EVENT_FIELDS), z.array(word).max(MAX_ALIASES)).default({}),
  /** This tenant's event names and codes, before our table. */
  eventNames: z.record(word, z.enum(EVENT_NAMES)).default({}),
  ...tlsSettings,
});
export type ReconeyezSettings = z.infer<typeof ReconeyezSettings>;
