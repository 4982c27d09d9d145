import type { Principal } from '../schema/principal.ts';
import type { LiveDevice, LivePlatform } from './model.ts';

/**
 * What the house gives to vendor subgraphs: live reads that are scoped to the principal, bounded by the integration's
 * deadline, batched, and shared among concurrent readers.
 */
export interface VendorHost {
  /**
   * Live devices of one integration. A device that the principal may not see, or that the platform no longer has, is
   * left out. One platform call (or one batch of them) however many readers ask at the same time.
   *
   * @throws AdapterError when the platform cannot be asked or does not answer in time
   */
  readDevices(
    integrationId: string,
    nativeIds: readonly string[],
    principal: Principal,
  ): Promise<ReadonlyMap<string, LiveDevice>>;

  /** The platform itself. @returns null when the principal may not see the integration @throws AdapterError */
  readPlatform(integrationId: string, principal: Principal): Promise<LivePlatform | null>;

  /** A page of the platform's live list, without what the principal may not see. @throws AdapterError */
  pageDevices(
    integrationId: string,
    first: number,
    after: string | null,
    principal: Principal,
  ): Promise<{ readonly devices: readonly LiveDevice[]; readonly next: string | null }>;

  /** Our device id for a native id: a keyless hash, so that every subgraph can compute it without asking. */
  deviceId(integrationId: string, nativeId: string): string;
}
