import { describe, expect, it } from 'vitest';
import { Lru } from './lru.ts';
import { copyOf, mergeInto, type Tree } from './tree.ts';

describe('mergeInto', () => {
  it.each<[string, Tree, Tree, Tree]>([
    ['adds keys', { a: 1 }, { b: 2 }, { a: 1, b: 2 }],
    ['merges objects', { a: { x: 1 } }, { a: { y: 2 } }, { a: { x: 1, y: 2 } }],
    [
      'merges entries of lists',
      { a: [{ x: 1 }, null] },
      { a: [{ y: 2 }, { y: 3 }] },
      { a: [{ x: 1, y: 2 }, { y: 3 }] },
    ],
    [
      'does not mix lists of different lengths',
      { a: [{ x: 1 }] },
      { a: [{ y: 2 }, { y: 3 }] },
      { a: [{ y: 2 }, { y: 3 }] },
    ],
    ['does not let null hide what is known', { a: { x: 1 }, b: [1] }, { a: null, b: [null] }, { a: { x: 1 }, b: [1] }],
    ['fills in nulls', { a: null }, { a: 1 }, { a: 1 }],
  ])('%s', (_, target, source, expected) => {
    mergeInto(target, source);
    expect(target).toEqual(expected);
  });

  it('cannot be made to touch prototypes', () => {
    const hostile = (): Tree =>
      JSON.parse('{"raw":{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}}') as Tree;
    const target = hostile();
    mergeInto(target, hostile());
    mergeInto(target['raw'] as Tree, hostile()['raw'] as Tree);
    expect(({} as Tree)['polluted']).toBeUndefined();
    expect(JSON.stringify(copyOf(target))).toBe(JSON.stringify(hostile()));
  });
});

describe('Lru', () => {
  it('forgets what was not used for longest', () => {
    const cache = new Lru<string, number>(2);
    cache.set('a', 1);
    cache.set('b', 2);
    cache.get('a');
    cache.set('c', 3);
    expect([cache.get('a'), cache.get('b'), cache.get('c'), cache.size]).toEqual([1, undefined, 3, 2]);
  });

  it('makes room by weight, and keeps nothing that is too heavy', () => {
    const cache = new Lru<string, number>(10);
    cache.set('a', 1, 4);
    cache.set('b', 2, 4);
    cache.set('a', 3, 5);
    cache.set('c', 4, 6);
    cache.set('d', 5, 11);
    expect(['a', 'b', 'c', 'd'].map((key) => cache.get(key))).toEqual([undefined, undefined, 4, undefined]);
  });
});
