import { defineEventTable } from '../../adapter-kit/event-table.ts';
import { EVENT_RULES, OTHER_EVENT } from './event-rules.ts';

const known = EVENT_RULES.flatMap(({ type, family, severity, names }) =>
  names.split(' ').map((code) => ({
    code,
    type,
    family,
    severity,
    notes:
      type === 'health.connection_changed' ? "where the camera's state can be asked for, health.<state> instead" : null,
  })),
);

/** Names of events, as the service, its cameras and sensor bridges write them. */
export const eventTable = defineEventTable(1, [
  ...known,
  {
    code: '*',
    type: OTHER_EVENT.type,
    family: OTHER_EVENT.family,
    severity: OTHER_EVENT.severity,
    notes: 'any name that no row has; counted as an unknown code',
  },
]);
