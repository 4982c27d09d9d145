/**
 * Raising custom events on cameras without doubling them. The service has no idempotency key: every event carries the tag
 * `evt_<our id>`, and whenever the outcome of a call is unknown that tag is searched for before anything is sent again.
 *
 * @see "How to Create or Trigger an Event" and "Integration with sensors" of the vendor's help
 */
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { CustomEventDraft } from '../../adapter-kit/model.ts';
import type { VxgClient } from './client.ts';
import { OWN_EVENT_PREFIX } from './event-rules.ts';
import { WireEvent } from './wire.ts';

/** Ours: the service's limits are not documented. */
const MAX_TAGS = 32;
const MAX_TAG_NAME = 64;
const MAX_TAG_VALUE = 512;
/** Around the event's own time, because service and sensor need not agree on the second. */
const SEARCH_AROUND_MS = 60_000;
/** Types known to exist; beyond it they are asked for anew. */
const MAX_KNOWN_TYPES = 20_000;
const TYPE_NAME = /^[a-z0-9_]{1,32}$/;

export interface OwnEvent {
  /** Ours; at most 60 characters of letters, digits, `-` and `_`. */
  readonly ownId: string;
  readonly cameraId: string;
  /** 1 to 32 of a-z, 0-9 and `_`. */
  readonly typeName: string;
  readonly at: Date;
  /** What the sensor said. Nested values become JSON, what is beyond the bounds is left out. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Values to be found by later: the service searches names of tags only, so each is written as a tag as well. */
  readonly searchable?: readonly string[];
}

export interface CustomEvents {
  /**
   * Raises the event, or finds that it was raised before.
   *
   * @param mayExist an earlier attempt may have come through: it is searched for first. Default false
   * @returns the event's id at the service, and whether it was there already
   * @throws AdapterError; a retryable one is to be tried again with `mayExist`
   */
  raise(
    event: OwnEvent,
    signal: AbortSignal,
    mayExist?: boolean,
  ): Promise<{ readonly id: string; readonly existed: boolean }>;
}

const OWN_ID = /^[\w-]{1,60}$/;

/** Further from our clock, a sensor's own time would put the event where nobody looks for it. */
const MAX_CLOCK_OFF_MS = 600_000;

/** Names of types as the vendor's page has them, by ours; others are named after ours. */
const TYPE_NAMES: ReadonlyMap<string, string> = new Map([
  ['access.denied', 'access_denied'],
  ['access.forced_open', 'door_forced'],
  ['access.held_open', 'door_held'],
  ['alarm.fire', 'fire_alarm'],
  ['sensor.motion', 'ext_motion'],
  ['sensor.transaction', 'pos_transaction'],
  ['health.offline', 'sensor_offline'],
]);
const MAX_TYPE_NAME = 32;

function typeNameOf(type: string): string {
  return (
    TYPE_NAMES.get(type) ??
    type
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '_')
      .slice(0, MAX_TYPE_NAME)
  );
}

function asRecord(metadata: unknown): Readonly<Record<string, unknown>> {
  if (metadata === null || metadata === undefined) return {};
  return typeof metadata === 'object' && !Array.isArray(metadata) ? { ...metadata } : { metadata };
}

/** An event of a sensor as one to raise on a camera: who sensed it, then all that was said, which comes first in doubt. */
export function toOwnEvent(cameraId: string, draft: CustomEventDraft, now: Date): OwnEvent {
  const { eventId, type, severity, occurredAt, summary, source, metadata } = draft;
  const isOff = Math.abs(occurredAt.getTime() - now.getTime()) > MAX_CLOCK_OFF_MS;
  return {
    ownId: eventId.startsWith(OWN_EVENT_PREFIX) ? eventId.slice(OWN_EVENT_PREFIX.length) : eventId,
    cameraId,
    typeName: typeNameOf(type),
    at: isOff ? now : occurredAt,
    metadata: {
      sensor_id: source.deviceId,
      sensor_name: source.name,
      sensor_type: source.type,
      severity: severity.toLowerCase(),
      summary,
      source_time: occurredAt.toISOString(),
      ...asRecord(metadata),
    },
    searchable: ['sensor_id'],
  };
}

/** Flat texts within bounds: what was said, then the tags to search by. */
export function tagsOf({ ownId, metadata, searchable = [] }: OwnEvent): Record<string, string> {
  const said = Object.entries(metadata).flatMap(([name, value]) => {
    if (value === null || value === undefined || name.length > MAX_TAG_NAME) return [];
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return [[name, text.slice(0, MAX_TAG_VALUE).toWellFormed()] as const];
  });
  const twins = said
    .filter(([name]) => searchable.includes(name))
    .map(([name, value]) => [`${name}_${value.replaceAll(/\s/g, '_')}`, ''] as const)
    .filter(([name]) => name.length <= MAX_TAG_NAME);
  const room = Math.max(0, MAX_TAGS - 1 - twins.length);
  return Object.fromEntries([...said.slice(0, room), ...twins.slice(0, MAX_TAGS - 1), [OWN_EVENT_PREFIX + ownId, '']]);
}

/** Whether the service may have done what was asked, although we were not told. */
function isUnknown(error: unknown): boolean {
  return error instanceof AdapterError && (error.code === 'TIMEOUT' || error.code === 'UNREACHABLE');
}

export function createCustomEvents(client: VxgClient): CustomEvents {
  const known = new Set<string>();

  async function ensureType(cameraId: string, typeName: string, signal: AbortSignal): Promise<void> {
    const key = `${cameraId} ${typeName}`;
    if (known.has(key)) return;
    const types = await client.eventTypes(cameraId, signal);
    if (!types.some(({ name }) => name === typeName)) await client.createEventType(cameraId, typeName, signal);
    if (known.size >= MAX_KNOWN_TYPES) known.clear();
    known.add(key);
  }

  async function find({ ownId, cameraId, at }: OwnEvent, signal: AbortSignal): Promise<string | null> {
    const query = {
      cameraIds: [cameraId],
      tags: [OWN_EVENT_PREFIX + ownId],
      from: new Date(at.getTime() - SEARCH_AROUND_MS),
      until: new Date(at.getTime() + SEARCH_AROUND_MS),
    };
    for await (const { items } of client.searchEvents(query, 10, signal)) {
      for (const { value } of items) {
        const event = WireEvent.safeParse(value);
        // A service that does not know the filter would answer with whatever happened then.
        if (event.success && event.data.camid === cameraId && event.data.meta.has(OWN_EVENT_PREFIX + ownId))
          return event.data.id;
      }
    }
    return null;
  }

  return {
    async raise(event, signal, mayExist = false) {
      if (!TYPE_NAME.test(event.typeName) || !OWN_ID.test(event.ownId) || !/^\d+$/.test(event.cameraId))
        throw new AdapterError('MISCONFIGURED', 'a custom event needs a camera, a type name and an id of ours');
      const before = mayExist ? await find(event, signal) : null;
      if (before !== null) return { id: before, existed: true };
      await ensureType(event.cameraId, event.typeName, signal);
      const { cameraId, typeName: name, at } = event;
      try {
        return { id: await client.createEvent({ cameraId, name, at, tags: tagsOf(event) }, signal), existed: false };
      } catch (error) {
        // The type may have been removed since: looked up again next time.
        known.delete(`${cameraId} ${name}`);
        if (!isUnknown(error) || signal.aborted) throw error;
        const after = await find(event, signal);
        if (after === null) throw error;
        return { id: after, existed: true };
      }
    },
  };
}
