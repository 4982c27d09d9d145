import type { Logger } from 'pino';
import type { Database } from '../../storage/database.ts';
import { type LoggedEvent, readLog, readTail } from '../../storage/event-log.ts';

/** Recent events in memory, by number and by size: what subscribers that keep up are served from. */
const MAX_EVENTS = 2_000;
const MAX_BYTES = 8 * 1_024 * 1_024;
const PAGE = 500;
/** A lost ring costs this much latency and never an event. */
const POLL_MS = 1_000;
/** Of a row beside its long texts. */
const ROW_BYTES = 1_000;

/** Follows the log for everybody in this process. */
export interface LogTail {
  /** Everything up to this number is in the log for good; 0 before `start`. */
  readonly head: number;
  /** Events behind this number are in memory. */
  readonly floor: number;
  /** Up to `limit` events in memory behind a position that is not below `floor`, in order. */
  since(position: number, limit: number): readonly LoggedEvent[];
  /** Calls back at every move of `head`, and at the end. @returns how to stop listening */
  onMove(listener: () => void): () => void;
  /** Events from now on; safe to call again. @throws StorageError when the log cannot be read */
  start(): Promise<void>;
  stop(): Promise<void>;
}

function sizeOf(event: LoggedEvent): number {
  return ROW_BYTES + event.details.length + event.media.length + event.summary.length;
}

/** The first index whose event lies behind a position. */
function indexBehind(events: readonly LoggedEvent[], position: number): number {
  let [low, high] = [0, events.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((events[middle]?.seq ?? 0) <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** One per process: it reads every event once, however many subscribers there are. */
export function createLogTail({ db, logger }: { readonly db: Database; readonly logger: Logger }): LogTail {
  let events: LoggedEvent[] = [];
  let bytes = 0;
  let head = 0;
  let floor = 0;
  const listeners = new Set<() => void>();
  let starting: Promise<void> | null = null;
  let pumping: Promise<void> | null = null;
  let shouldPumpAgain = false;
  let isStopped = false;
  let isFailing = false;
  let stopListening = (): void => {};
  let timer: NodeJS.Timeout | null = null;

  function tell(): void {
    // A copy: who is woken may listen again while we tell.
    for (const listener of Array.from(listeners)) listener();
  }

  function keep(rows: readonly LoggedEvent[]): void {
    for (const row of rows) {
      events.push(row);
      bytes += sizeOf(row);
    }
    let dropped = 0;
    while (events.length - dropped > MAX_EVENTS || bytes > MAX_BYTES) {
      const oldest = events[dropped];
      if (oldest === undefined) break;
      bytes -= sizeOf(oldest);
      floor = oldest.seq;
      dropped += 1;
    }
    if (dropped > 0) events = events.slice(dropped);
  }

  /** Events that were trimmed before we read them: who has not got them must ask the log, which tells the gap. */
  function forget(upTo: number): void {
    events = events.filter(({ seq }) => seq > upTo);
    bytes = events.reduce((sum, event) => sum + sizeOf(event), 0);
    floor = Math.max(floor, upTo);
  }

  async function pump(): Promise<void> {
    // Numbers are committed in order: everything up to the head is visible when the head is.
    const target = await db.head();
    while (head < target && !isStopped) {
      const rows = await readLog(db, { after: head, upTo: target, limit: PAGE });
      const last = rows.length < PAGE ? target : (rows.at(-1)?.seq ?? target);
      // Numbers without an event are those of inventory changes, or of events that are gone already.
      const oldest = rows.length < last - head ? await readTail(db) : 0;
      keep(rows);
      if (oldest > head) forget(oldest);
      head = last;
      tell();
    }
    if (isFailing) logger.info('The event log is followed again');
    isFailing = false;
  }

  function ring(): void {
    if (isStopped) return;
    if (pumping !== null) {
      shouldPumpAgain = true;
      return;
    }
    pumping = pump()
      .catch((error: unknown) => {
        if (!isFailing) logger.error({ err: error }, 'The event log cannot be followed');
        isFailing = true;
      })
      .finally(() => {
        pumping = null;
        if (!shouldPumpAgain) return;
        shouldPumpAgain = false;
        ring();
      });
  }

  return {
    get head() {
      return head;
    },
    get floor() {
      return floor;
    },
    since(position, limit) {
      const first = indexBehind(events, position);
      return events.slice(first, first + limit);
    },
    onMove(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    start() {
      starting ??= db.head().then(
        (first) => {
          head = first;
          floor = first;
          stopListening = db.doorbell.on('log', ring);
          timer = setInterval(ring, POLL_MS).unref();
          ring();
        },
        (error: unknown) => {
          starting = null;
          throw error;
        },
      );
      return starting;
    },
    async stop() {
      isStopped = true;
      stopListening();
      if (timer !== null) clearInterval(timer);
      await pumping;
      tell();
    },
  };
}
