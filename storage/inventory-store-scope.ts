import { type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
import type { AccessScope } from '../schema/principal.ts';
import type { IngestTraits } from '../adapter-kit/define-vendor.ts';
import { visibleAtSite } from './access-conditions.ts';
import type { Database } from './database.ts';
import { type DeviceFilter, dependsOnClock, matchesFilter, matchesSearch } from './inventory-store-filter.ts';
import type { DeviceRow } from './rows.ts';
import { all, any, type Condition, equals, isNot, isOneOf } from './sql-conditions.ts';
import type { Tables } from './tables.ts';

/** What the inventory must know of a vendor. */
export interface InventoryVendor {
  readonly slug: string;
  readonly enumValue: string;
  readonly name: string;
  readonly ingest: Pick<IngestTraits, 'syncIntervalMs' | 'staleAfterMs'> &
    Partial<Pick<IngestTraits, 'webhooks' | 'listens' | 'listensByAsking' | 'polls'>>;
}

/** Syncs are jittered and take their time: only the second one that is missing means that the platform is silent. */
export const STALE_AFTER_INTERVALS = 2;
/** For integrations whose vendor is not part of this deployment, and which therefore nobody reads. */
const DEFAULT_SYNC_INTERVAL_MS = 15 * 60_000;

/** How old the last complete listing of a vendor's integration may be, in milliseconds. */
export function allowedAgeMs(vendors: readonly InventoryVendor[], slug: string): number {
  const vendor = vendors.find((each) => each.slug === slug);
  return STALE_AFTER_INTERVALS * (vendor?.ingest.syncIntervalMs ?? DEFAULT_SYNC_INTERVAL_MS);
}

/** Which devices a list, count or aggregate is about. */
export interface DeviceSelection {
  readonly filter: DeviceFilter | null;
  readonly search: string | null;
}

/** A list that hangs on something else: the devices of an org, a site or an integration, behind a device, in an incident. */
export interface DeviceParent {
  readonly column: 'org_id' | 'site_id' | 'parent_id' | 'incident_id' | 'integration_id';
  readonly ids: readonly string[];
}

export type DeviceQuery = SelectQueryBuilder<Tables, 'devices', DeviceRow>;

export interface InventoryScope {
  /** Condition on `devices`: what the principal may see and the client asked for. @throws GraphQLError BAD_USER_INPUT */
  matching(access: AccessScope, selection: DeviceSelection, parent: DeviceParent | null): Condition;
  dependsOnClock(selection: DeviceSelection): boolean;
  /** Value of the API's Vendor enum for a slug in a row. */
  vendorValue(slug: string): string;
}

/** @param now milliseconds since the epoch */
export function createInventoryScope(
  db: Database,
  vendors: readonly InventoryVendor[],
  now: () => number,
): InventoryScope {
  const slugs = new Map(vendors.map(({ enumValue, slug }) => [enumValue, slug]));
  const values = new Map(vendors.map(({ enumValue, slug }) => [slug, enumValue]));

  /** Neither an event nor a complete listing spoke of the device within what its vendor's interval allows. */
  function isSilentSince(at: number): Condition {
    return sql<SqlBool>`(devices.state_observed_at < ${at} and not exists (select 1 from sync_runs where sync_runs.integration_id = devices.integration_id and sync_runs.state = 'SUCCEEDED' and sync_runs.started_at >= ${at}))`;
  }

  function isStale(): Condition {
    const known = vendors.map(({ slug, ingest: { staleAfterMs } }) =>
      all([
        equals('devices.vendor', slug),
        staleAfterMs === undefined
          ? isSilentSince(now() - allowedAgeMs(vendors, slug))
          : sql<SqlBool>`devices.state_observed_at < ${now() - staleAfterMs}`,
      ]),
    );
    const others = isNot(
      isOneOf(
        'devices.vendor',
        vendors.map(({ slug }) => slug),
      ),
    );
    return any([...known, all([others, isSilentSince(now() - allowedAgeMs(vendors, ''))])]);
  }

  return {
    matching(access, { filter, search }, parent) {
      return all([
        visibleAtSite(access, 'devices'),
        ...(parent === null ? [] : [isOneOf(`devices.${parent.column}`, parent.ids)]),
        matchesFilter(filter, { engine: db.engine, slugs, isStale }),
        matchesSearch(search),
      ]);
    },
    dependsOnClock: ({ filter }) => dependsOnClock(filter),
    vendorValue: (slug) => values.get(slug) ?? 'OTHER',
  };
}
