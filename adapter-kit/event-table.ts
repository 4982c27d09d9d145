// A vendor's table of events as data: what its codes and words are here, and the way back.
import { findEventType } from '../schema/catalogue/event-types.ts';
import type { EventFamily, Severity } from '../schema/words.ts';

/** One code of the vendor's and what it is here. */
export interface EventMapping {
  /** The vendor's code, name or words, as its documentation has them. */
  readonly code: string;
  /** Our type: one of the catalogue. */
  readonly type: string;
  /** As the vendor's decoder has it; the catalogue must say the same. */
  readonly family: EventFamily;
  /** How urgent events of this code are when the platform does not say. */
  readonly severity: Severity;
  /** For integrators: where the code is found, what else decides. */
  readonly notes: string | null;
}

export interface EventTable {
  /** Goes up when a code gets another meaning; a code that is added does not change what events were. */
  readonly version: number;
  readonly rows: readonly EventMapping[];
  /** @returns our type for a code, in any case of its letters; null for one that the table does not have */
  typeOf(code: string): string | null;
  /** The way back: every code that becomes this type, in the table's order. */
  codesOf(type: string): readonly string[];
}

/** Checks a table at load: a code that means two things, or a type that no catalogue has, shows at start. */
export function defineEventTable(version: number, rows: readonly EventMapping[]): EventTable {
  const byCode = new Map<string, string>();
  for (const { code, type, family, severity } of rows) {
    const entry = findEventType(type);
    if (entry === null) throw new TypeError(`the catalogue has no event type "${type}", which "${code}" is said to be`);
    if (entry.family !== family)
      throw new TypeError(
        `"${code}" is said to be "${type}" of ${family}, and the catalogue has it in ${entry.family}`,
      );
    if (entry.severity !== severity && !entry.otherSeverities.includes(severity))
      throw new TypeError(`the catalogue does not know ${severity} for "${type}", which "${code}" is said to be`);
    const known = byCode.get(code.toLowerCase());
    if (known !== undefined) throw new TypeError(`the code "${code}" stands in the table twice`);
    byCode.set(code.toLowerCase(), type);
  }
  const byType = Map.groupBy(rows, ({ type }) => type);
  return {
    version,
    rows,
    typeOf: (code) => byCode.get(code.toLowerCase()) ?? null,
    codesOf: (type) => (byType.get(type) ?? []).map(({ code }) => code),
  };
}
