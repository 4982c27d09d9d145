import { readFileSync } from 'node:fs';
import { composeServices, compositionHasErrors } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { subgraphSdl, type VendorWords, vendorStubs, vendorSubgraphSdl } from '../../../schema/build-subgraph.ts';

// The product's own graph, with two more vendors made from the first one's schema: what differs between vendors is
// tested with several of them, and only one exists.

const VENDORS: readonly (VendorWords & { readonly slug: string })[] = [
  { slug: 'vendor-cloud', enumValue: 'VENDOR_CLOUD', graphqlName: 'VendorCloud', name: 'Vendor cloud' },
  { slug: 'acme', enumValue: 'ACME', graphqlName: 'Acme', name: 'Acme' },
  { slug: 'zeta', enumValue: 'ZETA', graphqlName: 'Zeta', name: 'Zeta' },
];

function own(name: string): string {
  return readFileSync(new URL(`../../../subgraphs/${name}/schema.graphql`, import.meta.url), 'utf8');
}

/** SDL of every subgraph by name. */
export function testSubgraphs(): ReadonlyMap<string, string> {
  const vendorSchema = own('vendor-cloud');
  return new Map([
    ['directory', subgraphSdl(own('directory') + vendorStubs('Platform', VENDORS), VENDORS)],
    ['inventory', subgraphSdl(own('inventory') + vendorStubs('Device', VENDORS), VENDORS)],
    ['events', subgraphSdl(own('events'), VENDORS)],
    ...VENDORS.map(({ slug, graphqlName }): [string, string] => [
      slug,
      vendorSubgraphSdl(vendorSchema.replaceAll('VendorCloud', graphqlName), VENDORS),
    ]),
  ]);
}

/** @throws Error with the composer's messages */
export function compose(subgraphs: ReadonlyMap<string, string>): string {
  const result = composeServices(
    [...subgraphs].map(([name, sdl]) => ({ name, typeDefs: parse(sdl), url: `http://${name}` })),
  );
  if (compositionHasErrors(result)) throw new Error(result.errors.map(({ message }) => message).join('\n'));
  return result.supergraphSdl;
}
