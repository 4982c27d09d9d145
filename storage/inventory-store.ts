import type { AccessScope } from '../schema/principal.ts';
import { visibleAtSite, visibleInOrg, whollyVisibleIntegration } from './access-conditions.ts';
import { emptyPage, fetchFirstPages, fetchPage, type Ordering, type Page, type PageArgs } from './connection.ts';
import type { CursorCodec } from './cursor.ts';
import type { Database } from './database.ts';
import { type DeviceLinkRow, readDeviceLinks } from './device-links.ts';
import { type CoverageRow, readCoverage } from './inventory-store-coverage.ts';
import { type InventoryChanges, type InventoryChangesArgs, readInventoryChanges } from './inventory-store-changes.ts';
import { createInventoryLists, type InventoryLists } from './inventory-store-list.ts';
import { createInventoryScope, type InventoryVendor } from './inventory-store-scope.ts';
import { createSourceReader, type SourceReader } from './inventory-store-sources.ts';
import { createRevisionCache } from './revision-cache.ts';
import type { DeviceRow, ExternalIdRow, SyncRunRow } from './rows.ts';
import { equals, isOneOf } from './sql-conditions.ts';

export interface InventoryStoreOptions {
  readonly db: Database;
  readonly cursors: CursorCodec;
  readonly vendors: readonly InventoryVendor[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Reads of the inventory. Every call takes the principal's scope and answers as if nothing existed outside of it. Rows
 * of removed devices are found by their ids; lists and counts have them only when the filter asks for them.
 */
export interface InventoryStore extends InventoryLists, SourceReader {
  /** In any order; ids that are unknown or out of scope are left out. */
  devices(access: AccessScope, ids: readonly string[]): Promise<readonly DeviceRow[]>;
  /** Where several integrations use the same id: a device that exists before one that was removed, then by id. */
  deviceByExternalId(access: AccessScope, namespace: string, value: string): Promise<DeviceRow | null>;
  /** Of devices that the principal was shown. */
  externalIds(access: AccessScope, deviceIds: readonly string[]): Promise<readonly ExternalIdRow[]>;
  /** Links whose both ends the principal may see, as told by `readDeviceLinks`. */
  links(access: AccessScope, deviceIds: readonly string[]): Promise<readonly DeviceLinkRow[]>;
  /** What we would hear of the devices of these sites, by site. */
  coverage(access: AccessScope, siteIds: readonly string[]): Promise<readonly CoverageRow[]>;
  changes(access: AccessScope, args: InventoryChangesArgs): Promise<InventoryChanges>;
  /** Newest first, by integration. A principal that sees only some of an integration's sites sees no run of it. */
  syncRuns(
    access: AccessScope,
    integrationIds: readonly string[],
    page: PageArgs,
  ): Promise<ReadonlyMap<string, Page<SyncRunRow>>>;
  syncRunCounts(access: AccessScope, integrationIds: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** Value of the API's Vendor enum for a slug in a row; OTHER when the vendor is not part of this deployment. */
  vendorValue(slug: string): string;
}

/** Ids in one statement: below the parameter limits of both engines. */
const CHUNK = 5_000;

function* inChunks<T>(values: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < values.length; from += CHUNK) yield values.slice(from, from + CHUNK);
}

const SYNC_RUNS_NEWEST_FIRST: Ordering<SyncRunRow> = {
  kind: 'sync runs',
  table: 'sync_runs',
  column: 'started_at',
  direction: 'desc',
  isNullable: false,
  key: (row) => row.started_at,
};

export function createInventoryStore({ db, cursors, vendors, now }: InventoryStoreOptions): InventoryStore {
  const scope = createInventoryScope(db, vendors, now);
  const lists = createInventoryLists(db, scope, createRevisionCache(db), cursors, vendors);

  /** Runs count whole integrations: only for who may see all of one. */
  function visibleRuns(access: AccessScope, integrationIds: readonly string[]) {
    return db.read
      .selectFrom('sync_runs')
      .where(isOneOf('sync_runs.integration_id', integrationIds))
      .where((eb) =>
        eb.exists(
          eb
            .selectFrom('integrations')
            .select('integrations.id')
            .whereRef('integrations.id', '=', 'sync_runs.integration_id')
            .where(whollyVisibleIntegration(access)),
        ),
      );
  }

  return {
    ...lists,
    ...createSourceReader(db, vendors, now),
    vendorValue: (slug) => scope.vendorValue(slug),

    devices: (access, ids) =>
      db.read
        .selectFrom('devices')
        .selectAll()
        .where(visibleAtSite(access, 'devices'))
        .where(isOneOf('devices.id', ids))
        .execute(),

    async deviceByExternalId(access, namespace, value) {
      const row = await db.read
        .selectFrom('devices')
        .innerJoin('external_ids', 'external_ids.owner_id', 'devices.id')
        .selectAll('devices')
        .where('external_ids.owner_kind', '=', 'device')
        .where(equals('external_ids.namespace', namespace))
        .where(equals('external_ids.value', value))
        .where(visibleAtSite(access, 'devices'))
        .orderBy((eb) => eb.case().when('devices.removed_at', 'is', null).then(0).else(1).end())
        .orderBy('devices.id')
        .limit(1)
        .executeTakeFirst();
      return row ?? null;
    },

    externalIds: (access, deviceIds) =>
      db.read
        .selectFrom('external_ids')
        .selectAll()
        .where('owner_kind', '=', 'device')
        .where(isOneOf('external_ids.owner_id', deviceIds))
        .where(visibleInOrg(access, 'external_ids'))
        .orderBy('namespace')
        .orderBy('value')
        .execute(),

    async links(access, deviceIds) {
      const found = await readDeviceLinks(db.read, deviceIds);
      const ends = [...new Set(found.flatMap((link) => [link.device_id, link.other_id]))];
      const visible = new Set<string>();
      for (const ids of inChunks(ends)) {
        const rows = await db.read
          .selectFrom('devices')
          .select('id')
          .where(visibleAtSite(access, 'devices'))
          .where(isOneOf('devices.id', ids))
          .execute();
        for (const { id } of rows) visible.add(id);
      }
      return found.filter((link) => visible.has(link.device_id) && visible.has(link.other_id));
    },

    coverage: (access, siteIds) => readCoverage(db, vendors, access, siteIds),

    changes: (access, args) => readInventoryChanges(db, cursors, access, args),

    async syncRuns(access, integrationIds, page) {
      const runs = (ids: readonly string[]) => visibleRuns(access, ids).selectAll('sync_runs');
      if (page.after !== null || integrationIds.length === 1) {
        const each = integrationIds.map(
          async (id) => [id, await fetchPage(runs([id]), SYNC_RUNS_NEWEST_FIRST, page, cursors)] as const,
        );
        return new Map(await Promise.all(each));
      }
      const parent = { column: 'integration_id', of: (row: SyncRunRow) => row.integration_id };
      const found = await fetchFirstPages(
        db.read,
        visibleRuns(access, integrationIds),
        SYNC_RUNS_NEWEST_FIRST,
        parent,
        page.first,
        cursors,
      );
      return new Map(integrationIds.map((id) => [id, found.get(id) ?? emptyPage<SyncRunRow>(page)]));
    },

    async syncRunCounts(access, integrationIds) {
      const rows = await visibleRuns(access, integrationIds)
        .select(['integration_id', (eb) => eb.fn.countAll<number>().as('total')])
        .groupBy('integration_id')
        .execute();
      return new Map(rows.map((row) => [row.integration_id, row.total]));
    },
  };
}
