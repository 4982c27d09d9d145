import { defineEventTable, type EventMapping } from '../../adapter-kit/event-table.ts';
import type { EventFamily } from '../../schema/words.ts';
import { EVENT_RULES, type EventRule, FAMILY_FALLBACKS, FAMILY_WORDS, RULE_BY_STATE } from './event-rules.ts';
import { foldWord, LIFE_SIGN_WORDS, STATUS_WORDS } from './words.ts';

/** What `event_type` says when it only names the family. */
const FAMILY_NAME: Readonly<Partial<Record<EventFamily, string>>> = {
  HEALTH: 'health',
  ALARM: 'alarm',
  ACCESS: 'access',
  VIDEO: 'video',
  SENSOR: 'sensor',
  SYSTEM: 'system',
  SUPERVISION: 'supervision',
};

const WHOLE = 'event_type alone';
const BEHIND = 'event_type, then the word in data';

function row(code: string, { type, family, severity }: EventRule, notes: string): EventMapping {
  return { code, type, family, severity, notes };
}

function split(list: string | undefined): readonly string[] {
  return (list ?? '').split(' ').filter((word) => word !== '');
}

function rowsOf(rule: EventRule): readonly EventMapping[] {
  const family = FAMILY_NAME[rule.family] ?? '';
  return [
    // `alarm.trouble` is the contract's name for a family: what happened is said behind it.
    ...(FAMILY_WORDS.has(foldWord(rule.type)) ? [] : [row(rule.type, rule, `${WHOLE}; our own name is understood`)]),
    ...split(rule.names).map((name) => row(name, rule, WHOLE)),
    ...split(rule.words).map((word) => row(`${family}/${word}`, rule, BEHIND)),
  ];
}

const health = [...STATUS_WORDS].flatMap(([word, state]) => {
  const rule = RULE_BY_STATE.get(state);
  return rule === undefined ? [] : [row(`health/${word}`, rule, BEHIND)];
});
const alive = EVENT_RULES.filter(({ type }) => type === 'supervision.last_seen').flatMap((rule) =>
  [...LIFE_SIGN_WORDS].map((word) => row(`health/${word}`, rule, BEHIND)),
);
const others = Object.values(FAMILY_FALLBACKS).map((rule) =>
  row(`${FAMILY_NAME[rule.family] ?? ''}/*`, rule, 'any word that no row has; counted as an unknown code'),
);

/** The contract's words, and what published APIs of such platforms call the same; an integration's settings come first. */
export const eventTable = defineEventTable(1, [...EVENT_RULES.flatMap(rowsOf), ...health, ...alive, ...others]);
