import type { EventDraft } from '../../adapter-kit/model.ts';
import { DEVICE_STATES, type DeviceState, type Severity } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import type { DeviceRow } from '../../storage/rows.ts';
import { bulkUpdateDevices } from './bulk-update.ts';
import type { DeviceRecord, ListedClaim } from './device-record.ts';

type Believed = Pick<
  DeviceRow,
  'id' | 'state' | 'state_reason' | 'state_since' | 'state_observed_at' | 'state_vendor' | 'last_seen_at' | 'telemetry'
>;

/** The live columns of one device as a listing leaves them. */
export interface Refresh {
  readonly id: string;
  /** Without an event, because the log takes none of the device. */
  readonly movesState: boolean;
  readonly state: string;
  readonly reason: string | null;
  readonly since: number;
  readonly observedAt: number;
  readonly vendorState: string | null;
  readonly lastSeenAt: number | null;
  readonly telemetry: string | null;
}

/** What a listing means for the state of a device that is known. */
export interface Judgement {
  /** The claim that contradicts what we believe and is newer: to be written as an event, which moves the state. */
  readonly claim: ListedClaim | null;
  /** What is to be written beside it. */
  readonly refresh: Refresh | null;
}

/** Readings as the store keeps them: those of the listing over those that came before, with their time. */
export function telemetryText(
  stored: string | null,
  { telemetry }: Pick<DeviceRecord, 'telemetry'>,
  observedAt: number,
): string | null {
  if (telemetry === null) return stored;
  const before: Record<string, unknown> = stored === null ? {} : JSON.parse(stored);
  const isSame = stored !== null && Object.entries(telemetry).every(([name, value]) => before[name] === value);
  return isSame ? stored : JSON.stringify({ ...before, ...telemetry, observedAt });
}

/**
 * Compares what was listed with what we believe. A claim of the same instant as ours is no news: an event that happened
 * while the listing ran is at least as new as the listing's start and stays.
 *
 * @param isBound the device's site is bound to ours. The log takes no events of unbound sites, so their state moves
 *   without one
 */
export function judge(before: Believed, record: DeviceRecord, now: number, isBound: boolean): Judgement {
  const { claim } = record;
  const news = claim !== null && claim.observedAt > before.state_observed_at ? claim : null;
  const isChange = news !== null && news.state !== before.state;
  const seen = record.lastSeenAt ?? (news?.state === 'ONLINE' ? news.observedAt : null);
  const lastSeenAt = seen !== null && seen > (before.last_seen_at ?? 0) ? seen : before.last_seen_at;
  const telemetry = telemetryText(before.telemetry, record, now);
  const status = { state: before.state, reason: before.state_reason, since: before.state_since };
  const isEvent = isChange && isBound;
  if ((news === null || isEvent) && lastSeenAt === before.last_seen_at && telemetry === before.telemetry) {
    return { claim: isEvent ? news : null, refresh: null };
  }
  const silent = news !== null && !isEvent ? news : null;
  return {
    claim: isEvent ? news : null,
    refresh: {
      id: before.id,
      movesState: silent !== null && isChange,
      ...(silent !== null && isChange
        ? { state: silent.state, reason: silent.reason, since: silent.observedAt }
        : status),
      observedAt: silent?.observedAt ?? before.state_observed_at,
      vendorState: silent?.vendorState ?? before.state_vendor,
      lastSeenAt,
      telemetry,
    },
  };
}

const TIMES = [
  { name: 'state_observed_at', type: 'bigint' },
  { name: 'state_vendor', type: 'text' },
  { name: 'last_seen_at', type: 'bigint' },
  { name: 'telemetry', type: 'text' },
] as const;

const STATE = [
  { name: 'state', type: 'text' },
  { name: 'state_rank', type: 'bigint' },
  { name: 'state_reason', type: 'text' },
  { name: 'state_since', type: 'bigint' },
] as const;

function rank(state: string): number {
  return DEVICE_STATES.findIndex((known) => known === state);
}

function timesOf(row: Refresh): readonly (string | number | null)[] {
  return [row.observedAt, row.vendorState, row.lastSeenAt, row.telemetry];
}

/** Writes refreshes. Naming an indexed column costs its index entry even where the value stays: states only if they move. */
export async function refreshStatus(tx: Tx, engine: Database['engine'], refreshes: readonly Refresh[]): Promise<void> {
  const { moving = [], staying = [] } = Object.groupBy(refreshes, ({ movesState }) =>
    movesState ? 'moving' : 'staying',
  );
  await bulkUpdateDevices(tx, engine, { columns: TIMES, rows: staying.map((row) => [row.id, ...timesOf(row)]) });
  await bulkUpdateDevices(tx, engine, {
    columns: [...TIMES, ...STATE],
    rows: moving.map((row) => [row.id, ...timesOf(row), row.state, rank(row.state), row.reason, row.since]),
  });
}

const SEVERITY: Readonly<Record<DeviceState, Severity>> = {
  OFFLINE: 'WARNING',
  DEGRADED: 'WARNING',
  UNKNOWN: 'NOTICE',
  ONLINE: 'NOTICE',
};

const WORD: Readonly<Record<DeviceState, string>> = {
  OFFLINE: 'is offline',
  DEGRADED: 'has a fault',
  UNKNOWN: 'is in an unknown state',
  ONLINE: 'is online',
};

/** The event that says what a listing found. */
export function healthDraft(record: DeviceRecord, before: string, claim: ListedClaim): EventDraft {
  return {
    vendorEventId: null,
    family: 'HEALTH',
    type: `health.${claim.state.toLowerCase()}`,
    vendorCode: claim.vendorState,
    severity: SEVERITY[claim.state],
    occurredAt: new Date(claim.observedAt),
    nativeOrgId: record.columns.vendor_org_id,
    nativeSiteId: record.columns.vendor_site_id,
    nativeDeviceId: record.columns.native_id,
    claim: {
      state: claim.state,
      reason: claim.reason,
      vendorState: claim.vendorState,
      observedAt: new Date(claim.observedAt),
    },
    isLifeSign: claim.state === 'ONLINE',
    telemetry: record.telemetry,
    summary: `${record.columns.name} ${WORD[claim.state]} (was ${before}), found by reading the inventory`,
    details: {},
    raw: null,
  };
}
