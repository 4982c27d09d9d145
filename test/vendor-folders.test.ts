import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { vendors } from '../subgraphs/index.ts';

/** Tables of words and codes, as the folders of vendors name them. */
const TABLES = [
  'event-rules.ts',
  'event-table.ts',
  'event-types.ts',
  'kinds.ts',
  'status-words.ts',
  'windows-zones.ts',
  'words.ts',
];

const WithShape = z.object({ shape: z.record(z.string(), z.unknown()) });

function membersOf(schema: unknown): readonly string[] {
  return Object.keys(WithShape.parse({ shape: Object(schema).shape }).shape);
}

describe.each(vendors.map((vendor) => [vendor.slug, vendor] as const))('the folder of %s', (slug, vendor) => {
  const folder = new URL(`../subgraphs/${slug}/`, import.meta.url);
  const readme = readFileSync(new URL('README.md', folder), 'utf8');
  /** By itself, or by its members: `events.transport`. */
  const isNamed = (member: string): boolean => ['`', '.', '['].some((end) => readme.includes(`\`${member}${end}`));

  it('explains every setting in its README', () => {
    expect(membersOf(vendor.settings).filter((member) => !isNamed(member))).toEqual([]);
  });

  it('names every fault of its simulator in its README', async () => {
    const file = new URL('simulator/faults.ts', folder);
    const faults: unknown = existsSync(file) ? Object(await import(file.href)).Faults : z.object({});
    expect(membersOf(faults).filter((member) => !isNamed(member))).toEqual([]);
  });

  it('says what of it was confirmed', () => {
    expect(readme).toMatch(/unconfirmed|not confirmed|not known|tried against/i);
  });

  it('says where the words of its tables come from', () => {
    const tables = TABLES.filter((name) => existsSync(new URL(name, folder)));
    const silent = tables.filter((name) => !readFileSync(new URL(name, folder), 'utf8').includes('@see'));
    expect(silent).toEqual([]);
  });
});
