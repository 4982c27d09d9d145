import { type RawBuilder, type SqlBool, sql } from 'kysely';
import type { AdapterErrorCode } from '../adapter-kit/adapter-error.ts';
import type { AccessScope } from '../schema/principal.ts';
import type { UserError, UserErrorCode } from '../schema/words.ts';
import { visibleAtSite, visibleIntegration } from './access-conditions.ts';
import type { Database } from './database.ts';
import {
  allowedAgeMs,
  type DeviceParent,
  type DeviceSelection,
  type InventoryVendor,
} from './inventory-store-scope.ts';
import { ALWAYS, all, type Condition, isGiven, isOneOf } from './sql-conditions.ts';

/** More integrations than this no answer lists one by one; those that fail come first. */
const MAX_SOURCES = 1_000;

/** How old an integration's word is, and why it cannot be read now. */
export interface SourceReport {
  readonly integrationId: string;
  readonly freshness: 'FRESH' | 'STALE' | 'UNREACHABLE' | 'NEVER_SYNCED';
  /** When the last complete listing began, in milliseconds. */
  readonly observedAt: number | null;
  readonly ageSeconds: number | null;
  readonly error: UserError | null;
}

interface SourceRow {
  readonly id: string;
  readonly vendor: string;
  readonly state: string;
  readonly last_sync_state: string | null;
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly listed_at: number | null;
}

// The Record keeps a new code from compiling until someone says what a client is told.
const USER_CODES: Readonly<Record<AdapterErrorCode, UserErrorCode>> = {
  UNREACHABLE: 'UNREACHABLE',
  TIMEOUT: 'TIMEOUT',
  RATE_LIMITED: 'RATE_LIMITED',
  UNAUTHENTICATED: 'UNAUTHENTICATED_AT_PLATFORM',
  FORBIDDEN: 'UNAUTHENTICATED_AT_PLATFORM',
  NOT_FOUND: 'OTHER',
  BAD_PAYLOAD: 'OTHER',
  TOO_LARGE: 'OTHER',
  NOT_SUPPORTED: 'NOT_SUPPORTED',
  BLOCKED_ADDRESS: 'UNREACHABLE',
  MISCONFIGURED: 'INVALID',
};

function isAdapterCode(code: string): code is AdapterErrorCode {
  return Object.hasOwn(USER_CODES, code);
}

function userError(code: UserErrorCode, message: string, hint: string | null): UserError {
  return { code, message, path: null, hint };
}

function errorOf(row: SourceRow): UserError | null {
  if (row.state === 'DISABLED') {
    return userError('OTHER', 'This integration is switched off.', 'Switch it on with updateIntegration.');
  }
  if (row.state === 'REAUTH_REQUIRED') {
    const message = row.error_message ?? 'The platform refused our credentials.';
    return userError('UNAUTHENTICATED_AT_PLATFORM', message, 'Give new credentials with updateIntegration.');
  }
  if (row.error_code !== null) {
    const code = isAdapterCode(row.error_code) ? USER_CODES[row.error_code] : 'OTHER';
    return userError(code, row.error_message ?? 'The platform could not be read.', null);
  }
  return row.last_sync_state === 'FAILED' ? userError('OTHER', 'The last inventory sync failed.', null) : null;
}

/** A switched-off integration is old, not unreachable: nobody tried. */
function freshnessOf(row: SourceRow, error: UserError | null, oldest: number): SourceReport['freshness'] {
  if (error !== null && row.state !== 'DISABLED') return 'UNREACHABLE';
  if (row.listed_at === null) return 'NEVER_SYNCED';
  return row.listed_at < oldest ? 'STALE' : 'FRESH';
}

function toReport(row: SourceRow, at: number, oldest: number): SourceReport {
  const error = errorOf(row);
  return {
    integrationId: row.id,
    freshness: freshnessOf(row, error, oldest),
    observedAt: row.listed_at,
    ageSeconds: row.listed_at === null ? null : Math.max(0, Math.round((at - row.listed_at) / 1_000)),
    error,
  };
}

