// Live reads with the fewest calls. The contract can list a site and cannot ask for one device, so that a read finds
// pages: first those where the device was last seen, then the rest of its site.
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { DeviceRef, LiveDevice } from '../../adapter-kit/model.ts';
import type { ContractDevice } from '../../schema/contract/records.ts';
import type { VendorCloudClient } from './client.ts';
import type { Dialect } from './dialect.ts';
import { hasNext } from './listing.ts';
import { nativeIdOf, normalizeLive, type Place } from './normalize.ts';
import type { WirePage } from './wire.ts';

/** Places remembered per integration; beyond it they are forgotten and found again by walking. */
const MAX_HINTS = 100_000;
/** Pages of one site read at once. */
const WAVE = 4;

/** Where devices were when their page was last read. A hint may be wrong; it never decides an answer. */
export interface PageHints {
  note(place: Place, number: number, page: WirePage<ContractDevice>): void;
  pageOf(siteId: string, nativeId: string): number | undefined;
}

export function createPageHints(dialect: Dialect): PageHints {
  const pages = new Map<string, number>();
  const keyOf = (siteId: string, nativeId: string): string => JSON.stringify([siteId, nativeId]);
  return {
    note(place, number, page) {
      if (pages.size + page.items.length > MAX_HINTS) pages.clear();
      for (const { value } of page.items) {
        pages.set(keyOf(value.siteId ?? place.siteId, nativeIdOf(value, dialect)), number);
      }
    },
    pageOf: (siteId, nativeId) => pages.get(keyOf(siteId, nativeId)),
  };
}

export interface LiveReads {
  readonly client: VendorCloudClient;
  readonly dialect: Dialect;
  readonly hints: PageHints;
  readonly now: () => Date;
}

/** Reads the devices of many sites, sites beside each other. What the platform no longer has is left out. */
export async function readDevices(
  reads: LiveReads,
  refs: readonly DeviceRef[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, LiveDevice>> {
  const found = new Map<string, LiveDevice>();
  const bySite = Map.groupBy(refs, ({ nativeSiteId }) => nativeSiteId);
  await Promise.all(
    [...bySite].map(async ([siteId, group]) => {
      const place: Place = { accountId: group[0]?.nativeOrgId ?? '', siteId };
      const wanted = new Set(group.map(({ nativeId }) => nativeId));
      await readSite(reads, place, wanted, found, signal);
    }),
  );
  return found;
}

async function readSite(
  { client, dialect, hints, now }: LiveReads,
  place: Place,
  wanted: Set<string>,
  found: Map<string, LiveDevice>,
  signal: AbortSignal,
): Promise<void> {
  let pages = 1;
  const read = new Set<number>();

  async function readPage(number: number): Promise<void> {
    read.add(number);
    const page = await client.inventoryPage(place.siteId, place.accountId, number, signal);
    hints.note(place, number, page);
    // Without a number of pages, each page that is not the last one leads to the next.
    pages = page.totalPages ?? Math.max(pages, hasNext(page, number, number * page.items.length) ? number + 1 : number);
    for (const item of page.items) {
      const nativeId = nativeIdOf(item.value, dialect);
      if (wanted.delete(nativeId)) found.set(nativeId, normalizeLive(item, place, dialect, now()));
    }
  }

  try {
    const hinted = [...wanted].map((nativeId) => hints.pageOf(place.siteId, nativeId) ?? 1);
    await Promise.all([...new Set(hinted)].map(readPage));
    for (let next = 1; wanted.size > 0 && next <= pages; ) {
      const wave: number[] = [];
      for (; next <= pages && wave.length < WAVE; next += 1) if (!read.has(next)) wave.push(next);
      await Promise.all(wave.map(readPage));
    }
  } catch (error) {
    // A site that is gone has none of its devices.
    if (!(error instanceof AdapterError) || error.code !== 'NOT_FOUND') throw error;
  }
}
