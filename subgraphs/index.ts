import { readFileSync } from 'node:fs';
import type { Vendor } from '../adapter-kit/define-vendor.ts';
import { subgraphSdl, vendorStubs, vendorSubgraphSdl } from '../schema/build-subgraph.ts';
import { milestone } from './milestone/index.ts';
import { onGuard } from './onguard/index.ts';
import { onPrem } from './on-prem/index.ts';
import { reconeyez } from './reconeyez/index.ts';
import { sensors } from './sensors/index.ts';
import { vendorCloud } from './vendor-cloud/index.ts';
import { vxg } from './vxg/index.ts';

/** The vendors of this deployment. The only place that names them: a vendor is one folder and one line here. */
export const vendors: readonly Vendor[] = [vendorCloud, milestone, onGuard, onPrem, reconeyez, vxg, sensors];

function own(name: string): string {
  return readFileSync(new URL(`./${name}/schema.graphql`, import.meta.url), 'utf8');
}

/** Name and SDL of every subgraph, in the order in which they are composed. */
export function subgraphSdls(
  list: readonly Vendor[] = vendors,
): readonly { readonly name: string; readonly sdl: string }[] {
  return [
    { name: 'directory', sdl: subgraphSdl(own('directory') + vendorStubs('Platform', list), list) },
    { name: 'inventory', sdl: subgraphSdl(own('inventory') + vendorStubs('Device', list), list) },
    { name: 'events', sdl: subgraphSdl(own('events'), list) },
    ...list.map((vendor) => ({
      name: vendor.slug,
      sdl: vendorSubgraphSdl(readFileSync(vendor.schemaPath, 'utf8'), list),
    })),
  ];
}
