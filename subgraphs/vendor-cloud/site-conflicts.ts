// Device records may repeat name, address, position and time zone of their site. The site's own record counts; where the
// two differ, one of them is wrong at the vendor, and an operator should know before somebody drives there.
import type { Logger } from 'pino';
import type { ContractDevice, ContractSite } from '../../schema/contract/records.ts';
import type { Kept, WirePage } from './wire.ts';

export type SiteMember = 'name' | 'address' | 'position' | 'time zone';

/** Degrees, some ten kilometres: a campus is smaller, and a device may stand at its far end. */
const SAME_PLACE_DEGREES = 0.1;

/** How many devices contradict the record of their site, by what they contradict. Empty when all agree. */
export type SiteConflicts = ReadonlyMap<SiteMember, number>;

/** Spelling is no contradiction: `12 Main St.` and `12  main st` are one address. */
function fold(text: string): string {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Number}]+/gu, ' ')
    .trim();
}

function differ(told: string | null, own: string | null, folded: (text: string) => string): boolean {
  return told !== null && own !== null && told !== own && folded(told) !== folded(own);
}

/** Two names of one zone, `Asia/Calcutta` and `Asia/Kolkata`, are one zone. */
function canonicalZone(name: string): string {
  return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone;
}

function isElsewhere({ siteCoordinates: told }: ContractDevice, { coordinates: own }: ContractSite): boolean {
  if (told === null || own === null) return false;
  const eastWest = Math.abs(told.longitude - own.longitude);
  const apart = Math.max(Math.abs(told.latitude - own.latitude), Math.min(eastWest, 360 - eastWest));
  return apart > SAME_PLACE_DEGREES;
}

function contradicted(device: ContractDevice, site: ContractSite): readonly SiteMember[] {
  // It says that it is at another site: whatever it says of its site is about that one.
  if (device.siteId !== undefined && device.siteId !== site.siteId) return [];
  const members: SiteMember[] = [];
  if (differ(device.siteName, site.name, fold)) members.push('name');
  if (differ(device.siteAddress, site.address, fold)) members.push('address');
  if (isElsewhere(device, site)) members.push('position');
  if (differ(device.siteTimezone, site.timezone, canonicalZone)) members.push('time zone');
  return members;
}

export function siteConflicts(site: ContractSite, devices: readonly Kept<ContractDevice>[]): SiteConflicts {
  const conflicts = new Map<SiteMember, number>();
  for (const { value } of devices)
    for (const member of contradicted(value, site)) conflicts.set(member, (conflicts.get(member) ?? 0) + 1);
  return conflicts;
}

/** For people: `name (3 devices), time zone (1 device)`. Names and addresses themselves stay out of it. */
export function describeConflicts(conflicts: SiteConflicts): string {
  return [...conflicts].map(([member, count]) => `${member} (${count} device${count === 1 ? '' : 's'})`).join(', ');
}

export interface SiteWatch {
  /** Takes note of a page of a site's inventory. */
  note(site: ContractSite, page: WirePage<ContractDevice>): void;
}

/** Tells the log of a site whose devices contradict it: once, and not at every listing. */
export function createSiteWatch(logger: Logger): SiteWatch {
  const told = new Set<string>();
  return {
    note(site, { items }) {
      if (told.has(site.siteId)) return;
      const conflicts = siteConflicts(site, items);
      if (conflicts.size === 0) return;
      told.add(site.siteId);
      logger.warn(
        { nativeSiteId: site.siteId, conflicts: describeConflicts(conflicts) },
        'Device records contradict the record of their site; the record of the site counts',
      );
    },
  };
}