export interface SourceReader {
  /**
   * The integrations that rows of this selection can come from, those that fail first, then by name; by parent, every
   * parent present; without parents one list with the key ''.
   */
  sources(
    access: AccessScope,
    selection: DeviceSelection,
    parent: DeviceParent | null,
  ): Promise<ReadonlyMap<string, readonly SourceReport[]>>;
  /** When the last complete listing of each integration began, in milliseconds; absent before the first. */
  listedAt(integrationIds: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** Whether a status that was observed then is too old, given its integration's last complete listing. */
  isStale(vendor: string, observedAt: number, listedAt: number | undefined): boolean;
}

/** Answered from the index of sync runs, newest first. */
const LISTED_AT = sql<
  number | null
>`(select sync_runs.started_at from sync_runs where sync_runs.integration_id = integrations.id and sync_runs.state = 'SUCCEEDED' order by sync_runs.started_at desc limit 1)`;

/** @param now milliseconds since the epoch */
export function createSourceReader(db: Database, vendors: readonly InventoryVendor[], now: () => number): SourceReader {
  const slugs = new Map(vendors.map(({ enumValue, slug }) => [enumValue, slug]));

  /**
   * Pairs of site and integration, of sites that the principal sees: which other sites an integration serves is none of
   * its business. What was learned before a site was unbound stays at the site.
   */
  function pairsOfSites(access: AccessScope, siteIds: readonly string[]): RawBuilder<unknown> {
    return sql`select site_bindings.site_id as "parent", site_bindings.integration_id as "id" from site_bindings where ${visibleAtSite(access, 'site_bindings')} and ${isOneOf('site_bindings.site_id', siteIds)}
      union select devices.site_id, devices.integration_id from devices where ${visibleAtSite(access, 'devices')} and ${isOneOf('devices.site_id', siteIds)}`;
  }

  /** Pairs of parent and integration. */
  function pairsOf(access: AccessScope, { column, ids }: DeviceParent): RawBuilder<unknown> {
    switch (column) {
      case 'org_id':
        return sql`select integrations.org_id as "parent", integrations.id as "id" from integrations where ${isOneOf('integrations.org_id', ids)}`;
      case 'site_id':
        return pairsOfSites(access, ids);
      case 'integration_id':
        return sql`select integrations.id as "parent", integrations.id as "id" from integrations where ${isOneOf('integrations.id', ids)}`;
      case 'parent_id':
      case 'incident_id':
        return sql`select distinct ${sql.ref(`devices.${column}`)} as "parent", devices.integration_id as "id" from devices where ${visibleAtSite(access, 'devices')} and ${isOneOf(`devices.${column}`, ids)}`;
    }
  }

  function isIn(pairs: RawBuilder<unknown>): Condition {
    return sql<SqlBool>`integrations.id in (select pairs.id from (${pairs}) as pairs)`;
  }

  /** Narrowed by what a filter says at its top; `or` and `not` within it cannot rule a source out. */
  function canContribute(access: AccessScope, { filter }: DeviceSelection, parent: DeviceParent | null): Condition {
    const conditions: Condition[] = [];
    if (isGiven(filter?.orgId)) conditions.push(isOneOf('integrations.org_id', [filter.orgId]));
    if (isGiven(filter?.siteIds)) conditions.push(isIn(pairsOfSites(access, filter.siteIds)));
    if (isGiven(filter?.integrationIds)) conditions.push(isOneOf('integrations.id', filter.integrationIds));
    if (isGiven(filter?.vendors) && !filter.vendors.includes('OTHER')) {
      conditions.push(
        isOneOf(
          'integrations.vendor',
          filter.vendors.flatMap((value) => slugs.get(value) ?? []),
        ),
      );
    }
    if (parent !== null) conditions.push(isIn(pairsOf(access, parent)));
    return conditions.length === 0 ? ALWAYS : all(conditions);
  }

  return {
    async sources(access, selection, parent) {
      const rows = await db.read
        .selectFrom('integrations')
        .select(['id', 'vendor', 'state', 'last_sync_state', 'error_code', 'error_message'])
        .select(LISTED_AT.as('listed_at'))
        .where(visibleIntegration(access))
        .where(canContribute(access, selection, parent))
        .orderBy(sql`case when error_code is null and state <> 'REAUTH_REQUIRED' then 1 else 0 end`)
        .orderBy('name')
        .orderBy('id')
        .limit(MAX_SOURCES)
        .execute();
      const at = now();
      const reports = rows.map((row) => toReport(row, at, at - allowedAgeMs(vendors, row.vendor)));
      if (parent === null) return new Map([['', reports]]);
      const pairs = await sql<{ parent: string; id: string }>`${pairsOf(access, parent)}`.execute(db.read);
      const ids = Map.groupBy(pairs.rows, (pair) => pair.parent);
      return new Map(
        parent.ids.map((id) => {
          const known = new Set(ids.get(id)?.map((pair) => pair.id));
          return [id, reports.filter(({ integrationId }) => known.has(integrationId))];
        }),
      );
    },

    async listedAt(integrationIds) {
      const rows = await db.read
        .selectFrom('integrations')
        .select('id')
        .select(LISTED_AT.as('listed_at'))
        .where(isOneOf('integrations.id', integrationIds))
        .execute();
      return new Map(rows.flatMap(({ id, listed_at: at }) => (at === null ? [] : [[id, at] as const])));
    },

    isStale(vendor, observedAt, listedAt) {
      const ownMs = vendors.find(({ slug }) => slug === vendor)?.ingest.staleAfterMs;
      if (ownMs !== undefined) return observedAt < now() - ownMs;
      const oldest = now() - allowedAgeMs(vendors, vendor);
      return observedAt < oldest && (listedAt === undefined || listedAt < oldest);
    },
  };
}
