// What devices of adapters on site can do, and how their states are told. Their words are in schema/contract/on-site.ts.
// @see convergint/on-prem-to-cloud, README of 2026: sample inventory and health event of the adapter on site
import type { DeviceCapability, DeviceState, Severity } from '../../schema/words.ts';

/** The contract on site has one family of events. */
export const CAPABILITIES: readonly DeviceCapability[] = ['EMITS_HEALTH'];

/** How a state is told. */
export const TOLD: Readonly<Record<DeviceState, { readonly severity: Severity; readonly words: string }>> = {
  ONLINE: { severity: 'NOTICE', words: 'is online' },
  OFFLINE: { severity: 'WARNING', words: 'is offline' },
  DEGRADED: { severity: 'WARNING', words: 'has a fault' },
  UNKNOWN: { severity: 'NOTICE', words: 'is in an unknown state' },
};
