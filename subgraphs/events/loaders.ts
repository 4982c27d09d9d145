import DataLoader from 'dataloader';
import { sql, type SqlBool } from 'kysely';
import { dedupeKeyOfLogged } from '../../pipeline/process/event-key.ts';
import { fault } from '../../schema/errors.ts';
import type { AccessScope } from '../../schema/principal.ts';
import { badCursor, type Page, type PageArgs } from '../../storage/connection.ts';
import type { CursorCodec } from '../../storage/cursor.ts';
import { type ForwardingRow, readForwardings } from '../../storage/custom-events.ts';
import type { Database } from '../../storage/database.ts';
import type { EventCursors } from '../../storage/event-cursor.ts';
import { readDuplicateCounts } from '../../storage/event-dedupe.ts';
import {
  type EventPosition,
  type EventSelection,
  getEvents,
  type LoggedEvent,
  pageEventsOfDevices,
  readRaw,
} from '../../storage/event-log.ts';
import { bucketHistory, countHistory, readHistory } from '../../storage/event-history.ts';
import type { EventFilter } from '../../storage/event-log-filter.ts';
import { eventId, eventKey } from '../../storage/ids.ts';
import { readDeliveryKeys } from '../../storage/inbox.ts';
import {
  countDeadLetters,
  type DeadLetterRow,
  type DeadLetterSelection,
  deadLetterId,
  getDeadLetters,
  pageDeadLetters,
} from '../../storage/inbox-dead-letters.ts';
import { readUnknownCodes, type UnknownCodeRow } from '../../storage/unknown-codes.ts';
import { createArgsLoader, createGroupLoader, createValueLoader } from '../batch-loaders.ts';
import type { Listing } from '../listing.ts';
import type { CountedEvents } from './model.ts';
import { z } from 'zod';

/** What one principal sees of the log, read in batches. */
export interface EventLoaders {
  readonly event: DataLoader<string, LoggedEvent | null>;
  readonly deadLetter: DataLoader<string, DeadLetterRow | null>;
  /** How often an event was delivered again, as itself or in a repeated delivery. */
  readonly duplicates: DataLoader<LoggedEvent, number>;
  /** Where an event is passed on to, by its id. */
  readonly forwardings: DataLoader<string, ForwardingRow[]>;
  /** By integration, most frequent first. */
  readonly unknownCodes: DataLoader<string, UnknownCodeRow[]>;
  /** JSON text of the platform's own record. */
  readonly raw: DataLoader<number, string | null>;
  /** @param upTo only what was logged until this number; null: everything */
  events(page: PageArgs, filter: EventFilter, upTo: number | null): Promise<CountedEvents>;
  eventsOfDevice(deviceId: string, page: PageArgs, filter: EventFilter, upTo: number | null): Promise<CountedEvents>;
  deadLetters(integrationId: string, page: PageArgs, filter: DeadLetterSelection): Promise<Listing<DeadLetterRow>>;
}

export interface EventLoaderDeps {
  readonly db: Database;
  readonly codec: CursorCodec;
  readonly cursors: EventCursors;
}

/** A list of an integration's dead letters; its cursors hold the inbox's number. */
const DEAD_LETTER_CURSOR = 'dead-letter';
/** Devices whose pages are read at once. */
const MAX_BATCH = 500;

interface DevicePages {
  readonly page: PageArgs;
  readonly filter: EventFilter;
  readonly upTo: number | null;
}

