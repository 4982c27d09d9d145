import { jsonSchemaOf, sampleOf } from '../../schema/catalogue/event-types.ts';
import { EVENT_CODECS } from '../../schema/formats/formats.ts';
import {
  ACCESS_OUTCOMES,
  DEAD_LETTER_STAGES,
  DEVICE_STATES,
  EVENT_FAMILIES,
  type EventFormat,
  EVIDENCE_SOURCES,
  FORWARDING_STATES,
  SEVERITIES,
  STATUS_REASONS,
} from '../../schema/words.ts';
import { DEFAULT_LIFE_MS } from '../../pipeline/media/media-links.ts';
import { diagnose } from '../../pipeline/dead-letters/diagnose.ts';
import type { StreamItem } from '../../pipeline/stream/event-stream.ts';
import { type StatusChange, type StatusPlace, subscribeStatusChanges } from '../../pipeline/stream/status-changes.ts';
import { StreamPlace } from '../../schema/subgraph.ts';
import { parsePageArgs } from '../../storage/connection.ts';
import type { LoggedEvent } from '../../storage/event-log.ts';
import { parseEventFilter } from '../../storage/event-log-filter.ts';
import { eventId } from '../../storage/ids.ts';
import { deadLetterId } from '../../storage/inbox-dead-letters.ts';
import { withAsOf } from '../as-of.ts';
import { connectionResolvers, edgeResolvers, pageResolvers } from '../listing.ts';
import { requireScope } from '../require-scope.ts';
import { toWord } from '../row-words.ts';
import type { Context } from './context.ts';
import type { Resolvers } from './generated/types.ts';
import { detailsOf, mediaOf, webAddress } from './model.ts';
import { nativeOf } from './native.ts';
import { bodyPreview, headersOf, rawOf } from './previews.ts';
import { replayDeadLetters } from './replay.ts';

const TYPES = {
  HEALTH: 'HealthEvent',
  ALARM: 'AlarmEvent',
  ACCESS: 'AccessEvent',
  VIDEO: 'VideoEvent',
  SENSOR: 'SensorEvent',
  SYSTEM: 'SystemEvent',
  SUPERVISION: 'SupervisionEvent',
  INVENTORY: 'InventoryEvent',
  // Outcomes of commands have no attributes of their own yet.
  COMMAND: 'SystemEvent',
} as const satisfies Record<(typeof EVENT_FAMILIES)[number], string>;

const INT_MAX = 2_147_483_647;

function referenceOf(id: string | null): { readonly id: string } | null {
  return id === null ? null : { id };
}

/** What all families have in common. */
const event = {
  __resolveReference: ({ id }: { readonly id: string }, context: Context) => context.read().event.load(id),
  id: (row: LoggedEvent) => eventId(row.key),
  cursor: (row: LoggedEvent, _: unknown, { cursors }: Context) => cursors.of(row),
  family: (row: LoggedEvent) => toWord(EVENT_FAMILIES, row.family, 'SYSTEM'),
  severity: (row: LoggedEvent) => SEVERITIES[row.severity] ?? 'INFO',
  occurredAt: (row: LoggedEvent) => row.occurred_at,
  receivedAt: (row: LoggedEvent) => row.received_at,
  clockSkewMs: (row: LoggedEvent) => row.clock_skew_ms,
  localTimeDoubt: (row: LoggedEvent) => detailsOf(row).localTime ?? null,
  late: (row: LoggedEvent) => row.late === 1,
  suppressed: (row: LoggedEvent) => row.suppressed === 1,
  inMaintenance: (row: LoggedEvent) => row.in_maintenance === 1,
  org: (row: LoggedEvent) => ({ id: row.org_id }),
  site: (row: LoggedEvent) => referenceOf(row.site_id),
  device: (row: LoggedEvent) => referenceOf(row.device_id),
  integration: (row: LoggedEvent) => ({ id: row.integration_id }),
  vendorEventId: (row: LoggedEvent) => row.vendor_event_id,
  duplicateCount: (row: LoggedEvent, _: unknown, context: Context) => context.read().duplicates.load(row),
  origin: (row: LoggedEvent) => toWord(EVIDENCE_SOURCES, row.origin, 'WEBHOOK'),
  media: (row: LoggedEvent) => mediaOf(row, eventId(row.key)),
  as: (row: LoggedEvent, { format }: { readonly format: EventFormat }) => EVENT_CODECS[format].encode(nativeOf(row)),
  forwardings: (row: LoggedEvent, _: unknown, context: Context) => context.read().forwardings.load(eventId(row.key)),
  raw: async (row: LoggedEvent, _: unknown, context: Context) => rawOf(await context.read().raw.load(row.seq)),
};

