import { z } from 'zod';
import type { TelemetryDraft } from '../../adapter-kit/model.ts';
import type { EvidenceSource } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import { statusOf, writeLiveColumns } from '../status/device-row.ts';
import { type Evidence, parseEvidence, withEvidence } from '../status/evidence.ts';
import { type Claim, type DeviceStatus, isInOrder, type StateChange } from '../status/machine.ts';
import type { DevicePolicy, PolicyOf } from '../status/policies.ts';
import { differences, type SegmentChanges, segmentsOf, type SegmentWrite, writeSegments } from '../status/segments.ts';
import { readTimelines, type Reopened, type Timeline } from '../status/timeline.ts';
import { type Taken, Track } from '../status/track.ts';
import type { KnownDevice } from './resolve.ts';

/** How long silence of a device is normal, and what is learned of it. Answers come from memory. */
export interface SilenceLimits {
  /** @param ownMs what a policy says instead of what was learned. @returns null: nobody waits for such a device */
  silenceLimitOf(integrationId: string, type: string, ownMs: number | null): number | null;
  note(integrationId: string, type: string, intervalMs: number): void;
}

export interface DeviceStatesDeps {
  readonly integrationId: string;
  readonly policyOf: PolicyOf;
  readonly silence?: SilenceLimits;
}

/** A claim that is about to be taken, with its device. */
export interface Coming {
  readonly device: KnownDevice;
  readonly claim: Claim;
}

interface Tracked {
  readonly device: KnownDevice;
  readonly policy: DevicePolicy;
  readonly stored: DeviceStatus;
  readonly track: Track;
  timeline: Timeline | null;
  correction: SegmentChanges | null;
  evidence: readonly Evidence[];
  hasNewEvidence: boolean;
  lastSeenAt: number | null;
  telemetry: string | null;
  isTouched: boolean;
}

const StoredTelemetry = z.looseObject({ observedAt: z.number() });

function merged(stored: string | null, draft: TelemetryDraft, at: number): string | null {
  const before = stored === null ? null : StoredTelemetry.safeParse(JSON.parse(stored));
  if (before?.success && before.data.observedAt > at) return stored;
  return JSON.stringify({ ...(before?.success ? before.data : {}), ...draft, observedAt: at });
}

/** The devices of one batch while claims are folded into them; written once at the end, however many claims there were. */
export class DeviceStates {
  readonly #deps: DeviceStatesDeps;
  readonly #tracked = new Map<string, Tracked>();

  constructor(deps: DeviceStatesDeps) {
    this.#deps = deps;
  }

