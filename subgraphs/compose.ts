import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import type { Vendor } from '../adapter-kit/define-vendor.ts';
import { subgraphSdls } from './index.ts';

/** The subgraphs contradict each other: nothing can be served. */
export class CompositionError extends Error {
  override readonly name = 'CompositionError';
}

/** Composes the supergraph of a deployment with these vendors. @returns its SDL @throws CompositionError naming every contradiction */
export function compose(vendors: readonly Vendor[]): string {
  const result = composeServices(subgraphSdls(vendors).map(({ name, sdl }) => ({ name, typeDefs: parse(sdl) })));
  if (result.supergraphSdl === undefined) {
    throw new CompositionError((result.errors ?? []).map((error) => error.message).join('\n'));
  }
  return result.supergraphSdl;
}
