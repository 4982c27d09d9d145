import { fault } from '../../schema/errors.ts';
import type { AccessScope } from '../../schema/principal.ts';
import type { Database } from '../../storage/database.ts';
import type { EventCursors, EventPlace } from '../../storage/event-cursor.ts';
import { type LoggedEvent, readSelection, readTail } from '../../storage/event-log.ts';
import { type EventFilter, eventPredicate } from '../../storage/event-log-filter.ts';
import type { LogTail } from './log-tail.ts';
import { abortable, systemTiming, type Timing, waitFor } from './pausable.ts';

/** Events taken at once: what a subscriber that stands still keeps in memory. */
const PAGE = 200;
const MAX_HEARTBEAT_SECONDS = 300;
const DEFAULT_HEARTBEAT_SECONDS = 15;

/** Shaped as the API's EventStreamItem. */
export type StreamItem =
  | {
      readonly __typename: 'EventDelivered';
      readonly event: LoggedEvent;
      readonly cursor: string;
      readonly replayed: boolean;
    }
  | { readonly __typename: 'ReplayComplete'; readonly cursor: string; readonly replayedCount: number }
  | { readonly __typename: 'StreamHeartbeat'; readonly cursor: string; readonly at: number }
  | {
      readonly __typename: 'StreamGap';
      readonly fromCursor: string | null;
      readonly toCursor: string;
      readonly reason: 'RETENTION' | 'EPOCH';
      readonly hint: string;
    }
  /** No item of the API: everything up to the cursor was delivered. */
  | { readonly __typename: 'Place'; readonly cursor: string };

export interface StreamRequest {
  readonly access: AccessScope;
  readonly filter: EventFilter;
  /** Cursor of the last item that was handled; null: live only. */
  readonly after: string | null;
  /** 1 to 300; default 15. */
  readonly heartbeatSeconds?: number | undefined;
  readonly signal: AbortSignal;
  /** Begin a live stream with a `Place`. */
  readonly tellsPlaces?: boolean | undefined;
  /** Only events that moved a device's state. */
  readonly changesOnly?: boolean;
  /** Leaves out more events, a page at a time; must keep the order. */
  readonly refine?: (events: readonly LoggedEvent[]) => Promise<readonly LoggedEvent[]>;
}

export interface EventStream {
  /**
   * Events in order of the log, without a hole and without a double, however slow the subscriber is: nothing is queued
   * for it. It asks, and is given what follows its position, from memory when it keeps up and from the log when not.
   *
   * Where the stream begins is settled when the promise resolves: what is logged afterwards will be in it.
   *
   * @throws GraphQLError BAD_CURSOR, BAD_USER_INPUT for a heartbeat outside of its range
   */
  subscribe(request: StreamRequest): Promise<AsyncIterableIterator<StreamItem, void, void>>;
}

export interface EventStreamDeps {
  readonly db: Database;
  readonly tail: LogTail;
  readonly cursors: EventCursors;
  /** Milliseconds since the epoch; default the system's clock. */
  readonly now?: () => number;
  /** Default the system's. */
  readonly timing?: Timing;
}

const HINT = 'Read the events and devices that you need as a snapshot, then go on with the stream from toCursor.';

