import { buildSchema, getIntrospectionQuery } from 'graphql';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../refusal.ts';
import { createOperationLimits } from './operations.ts';

const schema = buildSchema(`
  type Query {
    org(id: ID!): Org
    devices(first: Int = 50, after: String): DeviceConnection!
    ping: String
  }
  type Mutation { rename(id: ID!): Device, testIntegration(id: ID!): Device }
  type Subscription { changed: Device }
  type Org { id: ID! name: String! sites(first: Int = 50): SiteConnection! parent: Org }
  type SiteConnection { nodes: [Site!]! totalCount: Int! }
  type Site { id: ID! org: Org! devices(first: Int = 50): DeviceConnection! zones: [Zone!]! }
  type Zone { id: ID! name: String! }
  type DeviceConnection { nodes: [Device!]! edges: [DeviceEdge!]! totalCount: Int! pageInfo: PageInfo! }
  type DeviceEdge { cursor: String! node: Device! }
  type PageInfo { hasNextPage: Boolean! }
  type Device { id: ID! name: String! site: Site source: Source tags: [String!]! children(first: Int = 20): DeviceConnection! }
  interface Source { state: String }
`);

function limits(maxCost = 20_000) {
  return createOperationLimits({ schema: () => schema, maxCost });
}

function cost(text: string, variables: Record<string, unknown> = {}): number {
  return limits(Number.POSITIVE_INFINITY).admit(text, null, variables).cost;
}

function refusal(text: string, variables: Record<string, unknown> = {}, name: string | null = null): object {
  try {
    limits().admit(text, name, variables);
  } catch (error) {
    if (error instanceof Refusal) return { status: error.status, code: error.code, ...error.details };
    throw error;
  }
  return {};
}

function nested(depth: number, leaf = 'id'): string {
  return `{ org(id: 1) ${'{ parent '.repeat(depth - 2)}{ ${leaf} }${' }'.repeat(depth - 2)} }`;
}

/** Each fragment spreads the next one twice: 2^levels fields. */
function fragmentBomb(levels: number, leaf = 'id'): string {
  const fragments = Array.from(
    { length: levels },
    (_, level) => `fragment F${level} on Org { ...F${level + 1} ...F${level + 1} }`,
  );
  return `{ org(id: 1) { ...F0 } } ${fragments.join(' ')} fragment F${levels} on Org { ${leaf} }`;
}

