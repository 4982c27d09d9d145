import { fault } from '../../schema/errors.ts';
import type { AccessScope } from '../../schema/principal.ts';
import type { Database } from '../../storage/database.ts';
import type { LoggedEvent } from '../../storage/event-log.ts';
import { UNFILTERED } from '../../storage/event-log-filter.ts';
import type { Condition } from '../../storage/sql-conditions.ts';
import type { EventStream, StreamItem } from './event-stream.ts';

/** No subscriber sees these heartbeats: they tell the gateway where a stream stands that has had nothing to say. */
const PLACE_SECONDS = 15;

/** An event that moved a device's state, and its place. */
export interface StatusChange {
  readonly event: LoggedEvent;
  readonly cursor: string;
}

/** Everything up to the cursor was told. */
export interface StatusPlace {
  readonly event: null;
  readonly cursor: string;
}

export interface StatusChangesRequest {
  readonly access: AccessScope;
  /** On rows of `devices`: those that the subscriber asked for and may see, as they are now. */
  readonly devices: () => Condition;
  readonly after: string | null;
  readonly signal: AbortSignal;
  /** Tell places too. */
  readonly tellsPlaces?: boolean | undefined;
}

/**
 * The changes of device state in the event stream.
 *
 * @throws GraphQLError BAD_CURSOR, also later when the cursor turns out to be older than what is kept: these items have
 *   no way to tell a gap, so the stream ends instead of hiding it
 */
export async function subscribeStatusChanges(
  { db, stream }: { readonly db: Pick<Database, 'read'>; readonly stream: EventStream },
  { access, devices, after, signal, tellsPlaces }: StatusChangesRequest,
): Promise<AsyncIterableIterator<StatusChange | StatusPlace, void, void>> {
  async function refine(events: readonly LoggedEvent[]): Promise<readonly LoggedEvent[]> {
    const ids = [...new Set(events.flatMap(({ device_id }) => device_id ?? []))];
    if (ids.length === 0) return [];
    const rows = await db.read
      .selectFrom('devices')
      .select('devices.id')
      .where('devices.id', 'in', ids)
      .where(devices())
      .execute();
    const matching = new Set(rows.map(({ id }) => id));
    return events.filter(({ device_id }) => device_id !== null && matching.has(device_id));
  }

  const items = await stream.subscribe({
    access,
    // A dashboard that follows states needs all of them, also those that are nobody's fault.
    filter: UNFILTERED,
    after,
    heartbeatSeconds: PLACE_SECONDS,
    signal,
    tellsPlaces,
    changesOnly: true,
    refine,
  });
  const changes: AsyncIterableIterator<StatusChange | StatusPlace, void, void> = {
    async next() {
      for (;;) {
        const { done, value } = await items.next();
        if (done === true) return { done, value: undefined };
        const change = changeOf(value);
        if (change.event !== null || tellsPlaces === true) return { done: false, value: change };
      }
    },
    async return() {
      await items.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => changes,
  };
  return changes;
}

function changeOf(item: StreamItem): StatusChange | StatusPlace {
  if (item.__typename === 'StreamGap') {
    throw fault(
      'BAD_CURSOR',
      'Changes after this cursor are no longer kept. Read the devices, then start without `after`.',
    );
  }
  return { event: item.__typename === 'EventDelivered' ? item.event : null, cursor: item.cursor };
}