export function createEventStream(deps: EventStreamDeps): EventStream {
  const { db, tail, cursors, now = Date.now, timing = systemTiming } = deps;
  /** Items of rows in memory: the same for every stream, so that what is made of one is made once. */
  const live = new WeakMap<LoggedEvent, StreamItem>();

  function delivered(event: LoggedEvent, replayed: boolean): StreamItem {
    const known = replayed ? undefined : live.get(event);
    if (known !== undefined) return known;
    const item = { __typename: 'EventDelivered', event, cursor: cursors.of(event), replayed } satisfies StreamItem;
    if (!replayed) live.set(event, item);
    return item;
  }

  async function* follow(
    request: StreamRequest,
    start: EventPlace | null,
    head: number,
    startedAt: number,
    signal: AbortSignal,
  ) {
    const { access, filter, changesOnly, after } = request;
    const isMatch = eventPredicate(access, filter);
    const heartbeatMs = (request.heartbeatSeconds ?? DEFAULT_HEARTBEAT_SECONDS) * 1_000;
    let position = start?.seq ?? head;
    let isReplaying = start !== null;
    let replayedCount = 0;
    let lastItemAt = startedAt;

    const replayComplete = (): StreamItem => {
      isReplaying = false;
      return { __typename: 'ReplayComplete', cursor: cursors.encode(position, null), replayedCount };
    };

    if (start === null && request.tellsPlaces === true) {
      yield { __typename: 'Place', cursor: cursors.encode(position, null) } satisfies StreamItem;
    }
    if (start !== null && (start.epoch !== db.epoch || start.seq > head)) {
      // Of another store, or of this one before it was set back to a backup: its numbers mean other events here.
      position = head;
      yield gap(after, cursors.encode(position, null), 'EPOCH');
    }
    while (!signal.aborted) {
      const { page, upTo, isGap } = await nextPage(position);
      if (isGap) {
        yield gap(cursors.encode(position, null), cursors.encode(upTo, null), 'RETENTION');
        position = upTo;
        continue;
      }
      for (const event of page) {
        if (signal.aborted) return;
        if (isReplaying && event.seq > head) yield replayComplete();
        const replayed = isReplaying;
        if (replayed) replayedCount += 1;
        position = event.seq;
        lastItemAt = timing.elapsedMs();
        yield delivered(event, replayed);
      }
      position = Math.max(position, upTo);
      if (isReplaying && position >= head) {
        lastItemAt = timing.elapsedMs();
        yield replayComplete();
        continue;
      }
      // Whoever was slow to handle the last item is given what came meanwhile before it is told that nothing did.
      if (page.length > 0) continue;
      const patienceMs = heartbeatMs - (timing.elapsedMs() - lastItemAt);
      if (patienceMs <= 0) {
        lastItemAt = timing.elapsedMs();
        yield { __typename: 'StreamHeartbeat', cursor: cursors.encode(position, null), at: now() } satisfies StreamItem;
      } else if (tail.head <= position) {
        await waitFor(timing, (listener) => tail.onMove(listener), patienceMs, signal);
      }
    }

    /** What follows a position, and up to where the stream then stands when all of it was handled. */
    async function nextPage(from: number) {
      if (from >= tail.floor) {
        const recent = tail.since(from, PAGE);
        const upTo = recent.length < PAGE ? Math.max(from, tail.head) : (recent.at(-1)?.seq ?? from);
        const own = recent.filter((event) => isMatch(event) && (changesOnly !== true || event.changed === 1));
        return { page: await refined(own), upTo, isGap: false };
      }
      const upToHead = await db.head();
      const selection = { access, filter, ...(changesOnly === true ? { changesOnly } : {}) };
      const page = await readSelection(db, selection, { after: from, upTo: upToHead, limit: PAGE });
      // Asked for last: what is trimmed beside us lacks in the page, and by then the tail tells.
      const oldest = await readTail(db);
      if (from < oldest) return { page: [], upTo: oldest, isGap: true };
      const upTo = page.length < PAGE ? upToHead : (page.at(-1)?.seq ?? from);
      return { page: await refined(page), upTo, isGap: false };
    }

    function refined(page: readonly LoggedEvent[]): Promise<readonly LoggedEvent[]> | readonly LoggedEvent[] {
      return page.length === 0 || request.refine === undefined ? page : request.refine(page);
    }
  }

  return {
    async subscribe(request) {
      const { heartbeatSeconds, after } = request;
      if (heartbeatSeconds !== undefined && (heartbeatSeconds < 1 || heartbeatSeconds > MAX_HEARTBEAT_SECONDS)) {
        throw fault('BAD_USER_INPUT', `heartbeatSeconds must be 1 to ${MAX_HEARTBEAT_SECONDS}.`);
      }
      const start = after === null ? null : cursors.decode(after);
      await tail.start();
      const head = await db.head();
      const startedAt = timing.elapsedMs();
      return abortable(request.signal, (signal) => follow(request, start, head, startedAt, signal));
    },
  };
}

function gap(fromCursor: string | null, toCursor: string, reason: 'RETENTION' | 'EPOCH'): StreamItem {
  return { __typename: 'StreamGap', fromCursor, toCursor, reason, hint: HINT };
}
