import { z } from 'zod';
import { commonSettings } from '../../adapter-kit/common-settings.ts';
import { ContractAliasSettings } from '../../schema/contract/aliases.ts';
import { DEVICE_STATES, DEVICE_TYPES } from '../../schema/words.ts';

const word = z.string().min(1).max(100);

/** What an operator types; an adapter that writes the contract's names and words needs none of it. */
export const OnPremSettings = z.strictObject({
  webhookToleranceSeconds: commonSettings.webhookToleranceSeconds,
  /** How long nothing may arrive before the adapter counts as missing; default 15 minutes. It sends heartbeats. */
  expectedSilenceMs: commonSettings.expectedSilenceMs,
  /**
   * Lists that say nothing about parts are everything the adapter knows, so that what is missing from two in a row is gone.
   * Default false: nothing is ever removed by a list that may be a part of one.
   */
  listsAreComplete: z.boolean().default(false),
  /** Names of members that this adapter uses instead of the contract's, by record and member. */
  aliases: ContractAliasSettings.default({}),
  /** This adapter's words for kinds of equipment, before our table. */
  typeWords: z.record(word, z.enum(DEVICE_TYPES)).default({}),
  /** This adapter's words for states, before our table. */
  statusWords: z.record(word, z.enum(DEVICE_STATES)).default({}),
});
export type OnPremSettings = z.infer<typeof OnPremSettings>;
