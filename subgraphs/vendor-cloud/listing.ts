// Walks the paged lists of a vendor's cloud.
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { DevicePage } from '../../adapter-kit/model.ts';
import type { ContractDevice, ContractSite } from '../../schema/contract/records.ts';
import type { VendorCloudClient } from './client.ts';
import type { Dialect } from './dialect.ts';
import { normalizeDevice, type Place } from './normalize.ts';
import type { RejectedEntry, WirePage } from './wire.ts';

/** Pages of one list: at a hundred entries a million, more than any site or account has. */
const MAX_PAGES = 10_000;
/** Sites that may fail before the rest is not tried: one bad site is theirs, many are the platform. */
const MAX_FAILED_SITES = 3;

/** Faults of the platform or the credential as a whole: the next site would fare no better. */
const FATAL: ReadonlySet<string> = new Set([
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'RATE_LIMITED',
  'BLOCKED_ADDRESS',
  'MISCONFIGURED',
]);

/** Whether another page follows, by what this one says. A vendor that says nothing has one page. */
export function hasNext(page: WirePage<unknown>, number: number, seen: number): boolean {
  const onPage = page.items.length + page.rejected.length;
  if (onPage === 0) return false;
  if (page.totalPages !== null) return number < page.totalPages;
  return page.totalCount !== null && seen < page.totalCount;
}

/** Every page of a list, in order. @throws AdapterError as the calls do; BAD_PAYLOAD for a list without an end */
export async function* walk<T>(
  read: (number: number) => Promise<WirePage<T>>,
): AsyncGenerator<{ readonly number: number; readonly page: WirePage<T> }> {
  let seen = 0;
  for (let number = 1; number <= MAX_PAGES; number += 1) {
    const page = await read(number);
    seen += page.items.length + page.rejected.length;
    yield { number, page };
    if (!hasNext(page, number, seen)) return;
  }
  throw new AdapterError('BAD_PAYLOAD', `the list has more than ${MAX_PAGES} pages`);
}

export interface SiteList {
  readonly sites: readonly ContractSite[];
  readonly rejected: readonly RejectedEntry[];
}

export async function listAllSites(client: VendorCloudClient, signal: AbortSignal): Promise<SiteList> {
  // By id: a site that moves to the next page while we read is still one site.
  const sites = new Map<string, ContractSite>();
  const rejected: RejectedEntry[] = [];
  for await (const { page } of walk((number) => client.sitesPage(number, signal))) {
    for (const { value } of page.items) sites.set(value.siteId, value);
    rejected.push(...page.rejected);
  }
  return { sites: [...sites.values()], rejected };
}

export interface InventoryWalk {
  readonly client: VendorCloudClient;
  readonly dialect: Dialect;
  readonly accountId: string;
  readonly list: SiteList;
  /** Told of every page, so that live reads know where a device was. */
  readonly onPage: (place: Place, number: number, page: WirePage<ContractDevice>) => void;
}

/**
 * The whole inventory, site by site. A site that fails does not hide the others: they are listed, then its fault is thrown.
 * The last page carries the sum of the sites' totals, to prove completeness against.
 */
export async function* listInventory(walked: InventoryWalk, signal: AbortSignal): AsyncGenerator<DevicePage> {
  const { client, dialect, accountId, list } = walked;
  const failures: AdapterError[] = [];
  let total: number | null = 0;
  // One page is held back: only the last one knows the sum.
  let held: DevicePage = {
    devices: [],
    rejected: list.rejected.map(({ nativeId, reason }) => ({ nativeId, reason: `site: ${reason}` })),
  };
  for (const site of list.sites) {
    const place: Place = { accountId: site.accountId ?? accountId, siteId: site.siteId };
    try {
      let ofSite: number | null = null;
      const pages = walk((number) => client.inventoryPage(place.siteId, place.accountId, number, signal));
      for await (const { number, page } of pages) {
        walked.onPage(place, number, page);
        ofSite = page.totalCount;
        if (held.devices.length > 0 || (held.rejected ?? []).length > 0) yield held;
        held = {
          devices: page.items.map((item) => normalizeDevice(item, place, dialect)),
          rejected: page.rejected,
        };
      }
      total = total === null || ofSite === null ? null : total + ofSite;
    } catch (error) {
      if (!(error instanceof AdapterError) || FATAL.has(error.code) || signal.aborted) throw error;
      failures.push(error);
      if (failures.length >= MAX_FAILED_SITES) break;
    }
  }
  const [failure] = failures;
  yield failure === undefined ? { ...held, totalCount: total } : held;
  if (failure !== undefined) throw failure;
}
