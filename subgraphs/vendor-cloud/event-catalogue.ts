// A vendor's own list of its event types, as an operator pastes it into the settings. What its codes mean is looked up in
// our tables by the names and families beside them; nothing is guessed from parts of a name, because "no longer forced"
// has "forced" in it.
import { z } from 'zod';
import type { EventRule } from './event-rules.ts';
import { foldWord } from './words.ts';

/** More event types than any vendor has. */
const MAX_ENTRIES = 2_000;
const MAX_TEXT = 200;
/** Codes named in a report: enough to begin with. */
const NAMED = 5;

/** What vendors call the members of an entry; the first that carries a text counts. */
const CODE = ['code', 'event_type', 'type', 'key', 'event', 'id'];
const NAME = ['name', 'title', 'label', 'display_name'];
const FAMILY = ['family', 'category', 'group', 'class'];

function textOf(entry: Readonly<Record<string, unknown>>, names: readonly string[]): string | null {
  for (const name of names) {
    const value = Object.hasOwn(entry, name) ? entry[name] : null;
    const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : '';
    if (text !== '') return text.slice(0, MAX_TEXT);
  }
  return null;
}

export interface CatalogueEntry {
  /** As `event_type` says it, or `event_type/word`. */
  readonly code: string;
  readonly name: string | null;
  readonly family: string | null;
}

const CatalogueEntry = z.record(z.string(), z.unknown()).transform((entry, context): CatalogueEntry => {
  const code = textOf(entry, CODE);
  if (code !== null) return { code, name: textOf(entry, NAME), family: textOf(entry, FAMILY) };
  context.addIssue({ code: 'custom', message: `an event type has one of ${CODE.join(', ')}` });
  return z.NEVER;
});

/** Reading what was read before changes nothing. */
export const EventCatalogue = z.array(CatalogueEntry).max(MAX_ENTRIES);

export interface ImportedCatalogue {
  /** By folded code. */
  readonly rules: ReadonlyMap<string, EventRule>;
  /** Codes that nothing of ours stands for. */
  readonly unknown: readonly string[];
}

/** The tables that give entries their meaning. */
export interface CatalogueTables {
  /** A rule for a whole name, or for a word of a family; a family's own when it does not have the word. */
  ruleOf(name: string, word: string | null): EventRule | null;
  isFamily(name: string): boolean;
  /** A rule that says no more than the family, or a state that nobody knows. */
  isVague(rule: EventRule): boolean;
}

export function importCatalogue(entries: readonly CatalogueEntry[], tables: CatalogueTables): ImportedCatalogue {
  const rules = new Map<string, EventRule>();
  const unknown: string[] = [];
  for (const { code, name, family } of entries) {
    // Events of a family's own name say in their data what happened; the tables read that.
    if (tables.isFamily(code)) continue;
    const found = [
      tables.ruleOf(code, null),
      name === null || tables.isFamily(name) ? null : tables.ruleOf(name, null),
      name === null || family === null || !tables.isFamily(family) ? null : tables.ruleOf(family, name),
      family === null || !tables.isFamily(family) ? null : tables.ruleOf(family, code),
    ].filter((rule) => rule !== null);
    const rule = found.find((each) => !tables.isVague(each)) ?? found.find(({ family: of }) => of !== 'HEALTH');
    if (rule === undefined) unknown.push(code);
    else rules.set(foldWord(code), rule);
  }
  return { rules, unknown };
}

/** For people: how much of a catalogue is understood; null when all of it is. */
export function describeUnknown({ unknown }: ImportedCatalogue, entries: readonly CatalogueEntry[]): string | null {
  if (unknown.length === 0) return null;
  const named = unknown.slice(0, NAMED).join(', ');
  const more = unknown.length > NAMED ? ` and ${unknown.length - NAMED} more` : '';
  return `${unknown.length} of ${entries.length} event types mean nothing to us and are kept as they come: ${named}${more}`;
}
