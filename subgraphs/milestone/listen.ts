// The long-lived session: a snapshot to begin with, then events as they come; what was missed in a gap is found by comparing.
import type { Logger } from 'pino';
import type { ListenItem } from '../../adapter-kit/adapter.ts';
import { abandoned, AdapterError } from '../../adapter-kit/adapter-error.ts';
import { type Catalogue, SYSTEM_CONFIGURATION_CHANGED, type TypeNames } from './catalogue.ts';
import type { MilestoneClient } from './client.ts';
import { createEventSocket, type EventBatch, type EventSocket } from './event-socket.ts';
import { type Derived, HEADERS, MAX_DERIVED, MAX_HEADER } from './inbound.ts';
import type { Records } from './records.ts';
import { decodeResume, encodeResume, type Resume } from './resume-token.ts';
import { type Filter, readStates, startSession, subscribe } from './session.ts';
import { createStateTable, type SourceState, type StateTable } from './state-table.ts';
import { isDown } from './status.ts';
import { parseTime, timeKey, WireEvent } from './wire.ts';

/** Events that came in and were not taken yet: at 200 a second eight minutes of a stalled consumer. */
const MAX_QUEUED = 100_000;
/** Clocks and transport put states a little out of order; what is told twice has one identity. */
const OVERLAP_MS = 10 * 60_000;
/** All states are compared again so often, should an event have been lost without a gap. */
const COMPARE_EVERY_MS = 12 * 3_600_000;

/** What an adapter remembers between connections: transitions are told against it. */
export interface ListenMemory {
  table: StateTable | null;
}

export interface ListenParts {
  readonly client: MilestoneClient;
  readonly catalogue: Catalogue;
  readonly records: Records;
  readonly logger: Logger;
  readonly now: () => Date;
  readonly memory: ListenMemory;
}

interface Queue {
  readonly put: (batch: EventBatch) => void;
  readonly take: () => EventBatch | undefined;
  /** Resolves when there is something to take, or somebody woke it. */
  readonly filled: () => Promise<void>;
  readonly wake: () => void;
}

function createQueue(onOverflow: () => void): Queue {
  const batches: EventBatch[] = [];
  let count = 0;
  let waiting = Promise.withResolvers<void>();
  return {
    put(batch) {
      count += batch.events.length;
      if (count > MAX_QUEUED) return onOverflow();
      batches.push(batch);
      waiting.resolve();
    },
    take() {
      const batch = batches.shift();
      count -= batch?.events.length ?? 0;
      if (batches.length === 0) waiting = Promise.withResolvers<void>();
      return batch;
    },
    filled: () => (batches.length > 0 ? Promise.resolve() : waiting.promise),
    wake: () => waiting.resolve(),
  };
}

/**
 * Messages for the inbox: every event of the platform by itself, as it sent it; states that a gap hid, as the platform
 * holds them now; and what follows for devices from the fall or return of their recording server.
 *
 * @throws AdapterError when the connection is lost; resuming within half a minute replays what was missed
 */
export async function* listen(
  parts: ListenParts,
  resumeToken: string | null,
  signal: AbortSignal,
): AsyncGenerator<ListenItem> {
  let socket: EventSocket | null = null;
  let overflow: AdapterError | null = null;
  const queue = createQueue(() => {
    overflow = new AdapterError('TOO_LARGE', `more than ${MAX_QUEUED} events wait to be taken`);
    socket?.close();
  });
  try {
    if (signal.aborted) return;
    await parts.catalogue.ready(signal);
    socket = createEventSocket(await parts.client.openEvents(signal), queue.put);
    yield* createListener(parts, socket, queue, decodeResume(resumeToken)).run(signal);
  } catch (error) {
    if (!signal.aborted) throw overflow ?? error;
  } finally {
    socket?.close();
  }
}

