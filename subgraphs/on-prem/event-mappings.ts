import { defineEventTable } from '../../adapter-kit/event-table.ts';
import { STATUS_WORDS } from '../../schema/contract/on-site.ts';
import { TOLD } from './words.ts';

/** The contract on site has one family of events: a device's status, in these words. */
export const eventTable = defineEventTable(
  1,
  [...STATUS_WORDS].map(([code, state]) => ({
    code,
    type: `health.${state.toLowerCase()}`,
    family: 'HEALTH',
    severity: TOLD[state].severity,
    notes: 'status',
  })),
);
