import { buildSchema } from 'graphql';
import { describe, expect, it } from 'vitest';
import { ErrorLog } from './answer-errors.ts';
import { compilePlan, compileSubscriptionPlan } from './compile-plan.ts';
import { executePlan, type PlanRun } from './execute-plan.ts';
import type { PathSegment, PlanNode, RequiresSelection } from './planner.ts';
import { gate } from './test-support/tiny-graph.ts';
import type { SubgraphResult } from './transport.ts';
import type { Tree } from './tree.ts';

const schema = buildSchema(`
  type Query { a: String b: String! item: Item items: [Item] }
  type Mutation { a: String b: String }
  type Subscription { item: Item }
  interface Thing { id: ID! }
  type Item implements Thing { id: ID! name: String size: Int! weight: Int other: Item }
`);
const CONTEXT = { schema, personalTypes: new Set<string>(), singleFields: new Set<string>() };

const REQUIRES: readonly RequiresSelection[] = [
  {
    kind: 'InlineFragment',
    typeCondition: 'Item',
    selections: [
      { kind: 'Field', name: '__typename' },
      { kind: 'Field', name: 'id' },
    ],
  },
];

function entityFetch(path: readonly PathSegment[], fields: string, more: object = {}): PlanNode {
  const operation = `query($representations:[_Any!]!){_entities(representations:$representations){...on Item{${fields}}}}`;
  return {
    kind: 'Flatten',
    path,
    node: { kind: 'Fetch', serviceName: 'items', operation, requires: REQUIRES, ...more },
  };
}

interface Call {
  readonly service: string;
  readonly operation: string;
  readonly variables: Tree;
}

/** Runs a plan over a tree with answers given by hand. */
async function run(
  plan: PlanNode,
  root: Tree,
  answer: (call: Call) => Promise<SubgraphResult> | SubgraphResult,
  variables: Tree = {},
) {
  const calls: Call[] = [];
  const errors = new ErrorLog();
  const context: PlanRun = {
    root,
    variables,
    errors,
    isSubType: (type, condition) => type === condition || condition === 'Thing',
    fetch: async ({ service, operation }, used) => {
      const call = { service, operation, variables: used };
      calls.push(call);
      return answer(call);
    },
    throwIfAbandoned: () => undefined,
  };
  await executePlan(compilePlan(plan, CONTEXT), context);
  return { root, calls, errors: errors.list() };
}

const item = (id: string, more: Tree = {}): Tree => ({ __typename: 'Item', id, ...more });

describe('plan node Fetch', () => {
  it('sends the variables it uses and takes the answer over', async () => {
    const plan: PlanNode = {
      kind: 'Fetch',
      serviceName: 's',
      operation: 'query($x:Int){a}',
      variableUsages: ['x', 'absent'],
    };
    const { root, calls } = await run(plan, { b: 'kept' }, () => ({ data: { a: 'new' } }), { x: 1, y: 2 });
    expect(calls).toEqual([{ service: 's', operation: 'query($x:Int){a}', variables: { x: 1 } }]);
    expect(root).toEqual({ b: 'kept', a: 'new' });
  });

  it('corrects its answer and the paths of its errors', async () => {
    const plan: PlanNode = {
      kind: 'Fetch',
      serviceName: 's',
      operation: '{item{x:name}}',
      outputRewrites: [
        { KeyRenamer: { path: [{ Key: 'item' }, { TypenameEquals: ['Item'] }, { Key: 'x' }], renameKeyTo: 'label' } },
        { ValueSetter: { path: [{ Key: 'item' }, { Key: '__typename' }], setValueTo: 'Renamed' } },
      ],
    };
    const { root, errors } = await run(plan, {}, () => ({
      data: { item: { __typename: 'Item', x: null } },
      errors: [{ message: 'no', path: ['item', 'x'] }],
    }));
    expect(root).toEqual({ item: { __typename: 'Renamed', label: null } });
    expect(errors).toEqual([
      { message: 'no', path: ['item', 'label'], extensions: { code: 'INTERNAL_SERVER_ERROR', service: 's' } },
    ]);
  });

  it('loses each of its fields when it fails', async () => {
    const { errors } = await run({ kind: 'Fetch', serviceName: 's', operation: '{a b}' }, {}, () =>
      Promise.reject(new Error('down')),
    );
    expect(errors.map(({ path }) => path)).toEqual([['a'], ['b']]);
  });
});

