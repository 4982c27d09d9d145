import { composeServices as composeWithApollo } from '@apollo/composition';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import type { Vendor } from '../adapter-kit/define-vendor.ts';
import { subgraphSdls, vendors } from '../subgraphs/index.ts';

/** Apollo's composer does not know `@oneOf`; the one we ship with does. */
function withoutOneOf(sdl: string): string {
  return sdl.replaceAll('@oneOf', '');
}

const deployments: [string, readonly Vendor[]][] = [
  ['every vendor', vendors],
  ['no vendor at all', []],
  ...vendors.map((left): [string, readonly Vendor[]] => [
    `every vendor but ${left.slug}`,
    vendors.filter((vendor) => vendor !== left),
  ]),
];

describe.each(deployments)('the supergraph with %s', (_, list) => {
  const sdls = subgraphSdls(list);

  it('composes', () => {
    const result = composeServices(sdls.map(({ name, sdl }) => ({ name, typeDefs: parse(sdl) })));
    expect(result.errors ?? []).toEqual([]);
    expect(result.supergraphSdl).toContain('type Device');
  });

  it('composes with the second composer too, which checks more', () => {
    const result = composeWithApollo(
      sdls.map(({ name, sdl }) => ({ name, url: `http://${name}`, typeDefs: parse(withoutOneOf(sdl)) })),
    );
    expect((result.errors ?? []).map((error) => error.message)).toEqual([]);
  });

  it('knows exactly the deployed vendors', () => {
    const { supergraphSdl = '' } = composeServices(sdls.map(({ name, sdl }) => ({ name, typeDefs: parse(sdl) })));
    const known = vendors.filter(({ graphqlName }) => supergraphSdl.includes(`type ${graphqlName}Device`));
    expect(known).toEqual(vendors.filter((vendor) => list.includes(vendor)));
  });
});
