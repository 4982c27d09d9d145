import type DataLoader from 'dataloader';
import type { AccessScope } from '../../schema/principal.ts';
import type { DeviceLinkRow } from '../../storage/device-links.ts';
import type { CoverageRow } from '../../storage/inventory-store-coverage.ts';
import { createIncidentStore } from '../../storage/incident-store.ts';
import type { Page, PageArgs } from '../../storage/connection.ts';
import { readDeviceAsOf } from '../../storage/device-as-of.ts';
import { type DeviceDifference, type InventoryDiffArgs, readInventoryDiff } from '../../storage/inventory-diff.ts';
import type { InventoryChanges, InventoryChangesArgs } from '../../storage/inventory-store-changes.ts';
import { type DeviceFacetField, type FacetBucket } from '../../storage/inventory-store-count.ts';
import type { DeviceListArgs } from '../../storage/inventory-store-list.ts';
import type { DeviceSelection } from '../../storage/inventory-store-scope.ts';
import type { SourceReport } from '../../storage/inventory-store-sources.ts';
import type { DeviceRow, ExternalIdRow, SyncRunRow } from '../../storage/rows.ts';
import { createArgsLoader, createGroupLoader, createRowLoader, createValueLoader } from '../batch-loaders.ts';
import type { Listing } from '../listing.ts';
import { markPast } from './past-rows.ts';
import type { InventoryServices } from './context.ts';
import { createHistoryLoaders, type HistoryLoaders } from './history-loaders.ts';
import { createIncidentLoaders, type IncidentLoaders } from './incidents.ts';
import type { AggregateItem, DeviceListing, HealthItem, ListParent } from './model.ts';
import { createRhythmLoaders, type RhythmLoaders } from './rhythms.ts';
import { readAwayPlatforms } from './status-reason.ts';

/** What one principal sees of the inventory, read in batches. */
export interface InventoryLoaders extends HistoryLoaders, IncidentLoaders, RhythmLoaders {
  readonly device: DataLoader<string, DeviceRow | null>;
  readonly coverage: DataLoader<string, CoverageRow[]>;
  readonly externalIds: DataLoader<string, ExternalIdRow[]>;
  readonly links: DataLoader<string, DeviceLinkRow[]>;
  /** When the last complete listing of an integration began, in milliseconds. */
  readonly listedAt: DataLoader<string, number | undefined>;
  /** Whether an integration's platform is away now. */
  readonly isAway: DataLoader<string, boolean>;
  readonly orgHealth: DataLoader<string, HealthItem | null>;
  readonly siteHealth: DataLoader<string, HealthItem | null>;
  deviceByExternalId(namespace: string, value: string): Promise<DeviceRow | null>;
  /** @throws GraphQLError BAD_USER_INPUT */
  aggregate(selection: DeviceSelection, fields: readonly DeviceFacetField[]): Promise<readonly AggregateItem[]>;
  /** @param asOf milliseconds; null: now @throws GraphQLError BAD_USER_INPUT when it is no longer known */
  deviceAsOf(id: string, asOf: number | null): Promise<DeviceRow | null>;
  /** @throws GraphQLError BAD_CURSOR, BAD_USER_INPUT */
  diff(args: InventoryDiffArgs): Promise<Page<DeviceDifference>>;
  /** @throws GraphQLError BAD_CURSOR */
  changes(args: InventoryChangesArgs): Promise<InventoryChanges>;
  devices(args: DeviceListArgs, parent: ListParent | null): Promise<DeviceListing>;
  facet(list: DeviceListing, field: DeviceFacetField, limit: number): Promise<readonly FacetBucket[]>;
  sources(list: DeviceListing): Promise<readonly SourceReport[]>;
  syncRuns(integrationId: string, page: PageArgs): Promise<Listing<SyncRunRow>>;
}

interface Hanging {
  readonly column: ListParent['column'];
}
interface HangingSelection extends Hanging {
  readonly selection: DeviceSelection;
}

/** The key of what hangs on nothing. */
const ROOT = '';

