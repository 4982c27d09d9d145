import { z } from 'zod';
import { Account, InventoryPage, OlderDevice, OnSiteInventory, SitesPage, WebhookBody } from './revisions.ts';

const PUBLISHED = {
  account: Account,
  'sites-page': SitesPage,
  'inventory-page': InventoryPage,
  'device-older': OlderDevice,
  'inventory-on-site': OnSiteInventory,
  webhook: WebhookBody,
} as const;

/** JSON Schema (draft 2020-12) of everything a vendor sends, by file name without its ending. */
export function contractJsonSchemas(): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(PUBLISHED).map(([name, schema]) => [name, z.toJSONSchema(schema, { io: 'input' })]),
  );
}
