// MAC address, serial number and firmware: one call per hardware, so they are kept, and refreshed slowly.
import { mapConcurrent } from '../../adapter-kit/map-concurrent.ts';
import type { MilestoneClient } from './client.ts';
import type { DriverLeaf, WireRecord } from './wire.ts';

const CONCURRENT = 8;
/** Firmware is updated by people, rarely, and without a change of the hardware's record. */
const REFRESH_AFTER_MS = 24 * 3_600_000;
/** Of what is old and has not changed, per listing: spreads a day's refresh over its listings. */
const MAX_REFRESHED = 500;
const MAX_KEPT = 50_000;

interface Kept {
  readonly leaf: DriverLeaf | null;
  readonly lastModified: string;
  readonly at: number;
}

export interface Drivers {
  /** Reads what is missing or changed, and some of what is old. @throws AdapterError when the platform cannot be asked */
  read(hardware: readonly WireRecord[], signal: AbortSignal): Promise<void>;
  /** What is known of it, without a call. */
  of(hardwareId: string): DriverLeaf | null;
  /** A new listing begins: some more may be refreshed. */
  begin(): void;
}

export function createDrivers(client: MilestoneClient, now: () => Date): Drivers {
  const kept = new Map<string, Kept>();
  let refreshed = 0;

  function isDue(record: WireRecord): boolean {
    const held = kept.get(record.id);
    if (held === undefined || held.lastModified !== record.lastModified) return true;
    if (now().getTime() - held.at < REFRESH_AFTER_MS || refreshed >= MAX_REFRESHED) return false;
    refreshed += 1;
    return true;
  }

  return {
    async read(hardware, signal) {
      await mapConcurrent(hardware.filter(isDue), CONCURRENT, signal, async ({ id, lastModified }, either) => {
        const leaf = await client.driverSettings(id, either);
        if (kept.size >= MAX_KEPT && !kept.has(id)) kept.delete(kept.keys().next().value ?? '');
        kept.set(id, { leaf, lastModified, at: now().getTime() });
      });
    },
    of: (hardwareId) => kept.get(hardwareId)?.leaf ?? null,
    begin() {
      refreshed = 0;
    },
  };
}
