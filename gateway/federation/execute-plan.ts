import { clientPath, type ErrorLog, failureOf, lossPaths, withService } from './answer-errors.ts';
import type { EntityBatch, EntityFetch, ExecutableNode, FetchedField, RootFetch } from './compile-plan.ts';
import { locate, locatePlaces, type Place } from './locate.ts';
import { type IsSubType, type Representations, representationsOf } from './representations.ts';
import { rewrite } from './rewrites.ts';
import type { AnswerError, SubgraphResult } from './transport.ts';
import { copyOf, isTree, mergeInto, type Tree } from './tree.ts';

/** What one run of a plan works on. */
export interface PlanRun {
  /** The answer as far as it is known; filled in by the run. */
  readonly root: Tree;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly errors: ErrorLog;
  readonly isSubType: IsSubType;
  /**
   * @param shareKey what the variables are, as text
   * @throws whatever kept the subgraph from answering
   */
  fetch(node: RootFetch | EntityFetch, variables: Tree, shareKey: string): Promise<SubgraphResult>;
  /** Nobody wants the answer any more: the run ends with the reason. */
  throwIfAbandoned(): void;
}

/**
 * Runs a plan. A fetch that fails is told in `run.errors` and costs its own fields only.
 *
 * @throws the reason when the request was abandoned
 */
export async function executePlan(node: ExecutableNode, run: PlanRun): Promise<void> {
  switch (node.node) {
    case 'root':
      return executeRootFetch(node, run);
    case 'entities':
      return executeEntityFetch(node, run);
    case 'sequence':
      for (const each of node.nodes) await executePlan(each, run);
      return;
    case 'parallel':
      await Promise.all(node.nodes.map((each) => executePlan(each, run)));
      return;
    case 'condition': {
      const branch = run.variables[node.variable] === true ? node.then : node.otherwise;
      if (branch !== null) await executePlan(branch, run);
    }
  }
}

function usedVariables(names: readonly string[], { variables }: PlanRun): Tree {
  const used: Tree = {};
  for (const name of names) if (Object.hasOwn(variables, name)) used[name] = variables[name];
  return used;
}

async function fetchOrFail(
  node: RootFetch | EntityFetch,
  run: PlanRun,
  variables: Tree,
  shareKey: string,
): Promise<SubgraphResult | AnswerError> {
  try {
    return await run.fetch(node, variables, shareKey);
  } catch (cause) {
    run.throwIfAbandoned();
    return failureOf(cause, node.service);
  }
}

async function executeRootFetch(node: RootFetch, run: PlanRun): Promise<void> {
  const variables = usedVariables(node.variables, run);
  const result = await fetchOrFail(node, run, variables, JSON.stringify(variables));
  if ('message' in result) {
    tellLoss(run, result, [{ target: run.root, path: [] }], node.fields, node.renamed);
    return;
  }
  acceptRoot(node, result, run);
}

/** Takes the answer of a root fetch, or an item of a stream, into the tree. */
export function acceptRoot(
  node: RootFetch,
  result: SubgraphResult,
  { root, errors }: Pick<PlanRun, 'root' | 'errors'>,
): void {
  for (const error of result.errors ?? []) {
    const told = withService(error, node.service);
    errors.add(error.path === undefined ? told : { ...told, path: clientPath(error.path, node.renamed) });
  }
  if (!isTree(result.data)) {
    // One of the errors went up to the top and took every field along.
    if (!errors.isEmpty) for (const { key } of node.fields) errors.explain(clientPath([key], node.renamed));
    return;
  }
  if (node.outputRewrites.length > 0) rewrite(result.data, node.outputRewrites);
  mergeInto(root, result.data);
}

/** What one batch asks for: the entities, and the objects that wait for them. */
interface Asked {
  readonly batch: EntityBatch;
  readonly targets: readonly Tree[];
  readonly representations: Representations;
}

