import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Vendor } from '../adapter-kit/define-vendor.ts';
import type { Simulator } from '../adapter-kit/simulator.ts';
import { SANDBOX_ORGS, type SandboxOrg, splitDevices } from './world.ts';

/** One simulated platform: what one customer has of one vendor. */
export interface Platform {
  readonly org: SandboxOrg;
  readonly vendor: Vendor;
  readonly simulator: Simulator;
}

export interface PlatformsOptions {
  readonly vendors: readonly Vendor[];
  /** All platforms together. */
  readonly devices: number;
  /** Where platforms keep their state; null: nowhere. */
  readonly stateDir: string | null;
  /** The port that a platform had before, so that addresses that were stored stay good; 0: any. */
  readonly portOf: (orgKey: string, vendor: Vendor) => number;
}

/** A UUID that is the same for the same text. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

function seedOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0);
}

/** Starts one platform for every org and vendor. When one does not start, those that did are stopped again. */
export async function startPlatforms({
  vendors,
  devices,
  stateDir,
  portOf,
}: PlatformsOptions): Promise<readonly Platform[]> {
  const places = SANDBOX_ORGS.flatMap((org) => vendors.map((vendor) => ({ org, vendor })));
  const counts = splitDevices(
    devices,
    places.map(({ org }) => org.share / vendors.length),
  );
  const started = await Promise.allSettled(
    places.map(async ({ org, vendor }, index): Promise<Platform> => {
      const name = `${org.key}-${vendor.slug}`;
      const platform = await vendor.simulator();
      const simulator = await platform.startSimulator({
        seed: seedOf(name),
        accountId: uuidOf(name),
        accountName: org.name,
        sites: org.sites,
        devices: counts[index] ?? 1,
        port: portOf(org.key, vendor),
        stateFile: stateDir === null ? null : join(stateDir, `${name}.json`),
        now: () => new Date(),
      });
      return { org, vendor, simulator };
    }),
  );
  const platforms = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failure = started.find((result) => result.status === 'rejected');
  if (failure !== undefined) {
    await Promise.all(platforms.map(({ simulator }) => simulator.close()));
    throw failure.reason;
  }
  return platforms;
}
