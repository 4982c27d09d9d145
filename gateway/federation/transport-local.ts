import { type DocumentNode, execute, type ExecutionResult, parse, validate } from 'graphql';
import { type Subgraph, StreamPlace } from '../../schema/subgraph.ts';
import { Lru } from './lru.ts';
import { maskError, type OnMasked } from './mask-error.ts';
import { createSharedItems, plainRootField, textOf, variablesOfItems } from './shared-items.ts';
import { subscribeToItems } from './subscribe-source.ts';
import {
  type SubgraphFetch,
  type SubgraphResult,
  type SubgraphTransport,
  SubscriptionRefused,
  TransportError,
} from './transport.ts';
import { isTree } from './tree.ts';

/** Operations of plans are kept parsed up to so many characters: about 20 MB for each subgraph at worst. */
const MAX_CACHED_TEXT = 1_000_000;

/** What several streams wait for is finished, whoever leaves. */
const NEVER = new AbortController().signal;

/** The way to a subgraph that runs in this process: graphql-js without a server around it. */
export function createLocalTransport(subgraph: Subgraph, onMasked: OnMasked): SubgraphTransport {
  const documents = new Lru<string, DocumentNode>(MAX_CACHED_TEXT);
  const sharedItems = createSharedItems<ExecutionResult>();
  const sharedResults = new WeakMap<ExecutionResult, SubgraphResult>();

  /** @throws GraphQLError when the plan asks for what the subgraph does not have: supergraph and subgraph disagree */
  function documentOf(operation: string): DocumentNode {
    let document = documents.get(operation);
    if (document === undefined) {
      document = parse(operation, { noLocation: true });
      const [error] = validate(subgraph.schema, document);
      if (error !== undefined) throw error;
      documents.set(operation, document, operation.length);
    }
    return document;
  }

  function contextOf({ kind, principal, requestId, signal, budget }: SubgraphFetch): unknown {
    const request = { principal, requestId, signal, tellsPlaces: kind === 'subscription' };
    return subgraph.createContext(budget === undefined ? request : { ...request, budget });
  }

  function argumentsOf(fetch: SubgraphFetch) {
    try {
      return {
        schema: subgraph.schema,
        document: documentOf(fetch.operation),
        variableValues: fetch.variables,
        contextValue: contextOf(fetch),
      };
    } catch (cause) {
      onMasked(cause);
      throw new TransportError('SUBGRAPH_UNAVAILABLE', 'The data could not be fetched.', { cause });
    }
  }

  function resultOf({ data, errors }: ExecutionResult): SubgraphResult {
    if (errors === undefined) return { data: data ?? null };
    return { data: data ?? null, errors: errors.map((error) => maskError(error, onMasked)) };
  }

  /** How a stream shares the execution of its items: under which key, and what stands for an item. */
  function sharingOf({ operation, variables, shareKey }: SubgraphFetch) {
    if (shareKey === undefined) return null;
    const document = documentOf(operation);
    const field = plainRootField(subgraph.schema, document);
    const names = variablesOfItems(document, null);
    if (field === null || names === null) return null;
    const key = JSON.stringify([operation, shareKey, textOf(names, variables)]);
    return (root: unknown, make: () => Promise<ExecutionResult>) => {
      const item: unknown = isTree(root) ? root[field] : null;
      return isTree(item) ? sharedItems.get(item, key, make) : make();
    };
  }

  function sharedResultOf(item: ExecutionResult): SubgraphResult {
    let result = sharedResults.get(item);
    if (result === undefined) {
      result = { ...resultOf(item), isShared: true };
      sharedResults.set(item, result);
    }
    return result;
  }

  async function* itemsOf(fetch: SubgraphFetch): AsyncGenerator<SubgraphResult, void, void> {
    const { signal } = fetch;
    const args = argumentsOf(fetch);
    const share = sharingOf(fetch);
    const accept = share === null ? resultOf : sharedResultOf;
    const ofItem = share === null ? fetch : { ...fetch, signal: NEVER };
    const stream = await subscribeToItems(args, () => contextOf(ofItem), share ?? undefined);
    if (!(Symbol.asyncIterator in stream)) throw new SubscriptionRefused(resultOf(stream).errors ?? []);
    // A generator that waits for its next item cannot be returned from: the source is told by the signal as well.
    const stop = (): void => void stream.return().catch(onMasked);
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (!signal.aborted)
        for await (const item of stream) yield item instanceof StreamPlace ? { place: item.cursor } : accept(item);
    } catch (cause) {
      if (signal.aborted) return;
      onMasked(cause);
      throw new TransportError('SUBGRAPH_UNAVAILABLE', 'The stream was interrupted.', { cause });
    } finally {
      signal.removeEventListener('abort', stop);
      await stream.return();
    }
  }

  return {
    async execute(fetch) {
      return resultOf(await execute(argumentsOf(fetch)));
    },
    subscribe: itemsOf,
  };
}