describe('plan node Flatten', () => {
  it('asks for each entity once and gives every place its own answer', async () => {
    const root: Tree = { items: [item('1'), null, item('2'), item('1')] };
    const { calls } = await run(entityFetch([{ Field: 'items' }, '@'], 'other{id}'), root, () => ({
      data: { _entities: [{ other: item('x') }, { other: null }] },
    }));
    expect(calls[0]?.variables['representations']).toEqual([item('1'), item('2')]);
    expect(root['items']).toEqual([
      item('1', { other: item('x') }),
      null,
      item('2', { other: null }),
      item('1', { other: item('x') }),
    ]);
    const [first, , , last] = root['items'] as { other: Tree }[];
    expect(first?.other).not.toBe(last?.other);
  });

  it('reaches into lists of lists and only into the types it names', async () => {
    const root: Tree = { items: [[item('1'), { __typename: 'Other', id: '2' }], [item('3')]] };
    const { calls } = await run(
      entityFetch([{ Field: 'items' }, '@', '@', { TypeCondition: ['Item'] }], 'name'),
      root,
      () => ({ data: { _entities: [{ name: 'one' }, { name: 'three' }] } }),
    );
    expect(calls[0]?.variables['representations']).toEqual([item('1'), item('3')]);
    expect(root['items']).toEqual([
      [item('1', { name: 'one' }), { __typename: 'Other', id: '2' }],
      [item('3', { name: 'three' })],
    ]);
  });

  it('asks nobody when there is nothing to ask for', async () => {
    const plan = entityFetch([{ Field: 'items' }, '@'], 'name');
    expect((await run(plan, { items: [] }, () => ({}))).calls).toEqual([]);
    expect((await run(plan, { items: null }, () => ({}))).calls).toEqual([]);
    expect((await run(plan, { items: [{ __typename: 'Item' }] }, () => ({}))).calls).toEqual([]);
  });

  it('sends what a field requires, nested and null, and corrects it', async () => {
    const requires: RequiresSelection[] = [
      {
        kind: 'InlineFragment',
        typeCondition: 'Thing',
        selections: [
          ...(REQUIRES[0]?.kind === 'InlineFragment' ? REQUIRES[0].selections : []),
          { kind: 'Field', name: 'weight' },
          { kind: 'Field', name: 'other', selections: [{ kind: 'Field', name: 'size' }] },
        ],
      },
    ];
    const inputRewrites = [{ ValueSetter: { path: [{ Key: '__typename' }], setValueTo: 'Thing' } }];
    const root: Tree = { item: item('1', { weight: null, other: { size: 3, ignored: true } }) };
    const { calls } = await run(entityFetch([{ Field: 'item' }], 'name', { requires, inputRewrites }), root, () => ({
      data: { _entities: [{ name: 'n' }] },
    }));
    expect(calls[0]?.variables['representations']).toEqual([
      { __typename: 'Thing', id: '1', weight: null, other: { size: 3 } },
    ]);
    expect(root['item']).toMatchObject({ __typename: 'Item', name: 'n' });
  });

  it('tells an error of one entity at all of its places, and only there', async () => {
    const root: Tree = { items: [item('1'), item('2'), item('1')] };
    const { errors } = await run(entityFetch([{ Field: 'items' }, '@'], 'name'), root, () => ({
      data: { _entities: [{ name: null }, { name: 'two' }] },
      errors: [{ message: 'no', path: ['_entities', 0, 'name'], extensions: { code: 'GONE' } }],
    }));
    expect(errors).toEqual(
      [0, 2].map((index) => ({
        message: 'no',
        path: ['items', index, 'name'],
        extensions: { code: 'GONE', service: 'items' },
      })),
    );
  });

  it.each([
    ['at the field, when it may be null', 'name', [['items', 1, 'name']]],
    [
      'at each of them, when all may be null',
      'name weight',
      [
        ['items', 1, 'name'],
        ['items', 1, 'weight'],
      ],
    ],
    ['at the entity, when it cannot be without', 'name size', [['items', 1]]],
  ])('places a loss %s', async (_, fields, paths) => {
    const { errors } = await run(entityFetch([{ Field: 'items' }, '@'], fields), { items: [null, item('2')] }, () =>
      Promise.reject(new Error('down')),
    );
    expect(errors.map(({ path }) => path)).toEqual(paths);
  });
});

