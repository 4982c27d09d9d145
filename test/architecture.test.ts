import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

// Reads the imports of every source file and holds them to the map in docs/architecture.md.

const root = resolve(import.meta.dirname, '..');
const SKIPPED = new Set(['node_modules', '.git', '.sandbox', '.data', 'coverage', 'generated']);

/** Rooms in the order in which imports may point: a room may import itself and those before it. */
const ROOMS = ['schema', 'adapter-kit', 'storage', 'pipeline', 'subgraphs', 'gateway'] as const;
type Room = (typeof ROOMS)[number];

/** Subgraphs that are not vendors. */
const SHARED_SUBGRAPHS = new Set(['directory', 'inventory', 'events']);

interface Source {
  readonly path: string;
  readonly text: string;
  /** Paths from the root of what it imports of ours. */
  readonly imports: readonly string[];
}

function* walk(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (SKIPPED.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else if (entry.name.endsWith('.ts')) yield path;
  }
}

function importsOf(path: string, text: string): string[] {
  const specifiers = [
    ...text.matchAll(/(?:^|\n)\s*(?:import|export)\s[^;]*?from\s+'([^']+)'/g),
    ...text.matchAll(/import\(\s*'([^']+)'\s*\)/g),
  ];
  return specifiers.flatMap(([, specifier]) =>
    specifier?.startsWith('.') ? [relative(root, resolve(dirname(path), specifier))] : [],
  );
}

const sources: readonly Source[] = [...walk(root)].map((path) => {
  const text = readFileSync(path, 'utf8');
  return { path: relative(root, path), text, imports: importsOf(path, text) };
});

/** Files that ship. Tests, their fixtures and the contract suite may import anything. */
const product = sources.filter(({ path }) => !isTest(path));

function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/') || /(^|\/)(testing|fixtures)(\/|\.ts$)/.test(path);
}

function roomOf(path: string): Room | null {
  const first = path.split('/')[0] ?? '';
  return ROOMS.find((room) => room === first) ?? null;
}

function vendorOf(path: string): string | null {
  const [first, second, third] = path.split('/');
  return first === 'subgraphs' && second !== undefined && third !== undefined && !SHARED_SUBGRAPHS.has(second)
    ? second
    : null;
}

function violations(check: (source: Source, target: string) => string | null): string[] {
  return product.flatMap((source) =>
    source.imports.flatMap((target) => {
      const complaint = check(source, target);
      return complaint === null ? [] : [`${source.path} imports ${target}: ${complaint}`];
    }),
  );
}

describe('architecture', () => {
  it('finds the sources', () => {
    expect(product.length).toBeGreaterThan(60);
    expect(product.flatMap((source) => source.imports).length).toBeGreaterThan(150);
  });

  it('lets imports point one way only', () => {
    const complaints = violations((source, target) => {
      const from = roomOf(source.path);
      const to = roomOf(target);
      if (from === null || to === null) return null;
      return ROOMS.indexOf(to) > ROOMS.indexOf(from)
        ? `${from} stands before ${to}; move the code, or pass it in`
        : null;
    });
    expect(complaints).toEqual([]);
  });

  it('lets no room import what only wires rooms together', () => {
    const complaints = violations((source, target) =>
      roomOf(source.path) !== null &&
      (target === 'main.ts' || target.startsWith('sandbox/') || target.startsWith('bench/'))
        ? 'pass it in instead'
        : null,
    );
    expect(complaints).toEqual([]);
  });

  it('keeps a vendor to schema, adapter-kit and its own folder', () => {
    const complaints = violations((source, target) => {
      const vendor = vendorOf(source.path);
      if (vendor === null) return null;
      const isAllowed =
        target.startsWith('schema/') || target.startsWith('adapter-kit/') || target.startsWith(`subgraphs/${vendor}/`);
      return isAllowed ? null : 'a vendor is one folder and one line; what it needs comes through the adapter kit';
    });
    expect(complaints).toEqual([]);
  });

  it('names vendors in subgraphs/index.ts only, and there by their index.ts', () => {
    const complaints = violations((source, target) => {
      const vendor = vendorOf(target);
      if (vendor === null || vendorOf(source.path) === vendor) return null;
      if (source.path !== 'subgraphs/index.ts') return 'take the vendor from the list that is handed in';
      return target === `subgraphs/${vendor}/index.ts` ? null : 'import its index.ts';
    });
    expect(complaints).toEqual([]);
  });

  it('lets nothing import tests', () => {
    expect(
      violations((_, target) =>
        target.endsWith('.test.ts') || target.startsWith('test/') ? 'tests are leaves' : null,
      ),
    ).toEqual([]);
  });

  it('reads the environment in config.ts only', () => {
    const readers = product
      .filter(({ path, text }) => /process\.env\b/.test(text) && path !== 'config.ts')
      .map(({ path }) => path);
    expect(readers).toEqual([]);
  });

  it('writes to the console only where a person started the program', () => {
    const printers = product
      .filter(
        ({ path, text }) =>
          /\bconsole\.\w+\(/.test(text) && roomOf(path) !== null && !path.startsWith('adapter-kit/scaffold/'),
      )
      .map(({ path }) => path);
    expect(printers).toEqual([]);
  });

  it('keeps vendors in the fixed file names', () => {
    const vendors = new Set(product.map(({ path }) => vendorOf(path)).filter((vendor) => vendor !== null));
    expect(vendors.size).toBeGreaterThan(0);
    for (const vendor of vendors) {
      const files = readdirSync(join(root, 'subgraphs', vendor));
      const missing = [
        'README.md',
        'index.ts',
        'settings.ts',
        'wire.ts',
        'client.ts',
        'normalize.ts',
        'adapter.ts',
        'schema.graphql',
        'simulator.ts',
      ].filter((file) => !files.includes(file));
      expect({ vendor, missing }).toEqual({ vendor, missing: [] });
    }
  });
});
