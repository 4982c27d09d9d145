import { isPlatformDown } from '../../pipeline/status/outages.ts';
import { STATUS_REASONS, type StatusReason } from '../../schema/words.ts';
import type { Database } from '../../storage/database.ts';
import type { DeviceRow } from '../../storage/rows.ts';
import { toWord } from '../row-words.ts';

/** Reasons that say no more than that the state is unknown; of a device that was silent before, or cut off, more is known. */
const SAYS_NOTHING: ReadonlySet<StatusReason | null> = new Set([null, 'REPORTED', 'OTHER']);

/**
 * Why a device is in its state. A platform that is away cannot say what it did not know before: while that lasts, it is
 * why nothing is known. It is told of now alone: in the history the platform's word stays what it was.
 *
 * @param isAway asked only where it matters
 */
export async function reasonOf(
  { state, state_reason: stored }: Pick<DeviceRow, 'state' | 'state_reason'>,
  isAway: () => Promise<boolean>,
): Promise<StatusReason | null> {
  const reason = toWord(STATUS_REASONS, stored, null);
  if (state !== 'UNKNOWN' || !SAYS_NOTHING.has(reason)) return reason;
  return (await isAway()) ? 'PLATFORM_DOWN' : reason;
}

/** Those integrations of a list whose platforms are away now. */
export async function readAwayPlatforms(
  { read }: Pick<Database, 'read'>,
  ids: readonly string[],
): Promise<ReadonlyMap<string, boolean>> {
  const rows = await read
    .selectFrom('integrations')
    .select(['id', 'enabled', 'error_code', 'last_sync_state', 'silent_since'])
    .where('id', 'in', ids)
    .execute();
  return new Map(rows.map((row) => [row.id, isPlatformDown(row)]));
}
