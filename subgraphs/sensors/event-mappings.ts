import { defineEventTable, type EventMapping } from '../../adapter-kit/event-table.ts';
import {
  ACCESS_RULES,
  ALARM_RULES,
  type EventRule,
  OTHER_ACCESS,
  OTHER_ALARM,
  OTHER_POS,
  POS_RULES,
  PRESENCE_RULES,
  REPORT,
  STATE_RULES,
  VALUE,
} from './words.ts';

function row(code: string, { type, family, severity }: EventRule, notes: string | null = null): EventMapping {
  return { code, type, family, severity, notes };
}

const KIND = 'of a sensor of this kind';

/** What sensors say once their dialect was read: signal and value, for alarms with the kind of the sensor before them. */
export const eventTable = defineEventTable(1, [
  ...Object.entries(PRESENCE_RULES).map(([word, rule]) => row(`presence ${word}`, rule)),
  ...Object.entries(ALARM_RULES).flatMap(([kind, { active, clear }]) => [
    row(`${kind} alarm active`, active, KIND),
    row(`${kind} alarm clear`, clear, KIND),
  ]),
  row('alarm active', OTHER_ALARM.active, 'of a sensor of none of the kinds'),
  row('alarm clear', OTHER_ALARM.clear, 'of a sensor of none of the kinds'),
  ...Object.entries(STATE_RULES).flatMap(([signal, { active, clear }]) => [
    row(`${signal} active`, active),
    row(`${signal} clear`, clear),
  ]),
  ...[...ACCESS_RULES].map(([value, rule]) => row(`access ${value}`, rule)),
  row('access *', OTHER_ACCESS, 'any other value; counted as an unknown code'),
  ...[...POS_RULES].map(([value, rule]) => row(`pos ${value}`, rule)),
  row('pos *', OTHER_POS, 'any other value; counted as an unknown code'),
  row('detection active', ALARM_RULES.ai.active),
  row('detection ended', ALARM_RULES.ai.clear),
  row('value', VALUE),
  row('report', REPORT, 'a message without anything new'),
]);
