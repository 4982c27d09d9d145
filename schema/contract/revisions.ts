// The vendor contract as vendors are asked to write it, for publication and conformance checks. Reading is more lenient
// than this: see aliases.ts and records.ts.
import { z } from 'zod';

const id = (what: string) => z.string().min(1).max(200).describe(`${what} A UUID is strongly recommended.`);
const instant = (what: string) => z.iso.datetime({ offset: true }).describe(`${what} RFC 3339 with a time zone.`);
const status = z.string().min(1).describe('The latest known status: `online`, `offline`, or an equivalent word.');
const MAC_EXAMPLE = '00:1B:44:11:3A:B7';

export const Pagination = z
  .object({
    page: z.int().min(1).describe('This page, counted from 1.'),
    per_page: z.int().min(1).describe('Entries on a full page.'),
    total_pages: z.int().min(0).describe('Pages in all.'),
    total_count: z.int().min(0).describe('Entries in all: completeness of a sync is proven against it.'),
  })
  .describe('Where the page stands in its list.');

export const Account = z
  .object({ account_id: id('The customer account.'), name: z.string().min(1).describe('Its name.') })
  .describe('`GET /api/v1/account`');

export const Site = z.object({
  site_id: id('The premises.'),
  name: z.string().min(1).describe('Name of the premises.'),
  address: z.string().optional().describe('Postal address in one line; this or coordinates.'),
  coordinates: z
    .object({ latitude: z.number().describe('Degrees north.'), longitude: z.number().describe('Degrees east.') })
    .optional()
    .describe('WGS 84.'),
  timezone: z.string().optional().describe('IANA time zone, for example `Europe/Oslo`.'),
});

export const SitesPage = z
  .object({ sites: z.array(Site), pagination: Pagination })
  .describe('`GET /api/v1/account/sites?page=1&per_page=50`');

const niceToHave = {
  site_name: z.string().optional().describe('Name of the premises, as in their own record.'),
  site_address: z.string().optional().describe('Postal address of the premises, as in their own record.'),
  timezone: z.string().optional().describe('IANA time zone of the premises, as in their own record.'),
  ip: z.string().optional().describe('IP address.'),
  hostname: z.string().optional().describe('Host name.'),
  last_seen: instant('When it was last heard.').optional(),
  model: z.string().optional().describe('Model.'),
  firmware_version: z.string().optional().describe('Firmware version.'),
};

export const Device = z.object({
  device_id: id('The device, unique in the account, or in its system where `system_id` is given.'),
  name: z.string().min(1).describe('Name or label.'),
  type: z.string().min(1).describe('Kind of equipment, for example `camera`, `door`, `panel`.'),
  status: status.optional(),
  mac_address: z
    .string()
    .optional()
    .meta({ description: 'MAC address.', examples: [MAC_EXAMPLE] }),
  site_id: id('The premises.'),
  ...niceToHave,
  system_id: z.string().optional().describe('The logical system, where one account has several at a site.'),
  warranty_expires_at: z.string().optional().describe('End of warranty, a date.'),
  end_of_support_at: z.string().optional().describe('End of support, a date.'),
});

export const InventoryPage = z
  .object({ devices: z.array(Device), pagination: Pagination })
  .describe('`GET /api/v1/sites/{site_id}/inventory?page=1&per_page=100`');

export const OlderDevice = z.object({
  id: id('The device.'),
  name: z.string().min(1).describe('Name or label.'),
  type: z.string().min(1).describe('Kind of equipment.'),
  org_id: id('The customer account.'),
  site_id: id('The premises.'),
  mac_address: z.string().optional().describe('MAC address, if available.'),
  status: status.optional(),
  ...niceToHave,
});

export const Event = z
  .object({
    event_id: id('Stable over retries; without it the content makes the identity.').optional(),
    event_type: z
      .string()
      .min(1)
      .meta({ description: 'The family: `health`, `alarm`, `access`, `video`, …', examples: ['health', 'access'] }),
    device_id: id('The device.').optional(),
    system_id: z.string().optional().describe('The logical system, where `device_id` is only unique within it.'),
    timestamp: instant('When it happened.'),
    account_id: id('The customer account.'),
    site_id: id('The premises.'),
    data: z.record(z.string(), z.unknown()).describe("The family's attributes; `status` for `health`."),
  })
  .describe('One event, newer revision.');

export const OlderEvent = z
  .object({
    event_id: id('Stable over retries.').optional(),
    event_type: z.string().optional().describe('Absent for a health event.'),
    device_id: id('The device.'),
    status: status.optional(),
    timestamp: instant('When it happened.'),
    org_id: id('The customer account.'),
    site_id: id('The premises.'),
  })
  .describe('One event, older revision.');

export const MinimalEvent = z
  .object({ device_id: id('The device.'), status, timestamp: instant('When it happened.') })
  .describe('The on-site shape: for an integration that is bound to exactly one site.');

export const WebhookBody = z
  .union([Event, OlderEvent, MinimalEvent])
  .describe('What a vendor posts to `/webhooks/{integrationId}`. Up to 1,000 of them may come as a JSON list.');

export const OnSiteInventory = z
  .object({
    devices: z.array(
      z.object({
        id: id('The device.'),
        name: z.string().min(1).describe('Name or label.'),
        type: z.string().min(1).describe('`camera`, `access_control`, `door`, …'),
        customer_id: id('The customer account.'),
        status: status.optional(),
        mac_address: z.string().optional().describe('MAC address, if available.'),
        ip: z.string().optional().describe('IP address.'),
      }),
    ),
  })
  .describe('What an adapter on site pushes.');
