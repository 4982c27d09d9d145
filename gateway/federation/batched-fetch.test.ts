import { describe, expect, it } from 'vitest';
import { createBatchedFetch } from './batched-fetch.ts';
import type { EntityFetch } from './compile-plan.ts';
import type { SubgraphResult } from './transport.ts';
import type { Tree } from './tree.ts';

const node = {
  node: 'entities',
  batches: [{ key: '_entities', variable: 'representations' }],
} as unknown as EntityFetch;

const device = (id: string) => ({ __typename: 'Device', id });

function world(answer: (ids: readonly string[]) => SubgraphResult) {
  const asked: string[][] = [];
  const fetch = createBatchedFetch()((_, variables) => {
    const list = variables['representations'] as { id: string }[];
    asked.push(list.map(({ id }) => id));
    return Promise.resolve(list.map(({ id }) => id)).then(answer);
  });
  const ask = (...ids: readonly string[]) => fetch(node, { representations: ids.map(device) }, ids.join());
  return { asked, ask };
}

const named = (ids: readonly string[]): SubgraphResult => ({ data: { _entities: ids.map((id) => ({ name: id })) } });

describe('batched fetch', () => {
  it('asks once for what is wanted in one turn, each entity once, and gives everybody his own', async () => {
    const { asked, ask } = world(named);
    const answers = await Promise.all([ask('a', 'b'), ask('b'), ask('c', 'a')]);
    expect(asked).toEqual([['a', 'b', 'c']]);
    expect(answers.map(({ data }) => data?.['_entities'])).toEqual([
      [{ name: 'a' }, { name: 'b' }],
      [{ name: 'b' }],
      [{ name: 'c' }, { name: 'a' }],
    ]);
    const [[, b], [other]] = answers.map(({ data }) => data?.['_entities'] as Tree[]) as [Tree[], Tree[]];
    Object.assign(b ?? {}, { seen: true });
    expect(other).toEqual({ name: 'b' });
  });

  it('passes on as it is what is wanted alone', async () => {
    const { asked, ask } = world(named);
    await ask('a');
    await ask('b');
    expect(asked).toEqual([['a'], ['b']]);
  });

  it('tells an error to those whose entity it is about, at the place where they have it', async () => {
    const { ask } = world((ids) => ({
      data: { _entities: ids.map((id) => (id === 'b' ? null : { name: id })) },
      errors: [{ message: 'no b', path: ['_entities', ids.indexOf('b'), 'name'] }],
    }));
    const [first, second, third] = await Promise.all([ask('a'), ask('c', 'b'), ask('b')]);
    expect(first).toEqual({ data: { _entities: [{ name: 'a' }] } });
    expect(second?.errors).toEqual([{ message: 'no b', path: ['_entities', 1, 'name'] }]);
    expect(third).toEqual({
      data: { _entities: [null] },
      errors: [{ message: 'no b', path: ['_entities', 0, 'name'] }],
    });
  });

  it('tells everybody an error that is about the whole, and a fetch that failed', async () => {
    const whole = world(() => ({ data: null, errors: [{ message: 'refused' }] }));
    expect(await Promise.all([whole.ask('a'), whole.ask('b')])).toEqual([
      { data: null, errors: [{ message: 'refused' }] },
      { data: null, errors: [{ message: 'refused' }] },
    ]);
    const failed = world(() => {
      throw new Error('the subgraph is gone');
    });
    const settled = await Promise.allSettled([failed.ask('a'), failed.ask('b')]);
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });

  it('lets one of several streams fetch for all that ask at the same time', async () => {
    const asked: string[] = [];
    const batched = createBatchedFetch();
    const streamOf = (name: string) => {
      const fetch = batched((_, variables) => {
        const list = variables['representations'] as { id: string }[];
        asked.push(`${name} ${list.map(({ id }) => id).join()}`);
        return Promise.resolve({ data: { _entities: list.map(({ id }) => ({ name: id })) } });
      });
      return (id: string) => fetch(node, { representations: [device(id)] }, id);
    };
    const [first, second] = [streamOf('first'), streamOf('second')];
    expect(await Promise.all([first('a'), second('b'), second('a')])).toEqual(
      ['a', 'b', 'a'].map((name) => ({ data: { _entities: [{ name }] } })),
    );
    expect(asked).toEqual(['first a,b']);
    await second('c');
    expect(asked).toEqual(['first a,b', 'second c']);
  });
});
