import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EVENT_TYPES, findEventType } from '../schema/catalogue/event-types.ts';
import { vendors } from '../subgraphs/index.ts';

// Who writes an event of a type that is not in the catalogue, here or in a vendor's folder, is told so.

const ROOT = new URL('../', import.meta.url).pathname;
const PREFIXES = [...new Set(EVENT_TYPES.map(({ name }) => name.slice(0, name.indexOf('.'))))].join('|');
/** A dotted name of ours, said in full; or of no prefix that we know, where a type is said. */
const NAME = new RegExp(`'((?:${PREFIXES})\\.[a-z_]+(?:\\.[a-z_]+)*)'|\\btype: '([a-z_]+\\.[a-z_.]+)'`, 'g');

/** A deployment may leave vendors out. Types are words for all of them, and stay. */
const ALL_VENDORS = 7;

/** Looks like a type and is the error code of a platform. */
const NOT_TYPES: ReadonlySet<string> = new Set(['system.not_found']);

const files = globSync(['pipeline/**/*.ts', 'subgraphs/**/*.ts', 'storage/**/*.ts', 'adapter-kit/**/*.ts'], {
  cwd: ROOT,
})
  .filter((file) => !/\.test\.ts$|fixtures|testing\.ts$|contract-suite|generated|simulator|settings\.ts$/.test(file))
  .toSorted();

describe('the catalogue of event types', () => {
  it('has every type that the code names', () => {
    const missing = files.flatMap((file) =>
      [...readFileSync(ROOT + file, 'utf8').matchAll(NAME)]
        .map(([, known, other]) => known ?? other ?? '')
        .filter((name) => findEventType(name) === null && !NOT_TYPES.has(name))
        .map((name) => `${file}: ${name}`),
    );
    expect(missing).toEqual([]);
  });

  it.each(vendors.map((vendor) => [vendor.name, vendor] as const))(
    'leads from every code of %s to a type and back',
    (_, vendor) => {
      const table = vendor.eventTable;
      expect(table.version).toBeGreaterThanOrEqual(1);
      expect(table.rows.length).toBeGreaterThan(5);
      for (const { code, type, family, severity } of table.rows) {
        const entry = findEventType(type);
        expect({ code, family: entry?.family }).toEqual({ code, family });
        expect([entry?.severity, ...(entry?.otherSeverities ?? [])]).toContain(severity);
        expect(table.typeOf(code)).toBe(type);
        expect(table.codesOf(type)).toContain(code);
      }
    },
  );

  it('has no type that nobody makes, neither we ourselves nor any of all vendors', () => {
    const isWhole = vendors.length >= ALL_VENDORS;
    const mapped = new Set(vendors.flatMap(({ eventTable }) => eventTable.rows.map(({ type }) => type)));
    const text = files.map((file) => readFileSync(ROOT + file, 'utf8')).join('\n');
    const idle = EVENT_TYPES.filter(({ madeBy }) => isWhole || madeBy === 'CONVERGRAPH')
      .filter(({ name }) => !mapped.has(name) && !name.endsWith('.*'))
      .map(({ name }) => name)
      .filter((name) => !text.includes(`'${name}'`) && !text.includes(`.${name.slice(name.indexOf('.') + 1)}`));
    expect(idle).toEqual([]);
  });
});