async function executeEntityFetch(node: EntityFetch, run: PlanRun): Promise<void> {
  const asked = node.batches.map((batch) => ask(batch, run));
  if (asked.every(({ representations }) => representations.list.length === 0)) return;

  const variables = usedVariables(node.variables, run);
  let shareKey = JSON.stringify(variables);
  for (const { batch, representations } of asked) {
    variables[batch.variable] = representations.list;
    shareKey += `\n[${representations.keys.join()}]`;
  }
  const result = await fetchOrFail(node, run, variables, shareKey);
  if ('message' in result) {
    for (const each of asked) tellLoss(run, result, placesOf(each, run), each.batch.fields, each.batch.renamed);
    return;
  }
  // Places are looked up before anything is merged: they are those of the objects that asked.
  if (result.errors !== undefined) for (const each of asked) tellEntityErrors(each, result, node.service, run);
  for (const each of asked) acceptEntities(each, result.data?.[each.batch.key]);
}

function ask(batch: EntityBatch, { root, isSubType }: PlanRun): Asked {
  const targets = batch.paths.flatMap((path) => locate(root, path));
  return {
    batch,
    targets,
    representations: representationsOf(targets, batch.requires, batch.inputRewrites, isSubType),
  };
}

function acceptEntities({ batch, targets, representations }: Asked, entities: unknown): void {
  if (!Array.isArray(entities)) return;
  if (batch.outputRewrites.length > 0) rewrite(entities, batch.outputRewrites);
  const firsts = new Map<number, Tree>();
  for (const [at, target] of targets.entries()) {
    const index = representations.indexes[at] ?? -1;
    const entity: unknown = index < 0 ? undefined : entities[index];
    if (!isTree(entity)) continue;
    // Each place gets its own: later fetches may add different things below two places of one entity.
    if (firsts.has(index)) mergeCopy(target, entity);
    else firsts.set(index, target);
  }
  // The first place takes the original over, after every other place has its copy.
  for (const [index, target] of firsts) {
    const entity: unknown = entities[index];
    if (isTree(entity)) mergeInto(target, entity);
  }
}

function mergeCopy(target: Tree, entity: Tree): void {
  const copy = copyOf(entity);
  if (isTree(copy)) mergeInto(target, copy);
}

/** The places that wait for each entity, in the order of the targets. */
function placesOf({ batch, targets, representations }: Asked, { root }: PlanRun): Place[] {
  const waiting = new Set(targets.filter((_, at) => (representations.indexes[at] ?? -1) >= 0));
  return batch.paths.flatMap((path) => locatePlaces(root, path)).filter(({ target }) => waiting.has(target));
}

function tellLoss(
  run: PlanRun,
  failure: AnswerError,
  places: readonly Place[],
  fields: readonly FetchedField[],
  renamed: ReadonlyMap<string, string>,
): void {
  const told = new Set<string>();
  for (const place of places) {
    for (const path of lossPaths(place, fields, renamed)) {
      const key = JSON.stringify(path);
      if (told.has(key)) continue;
      told.add(key);
      run.errors.add({ ...failure, path });
    }
  }
}

/** Tells the errors of one batch at every place that waits for the entities concerned. */
function tellEntityErrors(asked: Asked, result: SubgraphResult, service: string, run: PlanRun): void {
  const { renamed, fields, key } = asked.batch;
  const errors = result.errors ?? [];
  let own = errors.filter(({ path = [] }) => path.length === 0 || path[0] === key);
  if (own.length === 0 && !Array.isArray(result.data?.[key])) {
    // An error elsewhere in the operation went up to the top and took this batch along.
    own = errors.slice(0, 1).map(({ message, extensions = {} }) => ({ message, extensions }));
  }
  if (own.length === 0) return;
  const places = placesOf(asked, run);
  const indexOf = new Map(asked.targets.map((target, at) => [target, asked.representations.indexes[at] ?? -1]));
  const byIndex = Map.groupBy(places, ({ target }) => indexOf.get(target) ?? -1);
  for (const error of own) {
    const [, index, ...rest] = error.path ?? [];
    const told = withService(error, service);
    if (typeof index !== 'number') {
      tellLoss(run, told, places, fields, renamed);
      continue;
    }
    for (const place of byIndex.get(index) ?? []) {
      // It may have gone up to the entity, and taken its other fields along.
      if (!hasEntity(result, key, index)) run.errors.explain(clientPath(place.path, renamed));
      if (rest.length > 0) run.errors.add({ ...told, path: clientPath([...place.path, ...rest], renamed) });
      else tellLoss(run, told, [place], fields, renamed);
    }
  }
}

function hasEntity({ data }: SubgraphResult, key: string, index: number): boolean {
  const entities = data?.[key];
  return Array.isArray(entities) && isTree(entities[index]);
}
