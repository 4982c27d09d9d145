import type { Severity } from '../words.ts';
import { type EventType, eventType } from './event-type.ts';

function sensor(
  name: string,
  severity: Severity,
  description: string,
  rest: Parameters<typeof eventType>[4] = {},
): EventType {
  return eventType(`sensor.${name}`, 'SENSOR', severity, description, { example: { metadata: { value: 1 } }, ...rest });
}

/** What sensors read or detect. */
export const SENSOR_TYPES: readonly EventType[] = [
  sensor('reading', 'INFO', 'A measured value.', { example: { metadata: { temperature: 21.5, unit: '°C' } } }),
  sensor('motion', 'INFO', 'Motion.', { otherSeverities: ['NOTICE'] }),
  sensor('motion_started', 'INFO', 'Motion began.'),
  sensor('motion_stopped', 'INFO', 'Motion ended.'),
  sensor('sound', 'INFO', 'A sound.'),
  sensor('face', 'INFO', 'A face was recognised.'),
  sensor('license_plate', 'INFO', 'A license plate was read.', { example: { metadata: { plate: 'B-CG 4711' } } }),
  sensor('objects', 'INFO', 'Objects were detected.', {
    example: { metadata: { person: '2' }, actors: [{ kind: 'person', confidence: null }] },
  }),
  sensor('detection', 'NOTICE', 'An analysis detects something.', {
    example: { metadata: { label: 'person' }, actors: [{ kind: 'person', confidence: 0.87 }] },
  }),
  sensor('detection_ended', 'INFO', 'An analysis detects nothing any more.'),
  sensor('alarm', 'WARNING', 'A sensor of an unusual kind is in alarm.'),
  sensor('alarm_ended', 'NOTICE', 'A sensor of an unusual kind is back to normal.'),
  sensor('temperature_high', 'WARNING', 'The device is too warm.'),
  sensor('input_activated', 'INFO', 'An input was activated.'),
  sensor('input_deactivated', 'INFO', 'An input was deactivated.'),
  sensor('input_changed', 'INFO', 'An input changed.'),
  sensor('output_activated', 'INFO', 'An output was switched on.'),
  sensor('output_deactivated', 'INFO', 'An output was switched off.'),
  sensor('output_changed', 'INFO', 'An output changed.'),
  sensor('pos', 'INFO', 'A till rang up a transaction.', { example: { metadata: { total: 12.5, lane: 3 } } }),
  sensor('pos_void', 'WARNING', 'A transaction was voided.'),
  sensor('pos_refund', 'WARNING', 'A refund was paid.'),
  sensor('pos_no_sale', 'WARNING', 'A till was opened without a sale.'),
  sensor('pos_alarm', 'WARNING', 'A till raised an alarm.'),
  sensor('pos_alarm_ended', 'INFO', 'The alarm of a till is over.'),
  sensor('transaction', 'INFO', 'A transaction at a till next to the device.'),
  sensor('other', 'INFO', 'An event of a sensor, or of somebody’s own making, that no table knows.'),
];
