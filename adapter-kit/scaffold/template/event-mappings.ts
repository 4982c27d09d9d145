import { defineEventTable } from '../../../adapter-kit/event-table.ts';
import type { DeviceState, Severity } from '../../../schema/words.ts';
import { STATES } from './normalize.ts';

export const SEVERITY: Readonly<Record<DeviceState, Severity>> = {
  OFFLINE: 'WARNING',
  DEGRADED: 'WARNING',
  UNKNOWN: 'NOTICE',
  ONLINE: 'NOTICE',
};

/** What Acme VMS' words become here: shown in the catalogue of event types. A code that gets another meaning is a new version. */
export const eventTable = defineEventTable(
  1,
  [...STATES].map(([code, state]) => ({
    code,
    type: `health.${state.toLowerCase()}`,
    family: 'HEALTH',
    severity: SEVERITY[state],
    notes: 'device.state',
  })),
);
