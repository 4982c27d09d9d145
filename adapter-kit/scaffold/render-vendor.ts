import { readdirSync, readFileSync } from 'node:fs';

// The template is a vendor that works: it is type-checked, linted and tested where it stands, as "Acme VMS". A new vendor is
// that folder under other names, two folders below the root instead of three.
const TEMPLATE = new URL('./template/', import.meta.url);

/** Subgraphs that are no vendors. */
const TAKEN: ReadonlySet<string> = new Set(['directory', 'inventory', 'events']);
/** Words of the language: a slug of one word becomes the name of a constant. */
const RESERVED: ReadonlySet<string> = new Set(
  'await break case catch class const continue debugger default delete do else enum export extends false finally for function if implements import in instanceof interface let new null package private protected public return static super switch this throw true try typeof var void while with yield'.split(
    ' ',
  ),
);
const MAX_SLUG = 40;
const MAX_NAME = 80;

export interface VendorNames {
  /** Folder and subgraph, kebab-case. */
  readonly slug: string;
  /** The product's name, for people. */
  readonly name: string;
}

/** A name that cannot be one. */
export class ScaffoldError extends Error {
  override readonly name = 'ScaffoldError';
}

function words(slug: string): readonly string[] {
  return slug.split('-').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
}

/** `acme-vms` as a prefix of types: `AcmeVms`. */
export function pascalCase(slug: string): string {
  return words(slug).join('');
}

/** `acme-vms` as the name of its declaration: `acmeVms`. */
export function camelCase(slug: string): string {
  const pascal = pascalCase(slug);
  return pascal.charAt(0).toLowerCase() + pascal.slice(1);
}

/** @param name absent: made from the slug @throws ScaffoldError */
export function checkNames(slug: string, name?: string): VendorNames {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(slug) || slug.length > MAX_SLUG)
    throw new ScaffoldError(
      `"${slug}" is not a slug: lower-case words joined by hyphens, at most ${MAX_SLUG} characters`,
    );
  if (TAKEN.has(slug)) throw new ScaffoldError(`"${slug}" is a subgraph of the house`);
  if (RESERVED.has(slug))
    throw new ScaffoldError(`"${slug}" is a word of the language; add another, for example ${slug}-vms`);
  const shown = name ?? words(slug).join(' ');
  // It is written into a string of TypeScript, a description of GraphQL and a heading.
  if (!/^[\p{L}\p{N}][\p{L}\p{N} .+&()/-]*$/u.test(shown) || shown.length > MAX_NAME)
    throw new ScaffoldError('a name consists of letters, digits, blanks and . + & ( ) / -');
  return { slug, name: shown };
}

/** The files of a new vendor's folder by their names. */
export function renderVendor({ slug, name }: VendorNames): ReadonlyMap<string, string> {
  const files = readdirSync(TEMPLATE).toSorted();
  return new Map(
    files.map((file) => {
      const text = readFileSync(new URL(file, TEMPLATE), 'utf8')
        .replaceAll('../../../adapter-kit/', '../../adapter-kit/')
        .replaceAll('../../../schema/', '../../schema/')
        .replaceAll('acme-vms', () => slug)
        .replaceAll('AcmeVms', () => pascalCase(slug))
        .replaceAll('acmeVms', () => camelCase(slug))
        .replaceAll('Acme VMS', () => name);
      return [file, text];
    }),
  );
}