describe('operation limits', () => {
  it('admit an operation and say what it costs', () => {
    expect(limits().admit('query Q { devices(first: 10) { nodes { id site { id } } } }', null, {})).toEqual({
      type: 'query',
      name: 'Q',
      cost: 21,
    });
  });

  it('take the operation that is named, and insist on a name among several', () => {
    const text = 'query A { ping } mutation B { rename(id: 1) { id } }';
    expect(limits().admit(text, 'B', {})).toMatchObject({ type: 'mutation', name: 'B' });
    expect(refusal(text)).toMatchObject({ status: 400, code: 'BAD_REQUEST' });
    expect(refusal(text, {}, 'C')).toMatchObject({ status: 400, code: 'BAD_REQUEST' });
    expect(refusal('fragment F on Query { ping }')).toMatchObject({ status: 400, code: 'BAD_REQUEST' });
  });

  it('refuse what is no GraphQL', () => {
    expect(refusal('{ ping')).toMatchObject({ status: 400, code: 'GRAPHQL_PARSE_FAILED', locations: [{ line: 1 }] });
    expect(refusal('')).toMatchObject({ status: 400, code: 'GRAPHQL_PARSE_FAILED' });
  });

  it('refuse more than 1,000 tokens', () => {
    expect(refusal(`{ ${'ping '.repeat(998)} }`)).not.toMatchObject({ limit: 'number of tokens' });
    expect(refusal(`{ ${'ping '.repeat(999)} }`)).toMatchObject({
      code: 'QUERY_TOO_COMPLEX',
      limit: 'number of tokens',
    });
  });

  it('refuse more than 12 levels, also through fragments', () => {
    expect(refusal(nested(12))).toEqual({});
    expect(refusal(nested(13))).toMatchObject({ code: 'QUERY_TOO_COMPLEX', limit: 'depth', value: 13, maximum: 12 });
    const hidden = `${nested(7, '...Deep')} fragment Deep on Org ${'{ parent '.repeat(6)}{ id }${' }'.repeat(6)}`;
    expect(refusal(hidden)).toMatchObject({ limit: 'depth', value: 13 });
  });

  it('refuse more than 30 aliases, also where a fragment multiplies them', () => {
    const aliases = (count: number) => Array.from({ length: count }, (_, index) => `a${index}: id`).join(' ');
    expect(refusal(`{ org(id: 1) { ${aliases(30)} } }`)).toEqual({});
    expect(refusal(`{ org(id: 1) { ${aliases(31)} } }`)).toMatchObject({ limit: 'number of aliases' });
    expect(refusal(fragmentBomb(5, 'x: id'))).toMatchObject({ limit: 'number of aliases', value: 32 });
  });

  it('refuse more than 20 root fields', () => {
    expect(refusal(`{ ${'ping '.repeat(20)} }`)).toEqual({});
    expect(refusal(`{ ...R ...R } fragment R on Query { ${'ping '.repeat(11)} }`)).toMatchObject({
      limit: 'number of root fields',
      value: 22,
    });
  });

  it('refuse more than 50 directives', () => {
    const directives = '@include(if: true) '.repeat(51);
    expect(refusal(`{ ping ${directives} }`)).toMatchObject({ limit: 'number of directives' });
    expect(refusal(`query ${directives} { ping }`)).toMatchObject({ limit: 'number of directives' });
    expect(refusal(`{ ...R } fragment R on Query ${directives} { ping }`)).toMatchObject({
      limit: 'number of directives',
    });
  });

  it('refuse a bomb of 2^25 fragments without walking it', () => {
    const before = performance.now();
    expect(refusal(fragmentBomb(25, 'x: id'))).toMatchObject({ limit: 'number of aliases', value: 2 ** 25 });
    expect(performance.now() - before).toBeLessThan(50);
  });

  it('refuse fragments that contain themselves', () => {
    expect(refusal('{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }')).toMatchObject({
      code: 'QUERY_TOO_COMPLEX',
      limit: 'recursion',
    });
  });

  it('are not fooled by a fragment that is named like introspection', () => {
    expect(refusal(`{ ...__schema } fragment __schema on Query ${nested(13)}`)).toMatchObject({ limit: 'depth' });
  });

  it('admit the usual introspection query, and refuse a deeper one', () => {
    const usual = getIntrospectionQuery({ descriptions: true, inputValueDeprecation: true, oneOf: true });
    expect(refusal(usual)).toEqual({});
    const deep = `{ __type(name: "A") ${'{ ofType '.repeat(25)}{ name }${' }'.repeat(25)} }`;
    expect(refusal(deep)).toMatchObject({ limit: 'introspection depth' });
  });

  it('refuse pages of more than 500 entries, literal or by variable or by its default', () => {
    expect(refusal('{ devices(first: 500) { nodes { id } } }')).toEqual({});
    const expected = { status: 400, code: 'PAGE_TOO_LARGE', value: 501, maximum: 500, field: 'devices' };
    expect(refusal('{ devices(first: 501) { nodes { id } } }')).toEqual(expected);
    expect(refusal('{ devices(first: 501) { pageInfo { hasNextPage } } }')).toEqual(expected);
    expect(refusal('query ($n: Int) { devices(first: $n) { nodes { id } } }', { n: 501 })).toEqual(expected);
    expect(refusal('query ($n: Int = 501) { devices(first: $n) { nodes { id } } }')).toEqual(expected);
    expect(refusal('query ($n: Int = 501) { devices(first: $n) { nodes { id } } }', { n: 5 })).toEqual({});
  });

  it('measure again when the page comes from another variable', () => {
    const admission = limits();
    const text = 'query ($n: Int) { devices(first: $n) { nodes { id } } }';
    expect(admission.admit(text, null, { n: 10 }).cost).toBe(11);
    expect(admission.admit(text, null, { n: 10 }).cost).toBe(11);
    expect(admission.admit(text, null, { n: 20 }).cost).toBe(21);
    expect(() => admission.admit(text, null, { n: 501 })).toThrow(Refusal);
  });

  it('multiply what is inside a page by its size', () => {
    expect(cost('{ devices(first: 100) { nodes { id } } }')).toBe(101);
    expect(cost('{ devices(first: 100) { edges { node { id } } } }')).toBe(201);
    expect(cost('{ devices { nodes { id } } }')).toBe(51);
    expect(cost('{ devices(first: 0) { totalCount } }')).toBe(3);
    expect(
      cost('{ org(id: 1) { sites(first: 10) { nodes { zones { id } devices(first: 10) { nodes { id } } } } } }'),
    ).toBe(1 + 1 + 10 * (1 + 5 + (1 + 10)));
    expect(cost('{ devices(first: 10) { ...C } } fragment C on DeviceConnection { nodes { id } }')).toBe(11);
  });

  it('charge a question to a platform more than a row', () => {
    expect(cost('{ devices(first: 10) { nodes { source { state } } } }')).toBe(1 + 10 * (1 + 5));
    expect(cost('mutation { rename(id: 1) { id } }')).toBe(10);
    expect(cost('mutation { testIntegration(id: 1) { id } }')).toBe(100);
  });

  it('refuse pages in pages', () => {
    expect(
      refusal('{ org(id: 1) { sites(first: 500) { nodes { devices(first: 500) { nodes { id } } } } } }'),
    ).toMatchObject({ status: 400, code: 'QUERY_TOO_COMPLEX', limit: 'cost', maximum: 20_000 });
  });

  it('take a page size that is no number for the largest page', () => {
    expect(cost('{ devices(first: "9") { nodes { id } } }')).toBe(501);
    expect(cost('query ($n: Int) { devices(first: $n) { nodes { id } } }', { n: 'x' })).toBe(501);
    expect(cost('{ devices(first: -1) { nodes { id } } }')).toBe(501);
  });

  it('leave what the schema does not know to validation', () => {
    expect(refusal('{ nobody { knows { this } } ... on Ghost { x } ...Nowhere }')).toEqual({});
  });
});
