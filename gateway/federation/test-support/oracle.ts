import { ApolloGateway, type GraphQLDataSource, LocalGraphQLDataSource } from '@apollo/gateway';
import { type GraphQLFormattedError, parse } from 'graphql';
import type { Subgraph } from '../../../schema/subgraph.ts';

export interface OracleAnswer {
  readonly data: unknown;
  readonly errors: readonly GraphQLFormattedError[];
  /** Nulls where the schema forbids them: Apollo Gateway tells them apart from errors. */
  readonly completionErrors: readonly GraphQLFormattedError[];
}

export type Oracle = (query: string, variables: Readonly<Record<string, unknown>>) => Promise<OracleAnswer>;

/** Apollo Gateway over the same subgraphs, as a second opinion. For tests only: its licence forbids to ship it. */
export async function createOracle(
  supergraphSdl: string,
  subgraphs: ReadonlyMap<string, Subgraph>,
): Promise<{ ask: Oracle; stop(): Promise<void> }> {
  const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const gateway = new ApolloGateway({
    supergraphSdl,
    logger: silent,
    buildService: ({ name }): GraphQLDataSource => {
      const subgraph = subgraphs.get(name);
      if (subgraph === undefined) throw new Error(`there is no subgraph ${name}`);
      return new LocalGraphQLDataSource(subgraph.schema);
    },
  });
  const { executor } = await gateway.load();
  return {
    ask: async (query, variables) => {
      const request = {
        document: parse(query),
        queryHash: query,
        request: { query, variables: { ...variables } },
        operationName: null,
        context: {},
        metrics: {},
        logger: silent,
        cache: undefined,
        schema: gateway.schema,
        overallCachePolicy: undefined,
      };
      const answer = await executor(request as unknown as Parameters<typeof executor>[0]);
      const {
        data,
        errors = [],
        extensions,
      } = JSON.parse(JSON.stringify(answer)) as {
        data?: unknown;
        errors?: GraphQLFormattedError[];
        extensions?: { valueCompletion?: GraphQLFormattedError[] };
      };
      return { data: data ?? null, errors, completionErrors: extensions?.valueCompletion ?? [] };
    },
    stop: () => gateway.stop(),
  };
}