  #track(device: KnownDevice): Tracked {
    let tracked = this.#tracked.get(device.id);
    if (tracked === undefined) {
      const stored = statusOf(device);
      const policy = this.#deps.policyOf(device);
      tracked = {
        device,
        policy,
        stored,
        track: new Track(stored, policy),
        timeline: null,
        correction: null,
        evidence: parseEvidence(device.evidence),
        hasNewEvidence: false,
        lastSeenAt: device.last_seen_at,
        telemetry: device.telemetry,
        isTouched: false,
      };
      this.#tracked.set(device.id, tracked);
    }
    return tracked;
  }

  /** Reads what claims need that belong before others that were taken: once for all of them, before the first one. */
  async prepare(tx: Tx, engine: Database['engine'], coming: readonly Coming[]): Promise<void> {
    const early = new Map<string, Claim[]>();
    for (const { device, claim } of coming) {
      const { stored, policy } = this.#track(device);
      if (isInOrder(stored, claim, policy)) continue;
      const others = early.get(device.id);
      if (others === undefined) early.set(device.id, [claim]);
      else others.push(claim);
    }
    if (early.size === 0) return;
    const reopened = [...early].flatMap(([id, claims]): readonly Reopened[] => {
      const tracked = this.#tracked.get(id);
      if (tracked === undefined) return [];
      const { stored, policy, evidence } = tracked;
      return [{ id, status: stored, evidence, policy, claims }];
    });
    for (const [id, past] of await readTimelines(tx, engine, reopened)) {
      const tracked = this.#tracked.get(id);
      if (tracked === undefined) continue;
      if (past?.kind === 'CORRECTED') {
        tracked.correction = past.changes;
        tracked.track.noteCorrection();
      } else {
        tracked.timeline = past;
        tracked.track.remember(past);
      }
    }
  }

  claim({ device, claim }: Coming, source: EvidenceSource): Taken {
    const tracked = this.#track(device);
    const taken = tracked.track.take(claim);
    const { state, reason, at: observedAt, receivedAt, inboxId } = claim;
    const word = { source, integrationId: this.#deps.integrationId, state, reason, observedAt, receivedAt, inboxId };
    const evidence = withEvidence(tracked.evidence, word);
    if (evidence !== tracked.evidence) {
      tracked.evidence = evidence;
      tracked.hasNewEvidence = true;
      tracked.isTouched = true;
    }
    if (taken.after !== taken.before) tracked.isTouched = true;
    return taken;
  }

  /** Lets time pass for a device that nothing is claimed of. @returns what became due */
  settle(device: KnownDevice, now: number): Taken {
    const tracked = this.#track(device);
    const taken = tracked.track.settle(now);
    if (taken.after !== taken.before) tracked.isTouched = true;
    return taken;
  }

  evidenceOf(device: KnownDevice): readonly Evidence[] {
    return this.#track(device).evidence;
  }

  /** To be called behind the last claim. @returns changes that no claim has told of, with their devices */
  finish(): readonly { readonly device: KnownDevice; readonly change: StateChange }[] {
    return [...this.#tracked.values()].flatMap((tracked) => {
      const change = tracked.track.finish();
      return change === null ? [] : [{ device: tracked.device, change }];
    });
  }

  /** The device was alive at this instant. */
  seen(device: KnownDevice, at: number): void {
    const tracked = this.#track(device);
    if (tracked.lastSeenAt !== null && tracked.lastSeenAt >= at) return;
    if (tracked.lastSeenAt !== null) {
      this.#deps.silence?.note(this.#deps.integrationId, device.type, at - tracked.lastSeenAt);
    }
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

  /** Writes what moved, and the history of it. @returns how many devices */
  async flush(tx: Tx, engine: Database['engine']): Promise<number> {
    const touched = [...this.#tracked.values()].filter(({ isTouched }) => isTouched);
    await writeLiveColumns(
      tx,
      engine,
      touched.map((tracked) => ({
        id: tracked.device.id,
        status: tracked.track.status,
        before: tracked.stored,
        evidence: tracked.hasNewEvidence ? JSON.stringify(tracked.evidence) : tracked.device.evidence,
        lastSeenAt: tracked.lastSeenAt,
        telemetry: tracked.telemetry,
        ...this.#silence(tracked),
      })),
    );
    await writeSegments(tx, engine, [
      ...touched.flatMap(segmentWrites),
      ...[...this.#tracked.values()].flatMap(({ device, correction }) =>
        correction === null ? [] : [{ deviceId: device.id, ...correction }],
      ),
    ]);
    return touched.length;
  }

  #silence({ device, policy, lastSeenAt }: Tracked): { readonly silenceDueAt?: number | null } {
    if (this.#deps.silence === undefined || lastSeenAt === null || lastSeenAt === device.last_seen_at) return {};
    const limit = this.#deps.silence.silenceLimitOf(this.#deps.integrationId, device.type, policy.silenceMs);
    const due = limit === null ? null : lastSeenAt + limit;
    return due === device.silence_due_at ? {} : { silenceDueAt: due };
  }
}

function segmentWrites({ device, stored, track, timeline }: Tracked): readonly SegmentWrite[] {
  const { history, base, isRefolded, status } = track;
  if (!isRefolded || timeline === null) return appended(device.id, stored, status, history);
  const segments = segmentsOf(timeline.isBaseKnown ? base : null, history);
  return [{ deviceId: device.id, ...differences(timeline.segments, segments) }];
}

function appended(
  deviceId: string,
  stored: DeviceStatus,
  status: DeviceStatus,
  history: readonly StateChange[],
): readonly SegmentWrite[] {
  if (history.length > 0) return [{ deviceId, segments: segmentsOf(stored, history), gone: [] }];
  if (status.reason === stored.reason) return [];
  // How it began must be known when the fold goes back over it: from now on the row says another reason.
  return [{ deviceId, segments: segmentsOf(stored, []), gone: [] }];
}
