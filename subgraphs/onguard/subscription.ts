// Our event subscription: one per integration, kept at the platform and found again by its description.
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { type OnGuardClient, PAGE_SIZE } from './client.ts';
import type { OnGuardSettings } from './settings.ts';
import { WireSubscription } from './wire.ts';

/** An account sees its own subscriptions only: a handful, unless somebody makes one per start. */
const MAX_PAGES = 50;

export function subscriptionName({ events }: OnGuardSettings, integrationId: string): string {
  return events.subscription ?? `convergraph:${integrationId}`;
}

/** @returns null when there is none of this name */
export async function findSubscription(
  client: OnGuardClient,
  name: string,
  signal: AbortSignal,
): Promise<WireSubscription | null> {
  for (let page = 1; page <= MAX_PAGES; page += 1) {
    const { records } = await client.subscriptions(page, signal);
    for (const record of records) {
      const parsed = WireSubscription.safeParse(record);
      if (parsed.success && parsed.data.description === name) return parsed.data;
    }
    if (records.length < PAGE_SIZE) return null;
  }
  throw new AdapterError('TOO_LARGE', `the account has more than ${MAX_PAGES * PAGE_SIZE} event subscriptions`);
}

export async function ensureSubscription(
  client: OnGuardClient,
  name: string,
  isDurable: boolean,
  signal: AbortSignal,
): Promise<WireSubscription> {
  return (await findSubscription(client, name, signal)) ?? client.createSubscription(name, isDurable, signal);
}
