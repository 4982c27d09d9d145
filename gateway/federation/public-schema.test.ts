import { buildSchema, Kind, parse, print } from 'graphql';
import { describe, expect, it } from 'vitest';
import { Generation } from './generation.ts';
import { createPlanner } from './planner.ts';
import { plannerText } from './planner-document.ts';
import { buildPublicSchema, publicSdl } from './public-schema.ts';
import { clientKey, sourceKeysOf, withSourceKeys } from './source-keys.ts';
import { compose, testSubgraphs } from './test-support/supergraph.ts';

const SUPERGRAPH = compose(testSubgraphs());

describe('public schema', () => {
  it('has nothing of the machinery', () => {
    expect(publicSdl(SUPERGRAPH)).not.toMatch(/join__|link__|@link|_entities|_service|_Any|directive @/);
  });

  it('keeps descriptions, deprecations and @oneOf', () => {
    const sdl = publicSdl(SUPERGRAPH);
    expect(sdl).toContain('"""Protected premises."""');
    expect(sdl).toContain('input CredentialsInput @oneOf');
    expect(buildSchema(sdl).getType('Device')?.description).toContain('Equipment');
  });

  it('hides what is inaccessible', () => {
    const sdl = publicSdl(`
      type Query { a: A hidden: Int @inaccessible either: Either args(shown: Int, secret: Int @inaccessible): Int }
      type A implements Shown & Secret { id: ID }
      interface Shown { id: ID }
      interface Secret @inaccessible { id: ID }
      type Internal @inaccessible { id: ID }
      union Either = A | Internal
      enum Color { RED BLUE @inaccessible }
    `);
    expect(sdl).not.toMatch(/hidden|Secret|secret|Internal|BLUE/);
    expect(buildPublicSchema(sdl).getType('Either')).toBeDefined();
  });
});

describe('keys of the tree', () => {
  const keyed = (query: string): string => {
    const document = parse(query);
    return print(withSourceKeys(document, sourceKeysOf(document, new Set(['id', '__typename']))))
      .replaceAll(/\s+/g, ' ')
      .trim();
  };

  it.each([
    ['{ a { id name } }', '{ a { id name } }'],
    ['{ a { x: id id: name } }', '{ a { x: id _alias_0_id: name } }'],
    ['{ a { __typename: name } }', '{ a { _alias_0___typename: name } }'],
    ['{ a { __proto__: name toString: name } }', '{ a { _alias_0___proto__: name _alias_0_toString: name } }'],
    [
      '{ a { ... on A { x: b } ... on B { x: c } } }',
      '{ a { ... on A { _alias_0_x: b } ... on B { _alias_1_x: c } } }',
    ],
    [
      '{ a { ... on A { x(n: 1) } ... on B { x(n: 2) } } }',
      '{ a { ... on A { _alias_0_x: x(n: 1) } ... on B { _alias_1_x: x(n: 2) } } }',
    ],
    ['{ a { x(n: 1, m: 2) ... { x(m: 2, n: 1) } } }', '{ a { x(n: 1, m: 2) ... { x(m: 2, n: 1) } } }'],
    [
      '{ a { ... on A { id: name } ... on B { id: size } id } }',
      '{ a { ... on A { _alias_0_id: name } ... on B { _alias_1_id: size } id } }',
    ],
  ])('of %s are those of %s', (query, expected) => {
    expect(keyed(query)).toBe(expected);
  });

  it('are put back', () => {
    expect(['name', '_alias_0_id', '_alias_12__alias_0_id'].map(clientKey)).toEqual(['name', 'id', '_alias_0_id']);
  });
});

describe('planner text', () => {
  const schema = buildSchema(
    'type Query { a: A b: Thing } interface Thing { id: ID } type A implements Thing { id: ID a: A }',
  );
  const textOf = (query: string, conditions: Record<string, unknown> = {}): string | null => {
    const document = parse(query);
    const [definition] = document.definitions;
    if (definition?.kind !== Kind.OPERATION_DEFINITION) throw new Error('no operation');
    const text = plannerText(schema, document, definition, conditions, sourceKeysOf(document, new Set()));
    return text?.replaceAll(/\s+/g, ' ') ?? null;
  };

  it.each<[string, string, string | null]>([
    ['conditions that hold', '{ a @include(if: true) { id @skip(if: $no) } }', '{ a { id } }'],
    [
      'conditions that do not',
      '{ a { id @include(if: $no) ... @skip(if: true) { a { id } } } }',
      '{ a { __typename } }',
    ],
    ['nothing that is left', '{ a @skip(if: true) { id } }', null],
    ['introspection', '{ __schema { queryType { name } } a { id } __typename }', '{ __typename a { id } __typename }'],
    ['introspection alone', '{ __schema { ...S } } fragment S on __Schema { queryType { name } }', null],
    ['abstract types', '{ b { id } }', '{ b { __typename id } }'],
    [
      'fragments nobody uses any more',
      '{ a { id ...F @skip(if: true) } } fragment F on A { a { id } }',
      '{ a { id } }',
    ],
  ])('settles %s', (_, query, expected) => {
    expect(textOf(query, { no: false })).toBe(expected);
  });
});

describe('planning', () => {
  // The planner aborts the whole process on this document as it is written.
  it('survives one field with different arguments under two types', async () => {
    const sharing = { personalTypes: new Set<string>(), singleFields: new Set<string>() };
    const generation = new Generation(SUPERGRAPH, new Map(), sharing, createPlanner);
    const operation = generation.prepare(
      'query ($v: String) { events { edges { node { ... on VideoEvent { org { devices { __typename } } } ... on InventoryEvent { org { devices(after: $v) { __typename } } } } } } }',
      null,
    );
    if (!('variant' in operation)) throw new Error('the document is not valid');
    await expect(operation.variant({}).plan()).resolves.toMatchObject({ node: 'sequence' });
  });
});
