import { composeServices as composeWithApollo } from '@apollo/composition';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { subgraphSdls, vendors } from '../index.ts';
import { onGuard } from './index.ts';

const sdls = subgraphSdls([...vendors.filter(({ slug }) => slug !== onGuard.slug), onGuard]);

describe('the supergraph with OnGuard', () => {
  it('composes, with its types and its value of the enum', () => {
    const result = composeServices(sdls.map(({ name, sdl }) => ({ name, typeDefs: parse(sdl) })));
    expect(result.errors ?? []).toEqual([]);
    for (const text of ['type OnGuardDevice', 'type OnGuardPlatform', 'ONGUARD'])
      expect(result.supergraphSdl).toContain(text);
  });

  it('composes with the second composer too, which checks more', () => {
    const services = sdls.map(({ name, sdl }) => ({
      name,
      url: `http://${name}`,
      typeDefs: parse(sdl.replaceAll('@oneOf', '')),
    }));
    expect((composeWithApollo(services).errors ?? []).map((error) => error.message)).toEqual([]);
  });
});
