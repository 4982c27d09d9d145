import type { EventTable } from '../../adapter-kit/event-table.ts';
import type { EventType } from '../../schema/catalogue/event-type.ts';
import { EVENT_TYPES } from '../../schema/catalogue/event-types.ts';
import type { EventFamily } from '../../schema/words.ts';

/** What the catalogue needs to know of a vendor. */
export interface MappedVendor {
  /** Value of the API's Vendor enum. */
  readonly enumValue: string;
  readonly eventTable: EventTable;
}

/** A code of a vendor's that becomes a type. */
export interface VendorCode {
  readonly vendor: string;
  readonly vendorCode: string;
  readonly notes: string | null;
  /** Of the vendor's table. */
  readonly tableVersion: number;
}

/** A type with every code that becomes it. */
export type CataloguedType = EventType & { readonly mappings: VendorCode[] };

/** Narrows the list; null or absent matches everything. */
export interface CatalogueSelection {
  readonly family?: EventFamily | null | undefined;
  /** Only types that this vendor's table leads to. */
  readonly vendor?: string | null | undefined;
}

export type Catalogue = (selection: CatalogueSelection) => CataloguedType[];

/** Made once: neither types nor tables change while the process runs. */
export function createCatalogue(vendors: readonly MappedVendor[]): Catalogue {
  const codes = Map.groupBy(
    vendors.flatMap(({ enumValue: vendor, eventTable }) =>
      eventTable.rows.map(({ code, type, notes }) => ({
        type,
        mapping: { vendor, vendorCode: code, notes, tableVersion: eventTable.version },
      })),
    ),
    ({ type }) => type,
  );
  const types = EVENT_TYPES.map((type) => ({
    ...type,
    mappings: (codes.get(type.name) ?? []).map(({ mapping }) => mapping),
  }));
  return ({ family, vendor }) =>
    types.filter(
      (type) =>
        (family === null || family === undefined || type.family === family) &&
        (vendor === null || vendor === undefined || type.mappings.some((mapping) => mapping.vendor === vendor)),
    );
}
