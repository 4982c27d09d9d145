import type { Tx } from '../../storage/database.ts';
import { readStatusPolicies, type StatusPolicyRow } from '../../storage/status-policies.ts';
import type { StatusPolicy } from './machine.ts';

/** Where nobody decided otherwise: an outage counts at once; six changes within ten minutes are flapping. */
export const DEFAULT_POLICY: StatusPolicy = { offlineDwellMs: 0, flapChanges: 6, flapWindowMs: 600_000 };

/** How one device is judged. */
export interface DevicePolicy extends StatusPolicy {
  /** How long silence is normal, instead of what was learned; null: as learned. */
  readonly silenceMs: number | null;
}

/** Where a device stands, as policies see it. */
export interface JudgedDevice {
  readonly id: string;
  readonly site_id: string | null;
  readonly type: string;
}

export type PolicyOf = (device: JudgedDevice) => DevicePolicy;

const NOTHING_SAID: DevicePolicy = { ...DEFAULT_POLICY, silenceMs: null };

function keyOf(siteId: string | null, type: string | null, deviceId: string | null): string {
  return JSON.stringify([siteId, type, deviceId]);
}

/** Of each value the narrowest policy decides that says something: device, site and type, site, type, org. */
export function policiesFrom(rows: readonly StatusPolicyRow[]): PolicyOf {
  if (rows.length === 0) return () => NOTHING_SAID;
  const byPlace = new Map(rows.map((row) => [keyOf(row.site_id, row.device_type, row.device_id), row]));
  return ({ id, site_id: siteId, type }) => {
    const places = [
      keyOf(null, null, id),
      ...(siteId === null ? [] : [keyOf(siteId, type, null), keyOf(siteId, null, null)]),
      keyOf(null, type, null),
      keyOf(null, null, null),
    ];
    const said = places.flatMap((place) => byPlace.get(place) ?? []);
    const first = (pick: (row: StatusPolicyRow) => number | null): number | null =>
      said.map(pick).find((value) => value !== null) ?? null;
    return {
      offlineDwellMs: first((row) => row.offline_dwell_ms) ?? DEFAULT_POLICY.offlineDwellMs,
      flapChanges: first((row) => row.flap_changes) ?? DEFAULT_POLICY.flapChanges,
      flapWindowMs: first((row) => row.flap_window_ms) ?? DEFAULT_POLICY.flapWindowMs,
      silenceMs: first((row) => row.silence_ms),
    };
  };
}

/**
 * How devices of an org are judged, as of this transaction. One indexed read per batch; a memory keyed by the org's
 * revision would be void with every batch, because each of them moves it.
 */
export async function readPolicies(tx: Tx, orgId: string): Promise<PolicyOf> {
  return policiesFrom(await readStatusPolicies(tx, orgId));
}
