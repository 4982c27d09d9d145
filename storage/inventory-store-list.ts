import type { AccessScope } from '../schema/principal.ts';
import { narrowToOrg } from './access-conditions.ts';
import { emptyPage, fetchFirstPages, fetchPage, type Ordering, type Page, type PageArgs } from './connection.ts';
import type { CursorCodec } from './cursor.ts';
import type { Database } from './database.ts';
import { type AggregateRow, createCounter, type DeviceFacetField, type FacetBucket } from './inventory-store-count.ts';
import { type HealthCounts, NO_DEVICES, readHealthCounts } from './health-counts.ts';
import type {
  DeviceParent,
  DeviceQuery,
  DeviceSelection,
  InventoryScope,
  InventoryVendor,
} from './inventory-store-scope.ts';
import type { RevisionCache } from './revision-cache.ts';
import type { DeviceRow } from './rows.ts';
import type { Condition } from './sql-conditions.ts';

export type DeviceOrderField = 'NAME' | 'STATE_SEVERITY' | 'STATUS_SINCE' | 'LAST_SEEN' | 'UPDATED_AT';

export interface DeviceOrder {
  readonly field: DeviceOrderField;
  readonly direction: 'ASC' | 'DESC';
}

type OrderColumn = 'name' | 'state_rank' | 'state_since' | 'last_seen_at' | 'updated_at';

const ORDER_COLUMNS: Readonly<Record<DeviceOrderField, OrderColumn>> = {
  NAME: 'name',
  STATE_SEVERITY: 'state_rank',
  STATUS_SINCE: 'state_since',
  LAST_SEEN: 'last_seen_at',
  UPDATED_AT: 'updated_at',
};

function ordering({ field, direction }: DeviceOrder): Ordering<DeviceRow> {
  const column = ORDER_COLUMNS[field];
  return {
    kind: `devices ${field} ${direction}`,
    table: 'devices',
    column,
    direction: direction === 'ASC' ? 'asc' : 'desc',
    isNullable: field === 'LAST_SEEN',
    key: (row) => row[column],
  };
}

/** What a list of devices is asked for. */
export interface DeviceListArgs extends DeviceSelection {
  readonly page: PageArgs;
  readonly order: DeviceOrder;
}

/** Reads of the inventory that are answered from memory while no org of the scope changes. */
export interface InventoryLists {
  page(access: AccessScope, args: DeviceListArgs): Promise<Page<DeviceRow>>;
  /** The same page of each parent's devices, by parent; one statement while `after` is absent. */
  pages(access: AccessScope, args: DeviceListArgs, parent: DeviceParent): Promise<ReadonlyMap<string, Page<DeviceRow>>>;
  /** By parent, every parent present; without parents one count with the key ''. */
  totals(
    access: AccessScope,
    selection: DeviceSelection,
    parent: DeviceParent | null,
  ): Promise<ReadonlyMap<string, number>>;
  /** By parent, as `totals`. @throws GraphQLError BAD_USER_INPUT */
  facets(
    access: AccessScope,
    selection: DeviceSelection,
    parent: DeviceParent | null,
    field: DeviceFacetField,
    limit: number,
  ): Promise<ReadonlyMap<string, readonly FacetBucket[]>>;
  aggregate(
    access: AccessScope,
    selection: DeviceSelection,
    fields: readonly DeviceFacetField[],
  ): Promise<readonly AggregateRow[]>;
  /** Counts of all devices that are there, for each of these orgs or sites. */
  health(
    access: AccessScope,
    column: 'org_id' | 'site_id',
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, HealthCounts>>;
}

const EVERYTHING: DeviceSelection = { filter: null, search: null };

export function createInventoryLists(
  db: Database,
  scope: InventoryScope,
  cache: RevisionCache,
  cursors: CursorCodec,
  vendors: readonly InventoryVendor[],
): InventoryLists {
  const counter = createCounter(db.read, vendors);

  /** Runs `load` with the condition, or answers from memory. A filter on one org depends on that org alone. */
  function read<T>(
    access: AccessScope,
    selection: DeviceSelection,
    parent: DeviceParent | null,
    key: unknown,
    load: (matching: Condition) => Promise<T>,
    weigh: (answer: T) => number,
  ): Promise<T> {
    const orgId = selection.filter?.orgId ?? (parent?.column === 'org_id' && parent.ids.length === 1 && parent.ids[0]);
    const narrowed = orgId ? narrowToOrg(access, orgId) : access;
    // Built before the cache is asked: what is refused is refused every time.
    const matching = scope.matching(narrowed, selection, parent);
    if (scope.dependsOnClock(selection)) return load(matching);
    const text = JSON.stringify([key, selection.filter, selection.search, parent]);
    return cache.read(narrowed, text, () => load(matching), weigh);
  }

  function devices(matching: Condition): DeviceQuery {
    return db.read.selectFrom('devices').selectAll('devices').where(matching);
  }

  return {
    page(access, { page, order, ...selection }) {
      const load = (matching: Condition) => fetchPage(devices(matching), ordering(order), page, cursors);
      return read(access, selection, null, ['page', page, order], load, ({ rows }) => rows.length);
    },

    async pages(access, { page, order, ...selection }, parent) {
      if (page.after !== null || parent.ids.length === 1) {
        const each = parent.ids.map(async (id) => {
          const single = { column: parent.column, ids: [id] };
          const load = (matching: Condition) => fetchPage(devices(matching), ordering(order), page, cursors);
          return [
            id,
            await read(access, selection, single, ['page', page, order], load, (it) => it.rows.length),
          ] as const;
        });
        return new Map(await Promise.all(each));
      }
      const { column } = parent;
      const load = (matching: Condition) =>
        fetchFirstPages(
          db.read,
          db.read.selectFrom('devices').where(matching),
          ordering(order),
          { column, of: (row) => row[column] },
          page.first,
          cursors,
        );
      const found = await read(access, selection, parent, ['pages', page, order], load, (pages) =>
        pages.values().reduce((sum, { rows }) => sum + rows.length, 0),
      );
      return new Map(parent.ids.map((id) => [id, found.get(id) ?? emptyPage<DeviceRow>(page)]));
    },

    async totals(access, selection, parent) {
      const column = parent?.column ?? null;
      const load = (matching: Condition) => counter.totals(matching, column);
      const found = await read(access, selection, parent, 'totals', load, (counts) => counts.size);
      return new Map((parent?.ids ?? ['']).map((id) => [id, found.get(id) ?? 0]));
    },

    async facets(access, selection, parent, field, limit) {
      const column = parent?.column ?? null;
      const load = (matching: Condition) => counter.facets(matching, column, field, limit);
      const found = await read(access, selection, parent, ['facets', field, limit], load, (facets) =>
        facets.values().reduce((sum, buckets) => sum + buckets.length, 0),
      );
      return new Map((parent?.ids ?? ['']).map((id) => [id, found.get(id) ?? []]));
    },

    aggregate: (access, selection, fields) =>
      read(
        access,
        selection,
        null,
        ['aggregate', fields],
        (matching) => counter.aggregate(matching, fields),
        (rows) => rows.length,
      ),

    async health(access, column, ids) {
      const counts = await read(
        access,
        EVERYTHING,
        { column, ids },
        'health',
        () => readHealthCounts(db.read, access, column, ids),
        (rows) => rows.size,
      );
      return new Map(ids.map((id) => [id, counts.get(id) ?? NO_DEVICES]));
    },
  };
}