function createListener(parts: ListenParts, socket: EventSocket, queue: Queue, resume: Resume | null) {
  const { catalogue, records, memory, logger, now } = parts;
  const isFresh = memory.table === null;
  const table = memory.table ?? createStateTable();
  const subscribed = new Set<string>();
  let position: Resume = resume ?? { sessionId: '', eventId: '', toldUntil: null };
  let comparedAt = 0;

  function item(body: Uint8Array, headers: Readonly<Record<string, string>>): ListenItem {
    const message = { body, headers, source: 'STREAM' as const, receivedAt: now() };
    return { message, resumeToken: encodeResume(position) };
  }

  function headersOf(names: TypeNames, source: string): Record<string, string> {
    const id = idOf(source);
    const serverId = records.recordingServerOf(id);
    const isParentDown = serverId !== null && isDown(serverState(serverId));
    const headers: Record<string, string> = {};
    const put = (name: string, value: string | null): void => {
      if (value !== null && value !== '') headers[name] = value.slice(0, MAX_HEADER);
    };
    put(HEADERS.name, names.name);
    put(HEADERS.state, names.state);
    put(HEADERS.group, names.group);
    put(HEADERS.source, records.nameOf(id));
    put(HEADERS.parent, isParentDown ? 'down' : null);
    return headers;
  }

  function serverState(id: string): SourceState | null {
    return table.communicationOf(`recordingservers/${id}`);
  }

  function filters(types: readonly string[]): Filter[] {
    return [{ resourceTypes: ['*'], eventTypes: types }];
  }

  async function subscribeToNew(signal: AbortSignal, isFirst: boolean): Promise<boolean> {
    const types = catalogue.wanted().filter((id) => !subscribed.has(id));
    if (types.length === 0) return false;
    // Whatever an administrator invents is told by its name, and so needs no list of ids.
    const own = isFirst ? [{ resourceTypes: ['userDefinedEvents'], eventTypes: ['*'] }] : [];
    await subscribe(socket, [...filters(types), ...own], signal);
    for (const id of types) subscribed.add(id);
    return true;
  }

  /** Everything that is newer than what is known, oldest first. */
  async function* compare(signal: AbortSignal): AsyncGenerator<ListenItem> {
    // What was told up to then, here or by the process before us; a first connection tells no history.
    const since = position.toldUntil;
    comparedAt = now().getTime();
    const { states, unread } = await readStates(socket, signal);
    if (unread > 0) logger.warn({ unread }, 'states that cannot be read are left out');
    for (const { event, raw } of states.toSorted((a, b) => (timeKey(a.event.time) < timeKey(b.event.time) ? -1 : 1))) {
      const names = catalogue.describe(event.type);
      const before = serverBefore(event);
      const applied = table.apply(event, names.word);
      const at = parseTime(event.time)?.getTime() ?? Number.NEGATIVE_INFINITY;
      // What we know and the token does not say was told to somebody who did not keep it.
      if (applied === 'known' && !(since !== null && at > since)) continue;
      const isNews = applied === 'changed' || (since !== null && at > since - OVERLAP_MS);
      if (isNews) yield item(encode({ states: [raw] }), headersOf(names, event.source));
      yield* consequences(event, before, isNews, signal);
      tell(event);
    }
    memory.table = table;
  }

  function tell(event: WireEvent): void {
    const at = parseTime(event.time)?.getTime();
    if (at === undefined || event.stategroupid === undefined) return;
    position = { ...position, toldUntil: Math.max(position.toldUntil ?? 0, at) };
  }

  function serverBefore({ source }: WireEvent): SourceState | null {
    return /^recordingservers\//i.test(source) ? table.communicationOf(source.toLowerCase()) : null;
  }

  /** A recording server that is gone takes with it what is known of everything behind it; its return gives it back. */
  async function* consequences(
    { source, time }: WireEvent,
    before: SourceState | null,
    isNews: boolean,
    signal: AbortSignal,
  ): AsyncGenerator<ListenItem> {
    if (!/^recordingservers\//i.test(source)) return;
    const after = table.communicationOf(source.toLowerCase());
    if (after === null || isDown(after) === isDown(before)) return;
    const behind = await records.behind(idOf(source), signal);
    if (!isNews) return;
    const devices = behind.flatMap((child) => {
      const own = table.communicationOf(child.toLowerCase());
      return own === null ? [] : [{ source: child, word: own.word, time: own.time }];
    });
    for (let from = 0; from < devices.length; from += MAX_DERIVED) {
      const derived: Derived['derived'] = {
        parent: source,
        parentState: after.word,
        isDown: isDown(after),
        time,
        devices: devices.slice(from, from + MAX_DERIVED),
      };
      yield item(encode({ derived }), {});
    }
  }

  async function* take({ body, events }: EventBatch, signal: AbortSignal): AsyncGenerator<ListenItem> {
    for (const raw of events) {
      const parsed = WireEvent.safeParse(raw);
      // One message each: an event that cannot be understood then holds up no other.
      const bytes = events.length === 1 ? body : encode({ events: [raw] });
      if (!parsed.success) {
        yield item(bytes, {});
        continue;
      }
      const event = parsed.data;
      const names = catalogue.describe(event.type);
      const before = serverBefore(event);
      table.apply(event, names.word);
      tell(event);
      position = { ...position, eventId: event.id ?? position.eventId };
      if (event.type === SYSTEM_CONFIGURATION_CHANGED) {
        catalogue.invalidate();
        records.invalidate();
      }
      yield item(bytes, headersOf(names, event.source));
      yield* consequences(event, before, true, signal);
    }
  }

  /** Until there is something to take, or it is time to look at the configuration or at all states again. */
  async function idle(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const compareInMs = Math.max(0, comparedAt + COMPARE_EVERY_MS - now().getTime());
    const timer = setTimeout(resolve, Math.min(compareInMs, catalogue.dueInMs() ?? compareInMs));
    timer.unref();
    const abort = (): void => reject(abandoned(signal.reason));
    signal.addEventListener('abort', abort, { once: true });
    try {
      if (signal.aborted) abort();
      if (!socket.isOpen()) throw await socket.lost;
      await Promise.race([promise, queue.filled()]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      promise.catch(() => undefined);
    }
  }

  // Not a race with `lost` for every event: a promise that lives as long as the connection would collect the handlers.
  void socket.lost.then(queue.wake);

  return {
    async *run(signal: AbortSignal): AsyncGenerator<ListenItem> {
      const previous = resume === null || resume.eventId === '' ? null : resume;
      const { sessionId, isResumed } = await startSession(socket, previous, signal);
      position = { ...position, sessionId, eventId: isResumed ? position.eventId : '' };
      if (isResumed) for (const id of catalogue.wanted()) subscribed.add(id);
      else await subscribeToNew(signal, true);
      // A session that goes on replays what was missed; in a new process its states have to be learnt nevertheless.
      if (!isResumed || isFresh) yield* compare(signal);
      else comparedAt = now().getTime();
      for (;;) {
        const batch = queue.take();
        if (batch !== undefined) {
          yield* take(batch, signal);
          continue;
        }
        await idle(signal);
        if (catalogue.dueInMs() === 0) {
          await catalogue.ready(signal);
          if (await subscribeToNew(signal, false)) yield* compare(signal);
        } else if (now().getTime() >= comparedAt + COMPARE_EVERY_MS) yield* compare(signal);
      }
    },
  };
}

function idOf(source: string): string {
  return source.slice(source.indexOf('/') + 1).toLowerCase();
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value), 'utf8');
}