export function createEventLoaders({ db, codec, cursors }: EventLoaderDeps, access: AccessScope): EventLoaders {
  /** @throws GraphQLError BAD_CURSOR */
  function positionOf({ after }: PageArgs): EventPosition | null {
    if (after === null) return null;
    const { epoch, seq, occurredAt } = cursors.decode(after);
    if (epoch !== db.epoch)
      throw fault('BAD_CURSOR', 'This cursor is from another life of the store. Start again without `after`.');
    if (occurredAt === null)
      throw fault('BAD_CURSOR', 'This cursor stands between events: a stream can go on from it, a list cannot.');
    return { seq, occurredAt };
  }

  /** @param lookedUpTo where looking stopped before the page was full */
  function toPage(
    rows: readonly LoggedEvent[],
    { first, after }: PageArgs,
    lookedUpTo: EventPosition | null = null,
  ): Page<LoggedEvent> {
    // With one more row than asked for, the page ends at a row and not where looking stopped.
    const end = rows.length > first ? null : lookedUpTo;
    return {
      rows: rows.slice(0, first),
      hasNextPage: rows.length > first || end !== null,
      hasPreviousPage: after !== null,
      cursorOf: (event) => cursors.of(event),
      ...(end === null ? {} : { endCursor: cursors.encode(end.seq, end.occurredAt) }),
    };
  }

  function selection(filter: EventFilter, upTo: number | null): EventSelection {
    // With the sign the number is no reason to walk along the log instead of along the index that fits the list.
    return { access, filter, ...(upTo === null ? {} : { also: sql<SqlBool>`+events.seq <= ${upTo}` }) };
  }

  const countsOf = (own: EventSelection): Pick<CountedEvents, 'total' | 'buckets'> => ({
    total: () => countHistory(db, own),
    buckets: async (sizeMs) => bucketHistory(db, own, parseSize(sizeMs)),
  });

  const ofDevices = createArgsLoader(async (ids, { page, filter, upTo }: DevicePages) => {
    const pages = await pageEventsOfDevices(db, ids, selection(filter, upTo), positionOf(page), page.first + 1);
    return new Map(ids.map((id) => [id, toPage(pages.get(id) ?? [], page)]));
  });

  return {
    event: createValueLoader(async (ids) => {
      const keys = ids.flatMap((id) => eventKey(id) ?? []);
      const rows = await getEvents(db, access, keys);
      return new Map(rows.map((row) => [eventId(row.key), row]));
    }, null),

    deadLetter: createValueLoader(async (ids) => {
      const rows = await getDeadLetters(db, access, ids);
      return new Map(rows.map((row) => [deadLetterId(row), row]));
    }, null),

    duplicates: new DataLoader<LoggedEvent, number>(async (events) => {
      const deliveries = await readDeliveryKeys(db, [...new Set(events.flatMap(({ inbox_id }) => inbox_id ?? []))]);
      const keysOf = (event: LoggedEvent): Uint8Array[] => {
        const delivery = event.inbox_id === null ? undefined : deliveries.get(event.inbox_id);
        return delivery === undefined ? [dedupeKeyOfLogged(event)] : [dedupeKeyOfLogged(event), delivery];
      };
      const counts = await readDuplicateCounts(db, events.flatMap(keysOf));
      return events.map((event) =>
        keysOf(event).reduce((sum, key) => sum + (counts.get(Buffer.from(key).toString('hex')) ?? 0), 0),
      );
    }),

    forwardings: createGroupLoader(
      (ids) =>
        readForwardings(
          db,
          access,
          ids.flatMap((id) => eventKey(id) ?? []),
        ),
      ({ event_key: key }) => eventId(key),
    ),

    unknownCodes: createGroupLoader(
      (ids) => readUnknownCodes(db, access, ids),
      ({ integration_id }) => integration_id,
    ),

    raw: new DataLoader<number, string | null>(
      async (seqs) => {
        const rows = await readRaw(db, seqs);
        return seqs.map((seq) => rows.get(seq) ?? null);
      },
      { maxBatchSize: MAX_BATCH },
    ),

    async events(page, filter, upTo) {
      const own = selection(filter, upTo);
      const { rows, lookedUpTo } = await readHistory(db, own, positionOf(page), page.first + 1);
      return { page: toPage(rows, page, lookedUpTo), ...countsOf(own) };
    },

    async eventsOfDevice(deviceId, page, filter, upTo) {
      const own = selection({ ...filter, deviceIds: within(filter.deviceIds, deviceId) }, upTo);
      return { page: await ofDevices.load(deviceId, { page, filter, upTo }), ...countsOf(own) };
    },

    async deadLetters(integrationId, page, filter) {
      const before = page.after === null ? null : parseLetterCursor(codec, page.after, integrationId);
      const rows = await pageDeadLetters(db, access, integrationId, filter, before, page.first + 1);
      return {
        page: {
          rows: rows.slice(0, page.first),
          hasNextPage: rows.length > page.first,
          hasPreviousPage: page.after !== null,
          cursorOf: (letter) => codec.encode(DEAD_LETTER_CURSOR, [letter.integration_id, letter.id]),
        },
        total: () => countDeadLetters(db, access, integrationId, filter),
      };
    },
  };
}

const DAY_MS = 86_400_000;
const MIN_SIZE_MS = 60_000;

/** @throws GraphQLError BAD_USER_INPUT for spans that do not begin with days */
function parseSize(sizeMs: number): number {
  const isDays = sizeMs >= DAY_MS && sizeMs % DAY_MS === 0;
  if (!isDays && !(sizeMs >= MIN_SIZE_MS && DAY_MS % sizeMs === 0)) {
    throw fault('BAD_USER_INPUT', 'size must be whole days, or at least a minute and a part that divides a day.');
  }
  return sizeMs;
}

/** The device's own list, narrowed by a filter that names devices too. */
function within(deviceIds: readonly string[] | null | undefined, id: string): readonly string[] {
  return deviceIds === null || deviceIds === undefined || deviceIds.includes(id) ? [id] : [];
}

const LetterPosition = z.tuple([z.string(), z.number()]);

/** @throws GraphQLError BAD_CURSOR */
function parseLetterCursor(codec: CursorCodec, cursor: string, integrationId: string): number {
  const position = LetterPosition.safeParse(codec.decode(DEAD_LETTER_CURSOR, cursor));
  if (!position.success || position.data[0] !== integrationId) throw badCursor();
  return position.data[1];
}
