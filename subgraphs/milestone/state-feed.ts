// Live communication states for reads: one session that is kept while it is used, and closed when it is not.
import type { Logger } from 'pino';
import { abandoned, AdapterError } from '../../adapter-kit/adapter-error.ts';
import { type Catalogue, SYSTEM_CONFIGURATION_CHANGED } from './catalogue.ts';
import type { MilestoneClient } from './client.ts';
import { createEventSocket, type EventSocket } from './event-socket.ts';
import { readStates, startSession, subscribe } from './session.ts';
import { createStateTable, type StateTable } from './state-table.ts';
import { WireEvent } from './wire.ts';

/** A dashboard that polls every minute keeps it. */
const IDLE_AFTER_MS = 120_000;
/** A release without event sockets gets one only by an upgrade. */
const ABSENT_FOR_MS = 10 * 60_000;

/** What a session knows, and how to be sure that it is up to date. */
interface LiveStates {
  readonly socket: EventSocket;
  readonly table: StateTable;
  readonly since: number;
}

export interface StateFeed {
  /**
   * The states as they are now: everything that the platform sent before this call is in it. Null where the platform has
   * no event socket.
   *
   * @throws AdapterError
   */
  read(signal: AbortSignal): Promise<StateTable | null>;
  /** Since when changes of the configuration would have been told, in milliseconds of our clock; null: they are not. */
  watchesSince(): number | null;
  close(): void;
}

export interface StateFeedOptions {
  readonly client: MilestoneClient;
  readonly catalogue: Catalogue;
  /** Told when the platform's configuration was changed. */
  readonly onConfigurationChange: () => void;
  readonly logger: Logger;
  readonly now: () => Date;
  /** Deadline of the proof that states are up to date. */
  readonly timeoutMs: number;
}

export function createStateFeed(options: StateFeedOptions): StateFeed {
  const { client, catalogue, onConfigurationChange, logger, now, timeoutMs } = options;
  const stopped = new AbortController();
  let own: LiveStates | null = null;
  let opening: Promise<LiveStates | null> | null = null;
  let absentUntil = Number.NEGATIVE_INFINITY;
  let idle: NodeJS.Timeout | undefined;

  async function open(): Promise<LiveStates | null> {
    const { signal } = stopped;
    await catalogue.ready(signal);
    let socket: EventSocket;
    let since: number;
    const table = createStateTable();
    try {
      const raw = await client.openEvents(signal);
      socket = createEventSocket(raw, ({ events }) => {
        for (const event of events) take(event);
      });
    } catch (error) {
      if (!(error instanceof AdapterError) || error.code !== 'NOT_FOUND') throw error;
      absentUntil = now().getTime() + ABSENT_FOR_MS;
      logger.warn({ code: error.code }, 'no event socket: this release has no live states');
      return null;
    }
    function take(raw: unknown): void {
      const parsed = WireEvent.safeParse(raw);
      if (!parsed.success) return;
      if (parsed.data.type === SYSTEM_CONFIGURATION_CHANGED) {
        // New types are none that we subscribed to: the next read begins a session that has them.
        onConfigurationChange();
        if (own?.table === table) own = null;
        socket.close();
        return;
      }
      table.apply(parsed.data, catalogue.describe(parsed.data.type).word);
    }
    try {
      await startSession(socket, null, signal);
      await subscribe(socket, filters(), signal);
      since = now().getTime();
      const { states } = await readStates(socket, signal);
      for (const { event } of states) table.apply(event, catalogue.describe(event.type).word);
    } catch (error) {
      socket.close();
      throw error;
    }
    return { socket, table, since };
  }

  function filters() {
    return [{ resourceTypes: ['*'], eventTypes: [...catalogue.communication(), SYSTEM_CONFIGURATION_CHANGED] }];
  }

  function touch(): void {
    clearTimeout(idle);
    idle = setTimeout(() => {
      own?.socket.close();
      own = null;
    }, IDLE_AFTER_MS);
    idle.unref();
  }

  async function current(signal: AbortSignal): Promise<LiveStates | null> {
    if (own?.socket.isOpen() === true) return own;
    own = null;
    if (now().getTime() < absentUntil) return null;
    opening ??= open().finally(() => {
      opening = null;
    });
    // Shared: a caller that gives up leaves the opening to the others.
    own = await orAborted(opening, signal);
    return own;
  }

  return {
    async read(signal) {
      if (signal.aborted) throw abandoned(signal.reason);
      if (stopped.signal.aborted) throw new AdapterError('UNREACHABLE', 'the adapter is closed');
      touch();
      const states = await current(signal);
      if (states === null) return null;
      await states.socket.barrier(signal, timeoutMs);
      return states.table;
    },
    watchesSince: () => (own?.socket.isOpen() === true ? own.since : null),
    close() {
      stopped.abort(new AdapterError('UNREACHABLE', 'the adapter is closed'));
      clearTimeout(idle);
      own?.socket.close();
      own = null;
    },
  };
}

async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(abandoned(signal.reason));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