export const resolvers: Resolvers = {
  Query: {
    events: (_, { first, after, filter }, context, info) =>
      withAsOf(info, context.head, (upTo) =>
        context.read().events(parsePageArgs(first, after), parseEventFilter(filter), upTo),
      ),
    streamCursor: async (_, __, { principal, cursors, head }) => {
      requireScope(principal, 'events:read');
      return cursors.encode(await head(), null);
    },
    eventTypes: (_, selection, { catalogue }) => catalogue(selection),
  },
  Mutation: {
    replayDeadLetters: (_, { input }, context) => replayDeadLetters(context, input),
    simulateEvents: (_, { input }, { simulation, principal, signal }) => simulation.run(principal, input, signal),
  },
  Subscription: {
    events: {
      async subscribe(_, { filter, after, heartbeatSeconds }, { principal, stream, signal, tellsPlaces }) {
        requireScope(principal, 'events:read');
        const { access } = principal;
        const items = await stream.subscribe({
          access,
          filter: parseEventFilter(filter),
          after: after ?? null,
          heartbeatSeconds: heartbeatSeconds ?? undefined,
          signal,
          tellsPlaces,
        });
        return mapped(items, eventsRoot);
      },
    },
    deviceStatusChanged: {
      async subscribe(_, { filter, after }, { db, principal, stream, inventory, signal, tellsPlaces }) {
        requireScope(principal, 'events:read');
        const { access } = principal;
        const devices = () => inventory.matching(access, { filter: filter ?? null, search: null }, null);
        // A filter that cannot be understood is said now, not at the first change.
        devices();
        const request = { access, devices, after: after ?? null, signal, tellsPlaces };
        const changes = await subscribeStatusChanges({ db, stream }, request);
        return mapped(changes, statusRoot);
      },
    },
    siteHealthChanged: {
      async subscribe(_, { orgId, throttleMs }, { principal, siteHealth, signal }) {
        requireScope(principal, 'events:read');
        const { access } = principal;
        const changes = await siteHealth.subscribe({ access, orgId, throttleMs: throttleMs ?? 1_000, signal });
        return mapped(changes, (change) => ({ siteHealthChanged: change }));
      },
    },
    integrationHealthChanged: {
      subscribe(_, { orgId }, { principal, integrationChanges, signal }) {
        requireScope(principal, 'events:read');
        const ids = integrationChanges.subscribe({ access: principal.access, orgId, signal });
        return mapped(ids, (id) => ({ integrationHealthChanged: { id } }));
      },
    },
  },
  Event: { __resolveType: (row) => TYPES[toWord(EVENT_FAMILIES, row.family, 'SYSTEM')] },
  HealthEvent: {
    ...event,
    previousState: (row) => (row.previous_state === null ? null : toWord(DEVICE_STATES, row.previous_state, 'UNKNOWN')),
    state: (row) => toWord(DEVICE_STATES, row.state, 'UNKNOWN'),
    reason: (row) => (row.state_reason === null ? null : toWord(STATUS_REASONS, row.state_reason, 'OTHER')),
  },
  AlarmEvent: {
    ...event,
    zone: (row) => detailsOf(row).zone ?? null,
    actors: (row) => detailsOf(row).actors ?? [],
    siaCode: (row) => detailsOf(row).siaCode ?? null,
    contactIdCode: (row) => detailsOf(row).contactIdCode ?? null,
    restoral: (row) => detailsOf(row).restoral ?? false,
    deepLink: (row) => webAddress(detailsOf(row).deepLink),
  },
  AccessEvent: {
    ...event,
    outcome: (row) => toWord(ACCESS_OUTCOMES, detailsOf(row).outcome ?? null, 'OTHER'),
    credentialHint: (row) => detailsOf(row).credentialHint ?? null,
    personName: (row) => detailsOf(row).personName ?? null,
  },
  VideoEvent: { ...event, fault: (row) => detailsOf(row).fault ?? row.vendor_code ?? row.type },
  SensorEvent: { ...event, metadata: (row) => detailsOf(row).metadata ?? {} },
  SystemEvent: { ...event, detail: (row) => detailsOf(row).detail ?? null },
  SupervisionEvent: { ...event, intervalSeconds: (row) => detailsOf(row).intervalSeconds ?? null },
  InventoryEvent: { ...event, change: (row) => detailsOf(row).change ?? row.type },
  Media: {
    url: ({ event: row, sequence }, { expiresIn }, { media, principal }) =>
      media(principal, row, sequence, expiresIn ?? DEFAULT_LIFE_MS),
  },
  EventForwarding: {
    device: ({ target_device_id: id }) => ({ id }),
    state: ({ state }) => toWord(FORWARDING_STATES, state, 'PENDING'),
    uncertain: ({ is_uncertain }) => is_uncertain === 1,
    error: ({ error_code: code, error_message: message }) => (code === null ? null : { code, message: message ?? '' }),
    queuedAt: ({ created_at }) => created_at,
    settledAt: ({ settled_at }) => settled_at,
  },
  EventType: {
    jsonSchema: (type) => jsonSchemaOf(type),
    sample: (type, { format }) => EVENT_CODECS[format ?? 'NATIVE'].encode(sampleOf(type)),
    deprecatedAt: ({ deprecatedAt }) => (deprecatedAt === null ? null : Date.parse(deprecatedAt)),
  },
  EventConnection: {
    ...pageResolvers<LoggedEvent>(),
    totalCount: (list) => list.total(),
    buckets: async (list, { size }) => {
      const buckets = await list.buckets(size);
      return buckets === null ? null : [...buckets];
    },
    asOfCursor: ({ asOf }, _, { cursors }) => cursors.encode(asOf ?? 0, null),
  },
  EventEdge: edgeResolvers<LoggedEvent>(),
  Device: {
    __resolveReference: ({ id }) => ({ id }),
    events: ({ id }, { first, after, filter }, context, info) =>
      withAsOf(info, context.head, (upTo) =>
        context.read().eventsOfDevice(id, parsePageArgs(first, after), parseEventFilter(filter), upTo),
      ),
  },
  Integration: {
    __resolveReference: ({ id }) => ({ id }),
    unknownCodes: ({ id }, _, context) => context.read().unknownCodes.load(id),
    deadLetters: ({ id }, { first, after, filter }, context) =>
      context.read().deadLetters(id, parsePageArgs(first, after), filter ?? {}),
  },
  SiteHealthChange: {
    site: ({ siteId }) => ({ id: siteId }),
    health: ({ health, asOf }) => ({ ...health, asOf }),
  },
  DeviceStatusChange: {
    device: ({ event: { device_id } }) => referenceOf(device_id),
    previous: ({ event: { previous_state } }) => toWord(DEVICE_STATES, previous_state, 'UNKNOWN'),
    current: ({ event: { state } }) => toWord(DEVICE_STATES, state, 'UNKNOWN'),
    at: ({ event: { occurred_at } }) => occurred_at,
    cause: ({ event: row }) => row,
  },
  UnknownCode: {
    // A count beyond what GraphQL's Int holds says no more than that it is many.
    count: ({ count }) => Math.min(count, INT_MAX),
    firstSeenAt: ({ first_seen_at }) => first_seen_at,
    lastSeenAt: ({ last_seen_at }) => last_seen_at,
  },
  DeadLetter: {
    __resolveReference: ({ id }, context) => context.read().deadLetter.load(id),
    id: (letter) => deadLetterId(letter),
    receivedAt: (letter) => letter.received_at,
    stage: (letter) => toWord(DEAD_LETTER_STAGES, letter.stage, 'DELIVERY'),
    reason: (letter) => letter.reason ?? '',
    headers: (letter) => headersOf(letter),
    bodyPreview: (letter) => bodyPreview(letter),
    diagnosis: (letter) => [...diagnose(toWord(DEAD_LETTER_STAGES, letter.stage, 'DELIVERY'), letter)],
  },
  DeadLetterConnection: connectionResolvers(),
  DeadLetterEdge: edgeResolvers(),
};

/** What an item of a stream is resolved from. */
function eventsRoot(item: StreamItem): StreamPlace | { readonly events: Exclude<StreamItem, { __typename: 'Place' }> } {
  return item.__typename === 'Place' ? new StreamPlace(item.cursor) : { events: item };
}

function statusRoot(change: StatusChange | StatusPlace): StreamPlace | { readonly deviceStatusChanged: StatusChange } {
  return change.event === null ? new StreamPlace(change.cursor) : { deviceStatusChanged: change };
}

/**
 * Wraps items without putting a generator between: returning from it must reach the source at once. Places are no items;
 * whoever asked for them takes them out before anything is resolved from them.
 */
function mapped<T, R>(
  source: AsyncIterator<T, void, void>,
  map: (item: T) => R | StreamPlace,
): AsyncIterableIterator<R, void, void> {
  const result: AsyncIterableIterator<R, void, void> = {
    async next() {
      const { done, value } = await source.next();
      return done === true ? { done, value: undefined } : { done: false, value: map(value) as R };
    },
    async return() {
      await source.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => result,
  };
  return result;
}
