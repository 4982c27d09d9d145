import { afterEach, describe, expect, it } from 'vitest';
import type { Planner } from './planner.ts';
import { createPlannerProcess } from './planner-process.ts';
import { compose, testSubgraphs } from './test-support/supergraph.ts';

const SUPERGRAPH = compose(testSubgraphs());
/** The planner aborts its process on this one; the engine never gives it like this. */
const DEADLY =
  'query ($v: String) { events { edges { node { ... on VideoEvent { org { devices { __typename } } } ... on InventoryEvent { org { devices(after: $v) { __typename } } } } } } }';

describe('planner in its own process', () => {
  const planners: Planner[] = [];
  afterEach(() => {
    for (const planner of planners.splice(0)) planner.close();
  });

  function started(crashes: Error[] = [], supergraph = SUPERGRAPH): Planner {
    const planner = createPlannerProcess((error) => crashes.push(error))(supergraph);
    planners.push(planner);
    return planner;
  }

  it('plans', async () => {
    const planner = started();
    await planner.ready;
    await expect(planner.plan('{ device(id: "1") { name } }')).resolves.toMatchObject({
      kind: 'Fetch',
      serviceName: 'inventory',
    });
    await expect(planner.plan('{ nope }')).rejects.toThrow('nope');
  });

  it('tells of a supergraph that cannot be read', async () => {
    await expect(started([], 'type Query {').ready).rejects.toThrow('parse');
  });

  it('survives an operation that ends the planner, and does not try it again', async () => {
    const crashes: Error[] = [];
    const planner = started(crashes);
    await expect(planner.plan(DEADLY)).rejects.toThrow('the planner ended');
    await expect(planner.plan(DEADLY)).rejects.toThrow('has ended on this operation before');
    await expect(planner.plan('{ device(id: "1") { name } }')).resolves.toMatchObject({ kind: 'Fetch' });
    expect(crashes).toHaveLength(1);
  });

  it('finishes what it has begun when it is closed', async () => {
    const planner = started();
    const plan = planner.plan('{ device(id: "1") { name } }');
    planner.close();
    await expect(plan).resolves.toMatchObject({ kind: 'Fetch' });
  });

  it('plans nothing after it was closed', async () => {
    const planner = started();
    await planner.ready;
    planner.close();
    await expect(planner.plan('{ device(id: "1") { name } }')).rejects.toThrow('closed');
  });
});
