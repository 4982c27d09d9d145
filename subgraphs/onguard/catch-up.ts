// What happened while nobody listened: the platform's own log, from a little before the last event that we know of.
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { type OnGuardClient, PAGE_SIZE } from './client.ts';

/** Clocks differ, and panels hand in late what they stored: so much is read twice rather than missed. */
const OVERLAP_MS = 120_000;
/** Records of one catch-up: a hundred thousand. What is beyond is read by the next one, which starts at the last record. */
const MAX_PAGES = 1_000;

/** OpenAccess takes instants with a numeric offset, never with `Z`, in whole seconds. */
export function filterTime(at: number): string {
  return new Date(Math.floor(at / 1_000) * 1_000).toISOString().replace('.000Z', '+00:00');
}

/**
 * Pages of records in the order of their time.
 *
 * @param since the last instant that is known, in milliseconds
 * @param until the end, in milliseconds: what comes later is told by the connection
 * @throws AdapterError TOO_LARGE when there is more than one catch-up reads
 */
export async function* readLoggedEvents(
  client: OnGuardClient,
  since: number,
  until: number,
  signal: AbortSignal,
): AsyncGenerator<readonly unknown[]> {
  // A second more than now: the platform rounds as it likes.
  const filter = `timestamp>="${filterTime(since - OVERLAP_MS)}" AND timestamp<="${filterTime(until + 1_000)}"`;
  for (let page = 1; page <= MAX_PAGES; page += 1) {
    const { records } = await client.loggedEvents(filter, page, signal);
    if (records.length > 0) yield records;
    if (records.length < PAGE_SIZE) return;
  }
  throw new AdapterError('TOO_LARGE', `more than ${MAX_PAGES * PAGE_SIZE} events were missed; the rest is read next`);
}
