import { readFileSync } from 'node:fs';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { GraphQLScalarType, type GraphQLSchema, parse } from 'graphql';
import { scalars } from './scalars.ts';

type SubgraphModule = Extract<Parameters<typeof buildSubgraphSchema>[0], unknown[]>[number];
type Resolvers = NonNullable<Extract<SubgraphModule, { typeDefs: unknown }>['resolvers']>;

const LINK = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ["@key", "@shareable", "@external", "@requires", "@provides"])\n`;

/** What the shared words need to know of a vendor. */
export interface VendorWords {
  /** Value of `enum Vendor`. */
  readonly enumValue: string;
  /** Prefix of its types. */
  readonly graphqlName: string;
  /** The product's name, for descriptions. */
  readonly name: string;
}

function text(path: string): string {
  return readFileSync(new URL(path, import.meta.url), 'utf8');
}

function vendorEnum(vendors: readonly VendorWords[]): string {
  const values = vendors.map((vendor) => `  "${vendor.name}."\n  ${vendor.enumValue}\n`);
  // A store may hold integrations of a vendor that this deployment does not have: the enum needs a fallback.
  return `\n"The vendor's product. New values may be added."\nenum Vendor {\n${values.join('')}  "A vendor that is not part of this deployment."\n  OTHER\n}\n`;
}

/** SDL of one subgraph: federation link, shared words, the vendor enum, then its own. */
export function subgraphSdl(own: string, vendors: readonly VendorWords[]): string {
  return LINK + text('./shared.graphql') + vendorEnum(vendors) + own;
}

/** SDL of a vendor's subgraph: the two interfaces come with it. */
export function vendorSubgraphSdl(own: string, vendors: readonly VendorWords[]): string {
  return subgraphSdl(text('./vendor.graphql') + own, vendors);
}

/** For directory (`Platform`) and inventory (`SourceDevice`): one stub per vendor, resolved by the vendor's own subgraph. */
export function vendorStubs(kind: 'Platform' | 'Device', vendors: readonly VendorWords[]): string {
  return vendors
    .map(({ graphqlName, name }) =>
      kind === 'Platform'
        ? `\n"${name} behind an integration."\ntype ${graphqlName}Platform implements Platform @key(fields: "integrationId", resolvable: false) {\n  integrationId: ID!\n}\n`
        : `\n"A device as ${name} reports it."\ntype ${graphqlName}Device implements SourceDevice @key(fields: "integrationId nativeId", resolvable: false) {\n  integrationId: ID!\n  nativeId: String!\n}\n`,
    )
    .join('');
}

const REFERENCE = '__resolveReference';

/** A reference resolver that throws, instead of rejecting, would cost every other entity of the same fetch. */
function withAsyncReferences(resolvers: Resolvers): Resolvers {
  return Object.fromEntries(
    Object.entries(resolvers).map(([type, fields]) => {
      if (fields instanceof GraphQLScalarType) return [type, fields];
      const resolve: unknown = Reflect.get(fields, REFERENCE);
      if (typeof resolve !== 'function') return [type, fields];
      return [type, { ...fields, [REFERENCE]: async (...args: unknown[]) => Reflect.apply(resolve, undefined, args) }];
    }),
  );
}

/** Executable schema of a subgraph. Scalars get their implementations here. */
export function buildSubgraph(sdl: string, resolvers: Resolvers): GraphQLSchema {
  return buildSubgraphSchema([{ typeDefs: parse(sdl), resolvers: { ...scalars, ...withAsyncReferences(resolvers) } }]);
}
