import { buildSchema, type DocumentNode, Kind, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { ErrorLog } from './answer-errors.ts';
import { answerText } from './answer-text.ts';
import { objectShape } from './shapes.ts';
import { sourceKeysOf } from './source-keys.ts';
import type { Tree } from './tree.ts';

const schema = buildSchema(`
  scalar JSON
  enum Color { RED GREEN }
  type Query { a: A must: A! list: [A!] strict: [A!]! leaves: Leaves any: Any thing: Thing }
  type A { id: ID! name: String a: A must: A! }
  type B { id: ID! size: Int }
  union Any = A | B
  interface Thing { id: ID! }
  type C implements Thing { id: ID! weight: Float }
  type Leaves { text: String id: ID int: Int float: Float flag: Boolean color: Color json: JSON strict: Int! texts: [String] }
`);

function shapeOf(document: DocumentNode) {
  const [operation] = document.definitions;
  if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error('no operation');
  const fragments = new Map(
    document.definitions.flatMap((each) => (each.kind === Kind.FRAGMENT_DEFINITION ? [[each.name.value, each]] : [])),
  );
  const root = schema.getQueryType();
  if (root === undefined || root === null) throw new Error('no query type');
  return objectShape(
    { schema, fragments, sourceKey: sourceKeysOf(document, new Set(['id', '__typename'])), conditions: { yes: true } },
    root,
    [operation.selectionSet],
  );
}

function project(
  query: string,
  root: Tree,
  errors = new ErrorLog(),
): { data: unknown; errors?: { message: string; path: unknown }[] } {
  return JSON.parse(answerText(shapeOf(parse(query)), root, errors, undefined));
}

describe('projection', () => {
  it('writes what was asked for, under the names and in the order of the document', () => {
    const root = { a: { name: 'n', id: '1', extra: 1, _alias_0_id: 'n' } };
    expect(
      answerText(
        shapeOf(parse('{ x: __typename a { label: id ...F id } } fragment F on A { id name }')),
        { a: { ...root.a, label: '1' } },
        new ErrorLog(),
        undefined,
      ),
    ).toBe('{"data":{"x":"Query","a":{"label":"1","id":"1","name":"n"}}}');
    expect(project('{ a { id: name name: id } }', { a: { _alias_0_id: 'n', name: '1' } }).data).toEqual({
      a: { id: 'n', name: '1' },
    });
  });

  it('merges selections of one field', () => {
    expect(project('{ a { id } ... on Query { a { name } } }', { a: { id: '1', name: 'n' } }).data).toEqual({
      a: { id: '1', name: 'n' },
    });
  });

  it('follows conditions', () => {
    expect(
      project(
        'query ($yes: Boolean!) { a @skip(if: $yes) { id } list @include(if: $yes) { id } any @include(if: false) { __typename } }',
        { list: [] },
      ).data,
    ).toEqual({ list: [] });
    expect(project('query ($yes: Boolean!) { a { id @skip(if: $yes) } }', { a: {} }).data).toEqual({ a: {} });
  });

  it('picks fields by the type of the value', () => {
    const query = '{ any { __typename ... on A { name } ... on B { size } } thing { id ... on C { weight } } }';
    expect(
      project(query, { any: { __typename: 'B', size: 2 }, thing: { __typename: 'C', id: '1', weight: 0.5 } }).data,
    ).toEqual({
      any: { __typename: 'B', size: 2 },
      thing: { id: '1', weight: 0.5 },
    });
  });

  it.each([
    ['an unknown type', { __typename: 'Nope' }],
    ['a type that is not its own', { __typename: 'C' }],
    ['no type', {}],
  ])('makes null of a value of %s', (_, any) => {
    const { data, errors } = project('{ any { __typename } }', { any });
    expect(data).toEqual({ any: null });
    expect(errors).toMatchObject([{ path: ['any'] }]);
  });

  it.each([
    ['text', 'ü "x" \u2028 \ud800', 'ü "x" \u2028 \ud800'],
    ['text', 5, undefined],
    ['id', 'x', 'x'],
    ['id', 7, '7'],
    ['id', 1.5, undefined],
    ['int', -3, -3],
    ['int', 1.5, undefined],
    ['int', '3', undefined],
    ['float', 0.1, 0.1],
    ['float', Number.NaN, undefined],
    ['flag', false, false],
    ['flag', 'false', undefined],
    ['color', 'RED', 'RED'],
    ['color', 'BLUE', undefined],
    ['color', 'constructor', undefined],
    ['json', { a: [1, null, '"'] }, { a: [1, null, '"'] }],
    ['texts', ['a', null], ['a', null]],
    ['texts', 'a', undefined],
  ])('writes leaf %s of %j', (field, value, expected) => {
    const { data, errors } = project(`{ leaves { ${field} } }`, { leaves: { [field]: value } });
    expect(data).toEqual({ leaves: { [field]: expected ?? null } });
    expect(errors?.map(({ path }) => path)).toEqual(expected === undefined ? [['leaves', field]] : undefined);
  });

  it.each<[string, string, Tree, unknown, (string | number)[][]]>([
    ['absent nullable field', '{ a { name } }', { a: {} }, { a: { name: null } }, []],
    ['absent object', '{ a { name } }', {}, { a: null }, []],
    ['null in a non-null field', '{ a { id name } }', { a: { name: 'n' } }, { a: null }, [['a', 'id']]],
    ['null two levels down', '{ a { must { id } } }', { a: { must: {} } }, { a: null }, [['a', 'must', 'id']]],
    [
      'null up to a nullable level between',
      '{ a { a { must { id } } name } }',
      { a: { a: { must: null }, name: 'n' } },
      { a: { a: null, name: 'n' } },
      [['a', 'a', 'must']],
    ],
    ['null up to the top', '{ must { id } a { name } }', { must: null, a: { name: 'n' } }, null, [['must']]],
    [
      'null entry of a list of non-null',
      '{ list { id } }',
      { list: [{ id: '1' }, null] },
      { list: null },
      [['list', 1]],
    ],
    [
      'null inside an entry',
      '{ list { id } }',
      { list: [{ id: '1' }, { id: null }] },
      { list: null },
      [['list', 1, 'id']],
    ],
    ['null entry of a non-null list', '{ strict { id } }', { strict: [{}] }, null, [['strict', 0, 'id']]],
    [
      'null in a non-null leaf',
      '{ leaves { strict text } }',
      { leaves: { text: 't' } },
      { leaves: null },
      [['leaves', 'strict']],
    ],
    [
      'an unfit value in a non-null leaf',
      '{ leaves { strict } }',
      { leaves: { strict: 'x' } },
      { leaves: null },
      [['leaves', 'strict']],
    ],
    ['no list where one should be', '{ list { id } }', { list: { id: '1' } }, { list: null }, [['list']]],
    ['no object where one should be', '{ a { id } }', { a: 'text' }, { a: null }, [['a']]],
    [
      'two faults in two places',
      '{ a { id } leaves { strict } }',
      { a: {}, leaves: {} },
      { a: null, leaves: null },
      [
        ['a', 'id'],
        ['leaves', 'strict'],
      ],
    ],
  ])('carries %s as far as the schema says', (_, query, root, data, paths) => {
    const answer = project(query, root);
    expect(answer.data).toEqual(data);
    expect((answer.errors ?? []).map(({ path }) => path)).toEqual(paths);
  });

  it.each([
    ['at the place', ['a', 'must'], 1],
    ['above it', ['a'], 1],
    ['below it', ['a', 'must', 'id'], 1],
    ['at the top', [], 1],
    ['elsewhere', ['leaves'], 2],
  ])('does not tell a fault again that an error %s has told', (_, path, count) => {
    const errors = new ErrorLog();
    errors.add({ message: 'down', path });
    expect(project('{ a { must { id } } }', { a: {} }, errors).errors).toHaveLength(count);
  });

  it('bounds the errors of one answer, and says how many there were', () => {
    const { errors = [] } = project('{ list { a { id } } }', {
      list: Array.from({ length: 1_500 }, () => ({ a: {} })),
    });
    expect(errors).toHaveLength(1_001);
    expect(errors.at(-1)?.message).toBe('500 more errors were left out of this answer.');
  });
});
