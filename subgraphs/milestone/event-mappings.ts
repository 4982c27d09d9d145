import { defineEventTable, type EventMapping } from '../../adapter-kit/event-table.ts';
import {
  BUILT_IN,
  communicationMeaning,
  communicationSeverity,
  communicationWord,
  MONITOR_NAMES,
  ruleOf,
} from './event-types.ts';

function rowOf(code: string): readonly EventMapping[] {
  const word = communicationWord(code);
  if (word !== null) {
    const { state } = communicationMeaning(word);
    const type = `health.${state.toLowerCase()}`;
    const notes = 'of a device; behind a recording server that is down, health.unknown';
    return [{ code, type, family: 'HEALTH', severity: communicationSeverity(state, word), notes }];
  }
  const rule = ruleOf(code);
  if (rule === null) return [];
  const notes = rule.activity === undefined ? null : `only when the integration's activities name ${rule.activity}`;
  return [{ code, type: rule.type, family: rule.family, severity: rule.severity, notes }];
}

const builtIn = BUILT_IN.map(([name]) => name);
const names = new Set(builtIn);

/** Names of `/eventTypes`, as the product ships them; administrators may add their own, which are counted as unknown codes. */
export const eventTable = defineEventTable(
  1,
  [...builtIn, ...MONITOR_NAMES.filter((name) => !names.has(name))].flatMap(rowOf),
);
