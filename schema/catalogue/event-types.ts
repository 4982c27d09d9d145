import { z } from 'zod';
import { ACCESS_TYPES } from './access.ts';
import { ALARM_TYPES } from './alarm.ts';
import type { EventType } from './event-type.ts';
import { HEALTH_TYPES } from './health.ts';
import { type NativeData, nativeDataOf, NativeEvent, ownData } from './native-event.ts';
import { SENSOR_TYPES } from './sensor.ts';
import { SYSTEM_TYPES } from './system.ts';
import { VIDEO_TYPES } from './video.ts';

/** Every type of event that can be in the log, by name. */
export const EVENT_TYPES: readonly EventType[] = [
  ...HEALTH_TYPES,
  ...ALARM_TYPES,
  ...ACCESS_TYPES,
  ...VIDEO_TYPES,
  ...SENSOR_TYPES,
  ...SYSTEM_TYPES,
].toSorted((a, b) => (a.name < b.name ? -1 : 1));

const exact = new Map(EVENT_TYPES.map((type) => [type.name, type]));
const families = EVENT_TYPES.filter(({ name }) => name.endsWith('.*'));

function isBelow(pattern: string, name: string): boolean {
  return name.length >= pattern.length && name.startsWith(pattern.slice(0, -1));
}

/** The entry of an event's type; null for a name that is none of ours. */
export function findEventType(name: string): EventType | null {
  return exact.get(name) ?? families.find((pattern) => isBelow(pattern.name, name)) ?? null;
}

/** The schema of one type's native form: of all events, narrowed to this name and family. */
export function nativeSchemaOf({ name, family, version }: EventType): z.ZodType<NativeEvent> {
  return NativeEvent.extend({
    type: name.endsWith('.*') ? z.string().startsWith(name.slice(0, -1)) : z.literal(name),
    version: z.literal(version),
    family: z.literal(family),
    data: nativeDataOf(family),
  });
}

const jsonSchemas = new Map<string, Record<string, unknown>>();

/** JSON Schema (draft 2020-12) of one type's native form. Members that are added later do not break it. */
export function jsonSchemaOf(type: EventType): Record<string, unknown> {
  const known = jsonSchemas.get(type.name);
  if (known !== undefined) return known;
  const made: Record<string, unknown> = {
    ...z.toJSONSchema(nativeSchemaOf(type), { io: 'input' }),
    title: type.name,
    description: type.description,
  };
  jsonSchemas.set(type.name, made);
  return made;
}

/** `data` of an event of this type when nobody says more. */
export function exampleData({ family, name, example }: EventType): NativeData {
  const own = ownData(family, { restoral: false, outcome: 'OTHER', fault: name, metadata: null, change: name });
  return { ...own, ...example };
}

/** An event of this type as it may come, with ids that belong to nobody. */
export function sampleOf(type: EventType): NativeEvent {
  const isOurs = type.madeBy === 'CONVERGRAPH';
  return {
    id: 'evt_01c6a4b8e2f09d3a7b5c1e8f60d2a4b6',
    type: type.name.replace('*', 'door_chime'),
    version: type.version,
    family: type.family,
    severity: type.severity,
    occurredAt: '2026-02-04T14:32:00.000Z',
    receivedAt: '2026-02-04T14:32:00.412Z',
    clockSkewMs: isOurs ? null : 180,
    late: false,
    orgId: 'org_5f0c2b7a9d1e4c38',
    siteId: 'site_8a41d6e0b3f27c95',
    deviceId: type.family === 'SYSTEM' ? null : 'dev_2e9b7f04c1a8d653',
    integrationId: 'int_c07d3e5a1f9b8246',
    vendorEventId: isOurs ? null : '7d9f6c1e-4b0a-4f7e-9c55-2f1f0a3f7b11',
    vendorCode: isOurs ? null : type.name.slice(type.name.indexOf('.') + 1).replace('*', 'DOOR-CHIME'),
    origin: isOurs ? 'POLL' : 'WEBHOOK',
    summary: type.description.replace(/\.$/, ''),
    status:
      type.claim === null
        ? null
        : { ...type.claim, previousState: type.claim.state === 'ONLINE' ? 'OFFLINE' : 'ONLINE' },
    media:
      type.name === 'video.snapshot'
        ? [
            {
              contentType: 'image/jpeg',
              url: 'https://media.example.com/snapshots/4711.jpg',
              thumbnailUrl: null,
              sizeBytes: 20_480,
              capturedAt: '2026-02-04T14:32:00.000Z',
              sha256: null,
            },
          ]
        : [],
    data: exampleData(type),
  };
}
