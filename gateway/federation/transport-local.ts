import { type DocumentNode, execute, type ExecutionResult, parse, validate } from 'graphql';
import { type Subgraph, StreamPlace } from '../../schema/subgraph.ts';
import { Lru } from './lru.ts';
import { maskError, type OnMasked } from './mask-error.ts';
import { subscribeToItems } from './subscribe-source.ts';
import {
  type SubgraphFetch,
  type SubgraphResult,
  type SubgraphTransport,
  SubscriptionRefused,
  TransportError,
} from './transport.ts';

/** Operations of plans are kept parsed up to so many characters: about 20 MB for each subgraph at worst. */
const MAX_CACHED_TEXT = 1_000_000;

/** The way to a subgraph that runs in this process: graphql-js without a server around it. */
export function createLocalTransport(subgraph: Subgraph, onMasked: OnMasked): SubgraphTransport {
  const documents = new Lru<string, DocumentNode>(MAX_CACHED_TEXT);

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

  function contextOf({ kind, principal, requestId, signal }: SubgraphFetch): unknown {
    return subgraph.createContext({ principal, requestId, signal, tellsPlaces: kind === 'subscription' });
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

  async function* itemsOf(fetch: SubgraphFetch): AsyncGenerator<SubgraphResult, void, void> {
    const { signal } = fetch;
    const stream = await subscribeToItems(argumentsOf(fetch), () => contextOf(fetch));
    if (!(Symbol.asyncIterator in stream)) throw new SubscriptionRefused(resultOf(stream).errors ?? []);
    // A generator that waits for its next item cannot be returned from: the source is told by the signal as well.
    const stop = (): void => void stream.return().catch(onMasked);
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (!signal.aborted)
        for await (const item of stream) yield item instanceof StreamPlace ? { place: item.cursor } : resultOf(item);
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
