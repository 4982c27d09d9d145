import { defineEventTable, type EventMapping } from '../../adapter-kit/event-table.ts';
import { ruleOfAccessResult, ruleOfDescription, type EventRule, ruleOfTypeName } from './event-rules.ts';

/**
 * Descriptions as the product ships them. Codes are numbers that differ from site to site, and its table is one of patterns:
 * these are what the patterns are for, and the tests hold that every pattern has one.
 */
export const DESCRIPTIONS: readonly string[] = [
  'Communications Lost',
  'Communications Restored',
  'Communications Disabled',
  'Panel Offline',
  'Panel Online',
  'Duress',
  'Duress Restored',
  'Hold-up Alarm',
  'Door Forced Open',
  'Door Forced Open Restored',
  'Door Held Open',
  'Door Held Open Cancelled',
  'Cabinet Tamper',
  'Cabinet Tamper Restored',
  'Power Failure',
  'Power Restored',
  'Low Battery',
  'Battery Restored',
  'Ground Fault',
  'Ground Fault Restored',
  'Line Error Active',
  'Line Error Cleared',
  'Video Source Signal Lost',
  'Video Source Signal Restored',
  'Disk Full',
  'Disk Failure Cleared',
  'Access Granted',
  'Access Denied',
  'Invalid Badge',
  'Fire Alarm',
  'Fire Alarm Restored',
  'Burglary Alarm',
  'Burglary Alarm Restored',
];

/** Names of event types, which decide when no description does. */
export const TYPE_NAMES: readonly string[] = [
  'Access Granted',
  'Access Denied',
  'Duress',
  'Fire',
  'Burglary',
  'Medical',
  'Gas',
  'Water',
  'Temperature',
  'Trouble',
];

function rows(code: string, rule: EventRule | null, notes: string): readonly EventMapping[] {
  return rule === null ? [] : [{ code, type: rule.type, family: rule.family, severity: rule.severity, notes }];
}

const RAISED = 'a higher alarm priority of the site raises the severity';

export const eventTable = defineEventTable(1, [
  ...DESCRIPTIONS.flatMap((words) => rows(words, ruleOfDescription(words), `description; ${RAISED}`)),
  ...TYPE_NAMES.flatMap((name) =>
    rows(`type: ${name}`, ruleOfTypeName(name, ''), 'name of the event type, when no description fits'),
  ),
  ...TYPE_NAMES.flatMap((name) => {
    const over = ruleOfTypeName(name, 'restored');
    return over === ruleOfTypeName(name, '') ? [] : rows(`type: ${name}, restored`, over, 'name of the event type');
  }),
  ...rows('access_result 2', ruleOfAccessResult(2), 'what the panel says of a badge'),
  ...rows('access_result 3', ruleOfAccessResult(3), 'what the panel says of a badge'),
]);
