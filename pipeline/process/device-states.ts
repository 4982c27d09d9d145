import { sql } from 'kysely';
import { z } from 'zod';
import type { TelemetryDraft } from '../../adapter-kit/model.ts';
import { DEVICE_STATES, type DeviceState, STATUS_REASONS, type StatusReason } from '../../schema/words.ts';
import type { Tx } from '../../storage/database.ts';
import { inChunks } from './chunks.ts';
import { type DeviceStatus, reduce, type SettledClaim, type Verdict } from './reduce.ts';
import type { KnownDevice } from './resolve.ts';

interface Tracked {
  readonly id: string;
  status: DeviceStatus;
  lastSeenAt: number | null;
  telemetry: string | null;
  isTouched: boolean;
}

const StoredTelemetry = z.looseObject({ observedAt: z.number() });

// Rows are ours, yet a word may be from a newer release that was rolled back.
function knownState(word: string): DeviceState {
  return DEVICE_STATES.find((state) => state === word) ?? 'UNKNOWN';
}
function knownReason(word: string | null): StatusReason | null {
  return STATUS_REASONS.find((reason) => reason === word) ?? null;
}

function merged(stored: string | null, draft: TelemetryDraft, at: number): string | null {
  const before = stored === null ? null : StoredTelemetry.safeParse(JSON.parse(stored));
  if (before?.success && before.data.observedAt > at) return stored;
  return JSON.stringify({ ...(before?.success ? before.data : {}), ...draft, observedAt: at });
}

/** The devices of one batch while claims are folded into them; written once at the end, however many claims there were. */
export class DeviceStates {
  readonly #tracked = new Map<string, Tracked>();

  #track(device: KnownDevice): Tracked {
    let tracked = this.#tracked.get(device.id);
    if (tracked === undefined) {
      tracked = {
        id: device.id,
        status: {
          state: knownState(device.state),
          reason: knownReason(device.state_reason),
          since: device.state_since,
          observedAt: device.state_observed_at,
          vendorState: device.state_vendor,
        },
        lastSeenAt: device.last_seen_at,
        telemetry: device.telemetry,
        isTouched: false,
      };
      this.#tracked.set(device.id, tracked);
    }
    return tracked;
  }

  /** @returns what became of the claim, the state before it and the status after it */
  claim(
    device: KnownDevice,
    claim: SettledClaim,
  ): { readonly verdict: Verdict; readonly previous: DeviceState; readonly status: DeviceStatus } {
    const tracked = this.#track(device);
    const previous = tracked.status.state;
    const { status, verdict } = reduce(tracked.status, claim);
    if (verdict !== 'LATE') {
      tracked.status = status;
      tracked.isTouched = true;
    }
    return { verdict, previous, status };
  }

  /** The device was alive at this instant. */
  seen(device: KnownDevice, at: number): void {
    const tracked = this.#track(device);
    if (tracked.lastSeenAt !== null && tracked.lastSeenAt >= at) return;
    tracked.lastSeenAt = at;
    tracked.isTouched = true;
  }

  telemetry(device: KnownDevice, draft: TelemetryDraft, at: number): void {
    const tracked = this.#track(device);
    const telemetry = merged(tracked.telemetry, draft, at);
    if (telemetry === tracked.telemetry) return;
    tracked.telemetry = telemetry;
    tracked.isTouched = true;
  }

  /** Writes what moved. @returns how many devices */
  async flush(tx: Tx): Promise<number> {
    const touched = [...this.#tracked.values()].filter(({ isTouched }) => isTouched);
    for (const chunk of inChunks(touched)) {
      // The casts give PostgreSQL the types that it cannot infer from parameters; SQLite keeps numbers numbers.
      const rows = chunk.map(
        ({ id, status, lastSeenAt, telemetry }) =>
          sql`(${id}, ${status.state}, cast(${DEVICE_STATES.indexOf(status.state)} as bigint), cast(${status.reason} as text), cast(${status.since} as bigint), cast(${status.observedAt} as bigint), cast(${status.vendorState} as text), cast(${lastSeenAt} as bigint), cast(${telemetry} as text))`,
      );
      await sql`
        with moved (id, state, rank, reason, since, observed_at, vendor, seen_at, telemetry) as (values ${sql.join(rows)})
        update devices set state = moved.state, state_rank = moved.rank, state_reason = moved.reason,
          state_since = moved.since, state_observed_at = moved.observed_at, state_vendor = moved.vendor,
          last_seen_at = moved.seen_at, telemetry = moved.telemetry
        from moved where devices.id = moved.id`.execute(tx);
    }
    return touched.length;
  }
}
