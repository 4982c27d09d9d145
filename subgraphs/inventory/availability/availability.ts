import type { DeviceState } from '../../../schema/words.ts';
import type { Span } from '../../../storage/status-segments.ts';
import { type BoundsOf, bucketBounds } from './buckets.ts';
import type { Kind, Timeline } from './timeline.ts';

// Availability that says what it does not know. DEGRADED counts as up: the device is reachable. Nothing here reads a
// clock or a store.

/** As the API's Availability. Seconds are whole, and the four add up to the window. */
export interface Availability {
  /** 0 to 100. */
  readonly percent: number | null;
  readonly uptimeSeconds: number;
  readonly downtimeSeconds: number;
  readonly unknownSeconds: number;
  readonly maintenanceSeconds: number;
  readonly incidents: number;
  readonly mtbfSeconds: number | null;
  readonly mttrSeconds: number | null;
  /** 0 to 100. */
  readonly coveragePercent: number;
  readonly calculation: 'COMPLETE' | 'PARTIAL_SOURCE_OUTAGE' | 'PARTIAL_NO_HISTORY';
  /** @throws GraphQLError BAD_USER_INPUT for a size that cannot be */
  readonly buckets: (args: { readonly size: number }) => AvailabilityBucket[];
}

export interface AvailabilityBucket {
  /** Milliseconds. */
  readonly from: number;
  readonly to: number;
  readonly percent: number | null;
  readonly worstState: DeviceState;
}

const UP: ReadonlySet<Kind> = new Set(['ONLINE', 'DEGRADED']);

function percentOf(up: number, down: number): number | null {
  return up + down === 0 ? null : (100 * up) / (up + down);
}

/**
 * Whole shares of a total that stand in the proportion of these parts and add up to it: what rounding down leaves goes
 * to those that lost most.
 */
function shares(parts: readonly number[], divisor: number): readonly number[] {
  const floors = parts.map((part) => Math.floor(part / divisor));
  const total = parts.reduce((sum, part) => sum + part, 0) / divisor;
  const missing = total - floors.reduce((sum, part) => sum + part, 0);
  const lost = parts.map((part, index) => ({ index, rest: part % divisor })).toSorted((a, b) => b.rest - a.rest);
  const raised = new Set(lost.slice(0, missing).map(({ index }) => index));
  return floors.map((part, index) => part + (raised.has(index) ? 1 : 0));
}

/** An outage that only unknown time or planned work interrupts is one. */
function countIncidents(timeline: Timeline): number {
  let incidents = 0;
  let isDown = false;
  for (const { kind } of timeline) {
    if (UP.has(kind)) isDown = false;
    else if (kind === 'OFFLINE') {
      if (!isDown) incidents += 1;
      isDown = true;
    }
  }
  return incidents;
}

/**
 * What timelines come to: one device's own, or the mean over several, so that the seconds add up to the window either
 * way. Incidents are those of all together; the times between and to repair are per incident.
 *
 * @param timelines each covers the window; none: nothing is known
 * @param window whole seconds, not empty
 * @param zone IANA, for buckets
 */
export function availabilityOf(
  timelines: readonly Timeline[],
  window: Span,
  zone: string,
  boundsOf: BoundsOf = bucketBounds,
): Availability {
  const sums = new Map<Kind, number>();
  let incidents = 0;
  for (const timeline of timelines) {
    for (const { from, to, kind } of timeline) sums.set(kind, (sums.get(kind) ?? 0) + to - from);
    incidents += countIncidents(timeline);
  }
  const length = window.to - window.from;
  if (timelines.length === 0) sums.set('NO_HISTORY', length);
  const sum = (...kinds: readonly Kind[]): number => kinds.reduce((total, kind) => total + (sums.get(kind) ?? 0), 0);
  const up = sum('ONLINE', 'DEGRADED');
  const down = sum('OFFLINE');
  const unknown = sum('UNKNOWN', 'NO_HISTORY', 'SOURCE_OUTAGE');
  const count = Math.max(timelines.length, 1);
  const [uptime = 0, downtime = 0, dark = 0, planned = 0] = shares([up, down, unknown, sum('MAINTENANCE')], count);
  return {
    percent: percentOf(up, down),
    uptimeSeconds: uptime,
    downtimeSeconds: downtime,
    unknownSeconds: dark,
    maintenanceSeconds: planned,
    incidents,
    mtbfSeconds: incidents === 0 ? null : Math.round(up / incidents),
    mttrSeconds: incidents === 0 ? null : Math.round(down / incidents),
    coveragePercent: 100 * (1 - unknown / (length * count)),
    calculation:
      sum('SOURCE_OUTAGE') > 0 ? 'PARTIAL_SOURCE_OUTAGE' : sum('NO_HISTORY') > 0 ? 'PARTIAL_NO_HISTORY' : 'COMPLETE',
    buckets: ({ size }) => bucketsOf(timelines, boundsOf(window, size, zone)),
  };
}

interface Tally {
  up: number;
  down: number;
  /** Index in BY_SEVERITY of the worst so far. */
  worst: number;
}

const BY_SEVERITY = ['OFFLINE', 'DEGRADED', 'UNKNOWN', 'ONLINE'] as const satisfies readonly DeviceState[];
const SEVERITY: Readonly<Record<Exclude<Kind, 'MAINTENANCE'>, number>> = {
  OFFLINE: 0,
  DEGRADED: 1,
  UNKNOWN: 2,
  NO_HISTORY: 2,
  SOURCE_OUTAGE: 2,
  ONLINE: 3,
};

/** @param bounds in order; both ends of the window included */
function bucketsOf(timelines: readonly Timeline[], bounds: readonly number[]): AvailabilityBucket[] {
  const tallies: Tally[] = bounds.slice(1).map(() => ({ up: 0, down: 0, worst: BY_SEVERITY.length }));
  for (const timeline of timelines) {
    let at = 0;
    for (const { from, to, kind } of timeline) {
      // The piece's first bucket; the pieces of a timeline only go forward.
      while ((bounds[at + 1] ?? Infinity) <= from) at += 1;
      if (kind === 'MAINTENANCE') continue;
      for (let index = at; index < tallies.length && (bounds[index] ?? Infinity) < to; index += 1) {
        const tally = tallies[index];
        if (tally === undefined) break;
        const seconds = Math.min(to, bounds[index + 1] ?? to) - Math.max(from, bounds[index] ?? from);
        if (UP.has(kind)) tally.up += seconds;
        else if (kind === 'OFFLINE') tally.down += seconds;
        tally.worst = Math.min(tally.worst, SEVERITY[kind]);
      }
    }
  }
  return tallies.map(({ up, down, worst }, index) => ({
    from: (bounds[index] ?? 0) * 1_000,
    to: (bounds[index + 1] ?? 0) * 1_000,
    percent: percentOf(up, down),
    worstState: BY_SEVERITY[worst] ?? 'UNKNOWN',
  }));
}
