import type { Database, Tx } from '../../storage/database.ts';
import type { SegmentRow } from '../../storage/status-segments.ts';
import { inChunks } from '../process/chunks.ts';
import type { SilenceLimits } from '../process/device-states.ts';
import type { KnownDevice } from '../process/resolve.ts';
import { knownReason, knownState, statusOf, writeLiveColumns } from './device-row.ts';
import { type Evidence, parseEvidence } from './evidence.ts';
import type { DeviceStatus, Place } from './machine.ts';
import { readPolicies } from './policies.ts';
import { writeSegments } from './segments.ts';

// A detector, or the bridge that it speaks through, may keep what it has to say while its line is down, and say it later.
// What happened before the device was taken for silent shows that it was not: then that verdict never was.

/** What was said of a device, and when that was, by the source's clock. */
export interface Said {
  readonly device: KnownDevice;
  readonly at: number;
  /** By our clock. */
  readonly receivedAt: number;
  /** The device itself spoke. */
  readonly isLifeSign: boolean;
  /** It was known to be down: nobody waits for what is. */
  readonly isDown: boolean;
}

/** The verdict is the last word on the device. */
export function isTakenForSilent(device: KnownDevice): boolean {
  const { state, state_reason: reason, state_since: since, state_observed_at: at } = device;
  return state === 'UNKNOWN' && reason === 'SILENCE' && since === at;
}

/**
 * Whether what is said now shows that the device was not silent when it was taken for it: something is of before the
 * verdict and newer than all that was known, and normal silence counted from there was not over before the next sign, or
 * before now. Pure.
 */
function isRefuted(device: KnownDevice, said: readonly Said[], limitMs: number): boolean {
  const verdictAt = device.state_since;
  const early = said.filter(({ at }) => at < verdictAt && at > (device.last_seen_at ?? Number.MIN_SAFE_INTEGER));
  if (early.some(({ isDown }) => isDown)) return true;
  const signs = early.filter(({ isLifeSign }) => isLifeSign).map(({ at }) => at);
  if (signs.length === 0) return false;
  const later = said.filter(({ at, isLifeSign }) => isLifeSign && at >= verdictAt).map(({ at }) => at);
  const next = later.length > 0 ? Math.min(...later) : Math.max(...said.map(({ receivedAt }) => receivedAt));
  return Math.max(...signs) + limitMs > next;
}

/**
 * Takes back verdicts of silence that what is said now refutes: state, history and evidence become what they were before,
 * and the verdict's event no claim. What is said is folded into that by the caller, in whatever order it comes.
 *
 * @param said of one integration; of devices for which `isTakenForSilent` holds
 * @returns the devices as they are now
 */
export async function withdrawSilences(
  tx: Tx,
  { engine }: Pick<Database, 'engine'>,
  { id, org_id: orgId }: { readonly id: string; readonly org_id: string },
  silence: SilenceLimits,
  said: readonly Said[],
): Promise<ReadonlyMap<string, KnownDevice>> {
  if (said.length === 0) return new Map();
  const policyOf = await readPolicies(tx, orgId);
  const refuted = [...Map.groupBy(said, ({ device }) => device)].flatMap(([device, own]) => {
    const limit = silence.silenceLimitOf(id, device.type, policyOf(device).silenceMs);
    // Nobody waits for it any more.
    return isRefuted(device, own, limit ?? Number.POSITIVE_INFINITY) ? [device] : [];
  });
  const segments = await readSegmentsBefore(tx, refuted);
  const restored = refuted.flatMap((device) => {
    const segment = segments.get(device.id);
    return segment === undefined ? [] : [{ device, segment, ...restoredFrom(device, segment) }];
  });
  await writeLiveColumns(
    tx,
    engine,
    restored.map(({ device, status, evidence }) => ({
      id: device.id,
      status,
      before: statusOf(device),
      evidence: JSON.stringify(evidence),
      lastSeenAt: device.last_seen_at,
      telemetry: device.telemetry,
    })),
  );
  await writeSegments(
    tx,
    engine,
    restored.map(({ device, segment: { from_at: from, state, reason } }) => ({
      deviceId: device.id,
      segments: [{ from, to: null, state, reason, isOld: true }],
      gone: [device.state_since],
    })),
  );
  for (const chunk of inChunks(restored)) {
    const at = new Set(chunk.map(({ device }) => device.state_since));
    await tx
      .updateTable('events')
      .set({ derived: 1 })
      .where(
        'device_id',
        'in',
        chunk.map(({ device }) => device.id),
      )
      .where('occurred_at', 'in', [...at])
      .where('type', '=', 'health.silent')
      .where('origin', '=', 'SILENCE')
      .execute();
  }
  return new Map(
    restored.map(({ device, status, evidence }) => [
      device.id,
      {
        ...device,
        evidence: JSON.stringify(evidence),
        state: status.state,
        state_reason: status.reason,
        state_since: status.since,
        state_observed_at: status.place.at,
        claim_received_at: status.place.receivedAt,
        claim_inbox_id: status.place.inboxId,
        flap_changes: JSON.stringify(status.changes),
      },
    ]),
  );
}

/** The segment that each device's verdict has ended; none where that is not kept any more. */
async function readSegmentsBefore(tx: Tx, devices: readonly KnownDevice[]): Promise<ReadonlyMap<string, SegmentRow>> {
  const verdicts = new Map(devices.map((device) => [device.id, device.state_since]));
  const found = new Map<string, SegmentRow>();
  for (const chunk of inChunks(devices)) {
    const rows = await tx
      .selectFrom('status_segments')
      .select(['device_id', 'from_at', 'to_at', 'state', 'reason'])
      .where(
        'device_id',
        'in',
        chunk.map(({ id }) => id),
      )
      .where('to_at', '>=', Math.min(...chunk.map(({ state_since: since }) => since)))
      .execute();
    for (const row of rows) if (row.to_at === verdicts.get(row.device_id)) found.set(row.device_id, row);
  }
  return found;
}

function restoredFrom(
  device: KnownDevice,
  segment: SegmentRow,
): { readonly status: DeviceStatus; readonly evidence: readonly Evidence[] } {
  const verdict = statusOf(device);
  const evidence = parseEvidence(device.evidence).filter(({ source }) => source !== 'SILENCE');
  const [newest] = evidence;
  const place: Place =
    newest === undefined
      ? { at: segment.from_at, receivedAt: segment.from_at, inboxId: 0 }
      : { at: newest.observedAt, receivedAt: newest.receivedAt, inboxId: newest.inboxId };
  const status = {
    ...verdict,
    state: knownState(segment.state),
    reason: knownReason(segment.reason),
    since: segment.from_at,
    place,
    changes: verdict.changes.filter((at) => at !== verdict.since),
  };
  return { status, evidence };
}
