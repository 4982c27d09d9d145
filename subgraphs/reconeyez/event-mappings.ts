import { defineEventTable, type EventMapping } from '../../adapter-kit/event-table.ts';
import { EVENT_NAMES, EVENT_TABLE, type EventName } from './event-table.ts';

/** Three events share this code; all of them are the same type of ours, as urgent as who was seen. */
const DETECTION = 'BA';

const names = EVENT_NAMES.flatMap((name): readonly EventMapping[] => {
  const { code, type, family, severity, names: others } = EVENT_TABLE[name];
  const spellings = (others ?? '').split(' ').filter((other) => other !== '');
  const notes = code === null ? 'the vendor publishes no code for it' : `SIA code ${code}`;
  return [
    { code: name, type, family, severity, notes },
    ...spellings.map((other) => ({ code: other, type, family, severity, notes: `another spelling of ${name}` })),
  ];
});

const codes = EVENT_NAMES.flatMap((name): readonly EventMapping[] => {
  const { code, type, family, severity } = EVENT_TABLE[name];
  return code === null || code === DETECTION ? [] : [{ code, type, family, severity, notes: `SIA code of ${name}` }];
});

const { type, family, severity } = EVENT_TABLE.MovementDetected;
const detection = {
  code: DETECTION,
  type,
  family,
  severity,
  notes: 'SIA code of PersonDetected, VehicleDetected and MovementDetected: the detections beside it tell which',
};

/** By name, then by code. Names are understood in any case, with or without blanks. */
export const eventTable = defineEventTable(1, [...names, ...codes, detection]);

/** An event of the vendor's, as its own lists name it. */
export interface VendorEvent {
  readonly name: EventName;
  /** Null where the vendor has published none. */
  readonly code: string | null;
}

const byType = Map.groupBy(EVENT_NAMES, (name) => EVENT_TABLE[name].type);

/** The way back: which events of the vendor's become this type of ours, by name and code. */
export function vendorEventsOf(ourType: string): readonly VendorEvent[] {
  return (byType.get(ourType) ?? []).map((name) => ({ name, code: EVENT_TABLE[name].code }));
}
