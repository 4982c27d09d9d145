import { z } from 'zod';
import { commonSettings, tlsSettings } from '../../adapter-kit/common-settings.ts';
import { ContractAliasSettings } from '../../schema/contract/aliases.ts';
import { DEVICE_STATES, DEVICE_TYPES } from '../../schema/words.ts';
import { EventCatalogue } from './event-catalogue.ts';
import { EVENT_RULES } from './event-rules.ts';

const path = z.string().min(1).max(300).startsWith('/');
const word = z.string().min(1).max(100);
const EVENT_TYPES = [...new Set(EVENT_RULES.map(({ type }) => type))];

/** What an operator types beside address and credentials. Everything has a default: a conforming vendor needs none of it. */
export const VendorCloudSettings = z.strictObject({
  /** The account at the vendor, for vendors that have no account call. */
  accountId: z.string().min(1).max(200).optional(),
  /** Entries asked for on a page of the inventory. */
  perPage: z.int().min(1).max(500).default(100),
  /** Deadline of one call, in milliseconds. */
  timeoutMs: z.int().min(200).max(30_000).default(3_000),
  /** Where the calls are; `{site_id}` and `{account_id}` are filled in. */
  paths: z
    .strictObject({
      account: path.default('/api/v1/account'),
      sites: path.default('/api/v1/account/sites'),
      inventory: path.default('/api/v1/sites/{site_id}/inventory'),
      webhooks: path.default('/webhooks'),
    })
    .prefault({}),
  /** Names of members that this vendor uses instead of the contract's, by record and member. */
  aliases: ContractAliasSettings.default({}),
  /** This vendor's words for kinds of equipment, before our table. */
  typeWords: z.record(word, z.enum(DEVICE_TYPES)).default({}),
  /** This vendor's words for states, before our table. */
  statusWords: z.record(word, z.enum(DEVICE_STATES)).default({}),
  /** This vendor's event types, before our table: its `event_type`, or `event_type/word`, to one of ours. */
  eventTypes: z.record(word, z.enum(EVENT_TYPES)).default({}),
  /** This vendor's own list of its event types, as it hands it out: codes with their names and families. */
  eventCatalogue: EventCatalogue.default([]),
  /**
   * Whether a device's id is only unique within its `system_id`. `auto`: UUIDs stand alone, other ids belong to their
   * system. `never` for vendors whose events do not name the system although their inventory does.
   */
  systemIds: z.enum(['auto', 'always', 'never']).default('auto'),
  ...commonSettings,
  ...tlsSettings,
});
export type VendorCloudSettings = z.infer<typeof VendorCloudSettings>;
