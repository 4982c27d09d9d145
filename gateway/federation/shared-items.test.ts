import { buildSchema, parse } from 'graphql';
import { describe, expect, it, vi } from 'vitest';
import { createSharedItems, plainRootField, textOf, variablesOfItems } from './shared-items.ts';

describe('what is made of an item', () => {
  it('is made once for those who come for it together, and again for those who come later', async () => {
    vi.useFakeTimers();
    try {
      const shared = createSharedItems<number>(100);
      let made = 0;
      const make = async () => (made += 1);
      const item = {};
      expect(await Promise.all([shared.get(item, 'a', make), shared.get(item, 'a', make)])).toEqual([1, 1]);
      expect([await shared.get(item, 'b', make), await shared.get({}, 'a', make)]).toEqual([2, 3]);
      vi.advanceTimersByTime(100);
      expect(await shared.get(item, 'a', make)).toBe(1);
      vi.advanceTimersByTime(100);
      expect(await shared.get(item, 'a', make)).toBe(4);
      // Nothing is left to wait for once nobody comes.
      vi.advanceTimersByTime(1_000);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('what is made depends', () => {
  const names = (text: string) => [...(variablesOfItems(parse(text), null) ?? [])];

  it('on no variable of the arguments of the root field alone', () => {
    expect(names('subscription ($a: [ID!], $b: Int) { events(filter: { ids: $a }, after: $b) { id } }')).toEqual([]);
  });

  it('on variables of selections, directives and fragments', () => {
    expect(
      names(
        'subscription ($a: Int, $b: Boolean!, $c: Int) { events(x: $a) @include(if: $b) { ...F id(y: $a) } } fragment F on T { z(c: $c) }',
      ).sort(),
    ).toEqual(['a', 'b', 'c']);
    expect(variablesOfItems(parse('query ($a: Int) { events(x: $a) }'), null)).toBeNull();
  });

  it('on values, and on whether there is one', () => {
    const set = new Set(['a']);
    expect(new Set([textOf(set, {}), textOf(set, { a: null }), textOf(set, { a: 1, b: 2 })]).size).toBe(3);
    expect(textOf(set, { a: 1, b: 1 })).toBe(textOf(set, { b: 2, a: 1 }));
  });

  it('on the resolver of the root field, which may read its arguments', () => {
    const schema = buildSchema('type Query { x: Int } type Subscription { plain: Int made(x: Int): Int }');
    const field = schema.getSubscriptionType()?.getFields()['made'];
    if (field !== undefined) field.resolve = (_, { x }) => x;
    expect(plainRootField(schema, parse('subscription { plain }'))).toBe('plain');
    expect(plainRootField(schema, parse('subscription { made(x: 1) }'))).toBeNull();
  });
});
