import type { Page, PageArgs } from '../../storage/connection.ts';
import type { DeviceDifference } from '../../storage/inventory-diff.ts';
import type { DeviceListArgs, DeviceOrder } from '../../storage/inventory-store-list.ts';
import type { InventoryChange } from '../../storage/inventory-store-changes.ts';
import type { HealthCounts } from '../../storage/health-counts.ts';
import type { AggregateRow } from '../../storage/inventory-store-count.ts';
import type { DeviceParent, DeviceSelection } from '../../storage/inventory-store-scope.ts';
import type { DeviceRow, SyncRunRow } from '../../storage/rows.ts';
import type { StatusSegment } from '../../storage/status-segments.ts';
import type { AsOf } from '../as-of.ts';
import type { Entry, Listing } from '../listing.ts';

// What resolvers are handed where it is not a row (see mappers.json).

/** Something that another subgraph knows more of. */
export interface Reference {
  readonly id: string;
}

/** A device at its platform; the vendor's own subgraph resolves the rest. */
export interface SourceStub {
  readonly __typename: string;
  readonly integrationId: string;
  readonly nativeId: string;
}

/** On what a list of devices hangs; null for the list of everything. */
export interface ListParent {
  readonly column: DeviceParent['column'];
  readonly id: string;
}

export interface DeviceListing extends Listing<DeviceRow> {
  readonly selection: DeviceSelection;
  readonly parent: ListParent | null;
}

/** As it is resolved. */
export type PlacedDeviceListing = AsOf<DeviceListing>;

export type DeviceEntry = Entry<DeviceRow>;
export type SyncRunListing = Listing<SyncRunRow>;
export type SyncRunEntry = Entry<SyncRunRow>;
export type AggregateKeyItem = AggregateRow['keys'][number];
export type SegmentListing = Listing<StatusSegment>;
export type SegmentEntry = Entry<StatusSegment>;

/** Counts, and when they were true. */
export interface HealthItem extends HealthCounts {
  /** Milliseconds: just before they were read. */
  readonly asOf: number;
}

export interface AggregateItem extends AggregateRow {
  readonly health: HealthItem;
}

export type DifferencePage = Page<DeviceDifference>;
export type DifferenceEntry = Entry<DeviceDifference>;

export interface ChangeEntry {
  readonly change: InventoryChange;
}

export const BY_NAME: DeviceOrder = { field: 'NAME', direction: 'ASC' };

/** Every device that is there, by name. */
export function everything(page: PageArgs): DeviceListArgs {
  return { page, order: BY_NAME, filter: null, search: null };
}
