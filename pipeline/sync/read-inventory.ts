import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Adapter } from '../../adapter-kit/adapter.ts';
import type { UserError } from '../../schema/words.ts';
import { asAdapterError, platformUserError, userError } from '../integrations/user-errors.ts';
import { type DeviceRecord, type ListingContext, refusal, toRecord } from './device-record.ts';
import { boundedPages } from './listing.ts';

/** Devices written together: enough to be fast, few enough that other writers wait some ten milliseconds at most. */
export const CHUNK_DEVICES = 1_000;
/** Devices written together while nothing is known yet: every index page is touched by each chunk, so fewer are faster. */
export const BASELINE_CHUNK_DEVICES = 2_000;
/** Entries of one listing, repeated ones included. Beyond it something pages in circles. */
export const MAX_LISTED = 200_000;
/** Pages of one listing: a platform that pages one by one may, one that never ends may not. */
const MAX_PAGES = 50_000;
/** Details of rejected devices kept; the run's own bound is lower. */
const MAX_REJECTED_TOLD = 20;

/** How a reading of a platform's whole inventory ended. */
export interface Reading {
  /** Distinct devices that could be read. */
  readonly listed: ReadonlySet<string>;
  /** Every page was read, every device on it understood, and the platform's own count agrees. */
  readonly isComplete: boolean;
  /** The platform said itself that it has no devices at all. */
  readonly isToldEmpty: boolean;
  readonly errors: readonly UserError[];
  /** What ended the listing before its end; null when it was read to the end. */
  readonly failure: AdapterError | null;
}

/**
 * Reads a platform's inventory to its end or to its first failed page and hands it on in chunks, each device once. Holds
 * one chunk and the ids in memory, whatever the size of the inventory.
 *
 * @param write is awaited before the next page is asked for
 */
export async function readInventory(
  adapter: Adapter,
  context: ListingContext,
  signal: AbortSignal,
  chunkDevices: number,
  write: (records: readonly DeviceRecord[], listed: number) => Promise<void>,
): Promise<Reading> {
  const listed = new Set<string>();
  const errors: UserError[] = [];
  let rejected = 0;
  let repeated = 0;
  let pages = 0;
  let totalCount: number | null = null;
  let failure: AdapterError | null = null;
  let chunk: DeviceRecord[] = [];

  const flush = async (): Promise<void> => {
    const full = chunk;
    chunk = [];
    if (full.length > 0) await write(full, listed.size);
  };
  const reject = (nativeId: string | null, reason: string): void => {
    rejected += 1;
    if (errors.length >= MAX_REJECTED_TOLD) return;
    errors.push(
      userError('OTHER', `Device ${nativeId === null ? 'without an id' : `"${nativeId.slice(0, 80)}"`}: ${reason}`),
    );
  };

  const iterator = boundedPages(adapter.listDevices(signal), signal);
  try {
    for (;;) {
      // Only what the platform does is its failure: faults of our store and our own end pass through.
      const next = await iterator.next().catch((error: unknown) => {
        const { reason }: { readonly reason: unknown } = signal;
        throw signal.aborted && reason instanceof Error ? reason : asAdapterError(error);
      });
      if (next.done === true) break;
      const page = next.value;
      pages += 1;
      totalCount = page.totalCount ?? totalCount;
      for (const { nativeId, reason } of page.rejected ?? []) reject(nativeId, reason);
      for (const draft of page.devices) {
        const why = refusal(draft);
        if (why !== null) {
          reject(draft.nativeId, why);
          continue;
        }
        const record = toRecord(draft, context);
        if (listed.has(record.id)) {
          repeated += 1;
          continue;
        }
        listed.add(record.id);
        chunk.push(record);
        if (chunk.length >= chunkDevices) await flush();
      }
      if (listed.size + repeated + rejected > MAX_LISTED || pages > MAX_PAGES) {
        throw new AdapterError('TOO_LARGE', `The inventory has more than ${MAX_LISTED} entries or ${MAX_PAGES} pages`);
      }
    }
  } catch (error) {
    if (!(error instanceof AdapterError)) throw error;
    failure = error;
    errors.unshift(platformUserError(error));
  } finally {
    await iterator.return();
  }
  await flush();

  const found = listed.size + rejected;
  const isCountRight = totalCount === null || totalCount === found;
  if (failure === null && !isCountRight) {
    errors.push(
      userError(
        'OTHER',
        `The platform counts ${totalCount} devices and listed ${found}${repeated > 0 ? `, and ${repeated} of them twice` : ''}.`,
        null,
        'It changed while it was read; the next sync repeats it.',
      ),
    );
  }
  if (rejected > MAX_REJECTED_TOLD) errors.push(userError('OTHER', `${rejected} devices could not be read in all.`));
  return {
    listed,
    isComplete: failure === null && rejected === 0 && isCountRight,
    isToldEmpty: failure === null && totalCount === 0 && found === 0,
    errors,
    failure,
  };
}