describe('plan node BatchFetch', () => {
  it('asks for several sets of entities at once and gives each its own', async () => {
    const operation =
      'query($r0:[_Any!]!,$r1:[_Any!]!){_e0:_entities(representations:$r0){...on Item{name}} _e1:_entities(representations:$r1){...on Item{weight}}}';
    const alias = (number: number, paths: PathSegment[][]) => ({
      alias: `_e${number}`,
      representationsVariableName: `r${number}`,
      paths,
      requires: REQUIRES,
    });
    const plan: PlanNode = {
      kind: 'BatchFetch',
      serviceName: 'items',
      operation,
      entityBatch: {
        aliases: [alias(0, [[{ Field: 'item' }], [{ Field: 'items' }, '@']]), alias(1, [[{ Field: 'item' }]])],
      },
    };
    const root: Tree = { item: item('1'), items: [item('2'), item('1')] };
    const { calls, errors } = await run(plan, root, () => ({
      data: { _e0: [{ name: 'one' }, null], _e1: [{ weight: 5 }] },
      errors: [{ message: 'no', path: ['_e0', 1] }],
    }));
    expect(calls[0]?.variables).toEqual({ r0: [item('1'), item('2')], r1: [item('1')] });
    expect(root).toEqual({
      item: item('1', { name: 'one', weight: 5 }),
      items: [item('2'), item('1', { name: 'one' })],
    });
    expect(errors.map(({ path }) => path)).toEqual([['items', 0, 'name']]);
  });
});

describe('plan nodes Sequence and Parallel', () => {
  const fetchOf = (serviceName: string): PlanNode => ({ kind: 'Fetch', serviceName, operation: '{a}' });

  it('waits for each in a sequence', async () => {
    const release = gate();
    const order: string[] = [];
    const running = run({ kind: 'Sequence', nodes: [fetchOf('one'), fetchOf('two')] }, {}, async ({ service }) => {
      order.push(`${service} begins`);
      if (service === 'one') await release.opened;
      order.push(`${service} ends`);
      return { data: {} };
    });
    release.open();
    await running;
    expect(order).toEqual(['one begins', 'one ends', 'two begins', 'two ends']);
  });

  it('begins all at once in parallel', async () => {
    const release = gate();
    const order: string[] = [];
    await run({ kind: 'Parallel', nodes: [fetchOf('one'), fetchOf('two')] }, {}, async ({ service }) => {
      order.push(service);
      if (service === 'two') release.open();
      await release.opened;
      return { data: {} };
    });
    expect(order).toEqual(['one', 'two']);
  });
});

describe('plan node Condition', () => {
  const plan: PlanNode = {
    kind: 'Condition',
    condition: 'yes',
    ifClause: { kind: 'Fetch', serviceName: 'then', operation: '{a}' },
    elseClause: { kind: 'Fetch', serviceName: 'else', operation: '{a}' },
  };

  it.each([
    [true, ['then']],
    [false, ['else']],
  ])('with %s runs %s', async (yes, services) => {
    const { calls } = await run(plan, {}, () => ({ data: {} }), { yes });
    expect(calls.map(({ service }) => service)).toEqual(services);
  });

  it('without a branch for the case does nothing', async () => {
    const { calls } = await run({ ...plan, elseClause: null }, {}, () => ({ data: {} }), { yes: false });
    expect(calls).toEqual([]);
  });
});

describe('plan node Subscription', () => {
  const subscription: PlanNode = {
    kind: 'Subscription',
    primary: { serviceName: 'events', operationKind: 'subscription', operation: 'subscription{item{__typename id}}' },
  };

  it('is split into its source and what each item needs', () => {
    const plan = compileSubscriptionPlan(
      { kind: 'Sequence', nodes: [subscription, entityFetch([{ Field: 'item' }], 'name')] },
      CONTEXT,
    );
    expect(plan.source).toMatchObject({ service: 'events', kind: 'subscription' });
    expect(plan.rest).toMatchObject({ node: 'sequence', nodes: [{ node: 'entities', service: 'items' }] });
    expect(compileSubscriptionPlan(subscription, CONTEXT).rest).toBeNull();
  });

  it('is refused elsewhere', () => {
    expect(() => compilePlan(subscription, CONTEXT)).toThrow('subscribes where it should fetch');
  });
});

describe('plan node Defer', () => {
  it('is refused', () => {
    expect(() => compilePlan({ kind: 'Defer' }, CONTEXT)).toThrow('@defer is not supported');
  });
});