export function createInventoryLoaders(
  { store, db, cursors, now }: Pick<InventoryServices, 'store' | 'db' | 'cursors' | 'now'>,
  access: AccessScope,
): InventoryLoaders {
  const health = (column: 'org_id' | 'site_id') => async (ids: readonly string[]) => {
    const asOf = now();
    const counts = await store.health(access, column, ids);
    return new Map(counts.entries().map(([id, each]) => [id, { ...each, asOf }]));
  };
  const pages = createArgsLoader((ids, { column, args }: Hanging & { readonly args: DeviceListArgs }) =>
    store.pages(access, args, { column, ids }),
  );
  const totals = createArgsLoader((ids, { column, selection }: HangingSelection) =>
    store.totals(access, selection, { column, ids }),
  );
  const facets = createArgsLoader(
    (
      ids,
      {
        column,
        selection,
        field,
        limit,
      }: HangingSelection & { readonly field: DeviceFacetField; readonly limit: number },
    ) => store.facets(access, selection, { column, ids }, field, limit),
  );
  const sources = createArgsLoader((ids, { column, selection }: HangingSelection) =>
    store.sources(access, selection, { column, ids }),
  );
  const runPages = createArgsLoader((ids, page: PageArgs) => store.syncRuns(access, ids, page));
  const runCounts = createValueLoader((ids) => store.syncRunCounts(access, ids), 0);

  const device = createRowLoader((ids) => store.devices(access, ids));

  return {
    ...createHistoryLoaders(db, cursors, access, now()),
    ...createIncidentLoaders(createIncidentStore(db, cursors), access),
    ...createRhythmLoaders(db, access),
    device,
    coverage: createGroupLoader(
      (ids) => store.coverage(access, ids),
      (row) => row.siteId,
    ),
    externalIds: createGroupLoader(
      (ids) => store.externalIds(access, ids),
      (row) => row.owner_id,
    ),
    links: createGroupLoader(
      (ids) => store.links(access, ids),
      (row) => row.device_id,
    ),
    listedAt: createValueLoader((ids) => store.listedAt(ids), undefined),
    isAway: createValueLoader((ids) => readAwayPlatforms(db, ids), false),
    orgHealth: createValueLoader(health('org_id'), null),
    siteHealth: createValueLoader(health('site_id'), null),

    deviceByExternalId: (namespace, value) => store.deviceByExternalId(access, namespace, value),
    async aggregate(selection, fields) {
      const asOf = now();
      const rows = await store.aggregate(access, selection, fields);
      return rows.map((row) => ({ ...row, health: { ...row.health, asOf } }));
    },
    changes: (args) => store.changes(access, args),
    diff: (args) => readInventoryDiff(db, cursors, access, args),

    async deviceAsOf(id, asOf) {
      const row = await device.load(id);
      if (row === null || asOf === null || asOf >= now()) return row;
      return markPast(await readDeviceAsOf(db, access, row, asOf), asOf);
    },

    async devices(args, parent) {
      const selection = { filter: args.filter, search: args.search };
      if (parent === null) {
        const total = async () => (await store.totals(access, selection, null)).get(ROOT) ?? 0;
        return { page: await store.page(access, args), total, selection, parent };
      }
      const { column, id } = parent;
      return {
        page: await pages.load(id, { column, args }),
        total: () => totals.load(id, { column, selection }),
        selection,
        parent,
      };
    },

    async facet({ selection, parent }, field, limit) {
      if (parent !== null) return facets.load(parent.id, { column: parent.column, selection, field, limit });
      return (await store.facets(access, selection, null, field, limit)).get(ROOT) ?? [];
    },

    async sources({ selection, parent }) {
      if (parent !== null) return sources.load(parent.id, { column: parent.column, selection });
      return (await store.sources(access, selection, null)).get(ROOT) ?? [];
    },

    async syncRuns(integrationId, page) {
      return { page: await runPages.load(integrationId, page), total: () => runCounts.load(integrationId) };
    },
  };
}
