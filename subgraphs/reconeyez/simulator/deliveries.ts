// How the simulated cloud writes an event. Names that nobody has seen for sure are placeholders of ours: time, event name,
// account and position.
import { createHash } from 'node:crypto';
import { pictureBytes } from '../../../adapter-kit/simulator-kit/media-bytes.ts';
import { EVENT_TABLE, type EventName } from '../event-table.ts';
import type { Faults } from './faults.ts';

export interface Happening {
  readonly id: string;
  /** One of the platform's events, or any word. */
  readonly event: string;
  readonly at: Date;
  /** IANA zone of the device. */
  readonly timezone: string;
  readonly device: {
    readonly guid: string;
    readonly name: string;
    readonly type: string;
    readonly area: string;
    readonly battery: number;
    readonly signalDbm: number;
  } | null;
  readonly detections: readonly string[];
}

const DETECTIONS: ReadonlySet<string> = new Set(['PersonDetected', 'VehicleDetected', 'MovementDetected']);

function isKnown(event: string): event is EventName {
  return Object.hasOwn(EVENT_TABLE, event);
}

function codeOf(event: string): string | null {
  return isKnown(event) ? EVENT_TABLE[event].code : null;
}

/** The wall clock, without an offset. */
function localTime(at: Date, timezone: string): string {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: timezone, dateStyle: 'short', timeStyle: 'medium' });
  return format.format(at).replace(' ', 'T');
}

function timeOf({ at, timezone }: Happening, faults: Faults): string | undefined {
  if (faults.time === 'none') return undefined;
  return faults.time === 'local' ? localTime(at, timezone) : at.toISOString().replace('Z', '+00:00');
}

function picturesOf({ id, event }: Happening, faults: Faults) {
  if (!DETECTIONS.has(event) && event !== 'Snapshot' && event !== 'RoutineCheck') return [];
  const count = event === 'RoutineCheck' ? 0 : faults.pictures;
  return Array.from({ length: count }, (_, index) => ({
    type: 'image',
    data: pictureBytes(`${id} ${index}`, faults.pictureBytes).toString('base64'),
  }));
}

function linkOf(id: string): string {
  const token = createHash('sha256').update(`secure link ${id}`).digest('base64url');
  return `https://eu.reconeyez.com/securl/${token}`;
}

type Members = Readonly<Record<string, unknown>>;

function without(members: Members): Members {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function strict(happening: Happening, faults: Faults): Members {
  const { id, event, device } = happening;
  return {
    event_guid: faults.withoutIds ? undefined : id,
    event_type: codeOf(event) ?? event,
    event_name: isKnown(event) ? event : undefined,
    timestamp: timeOf(happening, faults),
    url: linkOf(id),
    device_info:
      device === null
        ? undefined
        : {
            guid: device.guid,
            name: device.name,
            type: device.type,
            area: device.area,
            battery_percentage: device.battery,
            signal_strength_dbm: device.signalDbm,
          },
    detections: happening.detections.map((type) => ({ type })),
    binary: picturesOf(happening, faults),
  };
}

function camel(happening: Happening, faults: Faults): Members {
  const { id, event, device } = happening;
  return {
    eventId: faults.withoutIds ? undefined : id,
    eventType: event,
    dateTime: timeOf(happening, faults),
    link: linkOf(id),
    deviceGuid: device?.guid.toLowerCase(),
    deviceName: device?.name,
    areaName: device?.area,
    batteryPercentage: device?.battery,
    signalStrengthAsu:
      device === null ? undefined : Math.max(0, Math.min(31, Math.round((device.signalDbm + 113) / 2))),
    detections: happening.detections,
    images: picturesOf(happening, faults).map(({ data }) => data),
  };
}

/** What cannot be left out: what, and of which device. */
function minimal({ event, device }: Happening): Members {
  return { event_type: codeOf(event) ?? event, device_info: device === null ? undefined : { guid: device.guid } };
}

/** The body of one delivery. */
export function writeDelivery(happening: Happening, faults: Faults): string {
  switch (faults.dialect) {
    case 'strict':
      return JSON.stringify(without(strict(happening, faults)));
    case 'camel':
      return JSON.stringify(without(camel(happening, faults)));
    case 'minimal':
      return JSON.stringify(without(minimal(happening)));
    default:
      return faults.dialect satisfies never;
  }
}
