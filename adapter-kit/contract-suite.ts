import { afterAll, beforeAll, describe } from 'vitest';
import { describeDeclaration } from './contract-suite/declaration.ts';
import { describeEvents } from './contract-suite/events.ts';
import { describeFailures } from './contract-suite/failures.ts';
import { describeInventory } from './contract-suite/inventory.ts';
import { describeLive } from './contract-suite/live.ts';
import { describeProbe } from './contract-suite/probing.ts';
import { type Rig, startRig, type VendorContractOptions } from './contract-suite/rig.ts';
import type { Vendor } from './define-vendor.ts';

export type { VendorContractOptions } from './contract-suite/rig.ts';

/**
 * The suite that every vendor passes against its own simulator, over its real protocol on loopback. Call it from a test
 * file of the vendor's folder:
 *
 * ```ts
 * describeVendorContract(acmeVms);
 * ```
 *
 * @param options an exemption needs a reason, which the README's quality checklist repeats
 */
export function describeVendorContract(vendor: Vendor, options: VendorContractOptions = {}): void {
  const exempt = options.exempt ?? {};

  describe(`${vendor.slug} keeps the vendor contract`, () => {
    let started: Rig | null = null;
    const rig = (): Rig => {
      if (started === null) throw new Error('the simulator did not start');
      return started;
    };
    beforeAll(async () => {
      started = await startRig(vendor, options);
    });
    afterAll(async () => started?.stop());

    describeDeclaration(vendor, rig);
    describeProbe(rig, exempt);
    describeInventory(rig, exempt);
    describeLive(rig, options, exempt);
    describeEvents(vendor, rig, options, exempt);
    describeFailures(rig, exempt);
  });
}
