// The platform's devices as one list for `Platform.devices`: site after site, page after page.
import { z } from 'zod';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { LiveDevice } from '../../adapter-kit/model.ts';
import type { LiveReads } from './live-reads.ts';
import { hasNext, type SiteList } from './listing.ts';
import { normalizeLive, type Place } from './normalize.ts';

/** Calls for one page of ours: it is given short then, but never empty while more may follow. */
const MAX_CALLS = 50;

/** Where the next entry is: site, page of it (from 1), entries of the page already given. */
const Position = z.object({
  site: z.string().max(200),
  page: z.int().min(1).max(100_000),
  skip: z.int().min(0).max(100_000),
});
type Position = z.infer<typeof Position>;

/** @throws AdapterError NOT_FOUND for a position that is none, or whose site is gone */
function parsePosition(after: string, sites: SiteList['sites']): Position & { readonly index: number } {
  let value: unknown = null;
  try {
    value = JSON.parse(after);
  } catch {
    // Judged below, like any other value that is no position.
  }
  const position = Position.safeParse(value);
  const index = position.success ? sites.findIndex(({ siteId }) => siteId === position.data.site) : -1;
  if (!position.success || index === -1)
    throw new AdapterError('NOT_FOUND', 'the list has changed: start again without a cursor');
  return { ...position.data, index };
}

/** @param first 1 to 500 @param after what `next` said before */
export async function pageDevices(
  reads: LiveReads,
  accountId: string,
  { sites }: SiteList,
  first: number,
  after: string | null,
  signal: AbortSignal,
): Promise<{ readonly devices: readonly LiveDevice[]; readonly next: string | null }> {
  const devices: LiveDevice[] = [];
  const start = after === null ? { index: 0, page: 1, skip: 0 } : parsePosition(after, sites);
  let { page: number, skip } = start;
  let calls = 0;
  for (let index = start.index; index < sites.length; ) {
    const site = sites[index];
    if (site === undefined) break;
    const at = (page: number, given: number): string =>
      JSON.stringify({ site: site.siteId, page, skip: given } satisfies Position);
    if (devices.length >= first || (calls >= MAX_CALLS && devices.length > 0))
      return { devices, next: at(number, skip) };
    const place: Place = { accountId: site.accountId ?? accountId, siteId: site.siteId };
    const page = await reads.client.inventoryPage(place.siteId, place.accountId, number, signal);
    calls += 1;
    reads.hints.note(place, number, page);
    const checkedAt = reads.now();
    const room = first - devices.length;
    const items = page.items.slice(skip, skip + room);
    devices.push(...items.map((item) => normalizeLive(item, place, reads.dialect, checkedAt)));
    if (skip + items.length < page.items.length) return { devices, next: at(number, skip + items.length) };
    skip = 0;
    // Without a number of pages, the entries before this page are taken to have been full ones.
    if (hasNext(page, number, number * page.items.length)) {
      number += 1;
    } else {
      index += 1;
      number = 1;
    }
  }
  return { devices, next: null };
}
