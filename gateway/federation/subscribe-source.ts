import { createSourceEventStream, execute, type ExecutionArgs, type ExecutionResult } from 'graphql';
import { StreamPlace } from '../../schema/subgraph.ts';

/**
 * As `subscribe` of graphql-js, but that every item is executed in a context of its own, whose caches die with it: a
 * stream lives for weeks. A `StreamPlace` of the source is passed on as it is.
 *
 * @param args its context is the one in which the subscription itself is resolved
 * @param share may take what others have made of the same item instead of making it
 * @returns the errors when the subscription is refused
 */
export async function subscribeToItems(
  args: ExecutionArgs,
  contextOfItem: () => unknown,
  share: (root: unknown, make: () => Promise<ExecutionResult>) => Promise<ExecutionResult> = (_, make) => make(),
): Promise<ExecutionResult | AsyncGenerator<ExecutionResult | StreamPlace, void, void>> {
  const source = await createSourceEventStream(args);
  if (!(Symbol.asyncIterator in source)) return source;
  const events: AsyncIterator<unknown> = source[Symbol.asyncIterator]();
  // No generator: returning from one that waits would wait for the next event.
  const items: AsyncGenerator<ExecutionResult | StreamPlace, void, void> = {
    async next() {
      const { done, value } = await events.next();
      if (done === true) return { done, value: undefined };
      if (value instanceof StreamPlace) return { done: false, value };
      const make = async (): Promise<ExecutionResult> =>
        execute({ ...args, rootValue: value, contextValue: contextOfItem() });
      return { done: false, value: await share(value, make) };
    },
    async return() {
      await events.return?.();
      return { done: true, value: undefined };
    },
    async throw(error: unknown) {
      await events.return?.();
      throw error;
    },
    [Symbol.asyncIterator]: () => items,
    async [Symbol.asyncDispose]() {
      await events.return?.();
    },
  };
  return items;
}
